//! Links that are slow, deaf, torn, or swallow everything.

mod support;

use std::time::Duration;

use mesh_chaos::proxy::{Link, Weather};
use mesh_chaos::redis::Redis;
use mesh_chaos::{Client, Node, Proxy, connect_many, each, eventually, figure};
use serde_json::{Value, json};
use support::{Crowd, NODE, PATIENCE, asked, at_most_twice, room, tally};
use tokio::time::{Instant, sleep, sleep_until};

/// Two servers, of which the first reaches Redis over a link that may be hurt, and clients of both.
struct Hurt {
    proxy: Proxy,
    nodes: Vec<Node>,
    crowd: Crowd,
    _redis: Redis,
}

impl Hurt {
    async fn start() -> Self {
        let redis = Redis::start().await;
        let proxy = Proxy::to(redis.port()).await;
        let (hurt, whole) = (proxy.url(), redis.url());
        let nodes = vec![Node::start(NODE, &hurt, "chaos").await, Node::start(NODE, &whole, "chaos").await];
        let crowd = Crowd::gather(&nodes, 20, 2).await;
        Self { proxy, nodes, crowd, _redis: redis }
    }

    /// Wait until `/readyz` of the hurt one answers so. Gives how long it took since.
    async fn readyz(&self, status: u16, since: Instant) -> Duration {
        let says = async || self.nodes[0].readyz().await.0 == status;
        eventually(&format!("/readyz answers {status}"), PATIENCE, says).await;
        since.elapsed()
    }

    /// No connection has ended, nobody was taken out of a room, and all is as it should be.
    async fn is_as_before(&self) {
        assert!(self.crowd.is_right().await);
        self.crowd.is_whole();
        assert_eq!(tally(&self.nodes, "leave "), [].into());
        assert_eq!(tally(&self.nodes, "disconnect "), [].into());
    }
}

/// F6: what is published does not arrive any more on a connection that stays open, while commands are answered.
#[tokio::test]
async fn a_deaf_subscriber_is_found_and_hears_again_within_3_s() {
    let hurt = Hurt::start().await;
    assert_eq!(hurt.proxy.set_present_marked(Link::deaf()), 1);
    let deaf = Instant::now();
    let told = async || hurt.nodes[0].count("fault publications may have been missed") == 1;
    eventually("it is found", PATIENCE, told).await;
    let found = deaf.elapsed();
    hurt.crowd.hears("after", deaf).await;
    figure("deaf subscriber: found and subscribed to everything again after", found);
    figure("deaf subscriber: every broadcast arrives after", deaf.elapsed());
    at_most_twice(found, Duration::from_secs(3));
    hurt.is_as_before().await;
    assert_eq!(hurt.crowd.askers[0].stat("revivals").await, 0);
}

/// F6: the same, and whatever else subscribes is deaf too, so that it stays so.
#[tokio::test]
async fn readyz_says_that_a_subscriber_is_deaf_as_long_as_it_is() {
    let hurt = Hurt::start().await;
    assert_eq!(hurt.nodes[0].readyz().await.0, 200);
    hurt.proxy.set_marked(Link::deaf());
    let deaf = Instant::now();
    let told = hurt.readyz(503, deaf).await;
    figure("deaf subscriber that stays deaf: /readyz says so after", told);
    at_most_twice(told, Duration::from_secs(3));
    assert_eq!(hurt.nodes[1].readyz().await.0, 200, "the other one is well");
    assert!(
        hurt.crowd.askers[0].ask("readiness", Value::Null).await.is_ok_and(|it| it["trouble"].is_string())
    );
    // For longer than a lease: it beats all the same.
    sleep_until(deaf + Duration::from_secs(8)).await;
    assert_eq!(hurt.nodes[0].readyz().await.0, 503);
    hurt.proxy.set(Link::default());
    let healed = Instant::now();
    let well = hurt.readyz(200, healed).await;
    figure("deaf subscriber that stays deaf: /readyz is well, after the link is", well);
    at_most_twice(well, Duration::from_secs(3));
    hurt.crowd.hears("after", healed).await;
    hurt.is_as_before().await;
}

/// F5: a link that swallows everything for less than a lease.
#[tokio::test]
async fn a_black_hole_shorter_than_the_lease_fails_calls_at_once_and_takes_nobody_out() {
    let hurt = Hurt::start().await;
    hurt.proxy.set(Link::black_hole());
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    while begun.elapsed() < Duration::from_secs(3) {
        let (refused, took) = asked(&hurt.crowd.askers[0], "count", json!({"room": room(0)})).await;
        assert_eq!(refused.expect_err("no answer").code, "EUNAVAILABLE");
        slowest = slowest.max(took);
        hurt.crowd.local_commands_work().await;
    }
    figure("black-holed link: the slowest call failed after", slowest);
    assert!(slowest <= Duration::from_millis(1500), "{slowest:?}");
    assert_eq!(hurt.nodes[0].readyz().await.0, 503);
    hurt.proxy.set(Link::default());
    let healed = Instant::now();
    let heard = hurt.crowd.hear_again(healed).await;
    figure("black-holed link for 3 s: every broadcast arrives, after it is healed", heard);
    at_most_twice(heard, Duration::from_secs(3));
    hurt.readyz(200, healed).await;
    hurt.is_as_before().await;
    assert_eq!(hurt.crowd.askers[0].stat("revivals").await, 0);
}

