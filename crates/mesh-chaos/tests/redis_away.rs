//! Redis that is killed, emptied, paused, full, and that cuts its subscribers off.

mod support;

use std::time::Duration;

use mesh_chaos::redis::Redis;
use mesh_chaos::{eventually, figure};
use serde_json::{Value, json};
use support::{Crowd, PATIENCE, alone, asked, at_most_twice, from_env, nodes, room, tally};
use tokio::time::{Instant, sleep, timeout};

/// F3: with `MESH_CHAOS_CONNS` (1,000; the full size is 10,000) in `MESH_CHAOS_ROOMS` (200; 1,000).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_comes_back_empty_has_every_room_again_within_2_s_and_no_connection_ends() {
    let _alone = alone().await;
    let (conns, rooms) = (from_env("MESH_CHAOS_CONNS", 1000), from_env("MESH_CHAOS_ROOMS", 200));
    let mut redis = Redis::start().await;
    let nodes = nodes(&redis.url(), 3).await;
    let crowd = Crowd::gather(&nodes, conns, rooms).await;
    assert!(crowd.is_right().await);
    redis.kill().await;
    crowd.local_commands_work().await;
    let back = redis.start_again().await;
    let right = crowd.becomes_right(back).await;
    let heard = crowd.hears("after", back).await;
    let what = format!("Redis restarted empty, {conns} connections, {rooms} rooms:");
    figure(&format!("{what} members() right on every instance, after it accepts"), right);
    figure(&format!("{what} every room heard a broadcast, after it accepts"), heard);
    crowd.is_whole();
    assert_eq!((tally(&nodes, "disconnect "), tally(&nodes, "leave ")), ([].into(), [].into()));
    at_most_twice(right, Duration::from_secs(2));
}

/// F3: FLUSHALL.
#[tokio::test]
async fn after_flushall_every_room_is_there_again_and_no_connection_ends() {
    let redis = Redis::start().await;
    let nodes = nodes(&redis.url(), 3).await;
    let crowd = Crowd::gather(&nodes, 90, 30).await;
    let mut slowest = Duration::ZERO;
    for round in 0..5 {
        // Another phase of whatever looks for it each time.
        sleep(Duration::from_millis(370)).await;
        redis.command(&["FLUSHALL"]).await;
        let emptied = Instant::now();
        slowest = slowest.max(crowd.becomes_right(emptied).await);
        crowd.hears(&format!("after-{round}"), emptied).await;
    }
    figure("FLUSHALL: members() right on every instance after, the slowest of 5", slowest);
    at_most_twice(slowest, Duration::from_secs(2));
    crowd.is_whole();
    assert_eq!((tally(&nodes, "disconnect "), tally(&nodes, "leave ")), ([].into(), [].into()));
}

/// F2: a power failure of a Redis that keeps its data.
#[tokio::test]
async fn a_redis_that_comes_back_with_its_data_takes_nobody_for_dead() {
    let mut redis = Redis::start_keeping().await;
    let nodes = nodes(&redis.url(), 3).await;
    let crowd = Crowd::gather(&nodes, 60, 6).await;
    crowd.clients[0].ask("set-metadata", json!({"metadata": "kept"})).await.expect("metadata");
    redis.kill().await;
    let (refused, took) = asked(&crowd.askers[0], "count", json!({"room": room(0)})).await;
    assert_eq!(refused.expect_err("no Redis").code, "EUNAVAILABLE");
    assert!(took < Duration::from_millis(1500), "{took:?}");
    crowd.local_commands_work().await;
    let back = redis.start_again().await;
    let right = crowd.becomes_right(back).await;
    figure(
        "Redis killed and started with its data: members() right on every instance, after it accepts",
        right,
    );
    let heard = crowd.hear_again(back).await;
    figure("Redis killed and started with its data: every broadcast arrives, after it accepts", heard);
    at_most_twice(heard, Duration::from_secs(3));
    crowd.is_whole();
    let id = json!({"id": crowd.ids[0]});
    assert_eq!(crowd.askers[1].ask("metadata", id).await, Ok(json!("kept")));
    for asker in &crowd.askers {
        assert_eq!(asker.stat("revivals").await, 0);
    }
    assert_eq!(tally(&nodes, "leave "), [].into());
}

