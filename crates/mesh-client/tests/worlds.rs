//! Seeded worlds: a channel whose server is cut off, forgets, and skips pushes, and readers that are slow. Whatever happens,
//! each reader has every message once and in order, or is told of a gap exactly as long as it is.

mod support;

use std::collections::VecDeque;
use std::time::Duration;

use mesh_client::{ChannelEvent, Client, Entropy, Subscription};
use serde_json::{Value, json};
use support::{Link, Server, pair};
use tokio::time::{sleep, timeout};

const WORLDS: u64 = 30;
const STEPS: u32 = 200;
/// So that most of the time there is a connection.
const BACKOFF: Duration = Duration::from_millis(100);
const PAGE: usize = 20;

/// The channel as its store has it.
struct Store {
    epoch: u64,
    newest: u64,
    kept: VecDeque<u64>,
    kept_max: usize,
}

impl Store {
    fn publish(&mut self) -> u64 {
        self.newest += 1;
        self.kept.push_back(self.newest);
        if self.kept.len() > self.kept_max {
            self.kept.pop_front();
        }
        self.newest
    }

    fn wipe(&mut self) {
        self.epoch += 1;
        self.newest = 0;
        self.kept.clear();
    }

    fn epoch(&self) -> String {
        format!("{:016x}", self.epoch)
    }

    /// Unlike that of the same offset in another life.
    fn tag(&self, offset: u64) -> String {
        format!("{:08x}", self.epoch * 100_000 + offset)
    }

    fn push(&self, offset: u64) -> Value {
        json!({"channel": "c", "message": offset, "tag": self.tag(offset), "epoch": self.epoch(), "offset": offset})
    }

    /// The answer to a subscription, and whether it is one.
    fn answer(&self, question: &Value) -> (Value, bool) {
        let limit = question["historyLimit"].as_u64().unwrap_or(0) as usize;
        let newest: Vec<u64> =
            self.kept.iter().skip(self.kept.len().saturating_sub(limit)).copied().collect();
        let oldest = self.newest + 1 - self.kept.len() as u64;
        let mut answer = json!({"success": true});
        let mut messages = newest;
        let mut is_subscribed = true;
        if let Some(after) = question.get("after") {
            let offset = after["offset"].as_u64().expect("an offset");
            if offset > 0 && after["epoch"] != json!(self.epoch()) {
                answer["gap"] = json!({"reason": "epoch_changed"});
            } else if offset + 1 < oldest {
                answer["gap"] = json!({"reason": "expired", "missed": oldest - offset - 1});
            } else {
                messages = self.kept.iter().filter(|kept| **kept > offset).copied().collect();
                answer["recovered"] = json!(true);
                if messages.len() > PAGE {
                    messages.truncate(PAGE);
                    answer["more"] = json!(true);
                    is_subscribed = false;
                }
            }
        }
        let item = |offset: &u64| json!({"message": offset, "tag": self.tag(*offset), "offset": offset});
        answer["messages"] = messages.iter().map(item).collect();
        let start = (format!("{:016x}", 0), format!("{:08x}", 0));
        let (epoch, tag) = if self.newest > 0 { (self.epoch(), self.tag(self.newest)) } else { start };
        (answer["epoch"], answer["offset"], answer["tag"]) = (json!(epoch), json!(self.newest), json!(tag));
        (answer, is_subscribed)
    }
}

/// A stream, and what it has told so far.
struct Reader {
    stream: Subscription<u64>,
    last: Option<(u64, u64)>,
    /// Since the last message: how many gaps, and how long together, if that is known.
    gaps: u32,
    missed: Option<u64>,
}

impl Reader {
    fn hear(&mut self, event: ChannelEvent<u64>) {
        match event {
            ChannelEvent::Gap { missed, .. } => {
                self.missed =
                    if self.gaps == 0 { missed } else { self.missed.zip(missed).map(|(a, b)| a + b) };
                self.gaps += 1;
            }
            ChannelEvent::Message(message) => {
                let at = message.position.expect("a position");
                assert_eq!(message.message, at.offset);
                if let Some((epoch, offset)) = self.last {
                    let is_same = epoch == at.epoch.0;
                    assert!(is_same || self.gaps > 0, "another life without a gap: {:?} {at:?}", self.last);
                    assert!(!is_same || offset < at.offset, "again, or out of order: {:?} {at:?}", self.last);
                    if is_same && self.gaps == 0 {
                        assert_eq!(at.offset, offset + 1, "a hole");
                    }
                    if let (true, Some(missed)) = (is_same && self.gaps > 0, self.missed) {
                        assert_eq!(at.offset - offset - 1, missed, "a gap of another length");
                    }
                }
                self.last = Some((at.epoch.0, at.offset));
                (self.gaps, self.missed) = (0, None);
            }
            other => panic!("{other:?}"),
        }
    }

