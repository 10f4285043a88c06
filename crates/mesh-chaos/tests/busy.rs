//! A busy channel on real instances and a real Redis.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mesh_chaos::redis::Redis;
use mesh_chaos::{eventually, figure};
use mesh_client::{ChannelEvent, Client};
use support::{PATIENCE, alone, from_env, nodes};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

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
        let client = Client::connect(&urls[number as usize % 2]).await.expect("a client");
        let last = last.clone();
        joining.push(tokio::spawn(async move {
            // Spread over two seconds, in no order.
            sleep(Duration::from_millis(number * 7919 % 2000)).await;
            let mut messages = client.channel("kept:busy").subscribe::<u64>();
            let (mut first, mut offset, mut heard) = (None, 0, Vec::new());
            while offset < last.load(Ordering::SeqCst) {
                let Some(ChannelEvent::Message(message)) = messages.next().await else { panic!("a gap") };
                let at = message.position.expect("a position").offset;
                assert!(first.is_none() || at == offset + 1, "{at} after {offset}");
                (first, offset) = (first.or(Some(at)), at);
                heard.push(message.message);
            }
            (first.expect("a message"), heard)
        }));
    }
    // Two publishers, one on each instance, each with a few messages under way.
    let begun = Instant::now();
    let said = Arc::new(AtomicU64::new(0));
    let publishing: Vec<_> = (0..16_u64)
        .map(|publisher| {
            let (url, said) = (urls[publisher as usize % 2].clone(), said.clone());
            tokio::spawn(async move {
                let client = Client::connect(&url).await.expect("a publisher");
                let mut ticks = interval(Duration::from_secs_f64(16.0 / per_second as f64));
                ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
                let mut newest = 0;
                while begun.elapsed() < Duration::from_secs(4) {
                    ticks.tick().await;
                    let number = said.fetch_add(1, Ordering::SeqCst);
                    let published = client.channel("kept:busy").publish(&number).await.expect("published");
                    newest = published.position.expect("a position").offset;
                }
                newest
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
        let (first, heard) = joined.await.expect("no gap, nothing twice");
        for (offset, message) in (first..).zip(heard) {
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
