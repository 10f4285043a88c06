//! What a test can do to the simulated Redis, each of it once, on the paused clock.

use std::io::ErrorKind;
use std::time::Duration;

use mesh_sim::redis::{Client, Data, Direction, Moment, Redis, Reply, Whom};
use tokio::io::DuplexStream;
use tokio::time::{Instant, timeout};

/// Longer than anything here takes, unless it never comes.
const LONG: Duration = Duration::from_secs(3600);

fn client(redis: &Redis) -> Client<DuplexStream> {
    Client::new(redis.dial().expect("a server that runs"))
}

async fn listener(redis: &Redis, channel: &str) -> Client<DuplexStream> {
    let mut listener = client(redis);
    listener.call(["HELLO", "3"]).await.expect("a reply");
    listener.call(["SUBSCRIBE", channel]).await.expect("a confirmation");
    listener
}

async fn told(client: &mut Client<DuplexStream>, words: &str) -> String {
    let reply = client.call(words.split(' ')).await;
    reply.map_or_else(|error| format!("{:?}", error.kind()), |reply| format!("{reply:?}"))
}

async fn heard(listener: &mut Client<DuplexStream>) -> String {
    let push = listener.next().await;
    push.map_or_else(|error| format!("{:?}", error.kind()), |push| format!("{push:?}"))
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// Whether this is what one hears whose connection has ended, before or after the request was on its way.
fn is_over(told: &str) -> bool {
    told == "BrokenPipe" || told == "UnexpectedEof"
}

fn keys(redis: &Redis) -> Vec<String> {
    redis.keys().iter().map(|key| key.escape_ascii().to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn connections_are_cut_by_kind() {
    let redis = Redis::new(1);
    let (mut normal, mut listener) = (client(&redis), listener(&redis, "c").await);
    assert_eq!(told(&mut normal, "PING").await, "+PONG");
    assert_eq!(redis.cut(&Whom::Pubsub), 1);
    assert_eq!(heard(&mut listener).await, "UnexpectedEof");
    assert_eq!(told(&mut normal, "PUBLISH c x").await, ":0", "its subscription went with it");
    assert_eq!(told(&mut normal, "CLIENT SETNAME me").await, "+OK");
    assert_eq!(redis.cut(&Whom::Named("other".into())), 0);
    assert_eq!(redis.cut(&Whom::Id(redis.clients()[0].id)), 1);
    assert!(is_over(&told(&mut normal, "PING").await));
    assert!(redis.clients().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_request_is_cut_off_before_or_after_it_took_place() {
    for (moment, expected) in [(Moment::BeforeRequest, "nil"), (Moment::BeforeReply, "\"1\"")] {
        let redis = Redis::new(1);
        redis.cut_at(moment, |request| request[0] == "SET");
        let mut first = client(&redis);
        assert_eq!(told(&mut first, "PING").await, "+PONG");
        assert_eq!(told(&mut first, "SET a 1").await, "UnexpectedEof");
        let mut second = client(&redis);
        assert_eq!(told(&mut second, "GET a").await, expected);
        assert_eq!(told(&mut second, "SET a 2").await, "+OK", "a trap shuts once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deaf_listener_stays_connected_and_hears_late() {
    let redis = Redis::new(1);
    let (mut normal, mut listener) = (client(&redis), listener(&redis, "c").await);
    redis.black_hole(Whom::Pubsub, Direction::ToClient);
    assert_eq!(told(&mut normal, "PUBLISH c x").await, ":1");
    listener.send(["PING"]).await.expect("bytes are accepted");
    assert!(timeout(LONG, listener.next()).await.is_err());
    redis.heal();
    assert_eq!(heard(&mut listener).await, ">[\"message\", \"c\", \"x\"]");
    assert_eq!(heard(&mut listener).await, "+PONG");
}

#[tokio::test(start_paused = true)]
async fn requests_in_a_black_hole_take_place_late_or_never() {
    let redis = Redis::new(1);
    let (mut first, mut second) = (client(&redis), client(&redis));
    told(&mut first, "PING").await;
    told(&mut second, "PING").await;
    redis.black_hole(Whom::All, Direction::ToServer);
    for (client, key) in [(&mut first, "a"), (&mut second, "b")] {
        client.send(["SET", key, "1"]).await.expect("bytes are accepted");
        assert!(timeout(LONG, client.next()).await.is_err());
    }
    assert!(redis.keys().is_empty());
    redis.cut(&Whom::Id(redis.clients()[1].id));
    redis.heal();
    assert_eq!(heard(&mut first).await, "+OK");
    assert_eq!(keys(&redis), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn replies_are_late_by_the_seed_and_in_order() {
    async fn times(seed: u64) -> Vec<Duration> {
        let redis = Redis::new(seed);
        let range = Duration::from_millis(10)..=Duration::from_millis(500);
        redis.delay(Whom::Normal, Direction::ToClient, range);
        let mut client = client(&redis);
        for text in ["0", "1", "2", "3", "4"] {
            client.send(["ECHO", text]).await.expect("a connection");
        }
        let (start, mut times) = (Instant::now(), Vec::new());
        for text in 0..5 {
            assert_eq!(heard(&mut client).await, format!("\"{text}\""));
            times.push(start.elapsed());
        }
        times
    }
    let first = times(1).await;
    assert!(first[0] >= Duration::from_millis(10) && first[4] <= Duration::from_millis(501));
    assert_eq!(first, times(1).await);
    assert_ne!(first, times(2).await);
}

#[tokio::test(start_paused = true)]
async fn late_requests_may_overtake_those_of_others() {
    let redis = Redis::new(1);
    let (mut slow, mut fast) = (client(&redis), client(&redis));
    told(&mut slow, "CLIENT SETNAME slow").await;
    told(&mut fast, "PING").await;
    let second = Duration::from_secs(1);
    redis.delay(Whom::Named("slow".into()), Direction::ToServer, second..=second);
    slow.send(["SET", "a", "slow"]).await.expect("a connection");
    assert_eq!(told(&mut fast, "SET a fast").await, "+OK");
    assert_eq!(heard(&mut slow).await, "+OK");
    assert_eq!(told(&mut fast, "GET a").await, "\"slow\"");
}

#[tokio::test(start_paused = true)]
async fn a_pause_ends_by_itself_or_by_word() {
    let redis = Redis::new(1);
    let mut client = client(&redis);
    told(&mut client, "PING").await;
    let start = Instant::now();
    redis.pause(Some(Duration::from_secs(5)));
    assert_eq!(told(&mut client, "SET a 1").await, "+OK");
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    redis.pause(None);
    client.send(["SET", "b", "1"]).await.expect("bytes are accepted");
    assert!(timeout(LONG, client.next()).await.is_err());
    assert_eq!(keys(&redis), ["a"]);
    redis.resume();
    assert_eq!(heard(&mut client).await, "+OK");
}

#[tokio::test(start_paused = true)]
async fn connections_are_refused() {
    let redis = Redis::new(1);
    let mut before = client(&redis);
    redis.refuse_connections(true);
    assert_eq!(redis.dial().map_err(|error| error.kind()).err(), Some(ErrorKind::ConnectionRefused));
    assert_eq!(told(&mut before, "PING").await, "+PONG", "who is in stays in");
    redis.refuse_connections(false);
    assert!(redis.dial().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_restart_is_another_run() {
    for data in [Data::Kept, Data::Lost] {
        let redis = Redis::new(1);
        let run_id = redis.run_id();
        let mut first = listener(&redis, "c").await;
        told(&mut first, "SET a 1").await;
        let hash = first.call(["SCRIPT", "LOAD", "return 1"]).await.expect("a hash");
        let Reply::Bulk(hash) = hash else { panic!("a hash is a text: {hash:?}") };
        redis.restart(data);
        assert_eq!(heard(&mut first).await, "UnexpectedEof");
        assert_ne!(redis.run_id(), run_id);
        let mut second = client(&redis);
        let info = told(&mut second, "INFO server").await;
        assert!(info.contains(&redis.run_id()) && info.contains("redis_version:7.0.15"), "{info}");
        let answer = second.call([&b"EVALSHA"[..], &hash, b"0"]).await.expect("a reply");
        assert!(format!("{answer:?}").starts_with("-NOSCRIPT"));
        assert_eq!(told(&mut second, "PUBLISH c x").await, ":0");
        assert_eq!(told(&mut second, "EXISTS a").await, if data == Data::Kept { ":1" } else { ":0" });
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_down_refuses() {
    let redis = Redis::new(1);
    let mut client = client(&redis);
    told(&mut client, "SET a 1").await;
    redis.stop();
    assert!(redis.dial().is_err());
    assert!(is_over(&told(&mut client, "PING").await));
    redis.start(Data::Kept);
    assert!(redis.dial().is_ok());
    assert_eq!(keys(&redis), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_failover_loses_the_last_writes() {
    let redis = Redis::new(1);
    let run_id = redis.run_id();
    let mut first = client(&redis);
    told(&mut first, "SET a 1").await;
    told(&mut first, "DEL none").await;
    told(&mut first, "GET a").await;
    told(&mut first, "SET b 1").await;
    let both = "redis.call('SET', 'c', 1) redis.call('SET', 'd', 1) redis.call('DEL', 'a')";
    first.call(["EVAL", both, "0"]).await.expect("a reply");
    assert_eq!(keys(&redis), ["b", "c", "d"]);
    assert_eq!(redis.fail_over(1), 1);
    assert_eq!(keys(&redis), ["a", "b"], "a script is one write, and what changed nothing is none");
    assert_ne!(redis.run_id(), run_id);
    assert!(is_over(&told(&mut first, "PING").await));
    assert_eq!(redis.fail_over(5), 0, "the new one has a new replica");
    let mut second = client(&redis);
    told(&mut second, "SET e 1").await;
    assert_eq!(redis.fail_over(0), 0);
    assert_eq!(keys(&redis), ["a", "b", "e"]);
}

#[tokio::test(start_paused = true)]
async fn a_split_leaves_two_that_know_nothing_of_each_other() {
    let redis = Redis::new(1);
    let mut first = client(&redis);
    told(&mut first, "SET a 1").await;
    told(&mut first, "SET b 1").await;
    let other = redis.split(1);
    assert_eq!(other.now_ms(), redis.now_ms());
    assert_ne!(other.run_id(), redis.run_id());
    let mut second = client(&other);
    told(&mut second, "SET c 1").await;
    assert_eq!(told(&mut first, "SET d 1").await, "+OK", "it goes on");
    assert_eq!((keys(&redis), keys(&other)), (words("a b d"), words("a c")));
    redis.stop();
    assert_eq!(told(&mut second, "PING").await, "+PONG");
    assert_eq!(other.fail_over(1), 1);
    assert_eq!(keys(&other), words("a"));
}

#[tokio::test(start_paused = true)]
async fn a_trail_tells_what_was_said() {
    let redis = Redis::new(1);
    let mut client = client(&redis);
    for _ in 0..300 {
        told(&mut client, "SET a 1").await;
    }
    let trail = redis.trail();
    assert_eq!(trail.len(), 256);
    assert_eq!(trail[254], format!("{} #1 SET a 1", redis.now_ms()));
    assert_eq!(trail[255], format!("{} #1 -> +OK", redis.now_ms()));
}

#[tokio::test(start_paused = true)]
async fn keys_are_evicted() {
    let redis = Redis::new(1);
    let mut client = client(&redis);
    for key in ["a1", "a2", "b1", "b2"] {
        told(&mut client, &format!("HSET {key} f v")).await;
    }
    redis.forbid(&["del"]);
    redis.be_read_only(true);
    assert_eq!(redis.evict(|key| key.starts_with(b"a")), ["a1", "a2"]);
    let gone = redis.evict_random().expect("a key");
    assert_eq!(redis.keys().len(), 1);
    assert!(!redis.keys().contains(&gone));
    assert!(redis.evict_random().is_some() && redis.evict_random().is_none());
    assert_eq!(redis.fail_over(1), 1);
    assert_eq!(redis.keys().len(), 1, "the replica hears of an eviction as of a write");
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_does_not_read_is_cut_off() {
    let redis = Redis::new(1);
    redis.limit_pubsub_output(200_000);
    let (mut normal, mut listener) = (client(&redis), listener(&redis, "c").await);
    let text = "x".repeat(50_000);
    let mut published = 0;
    while told(&mut normal, &format!("PUBLISH c {text}")).await == ":1" {
        published += 1;
        assert!(published < 10, "it was never cut off");
    }
    assert!(published >= 3, "what is below the limit stays");
    let mut heard = 0;
    while listener.next().await.is_ok() {
        heard += 1;
    }
    assert!(heard <= 2, "only what was on its way is read: {heard}");
    // A client that merely asks for much has no such limit.
    for _ in 0..20 {
        normal.send(["ECHO", &text]).await.expect("a connection");
    }
    for _ in 0..20 {
        assert_eq!(normal.next().await.expect("a reply"), Reply::bulk(text.clone()));
    }
}

#[tokio::test(start_paused = true)]
async fn messages_are_lost_by_the_seed() {
    async fn heard_of(seed: u64) -> Vec<String> {
        let redis = Redis::new(seed);
        let (mut normal, mut listener) = (client(&redis), listener(&redis, "c").await);
        redis.lose_messages(Whom::All, 50);
        for text in 0..20 {
            assert_eq!(told(&mut normal, &format!("PUBLISH c {text}")).await, ":1");
        }
        listener.send(["PING"]).await.expect("a connection");
        let mut texts = Vec::new();
        loop {
            match heard(&mut listener).await {
                text if text == "+PONG" => return texts,
                text => texts.push(text),
            }
        }
    }
    let first = heard_of(1).await;
    assert!((1..20).contains(&first.len()));
    assert_eq!(first, heard_of(1).await);
    assert_ne!(first, heard_of(2).await);
}

#[tokio::test(start_paused = true)]
async fn writes_are_refused_for_lack_of_memory_or_of_rank() {
    let redis = Redis::new(1);
    let mut client = client(&redis);
    told(&mut client, "SET a 1").await;
    redis.be_out_of_memory(true);
    assert!(told(&mut client, "SET a 2").await.starts_with("-OOM command not allowed when used memory"));
    assert_eq!(told(&mut client, "GET a").await, "\"1\"");
    assert_eq!(told(&mut client, "DEL a").await, ":1");
    redis.be_out_of_memory(false);
    redis.be_read_only(true);
    assert!(told(&mut client, "SET a 2").await.starts_with("-READONLY"));
    assert!(told(&mut client, "DEL a").await.starts_with("-READONLY"));
    redis.be_read_only(false);
    redis.answer_all_with(Some("LOADING Redis is loading the dataset in memory"));
    assert!(told(&mut client, "GET a").await.starts_with("-LOADING"));
    assert!(
        told(&mut client, "INFO").await.starts_with("txt")
            || told(&mut client, "INFO").await.contains("run_id")
    );
    redis.answer_all_with(None);
    assert_eq!(told(&mut client, "GET a").await, "nil");
}

#[tokio::test(start_paused = true)]
async fn time_is_the_clock_of_tokio() {
    let redis = Redis::new(1);
    let mut client = client(&redis);
    let start = redis.now_ms();
    told(&mut client, "SET a 1 PX 1000").await;
    tokio::time::advance(Duration::from_millis(400)).await;
    assert_eq!(told(&mut client, "PTTL a").await, ":600");
    let expected = (start + 400) / 1000;
    assert!(told(&mut client, "TIME").await.starts_with(&format!("[\"{expected}\"")));
    redis.jump_clock(-300);
    assert_eq!(told(&mut client, "PTTL a").await, ":900");
    redis.jump_clock(901);
    redis.jump_clock(-5000);
    assert_eq!(told(&mut client, "GET a").await, "nil", "what expired stays away");
    redis.fail_over(0);
    assert!(redis.keys().is_empty());
}

#[tokio::test(start_paused = true)]
async fn keys_may_expire_late() {
    let redis = Redis::new(1);
    redis.expire_late(Duration::from_secs(10));
    let mut client = client(&redis);
    for key in 0..50 {
        told(&mut client, &format!("SET {key} 1 EX 1")).await;
    }
    tokio::time::advance(Duration::from_millis(1001)).await;
    let left = redis.keys().len();
    assert!((25..=50).contains(&left), "{left}");
    tokio::time::advance(Duration::from_secs(10)).await;
    assert!(redis.keys().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_password_a_version_and_rights_are_what_the_test_says() {
    let redis = Redis::new(1);
    redis.set_password(Some("secret"));
    redis.set_version("6.0.16");
    redis.set_maxmemory_policy("allkeys-lru");
    redis.forbid(&["spublish"]);
    let mut client = client(&redis);
    assert!(told(&mut client, "GET a").await.starts_with("-NOAUTH"));
    assert!(told(&mut client, "HELLO 3").await.starts_with("-NOAUTH"));
    assert!(told(&mut client, "HELLO 3 AUTH default wrong").await.starts_with("-WRONGPASS"));
    assert!(told(&mut client, "HELLO 3 AUTH default secret").await.contains("6.0.16"));
    assert!(told(&mut client, "INFO memory").await.contains("maxmemory_policy:allkeys-lru"));
    assert!(told(&mut client, "SPUBLISH a b").await.starts_with("-NOPERM"));
    let script = client.call(["EVAL", "return redis.call('SPUBLISH', 'a', 'b')", "0"]).await;
    assert!(format!("{script:?}").contains("run this command or subcommand"));
}

#[tokio::test(start_paused = true)]
async fn a_script_without_an_end_is_ended() {
    let redis = Redis::new(1);
    let mut client = client(&redis);
    for script in [
        "while true do end",
        "while true do pcall(error, 'x') end",
        "coroutine.wrap(function() while true do end end)()",
    ] {
        let reply = client.call(["EVAL", script, "0"]).await.expect("a reply");
        assert!(format!("{reply:?}").contains("works for too long"), "{reply:?}");
    }
    assert_eq!(told(&mut client, "PING").await, "+PONG");
}
