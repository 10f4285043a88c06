//! Random commands, on few keys so that they meet.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::pair::{Words, words};

/// What a letter in a template stands for is drawn anew each time; see [`fill`].
const TEMPLATES: &[&str] = &[
    "GET $K",
    "GET $k",
    "SET $K $v",
    "SET $K $v NX",
    "SET $K $v XX GET",
    "SET $K $v GET",
    "SET $K $i",
    "SET $K $v EX $T",
    "SET $K $v PX $P KEEPTTL",
    "SET $K $v KEEPTTL",
    "SET $K $v EX $i",
    "INCR $K",
    "DECR $K",
    "INCRBY $K $i",
    "DECRBY $K $i",
    "DEL $k",
    "DEL $k $k",
    "UNLINK $k",
    "EXISTS $k $k",
    "TYPE $k",
    "DBSIZE",
    "KEYS *",
    "SCAN 0 COUNT 1000",
    "EXPIRE $k $T",
    "PEXPIRE $k $P",
    "EXPIRE $k $T $X",
    "EXPIRE $k -1",
    "PEXPIREAT $k 1",
    "EXPIREAT $k 33000000000 $X",
    "PERSIST $k",
    "TTL $k",
    "PTTL $k",
    "HGET $H $f",
    "HSET $H $f $v",
    "HSET $H $f $v $f $v",
    "HSET $H $f $i",
    "HSETNX $H $f $v",
    "HMGET $H $f $f $f",
    "HDEL $H $f",
    "HDEL $H $f $f",
    "HGETALL $H",
    "HKEYS $H",
    "HEXISTS $H $f",
    "HINCRBY $H $f $i",
    "HLEN $H",
    "SADD $S $m",
    "SADD $S $m $m $m",
    "SREM $S $m",
    "SREM $S $m $m",
    "SISMEMBER $S $m",
    "SMEMBERS $S",
    "SCARD $S",
    "SRANDMEMBER $S",
    "SRANDMEMBER $S $n",
    "SRANDMEMBER $S -3",
    "ZADD $Z $s $m",
    "ZADD $Z $s $m $s $m",
    "ZADD $Z $A $s $m",
    "ZADD $Z $A $A $s $m",
    "ZADD $Z $A CH $s $m $s $m",
    "ZADD $Z INCR $s $m",
    "ZINCRBY $Z $s $m",
    "ZREM $Z $m",
    "ZREM $Z $m $m",
    "ZSCORE $Z $m",
    "ZCARD $Z",
    "ZRANK $Z $m",
    "ZCOUNT $Z $b $b",
    "ZRANGE $Z $n $n",
    "ZRANGE $Z 0 -1 WITHSCORES",
    "ZRANGE $Z $n $n REV WITHSCORES",
    "ZRANGE $Z $b $b BYSCORE",
    "ZRANGE $Z $b $b BYSCORE REV WITHSCORES LIMIT $n $n",
    "ZRANGEBYSCORE $Z $b $b",
    "ZRANGEBYSCORE $Z $b $b WITHSCORES LIMIT $n $n",
    "ZRANGEBYSCORE $Z -inf +inf WITHSCORES",
    "ZREVRANGEBYSCORE $Z $b $b",
    "ZREMRANGEBYSCORE $Z $b $b",
    "ZADD $L 0 $m",
    "ZADD $L 0 $m 0 $m 0 $m",
    "ZREM $L $m",
    "ZRANGEBYLEX $L $l $l",
    "ZRANGEBYLEX $L - +",
    "ZRANGEBYLEX $L $l $l LIMIT $n $n",
    "ZREVRANGEBYLEX $L $l $l",
    "ZRANGE $L $l $l BYLEX LIMIT $n $n",
    "ZRANGE $L $l $l BYLEX REV",
    "ZLEXCOUNT $L $l $l",
    "ZREMRANGEBYLEX $L $l $l",
    "XADD $Q $q $f $v",
    "XADD $Q $q $f $v $f $v",
    "XADD $Q $t-* $f $v",
    "XADD $Q MAXLEN = $n $q $f $v",
    "XADD $Q MINID $q $q $f $v",
    "XADD $Q NOMKSTREAM $q $f $v",
    "XADD $Q $q $f",
    "XRANGE $Q $r $r",
    "XRANGE $Q - +",
    "XRANGE $Q $r + COUNT $n",
    "XREVRANGE $Q $r $r",
    "XREVRANGE $Q + - COUNT $n",
    "XREVRANGE $Q $r - COUNT 1",
    "XDEL $Q $q",
    "XDEL $Q $q $q",
    "XTRIM $Q MAXLEN $n",
    "XTRIM $Q MAXLEN = $n",
    "XTRIM $Q MINID $q",
    "XTRIM $Q MINID = $t",
    "XLEN $Q",
    "PUBLISH $m $v",
    "PING",
    "ECHO $v",
    "FLUSHDB",
    "NOSUCH $k",
    "GET",
    "HSET $H $f",
    "XTRIM $Q",
];