/// F5: the same for longer than a lease.
#[tokio::test]
async fn a_black_hole_longer_than_the_lease_takes_them_out_and_the_end_of_it_puts_them_in_again() {
    let hurt = Hurt::start().await;
    hurt.nodes.iter().for_each(Node::forget);
    hurt.proxy.set(Link::black_hole());
    let begun = Instant::now();
    let all = async || tally(&hurt.nodes[1..], "leave ").len() == 10;
    let told = eventually("the other one tells of each", PATIENCE, all).await;
    figure("black-holed link: on_leave of its members elsewhere after", told);
    at_most_twice(told, Duration::from_secs(8));
    hurt.crowd.local_commands_work().await;
    // Somebody leaves meanwhile, and a command to join fails.
    let (refused, _) = asked(&hurt.crowd.clients[0], "mesh/join-room", json!({"roomName": "another"})).await;
    assert_eq!(refused.expect_err("no answer").code, "EUNAVAILABLE");
    sleep_until(begun + Duration::from_secs(10)).await;
    hurt.proxy.set(Link::default());
    let healed = Instant::now();
    let right = hurt.crowd.becomes_right(healed).await;
    figure("black-holed link for 10 s: members() right everywhere, after it is healed", right);
    at_most_twice(right, Duration::from_secs(3));
    hurt.crowd.hears("after", healed).await;
    hurt.crowd.is_whole();
    assert_eq!(hurt.crowd.askers[0].stat("revivals").await, 1);
    assert!(tally(&hurt.nodes[1..], "leave ").values().all(|times| *times == 1));
    assert_eq!(tally(&hurt.nodes[..1], "join ").len(), 10);
    assert_eq!(hurt.crowd.askers[1].members("another").await, Ok(vec![]), "what failed did not happen");
}

/// F7: each piece takes 100 to 300 ms in each direction.
#[tokio::test]
async fn a_slow_link_loses_nothing_and_reorders_nothing() {
    let hurt = Hurt::start().await;
    let slow = Weather {
        delay: Duration::from_millis(100),
        jitter: Duration::from_millis(200),
        ..Weather::default()
    };
    hurt.proxy.set(Link::both(slow));
    let begun = Instant::now();
    for number in 0..100 {
        hurt.crowd.askers[1].broadcast(&room(0), "news", json!(number)).await.expect("a broadcast");
        sleep(Duration::from_millis(30)).await;
    }
    let all = async || hurt.crowd.clients.iter().filter(|client| client.pushed("news") == 100).count() == 10;
    eventually("all arrive", PATIENCE, all).await;
    let in_order: Vec<_> = (0..100).map(|number| json!(number)).collect();
    for client in hurt.crowd.clients.iter().filter(|client| client.pushed("news") > 0) {
        assert_eq!(client.pushes("news"), in_order);
    }
    // Many at once: they are pipelined, not one after the other.
    let asking = Instant::now();
    let answers = each(&hurt.crowd.clients, async |_, client| client.members(&room(0)).await).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    figure("link with 100 to 300 ms each way: 20 calls at once took", asking.elapsed());
    sleep_until(begun + Duration::from_secs(8)).await;
    hurt.is_as_before().await;
    assert_eq!(tally(&hurt.nodes, "fault "), [].into());
    assert_eq!(hurt.nodes[0].readyz().await.0, 200);
}

/// F7: 64 KiB pass in a second, and three times as much is published.
#[tokio::test]
async fn a_link_with_little_capacity_delivers_late_or_tells_of_what_it_lost() {
    let hurt = Hurt::start().await;
    let thin = Weather { bytes_per_second: Some(65_536), ..Weather::default() };
    hurt.proxy.set(Link { down: thin, ..Link::default() });
    let text = "x".repeat(1000);
    for number in 0..200 {
        let said = hurt.crowd.askers[1].broadcast(&room(0), "news", json!([number, text])).await;
        said.expect("the other one's link is whole");
    }
    let there = &hurt.crowd.clients[0];
    let all = async || there.pushed("news") == 200 || hurt.nodes[0].count("fault publications may") > 0;
    eventually("all arrive, or it is told", PATIENCE, all).await;
    let missed = 200 - there.pushed("news");
    hurt.proxy.set(Link::default());
    hurt.crowd.hear_again(Instant::now()).await;
    figure("link with 64 KiB/s, 200 KB published: missed, told of", missed);
    for client in &hurt.crowd.clients {
        let heard: Vec<u64> = client.pushes("news").iter().filter_map(|news| news[0].as_u64()).collect();
        assert!(heard.is_sorted_by(|a, b| a < b), "in order, each once at most");
    }
    hurt.is_as_before().await;
}