    /// Read so many, or as many as there are.
    async fn read(&mut self, events: usize) -> usize {
        for number in 0..events {
            match timeout(Duration::from_millis(1), self.stream.next()).await {
                Ok(Some(event)) => self.hear(event),
                Ok(None) => panic!("the end"),
                Err(_) => return number,
            }
        }
        events
    }
}

struct World {
    entropy: Entropy,
    client: Client,
    server: Server,
    link: Option<Link>,
    is_subscribed: bool,
    store: Store,
    readers: Vec<Reader>,
}

impl World {
    fn up_to(&self, max: u64) -> u64 {
        self.entropy.u64() % (max + 1)
    }

    /// The server takes what there is, and answers.
    async fn serve(&mut self) {
        if self.link.is_none() {
            self.is_subscribed = false;
            sleep(BACKOFF).await;
            self.link = self.server.try_welcome().await;
        }
        while let Some(link) = &mut self.link {
            let Some(frame) = link.try_recv().await else { break };
            let id = frame["id"].as_u64();
            match (frame["command"].as_str(), id) {
                (Some("mesh/subscribe-channel"), Some(id)) => {
                    let (answer, is_subscribed) = self.store.answer(&frame["payload"]);
                    self.is_subscribed = is_subscribed;
                    link.answer(id, answer).await;
                }
                (Some("mesh/unsubscribe-channel"), Some(id)) => {
                    self.is_subscribed = false;
                    link.answer(id, json!(true)).await;
                }
                _ => {}
            }
        }
    }

    async fn publish(&mut self, skips: bool) {
        let offset = self.store.publish();
        if let Some(link) = self.link.as_mut().filter(|_| self.is_subscribed && !skips) {
            link.push("mesh/subscription-message", self.store.push(offset)).await;
        }
    }

    async fn step(&mut self) {
        match self.up_to(19) {
            0 => self.link = None,
            1 if self.up_to(3) == 0 => {
                self.store.wipe();
                if let Some(link) = self.link.as_mut().filter(|_| self.is_subscribed) {
                    link.push("mesh/channel-gap", json!({"channel": "c", "reason": "epoch_changed"})).await;
                }
            }
            2 => self.publish(true).await,
            3 | 4 if self.readers.len() < 4 => {
                let history = self.up_to(5) as u32;
                let stream = self.client.channel("c").subscribe().history(history);
                self.readers.push(Reader { stream, last: None, gaps: 0, missed: None });
            }
            5 if !self.readers.is_empty() => {
                let number = self.up_to(self.readers.len() as u64 - 1) as usize;
                self.readers.swap_remove(number);
            }
            6..=9 if !self.readers.is_empty() => {
                let number = self.up_to(self.readers.len() as u64 - 1) as usize;
                let events = self.up_to(300) as usize;
                self.readers[number].read(events).await;
            }
            10 => sleep(Duration::from_millis(self.up_to(3000))).await,
            11 => {
                for _ in 0..self.up_to(400) {
                    self.publish(false).await;
                }
            }
            12..=16 => self.serve().await,
            _ => {
                for _ in 0..self.up_to(10) {
                    self.publish(false).await;
                }
            }
        }
    }

    /// Everybody reads until nothing comes any more, and has the newest.
    async fn settle(&mut self) {
        for reader in &mut self.readers {
            reader.read(usize::MAX).await;
        }
        for round in 0.. {
            assert!(round < 1000, "it goes on for ever");
            self.serve().await;
            let mut read = 0;
            for reader in &mut self.readers {
                read += reader.read(usize::MAX).await;
            }
            if read == 0 && round > 100 {
                break;
            }
            if self.link.is_none() {
                sleep(Duration::from_secs(1)).await;
            }
        }
        // The first of these may lie in a gap that it makes a reader notice.
        for _ in 0..2 {
            self.publish(false).await;
            for _ in 0..4 {
                self.serve().await;
                for reader in &mut self.readers {
                    reader.read(usize::MAX).await;
                }
            }
        }
        let newest = Some((self.store.epoch, self.store.newest));
        for reader in &self.readers {
            assert_eq!(reader.last, newest, "not all of it");
        }
    }
}

async fn run(seed: u64) {
    let (builder, server) = pair();
    let client = builder.backoff(Duration::ZERO, BACKOFF).start().expect("an address");
    let entropy = Entropy::from_seed(seed);
    let kept_max = [5, 50, 400, 10_000][(seed % 4) as usize];
    let store = Store { epoch: 1, newest: 0, kept: VecDeque::new(), kept_max };
    let mut world =
        World { entropy, client, server, link: None, is_subscribed: false, store, readers: Vec::new() };
    if seed % 8 > 3 {
        world.store.publish();
    }
    for _ in 0..STEPS {
        world.step().await;
    }
    world.settle().await;
}

#[tokio::test(start_paused = true)]
async fn every_message_comes_once_and_in_order_or_a_gap_says_how_many_are_lost() {
    for seed in 0..WORLDS {
        // A task of its own, so that a panic can say which seed it was.
        if tokio::spawn(run(seed)).await.is_err() {
            panic!("the world of seed {seed} failed");
        }
    }
}