/// F9: CLIENT KILL TYPE pubsub each 500 ms while broadcasts go.
#[tokio::test]
async fn killed_subscribers_come_back_and_what_they_missed_is_told_of() {
    let redis = Redis::start().await;
    let nodes = nodes(&redis.url(), 3).await;
    let crowd = Crowd::gather(&nodes, 6, 1).await;
    let (mut said, mut kills, begun) = (0, 0, Instant::now());
    while kills < 10 {
        crowd.askers[0].broadcast(&room(0), "news", json!(said)).await.expect("Redis takes it");
        said += 1;
        if begun.elapsed() > Duration::from_millis(500) * (kills + 1) {
            redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
            kills += 1;
        }
    }
    let last_kill = Instant::now();
    let again = crowd.hear_again(last_kill).await;
    figure("CLIENT KILL TYPE pubsub: every broadcast arrives after the last", again);
    at_most_twice(again, Duration::from_secs(2));
    let mut missed = 0;
    for client in &crowd.clients {
        let heard: Vec<u64> = client.pushes("news").iter().filter_map(Value::as_u64).collect();
        assert!(heard.is_sorted_by(|a, b| a < b), "in order, each once at most");
        missed += said - heard.len();
    }
    figure(
        &format!("CLIENT KILL TYPE pubsub, 10 times, {said} broadcasts to 6 members: missed, each told of"),
        missed,
    );
    for (asker, node) in crowd.askers.iter().zip(&nodes) {
        let lost = asker.stat("continuityLost").await;
        assert_eq!(lost, 10, "once for each time");
        assert_eq!(node.count("fault publications may have been missed"), 10);
        assert_eq!(asker.stat("revivals").await, 0);
    }
    assert!(crowd.is_right().await);
    crowd.is_whole();
}

/// F9: a subscriber is so far behind that Redis cuts it off.
#[tokio::test]
async fn a_subscriber_that_redis_cuts_off_for_its_backlog_comes_back_and_tells_of_what_it_missed() {
    let redis = Redis::start_with(&["--client-output-buffer-limit", "pubsub 1mb 1mb 0"]).await;
    let nodes = nodes(&redis.url(), 2).await;
    let crowd = Crowd::gather(&nodes, 4, 1).await;
    let text = "x".repeat(100_000);
    nodes[0].process.pause();
    let begun = Instant::now();
    let mut said = 0;
    let is_cut_off =
        async || redis.command(&["CLIENT", "LIST", "TYPE", "pubsub"]).await.text().lines().count() < 2;
    while !is_cut_off().await {
        assert!(said < 300, "30 MB are not cut off");
        // Nobody listens to these answers: the other one's own members get it all, and are as fast as they are.
        crowd.askers[1].broadcast(&room(0), "news", json!([said, text])).await.expect("a broadcast");
        said += 1;
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "for less than its lease");
    nodes[0].process.resume();
    let awake = Instant::now();
    let told = async || nodes[0].count("fault publications may have been missed") > 0;
    eventually("it is told", PATIENCE, told).await;
    let heard = crowd.hear_again(awake).await;
    figure(
        "a subscriber under SIGSTOP that Redis cuts off at 1 MB: every broadcast arrives, after SIGCONT",
        heard,
    );
    at_most_twice(heard, Duration::from_secs(2));
    for (number, client) in crowd.clients.iter().enumerate() {
        let heard: Vec<u64> = client.pushes("news").iter().filter_map(|news| news[0].as_u64()).collect();
        assert!(heard.is_sorted_by(|a, b| a < b), "in order, each once at most");
        assert!(number < 2 || heard.len() == said, "the other one's members miss nothing");
    }
    assert!(crowd.is_right().await);
    crowd.is_whole();
    assert_eq!(tally(&nodes, "leave "), [].into());
}