pub(crate) fn command(rng: &mut StdRng) -> Words {
    let template = TEMPLATES.choose(rng).expect("some");
    // Rarely, or nothing would grow.
    if *template == "FLUSHDB" && rng.random_range(0..4) != 0 {
        return command(rng);
    }
    words(template).iter().map(|word| fill(rng, word)).collect()
}

/// Much in few keys, so that Redis changes how it keeps them, and then questions about it.
pub(crate) fn large(rng: &mut StdRng) -> Vec<Words> {
    const INSERTS: u64 = 600;
    const QUESTIONS: usize = 600;
    let any = |rng: &mut StdRng| -> Vec<u8> {
        let length = rng.random_range(0..6);
        (0..length).map(|_| *b"\0ab\xff".choose(rng).expect("some")).collect()
    };
    let put = |template: &str, member: &[u8], rng: &mut StdRng| -> Words {
        let fill = |word: Vec<u8>, rng: &mut StdRng| match word.as_slice() {
            b"M" => member.to_vec(),
            b"[M" | b"(M" => [&word[..1], member].concat(),
            b"#" => rng.random_range(-20..=700).to_string().into_bytes(),
            b"(#" => format!("({}", rng.random_range(-20..=700)).into_bytes(),
            _ => word,
        };
        words(template).into_iter().map(|word| fill(word, rng)).collect()
    };
    let mut sequence = Vec::new();
    for id in 1..=INSERTS {
        let member = any(rng);
        sequence.push(words(&format!("XADD Q {id}-1 f v")));
        for template in ["ZADD L 0 M", "ZADD Z # M", "HSET H M #", "SADD S M"] {
            sequence.push(put(template, &member, rng));
        }
    }
    for _ in 0..QUESTIONS {
        let template = [
            "ZRANGEBYLEX L [M +",
            "ZRANGEBYLEX L - (M",
            "ZRANGEBYLEX L (M + LIMIT 3 5",
            "ZREVRANGEBYLEX L [M - LIMIT 0 4",
            "ZREM L M",
            "ZADD L 0 M",
            "ZLEXCOUNT L [M +",
            "ZRANGE L # # ",
            "ZRANGE Z # # WITHSCORES",
            "ZRANK Z M",
            "ZRANGEBYSCORE Z # (# LIMIT 0 7",
            "ZRANGEBYSCORE Z (# +inf WITHSCORES",
            "ZREMRANGEBYSCORE Z # (#",
            "ZADD Z # M",
            "ZINCRBY Z # M",
            "ZCARD Z",
            "XRANGE Q # # COUNT 5",
            "XRANGE Q (# +",
            "XREVRANGE Q # - COUNT 3",
            "XDEL Q #-1",
            "XTRIM Q MINID #",
            "XLEN Q",
            "HGET H M",
            "HDEL H M",
            "HGETALL H",
            "HLEN H",
            "SMEMBERS S",
            "SREM S M",
            "SCARD S",
        ]
        .choose(rng)
        .expect("some");
        // These would soon leave nothing to ask about.
        if (template.starts_with("XTRIM") || template.starts_with("ZREMRANGE")) && rng.random_range(0..5) != 0
        {
            continue;
        }
        let member = any(rng);
        sequence.push(put(template, &member, rng));
    }
    sequence
}