/// F17: each byte alone, between server and Redis and between clients and server.
#[tokio::test]
async fn one_byte_slices_change_nothing() {
    let hurt = Hurt::start().await;
    let sliced = Link::both(Weather { one_byte_slices: true, ..Weather::default() });
    hurt.proxy.set(sliced);
    let to_node = Proxy::to(hurt.nodes[0].addr().port()).await;
    to_node.set(sliced);
    let clients = connect_many(to_node.addr(), 5).await;
    for client in &clients {
        client.join("sliced").await.expect("an open room");
        client.ask("set-metadata", json!({"metadata": "ä".repeat(500)})).await.expect("metadata");
    }
    let id = json!({"id": clients[0].id().await});
    assert_eq!(hurt.crowd.askers[1].ask("metadata", id).await, Ok(json!("ä".repeat(500))));
    for number in 0..20 {
        let said = hurt.crowd.askers[number % 2].broadcast("sliced", "news", json!(number)).await;
        said.expect("a broadcast");
    }
    for client in &clients {
        eventually("all arrive", PATIENCE, async || client.pushed("news") == 20).await;
        assert!(client.pushes("news").iter().enumerate().all(|(n, payload)| *payload == json!(n)));
    }
    hurt.crowd.hears("after", Instant::now()).await;
    hurt.is_as_before().await;
    assert_eq!(tally(&hurt.nodes, "fault "), [].into());
}

/// F9: every connection to Redis is reset, twenty times.
#[tokio::test]
async fn a_link_that_is_torn_again_and_again_works_within_2_s_of_the_last_time() {
    let hurt = Hurt::start().await;
    for _ in 0..20 {
        hurt.proxy.tear();
        // Commands meanwhile succeed or fail, and never hang.
        let (_, took) = asked(&hurt.crowd.askers[0], "count", json!({"room": room(0)})).await;
        assert!(took <= Duration::from_millis(1500), "{took:?}");
        sleep(Duration::from_millis(150)).await;
    }
    let torn = Instant::now();
    let heard = hurt.crowd.hear_again(torn).await;
    figure("link torn 20 times: every broadcast arrives, after the last time", heard);
    at_most_twice(heard, Duration::from_secs(2));
    hurt.is_as_before().await;
    assert_eq!(hurt.crowd.askers[0].stat("revivals").await, 0);
    let live = async || hurt.proxy.live() == 2;
    eventually("one connection for commands, one to hear by", PATIENCE, live).await;
}

/// F6: one direction is closed (FIN), the other is not.
#[tokio::test]
async fn a_link_closed_in_one_direction_is_left_for_another() {
    let hurt = Hurt::start().await;
    for link in [
        Link { down: Weather { shut: true, ..Weather::default() }, ..Link::default() },
        Link { up: Weather { shut: true, ..Weather::default() }, ..Link::default() },
    ] {
        hurt.proxy.set_present(link);
        let shut = Instant::now();
        let heard = hurt.crowd.hear_again(shut).await;
        figure("link closed in one direction: every broadcast arrives after", heard);
        at_most_twice(heard, Duration::from_secs(3));
    }
    hurt.is_as_before().await;
    let live = async || hurt.proxy.live() == 2;
    eventually("nothing of the former connections is left", PATIENCE, live).await;
}

/// F11: a client's link swallows everything; the server closes it, the others notice nothing.
#[tokio::test]
async fn a_client_behind_a_black_hole_is_let_go_and_the_others_are_not() {
    let hurt = Hurt::start().await;
    let to_node = Proxy::to(hurt.nodes[1].addr().port()).await;
    let client = Client::connect(to_node.addr()).await;
    client.join("hole").await.expect("an open room");
    to_node.set(Link::black_hole());
    let silent = Instant::now();
    let gone = async || hurt.nodes[1].count("leave hole ") == 1;
    eventually("the server lets it go", Duration::from_secs(60), gone).await;
    figure("client behind a black hole: on_leave after", silent.elapsed());
    assert!(silent.elapsed() <= Duration::from_secs(31), "the third interval");
    assert_eq!(hurt.crowd.askers[0].members("hole").await, Ok(vec![]));
    hurt.crowd.hears("after", Instant::now()).await;
    hurt.crowd.is_whole();
}