/// F7: CLIENT PAUSE.
#[tokio::test]
async fn while_redis_answers_nothing_calls_fail_within_their_deadline_and_local_ones_work() {
    let redis = Redis::start().await;
    let nodes = nodes(&redis.url(), 2).await;
    let crowd = Crowd::gather(&nodes, 20, 2).await;
    redis.command(&["CLIENT", "PAUSE", "4000", "ALL"]).await;
    let paused = Instant::now();
    let mut slowest = Duration::ZERO;
    while paused.elapsed() < Duration::from_millis(2900) {
        let (refused, took) = asked(&crowd.askers[0], "count", json!({"room": room(0)})).await;
        assert_eq!(refused.expect_err("no answer").code, "EUNAVAILABLE");
        slowest = slowest.max(took);
        crowd.local_commands_work().await;
    }
    figure("CLIENT PAUSE: the slowest call failed after", slowest);
    assert!(slowest <= Duration::from_millis(1500), "{slowest:?}");
    eventually("/readyz says so", PATIENCE, async || nodes[0].readyz().await.0 == 503).await;
    eventually("it goes on", PATIENCE, async || crowd.is_right().await).await;
    let over = paused + Duration::from_secs(4);
    figure("CLIENT PAUSE: members() right again, after its end", over.elapsed());
    crowd.hear_again(over).await;
    figure("CLIENT PAUSE: every broadcast arrives, after its end", over.elapsed());
    at_most_twice(over.elapsed(), Duration::from_secs(3));
    eventually("/readyz says so", PATIENCE, async || nodes[0].readyz().await.0 == 200).await;
    crowd.is_whole();
    assert_eq!(tally(&nodes, "leave "), [].into());
}

/// F14: Redis is paused for longer than every lease.
#[tokio::test]
async fn a_redis_that_sleeps_longer_than_every_lease_wakes_to_the_same_rooms() {
    let redis = Redis::start().await;
    let nodes = nodes(&redis.url(), 3).await;
    let crowd = Crowd::gather(&nodes, 60, 6).await;
    redis.process.pause();
    sleep(Duration::from_secs(8)).await;
    crowd.local_commands_work().await;
    assert_eq!(nodes[0].readyz().await.0, 503);
    redis.process.resume();
    let awake = Instant::now();
    let right = crowd.becomes_right(awake).await;
    figure("Redis under SIGSTOP for longer than every lease: members() right, after SIGCONT", right);
    let heard = crowd.hear_again(awake).await;
    figure("Redis under SIGSTOP for longer than every lease: every broadcast arrives, after SIGCONT", heard);
    at_most_twice(heard, Duration::from_secs(3));
    // Whoever woke last may have been buried by the others, and stands up again.
    eventually("it stays right", PATIENCE, async || {
        let settled = timeout(Duration::from_secs(1), async { while crowd.is_right().await {} }).await;
        settled.is_err()
    })
    .await;
    crowd.is_whole();
    assert_eq!(tally(&nodes, "disconnect "), [].into());
}

/// F8: Redis has no memory left.
#[tokio::test]
async fn a_full_redis_refuses_what_is_new_and_takes_nobody_for_dead() {
    let redis = Redis::start().await;
    let nodes = nodes(&redis.url(), 2).await;
    let crowd = Crowd::gather(&nodes, 20, 2).await;
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let full = Instant::now();
    let refused = crowd.askers[0].join("another").await.expect_err("no memory");
    assert_eq!(refused.code, "EUNAVAILABLE");
    // Longer than a lease.
    while full.elapsed() < Duration::from_secs(7) {
        assert!(crowd.is_right().await, "reading works");
        sleep(Duration::from_millis(200)).await;
    }
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    crowd.hears("after", Instant::now()).await;
    assert!(crowd.is_right().await);
    crowd.is_whole();
    for asker in &crowd.askers {
        assert_eq!(asker.stat("revivals").await, 0);
    }
    assert_eq!(tally(&nodes, "leave "), [].into());
}
