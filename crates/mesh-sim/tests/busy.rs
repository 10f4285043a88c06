//! A busy channel in simulated time: two whole servers over a simulated Redis, and real frames over in-memory sockets.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, sink, stream};
use mesh_backend::Backend;
use mesh_server::testing::Cluster;
use mesh_server::{Channel, Entropy, Mesh};
use mesh_sim::redis::{Direction, Redis, Whom};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

const SEED: u64 = 15;
const SUBSCRIBERS: usize = 500;
/// 5,000 a second, by a clock of milliseconds.
const EACH_MS: u64 = 5;
const CHANNEL: &str = "busy";
/// How a message begins, up to its number.
const MESSAGE: &str = r#"{"command":"mesh/subscription-message","payload":{"channel":"busy","message":"#;

/// What one subscriber was told, compared on the way: by all that it is not, nothing is kept of a message.
#[derive(Debug, Default)]
struct Subscriber {
    /// The offset of its next message, once it is subscribed.
    next: Option<u64>,
    heard: u64,
}

/// What all were told.
#[derive(Debug, Default)]
struct Told {
    subscribers: Vec<Subscriber>,
    /// The message at each offset, as the first one that heard it was told; 0: nobody was.
    order: Vec<u64>,
    wrong: Vec<String>,
}

impl Told {
    fn hear(&mut self, who: usize, frame: &Bytes) {
        let text = String::from_utf8_lossy(frame);
        if let Some((message, offset)) = numbers(&text) {
            let it = &mut self.subscribers[who];
            if it.next != Some(offset) {
                self.wrong.push(format!("{who} waits for {:?} and is told {text}", it.next));
            }
            (it.next, it.heard) = (Some(offset + 1), it.heard + 1);
            let at = offset as usize;
            if self.order.len() <= at {
                self.order.resize(at + 1, 0);
            }
            match self.order[at] {
                0 => self.order[at] = message,
                there if there == message => {}
                there => self.wrong.push(format!("{there} to one and to {who}: {text}")),
            }
            return;
        }
        let frame: Value = serde_json::from_str(&text).unwrap_or_default();
        match frame["command"].as_str() {
            Some("mesh/hello") => {}
            Some("mesh/subscribe-channel") if frame["payload"]["success"] == true => {
                self.subscribers[who].next = frame["payload"]["offset"].as_u64().map(|offset| offset + 1);
            }
            _ => self.wrong.push(format!("{who} is told {text}")),
        }
    }
}

/// Of a message its number and its offset, which is the last member of all.
fn numbers(text: &str) -> Option<(u64, u64)> {
    let message = text.strip_prefix(MESSAGE)?.split_once(',')?.0.parse().ok()?;
    let offset = text.strip_suffix("}}")?.rsplit_once("\"offset\":")?.1.parse().ok()?;
    Some((message, offset))
}

async fn cluster(redis: &Redis) -> Cluster<()> {
    let mut backends: Vec<Arc<dyn Backend>> = Vec::new();
    for number in 0..2 {
        let dialled = redis.clone();
        let entropy = Arc::new(Entropy::from_seed(SEED + number));
        let options = mesh_redis::Redis::builder("redis://simulated").entropy(entropy);
        let dial = move |_| std::future::ready(dialled.dial());
        backends.push(Arc::new(mesh_redis::Redis::over(dial, options).await.expect("a simulated Redis")));
    }
    let server = |_| {
        Mesh::builder().channel(CHANNEL, Channel::open().history(100)).limits(|limits| {
            // Nobody here answers.
            limits.ping_interval = Duration::from_secs(86_400);
            limits.latency_interval = limits.ping_interval;
        })
    };
    Cluster::over(SEED, backends, server).await.expect("two instances")
}

/// Connect and subscribe, and compare what comes for as long as the test runs.
fn join(mesh: &Mesh, who: usize, told: &Arc<Mutex<Told>>) {
    let hello = json!({"id": 0, "command": "mesh/hello", "payload": {"protocol": 1}});
    let subscribe = json!({"id": 1, "command": "mesh/subscribe-channel", "payload": {"channel": CHANNEL}});
    let frames = [hello, subscribe].map(|frame| Bytes::from(frame.to_string()));
    let reader = stream::iter(frames).chain(stream::pending());
    let writer = sink::unfold(told.clone(), move |told: Arc<Mutex<Told>>, frame: Bytes| {
        told.lock().unwrap_or_else(PoisonError::into_inner).hear(who, &frame);
        std::future::ready(Ok::<_, ()>(told))
    });
    let mesh = mesh.clone();
    tokio::spawn(async move { mesh.serve(Box::pin(reader), Box::pin(writer), true).await });
}

/// Simulated milliseconds in which messages are published.
fn time_ms() -> u64 {
    let seconds = std::env::var("MESH_SIM_BUSY_SECONDS").ok();
    seconds.map_or(500, |seconds| 1000 * seconds.parse::<u64>().expect("MESH_SIM_BUSY_SECONDS is a number"))
}

#[tokio::test(start_paused = true)]
async fn five_hundred_that_join_5000_messages_a_second_on_two_instances_get_all_that_follow_once_in_one_order()
 {
    let redis = Redis::new(SEED);
    let cluster = cluster(&redis).await;
    // So that the instances do not hear of things at the same time.
    let late = Duration::ZERO..=Duration::from_millis(3);
    redis.delay(Whom::All, Direction::ToClient, late.clone());
    redis.delay(Whom::All, Direction::ToServer, late);
    let subscribers = (0..SUBSCRIBERS).map(|_| Subscriber::default()).collect();
    let told = Arc::new(Mutex::new(Told { subscribers, ..Told::default() }));
    let (begun, time_ms) = (Instant::now(), time_ms());
    let mut rng = StdRng::seed_from_u64(SEED);
    for who in 0..SUBSCRIBERS {
        let mesh = cluster.mesh(rng.random_range(0..2)).clone();
        let at = begun + Duration::from_millis(rng.random_range(0..time_ms * 4 / 5));
        let told = told.clone();
        tokio::spawn(async move {
            sleep_until(at).await;
            join(&mesh, who, &told);
        });
    }
    let mut publishing = Vec::new();
    for ms in 0..time_ms {
        sleep_until(begun + Duration::from_millis(ms)).await;
        for number in ms * EACH_MS..(ms + 1) * EACH_MS {
            let mesh = cluster.mesh(number as usize % 2).clone();
            publishing.push(tokio::spawn(async move { mesh.channel(CHANNEL).publish(&(number + 1)).await }));
        }
    }
    let total = time_ms * EACH_MS;
    for published in publishing {
        published.await.expect("it does not panic").expect("published");
    }
    assert!(begun.elapsed() <= Duration::from_millis(time_ms + 100), "it keeps up: {:?}", begun.elapsed());
    sleep(Duration::from_millis(100)).await;
    let told = told.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(told.wrong, [""; 0]);
    let late: Vec<_> = told.subscribers.iter().filter(|it| it.next != Some(total + 1)).collect();
    assert!(late.is_empty(), "{} have not heard all: {:?}", late.len(), late.first());
    let mut messages: Vec<_> = told.order.iter().copied().filter(|message| *message > 0).collect();
    let heard: u64 = told.subscribers.iter().map(|it| it.heard).sum();
    assert!(heard > total * SUBSCRIBERS as u64 / 3, "while it was busy: {heard}");
    messages.sort_unstable();
    messages.dedup();
    assert_eq!(messages.len(), told.order.iter().filter(|message| **message > 0).count(), "no message twice");
    println!("{SUBSCRIBERS} subscribers heard {heard} of {total} messages, once each, in one order");
}
