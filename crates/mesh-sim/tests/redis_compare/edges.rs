//! What chance does not find soon.

/// Carried out in order. A line is a command.
pub(crate) const LINES: &str = r#"
GET none
HGETALL none
SMEMBERS none
ZRANGE none 0 -1
XRANGE none - +
XREVRANGE none + - COUNT 0
HMGET none a b
TTL none
PERSIST none
TYPE none
DEL none
SRANDMEMBER none
SRANDMEMBER none 5
SRANDMEMBER none x
ZSCORE none m
XLEN none
XDEL none 1-1
XDEL none x
XTRIM none MAXLEN 0
XTRIM none MAXLEN x
XTRIM none MINID x
XTRIM none MAXLEN -1
XTRIM none NOSUCH 1
XTRIM none MAXLEN = 1 LIMIT 5
SET s text
HGET s f
HSET s f v
SADD s m
SREM s m
ZADD s 1 m
ZADD s XX 1 m
ZADD s x m
ZRANGE s 0 -1
ZRANGE s x -1
ZRANGEBYSCORE s x 1
ZRANGEBYLEX s - +
ZRANGEBYLEX s x y
XADD s 1-1 f v
XADD s 0-0 f v
XADD s x f v
XRANGE s - +
XRANGE s x +
XRANGE s ( +
XRANGE s (- +
XDEL s 1-1
XDEL s x
XTRIM s MAXLEN 0
INCR s
SET s x GET
SET s
SET s x EX
SET s x EX 0
SET s x EX -1
SET s x EX x
SET s x EX 10 PX 10
SET s x NX XX
SET s x EX 10 KEEPTTL
SET s x NOSUCH
SET s x EX 9223372036854775807
SET s x PXAT 1
EXISTS s
SET n 9223372036854775807
INCR n
DECR n
INCRBY n 1
INCRBY n 1
DECRBY n -9223372036854775808
SET n " 1"
INCR n
HSET h n 9223372036854775807
HINCRBY h n 1
HINCRBY h n x
HSET h t text
HINCRBY h t 1
HINCRBY h new -5
HSET h f
HSET h f v g
HDEL h n t new f none
EXISTS h
SADD set a
SREM set a
EXISTS set
XADD x 5-1 f v
XADD x 5-1 f v
XADD x 5-0 f v
XADD x 4-9 f v
XADD x 5-2 a 1 b 2
XADD x 6-* f v
XADD x 6-* f v
XADD x 5-* f v
XADD x 7 f v
XADD x 18446744073709551615-18446744073709551614 f v
XADD x 18446744073709551615-* f v
XADD x 18446744073709551615-* f v
XADD x * f v
XRANGE x - + COUNT 2
XRANGE x - + COUNT 0
XRANGE x - + COUNT -1
XRANGE x - + COUNT x
XRANGE x - + COUNT
XRANGE x - + NOSUCH 1
XRANGE x (5-1 (6-1
XRANGE x 5 6
XRANGE x (5 6
XRANGE x 5 (6
XREVRANGE x (6-1 (5-1
XREVRANGE x + (5-1 COUNT 1
XRANGE x (18446744073709551615-18446744073709551615 +
XREVRANGE x (0-0 -
XRANGE x - (0-0
XRANGE x 9 3
XRANGE x -5 3
XRANGE x 1-2-3 +
XTRIM x MINID 5-2
XRANGE x - +
XTRIM x MINID = 6
XTRIM x MAXLEN = 2
XLEN x
XTRIM x MAXLEN 2
XTRIM x MAXLEN 0
XLEN x
EXISTS x
TYPE x
XADD x 9-1 f v
DEL x
XADD x MAXLEN = 0 1-1 f v
XLEN x
XADD x MAXLEN 1 1-2 f v
XADD x MAXLEN 1 1-3 f v
XRANGE x - +
XADD x MINID 1-4 1-3 f v
XADD x MINID 1-4 1-4 f v
XRANGE x - +
XADD x MINID = 9-0 2-0 f v
XRANGE x - +
XADD x MAXLEN 1 MAXLEN 2 9-1 f v
XADD x MAXLEN
XADD x NOMKSTREAM 3-0 f v
XADD y NOMKSTREAM 3-0 f v
EXISTS y
XADD x 4-0
XADD x 4-0 f
XADD x 4-0 f v g
XDEL x 3-0
XDEL x 3-0 3-0 99-0
XADD x 3-0 f v
ZADD z -0 zero
ZSCORE z zero
ZADD z CH 0 zero
ZSCORE z zero
ZADD z 0 other
ZINCRBY z -0 other
ZRANGE z 0 -1 WITHSCORES
ZADD z inf up
ZADD z INCR -inf up
ZSCORE z up
ZADD z 1.7976931348623157e308 big
ZSCORE z big
ZADD z 1e400 big
ZADD z 5e-324 small
ZSCORE z small
ZADD z 123456789.123456789 digits
ZSCORE z digits
ZADD z 1e21 e21
ZSCORE z e21
ZADD z 100000000000000000000 e20
ZSCORE z e20
ZADD z "" empty
ZADD z " 1" space
ZADD z 1 a 2
ZADD z NX XX 1 a
ZADD z GT LT 1 a
ZADD z NX GT 1 a
ZADD z INCR 1 a 2 b
ZADD z NX INCR 1 zero
ZADD z XX INCR 1 none
ZADD none XX INCR 1 none
ZADD none XX 1 none
EXISTS none
ZADD z GT INCR -1 zero
ZADD z NX
ZRANGEBYSCORE z (0 inf
ZRANGEBYSCORE z -inf (0
ZRANGEBYSCORE z 0 0
ZRANGEBYSCORE z ( 1
ZRANGEBYSCORE z "" 1
ZRANGEBYSCORE z 1 0
ZRANGEBYSCORE z nan 1
ZRANGEBYSCORE z 0 1 LIMIT 0
ZRANGEBYSCORE z 0 1 LIMIT 0 x
ZRANGEBYSCORE z -inf inf LIMIT -1 5
ZRANGEBYSCORE z -inf inf LIMIT 1 -1
ZRANGEBYSCORE z -inf inf LIMIT 100 5
ZRANGEBYSCORE z -inf inf LIMIT 0 0
ZRANGE z 0 1 LIMIT 0 1
ZRANGE z - + BYLEX WITHSCORES
ZRANGE z 0 1 REV
ZRANGE z 5 1
ZRANGE z -100 100
ZRANGE z 1 0 BYSCORE REV
ZRANGEBYLEX z - + WITHSCORES
ZREMRANGEBYSCORE z (0 (1
ZREMRANGEBYSCORE z x 1
ZREMRANGEBYSCORE z -inf inf
EXISTS z
ZADD l 0 "" 0 "\x00" 0 a 0 "a\x00" 0 "a\xff" 0 b 0 "\xff" 0 "\xff\xff"
ZRANGEBYLEX l - +
ZRANGEBYLEX l [ +
ZRANGEBYLEX l ( +
ZRANGEBYLEX l "[\x00" "(a"
ZRANGEBYLEX l "(\x00" "[a"
ZRANGEBYLEX l [a "[a\xff"
ZRANGEBYLEX l (a "(a\xff"
ZRANGEBYLEX l "[\xff" +
ZRANGEBYLEX l "(\xff" +
ZRANGEBYLEX l "(\xff\xff" +
ZRANGEBYLEX l + -
ZRANGEBYLEX l - -
ZRANGEBYLEX l + +
ZRANGEBYLEX l [b [a
ZRANGEBYLEX l [a [a
ZRANGEBYLEX l (a [a
ZRANGEBYLEX l (a (a
ZRANGEBYLEX l -x +
ZRANGEBYLEX l a +
ZRANGEBYLEX l "" +
ZRANGEBYLEX l - + LIMIT 2 3
ZRANGEBYLEX l - + LIMIT -1 3
ZRANGEBYLEX l - + LIMIT 2 -1
ZREVRANGEBYLEX l + - LIMIT 1 2
ZLEXCOUNT l [a (b
ZREMRANGEBYLEX l [a (b
ZRANGEBYLEX l - +
EXPIRE l x
EXPIRE l 9223372036854775807
EXPIRE l -9223372036854775808
PEXPIRE s 9223372036854775807
EXPIRE s 100 NX GT
EXPIRE s 100 GT LT
EXPIRE s 100 NOSUCH
EXPIRE none x
EXPIRE none 100
SET e 1 EX 1000
EXPIRE e 2000 NX
EXPIRE e 500 GT
EXPIRE e 500 LT
TTL e
EXPIRE e 5000 XX
TTL e
SET e 2 KEEPTTL
TTL e
SET e 3
TTL e
EXPIRE e 100 GT
EXPIRE e 100 XX
EXPIRE e 100 LT
PERSIST e
PERSIST e
EXPIRE e 0
EXISTS e
XADD e 1-1 f v
EXPIRE e 1000
XADD e 1-2 f v
TTL e
EVAL "return 1" x
EVAL "return 1" -1
EVAL "return 1" 1
EVAL "return 1" 0
EVAL "return 1"
EVALSHA 0000000000000000000000000000000000000000 0
EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0
EVALSHA E0E1F9FABFC9D4800C877A703B823AC0578FF8DB 0
EVALSHA x 0
SCRIPT LOAD "return 2"
SCRIPT LOAD "return ("
SCRIPT EXISTS e0e1f9fabfc9d4800c877a703b823ac0578ff8db x
SCRIPT EXISTS
SCRIPT FLUSH
SCRIPT FLUSH NOSUCH
SCRIPT KILL
SCRIPT NOSUCH
EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0
SELECT 1
GET s
SET s other
DBSIZE
SELECT 0
DBSIZE
SELECT 16
SELECT x
FLUSHDB
DBSIZE
SELECT 1
DBSIZE
FLUSHALL ASYNC
FLUSHALL NOSUCH
DBSIZE
SELECT 0
PING
PING hello
PING a b
ECHO
ECHO a
AUTH x
AUTH default x
AUTH nobody x
AUTH a b c
CLIENT GETNAME
CLIENT SETNAME "a b"
CLIENT SETNAME me
CLIENT GETNAME
CLIENT NO-EVICT on
CLIENT NOSUCH
HELLO 4
HELLO x
HELLO 3 NOSUCH
HELLO 3 AUTH nobody x
PUBSUB CHANNELS
PUBSUB NUMSUB a b
PUBSUB NOSUCH
NOSUCH a b
get none
GeT none
GET
GET a b
TIME now
DBSIZE x
"" a
"#;

/// On a server that has no memory left.
pub(crate) const WITHOUT_MEMORY: &str = r#"
SET a 1
GET a
HSET a f v
XADD a 1-1 f v
DEL a
EXPIRE a 10
XTRIM a MAXLEN 1
PUBLISH a b
EVAL "return 1" 0
EVAL "return redis.call('SET', 'a', 1)" 0
EVAL "return redis.pcall('SET', 'a', 1)" 0
EVAL "redis.call('DEL', 'a') return redis.call('SET', 'a', 1)" 0
GET a
EVAL "return redis.call('GET', 'a')" 0
INCR a
SCRIPT LOAD "return 1"
DEL a
"#;

/// One who listens, and with `>` somebody else.
pub(crate) const SUBSCRIBER: &str = r#"
SUBSCRIBE a b a
> PUBLISH a one
> PUBLISH none one
> SPUBLISH a sharded
PING
SSUBSCRIBE a
> SPUBLISH a sharded
> EVAL "redis.call('PUBLISH', 'b', 'x') return redis.call('SPUBLISH', 'a', 'y')" 0
> PUBSUB CHANNELS
> PUBSUB NUMSUB a b none
> PUBSUB SHARDNUMSUB a
GET key
PUBLISH a own
EVAL "redis.call('PUBLISH', 'a', 'x') return 5" 0
UNSUBSCRIBE b none
> PUBLISH b gone
UNSUBSCRIBE
UNSUBSCRIBE
SUNSUBSCRIBE
SUNSUBSCRIBE a
SUBSCRIBE
GET key
> PUBLISH a gone
> SUBSCRIBE own
> PUBLISH own self
> EVAL "return redis.call('PUBLISH', 'own', 'x')" 0
"#;

/// Each on a connection of its own, which then closes.
pub(crate) const BAD_BYTES: &[&[u8]] = &[
    b"PING\r\n",
    b"PING hello\n",
    b"\r\n\r\nPING\r\n",
    b"*0\r\n*-1\r\nPING\r\n",
    b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n",
    b"*x\r\n",
    b"*1\r\n:4\r\n",
    b"*1\r\n$-1\r\n",
    b"*1\r\n$x\r\n",
    b"*1\r\nPING\r\n",
    b"*1\r\n\r\n",
    b"*1\r\n$4\r\nPING\r\n*x\r\nPING\r\n",
    b"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n",
    b"*2\r\n$4\r\nECHO\r\n$3\r\na\0\xff\r\n",
    b"$4\r\nPING\r\n",
    b"*1\r\n$0\r\n\r\n",
    b"*1\r\n$4\r\nQUIT\r\n*1\r\n$4\r\nPING\r\n",
    b"*01\r\n$4\r\nPING\r\n",
    b"*1\r\n$04\r\nPING\r\n",
    b"*+1\r\n$4\r\nPING\r\n",
    b"*\r\n",
    b"*1\r\n$\r\n",
    b"*-5\r\nPING\r\n",
    b"PING 'a\r\n",
    b"*3\r\n$3\r\nSET\r\n",
    b"",
];
