//! Subscribers whose server is killed: every message once and in order, or one gap that is told first.

#[path = "../../mesh-client/tests/support/balancer.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is the client's tests' that need all of it")]
mod balancer;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use balancer::Balancer;
use mesh_chaos::redis::Redis;
use mesh_chaos::{Node, eventually, figure};
use mesh_client::{ChannelEvent, Client, Subscription};
use serde_json::json;
use support::{NODE, PATIENCE, from_env, nodes};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// What a subscriber has heard.
#[derive(Debug, Default)]
struct Heard {
    last: AtomicU64,
    gaps: AtomicU64,
    missed: AtomicU64,
}

/// Read on, and see to it that each number is the one after the last, but right after a gap.
async fn follow(mut messages: Subscription<u64>, heard: Arc<Heard>) {
    let mut may_skip = true;
    while let Some(event) = messages.next().await {
        match event {
            ChannelEvent::Message(message) => {
                let last = heard.last.load(Ordering::SeqCst);
                let next = message.message;
                assert!(next == last + 1 || (may_skip && next > last), "{next} after {last}");
                if may_skip && last > 0 {
                    heard.missed.fetch_add(next - last - 1, Ordering::SeqCst);
                }
                may_skip = false;
                heard.last.store(next, Ordering::SeqCst);
            }
            ChannelEvent::Gap { .. } => {
                assert!(!may_skip, "one gap, not two");
                may_skip = true;
                heard.gaps.fetch_add(1, Ordering::SeqCst);
            }
            other => panic!("{other:?}"),
        }
    }
}

/// P1b: the instance that a subscriber is on is killed again and again, while 1,000 messages a second flow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1b_who_loses_its_server_gets_every_message_once_in_order_or_one_gap_told_first() {
    let rounds = from_env("MESH_CHAOS_ROUNDS", 3) as u64;
    let redis = Redis::start().await;
    let mut nodes = nodes(&redis.url(), 3).await;
    let balancer = Balancer::start(nodes[1..].iter().map(Node::addr)).await;
    let publisher = Client::connect(&format!("ws://{}/mesh", nodes[0].addr())).await.expect("a publisher");
    let quick = Duration::from_millis(50);
    let subscriber =
        Client::builder(&balancer.url()).backoff(quick, quick).connect().await.expect("a client");

    let mut following = Vec::new();
    let (kept, short) = (Arc::new(Heard::default()), Arc::new(Heard::default()));
    for (channel, heard) in [("kept:flow", &kept), ("short:flow", &short)] {
        let mut messages = subscriber.channel(channel).subscribe::<u64>();
        messages.ready().await.expect("subscribed");
        following.push(tokio::spawn(follow(messages, heard.clone())));
    }
    let said = Arc::new(AtomicU64::new(0));
    let publishing = tokio::spawn({
        let said = said.clone();
        async move {
            let mut ticks = interval(Duration::from_millis(1));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            for number in 1_u64.. {
                ticks.tick().await;
                let (kept, short) = (publisher.channel("kept:flow"), publisher.channel("short:flow"));
                let (kept, short) = tokio::join!(kept.publish(&number), short.publish(&number));
                kept.expect("published");
                short.expect("published");
                said.store(number, Ordering::SeqCst);
            }
        }
    });
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    for round in 1..=rounds {
        let from = kept.last.load(Ordering::SeqCst);
        eventually("messages flow", PATIENCE, async || kept.last.load(Ordering::SeqCst) >= from + 100).await;
        let short_from = short.last.load(Ordering::SeqCst);
        eventually("messages flow", PATIENCE, async || short.last.load(Ordering::SeqCst) > short_from).await;
        let on = usize::from(!is_on(&subscriber, &nodes[1]).await);
        // It is away for longer than the short channel keeps anything.
        balancer.take_away(1 - on);
        nodes[1 + on].process.kill().await;
        let at = said.load(Ordering::SeqCst);
        eventually("more is said than is kept", PATIENCE, async || said.load(Ordering::SeqCst) > at + 50)
            .await;
        let there = Instant::now();
        balancer.bring_back(1 - on);
        eventually("it is told of what it cannot be given", PATIENCE, async || {
            short.gaps.load(Ordering::SeqCst) == round
        })
        .await;
        let at = kept.last.load(Ordering::SeqCst);
        eventually("messages flow again", PATIENCE, async || kept.last.load(Ordering::SeqCst) > at).await;
        slowest = slowest.max(there.elapsed());
        let fresh = Node::start(NODE, &redis.url(), "chaos").await;
        balancer.replace(on, fresh.addr());
        nodes[1 + on] = fresh;
    }
    let rate = said.load(Ordering::SeqCst) as f64 / begun.elapsed().as_secs_f64();
    publishing.abort();
    let said = said.load(Ordering::SeqCst);
    eventually("all is heard", PATIENCE, async || kept.last.load(Ordering::SeqCst) >= said).await;
    assert_eq!(kept.gaps.load(Ordering::SeqCst), 0, "nothing is lost that is kept");
    assert_eq!(short.gaps.load(Ordering::SeqCst), rounds, "one gap for each time");
    assert!(following.iter().all(|following| !following.is_finished()), "each number after the last");
    let what = format!(
        "kill -9 of a subscriber's server, {rounds} times, {rate:.0} messages a second, {said} in all"
    );
    figure(
        &format!("{what}: once each and in order; flowing again, once another is there, at the latest after"),
        slowest,
    );
    let missed = short.missed.load(Ordering::SeqCst);
    figure(&format!("{what}: with 10 kept, {rounds} gaps, told first; messages in them"), missed);
}

/// Whether a client is connected to a server.
async fn is_on(client: &Client, node: &Node) -> bool {
    let id = client.id().expect("it is connected");
    let asker = mesh_chaos::Client::connect(node.addr()).await;
    let owner = asker.ask("instance", json!({"id": id})).await.expect("an instance");
    owner.as_str() == Some(&asker.incarnation().await)
}
