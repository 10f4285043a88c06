//! What holds for the simulated Redis as a server: no bytes harm it, a replica is a copy, a run is a function of its seed.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use mesh_sim::redis::{Client, Data, Direction, Entry, Redis, Whom};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

fn client(redis: &Redis) -> Client<DuplexStream> {
    Client::new(redis.dial().expect("a server that runs"))
}

fn pick(rng: &mut StdRng, texts: &[&str]) -> String {
    (*texts.choose(rng).expect("some")).to_owned()
}

/// A command that writes, mostly.
fn command(rng: &mut StdRng) -> Vec<String> {
    let template = pick(
        rng,
        &[
            "SET K v",
            "SET K v PX 50",
            "INCR K",
            "DEL k",
            "PEXPIRE k 30",
            "PERSIST k",
            "HSET H f v",
            "HDEL H f",
            "HINCRBY H f 5",
            "SADD S f v",
            "SREM S f",
            "ZADD Z 1 f 2 v",
            "ZINCRBY Z 1.5 f",
            "ZREM Z f",
            "XADD Q * f v",
            "XADD Q MAXLEN 3 * f v",
            "XTRIM Q MAXLEN 2",
            "ZREMRANGEBYSCORE Z 2 9",
            "GET K",
            "SRANDMEMBER S",
            "HGETALL H",
            "EVAL redis.call('INCR',KEYS[1])redis.call('SADD',KEYS[1],1) 1 K",
            "EVAL redis.call('SET',KEYS[1],redis.call('TIME')[1]) 1 K",
            "EVAL redis.call('SADD',KEYS[1],redis.call('SRANDMEMBER',KEYS[1])..'x') 1 S",
        ],
    );
    let fill = |word: &str, rng: &mut StdRng| match word {
        "k" => pick(rng, &["K1", "K2", "H1", "S1", "Z1", "Q1"]),
        "K" | "H" | "S" | "Z" | "Q" => format!("{word}{}", rng.random_range(1..=2)),
        "f" | "v" => pick(rng, &["a", "b", "c", "7"]),
        other => other.to_owned(),
    };
    template.split(' ').map(|word| fill(word, rng)).collect()
}

/// What a run leaves, and all that was said in it.
async fn run(seed: u64) -> (Redis, Vec<String>) {
    let redis = Redis::new(seed);
    redis.expire_late(Duration::from_millis(20));
    let mut rng = StdRng::seed_from_u64(seed);
    let mut said = Vec::new();
    let delays = Duration::ZERO..=Duration::from_millis(3);
    redis.delay(Whom::All, Direction::ToClient, delays.clone());
    redis.delay(Whom::All, Direction::ToServer, delays);
    let mut clients: Vec<Client<DuplexStream>> = (0..4).map(|_| client(&redis)).collect();
    for _ in 0..400 {
        for client in &mut clients {
            client.send(command(&mut rng)).await.expect("a connection");
        }
        for client in &mut clients {
            said.push(format!("{:?}", client.next().await));
        }
        if rng.random_range(0..50) == 0 {
            said.push(format!("{:?}", redis.evict_random()));
        }
    }
    (redis, said)
}

