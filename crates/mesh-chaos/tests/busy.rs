//! A busy channel on real instances and a real Redis.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mesh_chaos::redis::Redis;
use mesh_chaos::{Heard, Listener, eventually, figure};
use mesh_client::{ChannelEvent, Client};
use support::{PATIENCE, alone, from_env, nodes};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

/// Subscribers that are whole clients.
const CLIENTS: u64 = 10;
const PUBLISHERS: u64 = 16;
/// Messages of one publisher that are not answered yet.
const UNDER_WAY: usize = 16;

/// What a client is told of the channel.
async fn hear(client: &Client, is_last: impl Fn(u64) -> bool) -> Heard {
    let mut messages = client.channel("kept:busy").subscribe::<u64>();
    let mut heard = Heard { first: 0, messages: Vec::new() };
    loop {
        let Some(ChannelEvent::Message(message)) = messages.next().await else { panic!("a gap") };
        let (at, next) =
            (message.position.expect("a position").offset, heard.first + heard.messages.len() as u64);
        if heard.messages.is_empty() {
            heard.first = at;
        } else {
            assert_eq!(at, next, "once each, in order");
        }
        heard.messages.push(message.message);
        if is_last(at) {
            return heard;
        }
    }
}

/// P15a: subscribers join at random, on two instances, while messages flow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p15a_who_joins_a_busy_channel_on_either_instance_gets_all_that_follows_once_in_one_order() {
    let _alone = alone().await;
    let subscribers = from_env("MESH_CHAOS_SUBSCRIBERS", 100) as u64;
    let per_second = from_env("MESH_CHAOS_RATE", 1000) as u64;
    let redis = Redis::start().await;
    let nodes = nodes(&redis.url(), 2).await;
    let urls: Vec<_> = nodes.iter().map(|node| format!("ws://{}/mesh", node.addr())).collect();
    let last = Arc::new(AtomicU64::new(u64::MAX));
    let mut joining = Vec::new();
    for number in 0..subscribers {
        let (addr, url, last) =
            (nodes[number as usize % 2].addr(), urls[number as usize % 2].clone(), last.clone());
        joining.push(tokio::spawn(async move {
            // Spread over two seconds, in no order.
            sleep(Duration::from_millis(number * 7919 % 2000)).await;
            let is_last = |offset| offset >= last.load(Ordering::SeqCst);
            // A few with the whole client, the others with as little as it takes.
            if number < CLIENTS {
                return hear(&Client::connect(&url).await.expect("a client"), is_last).await;
            }
            Listener::subscribe(addr, "kept:busy").await.hear_until(is_last).await
        }));
    }
    // Publishers on both instances, each with several messages under way.
    let begun = Instant::now();
    let said = Arc::new(AtomicU64::new(0));
    let publishing: Vec<_> = (0..PUBLISHERS)
        .map(|publisher| {
            let (url, said) = (urls[publisher as usize % 2].clone(), said.clone());
            tokio::spawn(async move {
                let client = Client::connect(&url).await.expect("a publisher");
                let mut ticks = interval(Duration::from_secs_f64(PUBLISHERS as f64 / per_second as f64));
                ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
                let (mut newest, mut under_way) = (0, JoinSet::new());
                while begun.elapsed() < Duration::from_secs(4) {
                    ticks.tick().await;
                    if under_way.len() == UNDER_WAY
                        && let Some(published) = under_way.join_next().await
                    {
                        newest = newest.max(published.expect("published"));
                    }
                    let (number, client) = (said.fetch_add(1, Ordering::SeqCst), client.clone());
                    under_way.spawn(async move {
                        let published =
                            client.channel("kept:busy").publish(&number).await.expect("published");
                        published.position.expect("a position").offset
                    });
                }
                under_way.join_all().await.into_iter().fold(newest, u64::max)
            })
        })
        .collect();
    let mut newest = 0;
    for publishing in publishing {
        newest = newest.max(publishing.await.expect("published"));
    }
    let rate = newest as f64 / begun.elapsed().as_secs_f64();
    last.store(newest, Ordering::SeqCst);
    assert_eq!(newest, said.load(Ordering::SeqCst));
    // One more wakes those that have heard all.
    let more = Client::connect(&urls[0]).await.expect("a client");
    more.channel("kept:busy").publish(&u64::MAX).await.expect("published");
    let done = async || joining.iter().all(tokio::task::JoinHandle::is_finished);
    eventually("everybody has heard all", PATIENCE, done).await;
    let (mut order, mut total) = (vec![None; newest as usize + 2], 0);
    for joined in joining {
        let heard = joined.await.expect("no gap, nothing twice");
        for (offset, message) in (heard.first..).zip(heard.messages) {
            let there = order[offset as usize].get_or_insert(message);
            assert_eq!(*there, message, "one order for all");
            total += 1;
        }
    }
    figure(
        &format!(
            "{subscribers} subscribers join at random on two instances at {rate:.0} messages a second: messages, once each, in one order"
        ),
        total,
    );
}