fn fill(rng: &mut StdRng, word: &[u8]) -> Vec<u8> {
    let Some((b'$', [kind, rest @ ..])) = word.split_first().map(|(first, rest)| (*first, rest)) else {
        return word.to_vec();
    };
    let mut filled = piece(rng, *kind);
    filled.extend_from_slice(rest);
    filled
}

fn piece(rng: &mut StdRng, kind: u8) -> Vec<u8> {
    const WORDS: &[&[u8]] =
        &[b"", b"a", b"a\0", b"a\xff", b"aa", b"b", b"\0", b"\xff", b"\xff\xff", b"c\r\nd", b"10", b"9"];
    const INTEGERS: &[&str] = &[
        "0",
        "1",
        "-1",
        "5",
        "-7",
        "100",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "9007199254740993",
        "01",
        "+1",
        "-0",
        "1.5",
        "",
        "x",
    ];
    const SCORES: &[&str] = &[
        "0",
        "-0",
        "1",
        "2",
        "2.5",
        "-1",
        "0.1",
        "1e3",
        "1e17",
        "123456789012345678",
        "inf",
        "-inf",
        "+inf",
        "nan",
        "x",
        "3.0000000000000004",
        "-1e-7",
    ];
    let one_of = |rng: &mut StdRng, texts: &[&str]| texts.choose(rng).expect("some").as_bytes().to_vec();
    let number = |rng: &mut StdRng, range: std::ops::RangeInclusive<i64>| {
        rng.random_range(range).to_string().into_bytes()
    };
    match kind {
        // A key of a type, which sometimes is of another. But ranges of bytes mean something only where scores are
        // equal, so those sets keep to themselves.
        b'K' | b'H' | b'S' | b'Z' | b'L' | b'Q' => {
            let others = if kind == b'L' { b"KHSQ".as_slice() } else { b"KHSZQ" };
            let kind = if rng.random_range(0..20) == 0 { *others.choose(rng).expect("some") } else { kind };
            vec![kind, *b"12".choose(rng).expect("some")]
        }
        b'k' => vec![*b"KHSZLQ".choose(rng).expect("some"), *b"12".choose(rng).expect("some")],
        b'f' | b'm' | b'v' => WORDS.choose(rng).expect("some").to_vec(),
        b'i' => one_of(rng, INTEGERS),
        b'n' => number(rng, -3..=6),
        b'T' => number(rng, 1000..=9000),
        b'P' => number(rng, 1_000_000..=9_000_000),
        b'X' => one_of(rng, &["NX", "XX", "GT", "LT"]),
        b'A' => one_of(rng, &["NX", "XX", "GT", "LT", "CH"]),
        b's' => one_of(rng, SCORES),
        b'b' => {
            let open = if rng.random() { "(" } else { "" };
            [open.as_bytes(), &one_of(rng, SCORES)].concat()
        }
        b'l' => match rng.random_range(0..10) {
            0 => b"-".to_vec(),
            1 => b"+".to_vec(),
            2 => piece(rng, b'm'),
            at => [if at < 7 { &b"["[..] } else { b"(" }, &piece(rng, b'm')].concat(),
        },
        b't' => number(rng, 0..=12),
        b'q' => match rng.random_range(0..12) {
            0 => piece(rng, b't'),
            1 => b"0-0".to_vec(),
            2 => one_of(rng, &["x", "1-x", "-", "+", "5-18446744073709551615", "01-1", "1--1"]),
            _ => [piece(rng, b't'), b"-".to_vec(), number(rng, 0..=2)].concat(),
        },
        b'r' => match rng.random_range(0..6) {
            0 => b"-".to_vec(),
            1 => b"+".to_vec(),
            2 | 3 => [b"(".to_vec(), piece(rng, b'q')].concat(),
            _ => piece(rng, b'q'),
        },
        other => panic!("no template has {}", char::from(other)),
    }
}