#[tokio::test(start_paused = true)]
async fn a_run_is_a_function_of_its_seed() {
    let (first, second, other) = (run(1).await, run(1).await, run(2).await);
    assert_eq!(first.1, second.1);
    assert_eq!(first.0.snapshot(), second.0.snapshot());
    assert_eq!(first.0.digest(), second.0.digest());
    assert_ne!(first.0.digest(), other.0.digest());
    assert_ne!(first.1, other.1);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_heard_of_all_is_a_copy() {
    for seed in 1..=5 {
        let (redis, _) = run(seed).await;
        let before: BTreeMap<(usize, Bytes), Entry> = redis.snapshot();
        assert!(!before.is_empty());
        assert_eq!(redis.fail_over(0), 0);
        assert_eq!(redis.snapshot(), before, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failover_goes_back_to_what_there_was() {
    let redis = Redis::new(3);
    let mut rng = StdRng::seed_from_u64(3);
    let mut client = client(&redis);
    let mut before = Vec::new();
    for _ in 0..200 {
        let snapshot = redis.snapshot();
        client.call(command(&mut rng)).await.expect("a reply");
        if redis.snapshot() != snapshot {
            before.push(snapshot);
        }
    }
    // What changed nothing that one sees may still count as a write, so the way back may be shorter.
    let lost = redis.fail_over(20);
    assert_eq!(lost, 20);
    let found = redis.snapshot();
    assert!(before.iter().rev().take(20).any(|snapshot| *snapshot == found));
}

#[tokio::test(start_paused = true)]
async fn hostile_bytes_end_their_own_connection_at_most() {
    let redis = Redis::new(1);
    let mut good = client(&redis);
    let mut rng = StdRng::seed_from_u64(1);
    let pieces: &[&[u8]] = &[
        b"*",
        b"$",
        b"\r\n",
        b"\n",
        b"*1\r\n",
        b"*2\r\n",
        b"*-1\r\n",
        b"*99999\r\n",
        b"$3\r\n",
        b"$0\r\n\r\n",
        b"$-1\r\n",
        b"$4\r\nPING\r\n",
        b"$3\r\nGET\r\n",
        b"$4\r\nEVAL\r\n",
        b"$9\r\nreturn {}\r\n",
        b"$1\r\n0\r\n",
        b"$5\r\nHELLO\r\n",
        b"$1\r\n3\r\n",
        b"PING\r\n",
        b"SUBSCRIBE a\r\n",
        b"EVAL return(1) 0\r\n",
        b"\0",
        b"\xff\xfe",
        b"\"",
        b"'",
        b"$9223372036854775807\r\n",
        b"*1048576\r\n",
        b"$67108864\r\n",
        b" ",
        b"$7\r\nHINCRBY\r\n",
        b"FLUSHALL\r\n",
    ];
    for round in 0..500 {
        let mut stream = redis.dial().expect("a server that runs");
        let mut bytes = Vec::new();
        for _ in 0..rng.random_range(1..30) {
            if rng.random_range(0..5) == 0 {
                bytes.push(rng.random::<u8>());
            } else {
                bytes.extend_from_slice(pieces.choose(&mut rng).expect("some"));
            }
        }
        // It may end the connection before all is written.
        let _written = stream.write_all(&bytes).await;
        let _closed = stream.shutdown().await;
        let mut answer = Vec::new();
        let end = timeout(Duration::from_secs(60), stream.read_to_end(&mut answer)).await;
        assert!(end.is_ok(), "round {round} never ends: {}", bytes.escape_ascii());
        let reply = good.call(["PING"]).await.expect("a reply");
        assert_eq!(format!("{reply:?}"), "+PONG", "round {round}: {}", bytes.escape_ascii());
    }
    assert_eq!(redis.clients().len(), 1, "no connection stays behind");
}

#[tokio::test(start_paused = true)]
async fn hostile_scripts_harm_nobody() {
    let redis = Redis::new(1);
    let mut client = client(&redis);
    for (script, expected) in [
        ("local t = {} t[1] = t return t", "stack limit"),
        ("local function f() return f() + 1 end return f()", "stack overflow"),
        ("return ('x'):rep(1e6):rep(1e4)", "-ERR"),
        ("local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1e6) .. i end", "-ERR"),
        ("return redis.call('EVAL', 'return 1', '0')", "not allowed"),
        ("getmetatable('').__index = nil", "-ERR"),
        ("setmetatable(_G, {})", "-ERR"),
        ("rawset(_G, 'x', 1)", "-ERR"),
        ("rawset(string, 'x', 1)", "-ERR"),
        ("return x", "-ERR"),
        ("return string.rep", "nil"),
        ("return ('x'):upper()", "X"),
        ("\u{1b}Lua", "-ERR"),
        ("error()", "-ERR"),
        ("error(setmetatable({}, {__tostring = error}))", "-ERR"),
        ("coroutine.yield(1)", "-ERR"),
        ("return coroutine.wrap(function() return redis.call('PING') end)()", "PONG"),
    ] {
        let reply = client.call(["EVAL", script, "0"]).await.expect("a reply");
        assert!(format!("{reply:?}").contains(expected), "{script}: {reply:?}");
    }
    let reply = client.call(["EVAL", "return {#KEYS, ('x'):upper(), type(redis.call)}", "0"]).await;
    assert_eq!(format!("{:?}", reply.expect("a reply")), "[:0, \"X\", \"function\"]");
}

#[tokio::test]
async fn it_serves_over_tcp() {
    let redis = Redis::new(1);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = redis.clone();
    let task = tokio::spawn(async move { server.listen(listener).await });
    let mut client = Client::new(TcpStream::connect(address).await.expect("a connection"));
    let reply = client.call(["SET", "a", "1"]).await.expect("a reply");
    assert_eq!(format!("{reply:?}"), "+OK");
    redis.restart(Data::Kept);
    assert!(client.call(["PING"]).await.is_err());
    let mut client = Client::new(TcpStream::connect(address).await.expect("a connection"));
    let reply = client.call(["GET", "a"]).await.expect("a reply");
    assert_eq!(format!("{reply:?}"), "\"1\"");
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn no_time_passes_that_nobody_waits_for() {
    let redis = Redis::new(1);
    let start = Instant::now();
    let mut client = client(&redis);
    for _ in 0..1000 {
        client.call(["INCR", "a"]).await.expect("a reply");
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
}
