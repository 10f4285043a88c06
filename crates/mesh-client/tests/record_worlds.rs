//! Seeded worlds: a record whose server is cut off, loses its store, and skips or garbles updates. Whatever happens, each
//! watcher sees values that the record had, in order, and the newest in the end.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_client::patch::diff;
use mesh_client::{Client, Entropy, Watch};
use mesh_proto::PatchLimits;
use serde_json::{Value, json};
use support::{Link, Server, pair};
use tokio::time::{sleep, timeout};

const WORLDS: u64 = 60;
const STEPS: u32 = 200;
/// So that most of the time there is a connection.
const BACKOFF: Duration = Duration::from_millis(100);

/// The record as its store has it, and each value that it had.
struct Store {
    epoch: u64,
    version: u64,
    values: BTreeMap<(u64, u64), Value>,
}

impl Store {
    fn value(&self) -> &Value {
        self.values.get(&(self.epoch, self.version)).unwrap_or(&Value::Null)
    }

    fn write(&mut self, value: Value) -> (u64, Value, Value) {
        let old = self.value().clone();
        self.version += 1;
        self.values.insert((self.epoch, self.version), value.clone());
        (self.version - 1, old, value)
    }

    fn wipe(&mut self) {
        self.epoch += 1;
        self.version = 0;
    }

    fn position(&self, mut message: Value) -> Value {
        message["version"] = json!(self.version);
        if self.version > 0 {
            message["epoch"] = json!(format!("{:016x}", self.epoch));
            message["tag"] = json!(format!("{:08x}", self.epoch * 100_000 + self.version));
        }
        message
    }

    fn answer(&self, question: &Value) -> Value {
        let now = self.position(json!({"success": true}));
        let after = &question["after"];
        if self.version > 0
            && after["epoch"] == now["epoch"]
            && after["offset"] == now["version"]
            && after["tag"] == now["tag"]
        {
            let mut now = now;
            now["unchanged"] = json!(true);
            return now;
        }
        let mut now = now;
        now["record"] = self.value().clone();
        now["deleted"] = json!(self.version > 0 && self.value().is_null());
        now
    }
}

/// A stream, and what it saw last.
struct Watcher {
    stream: Watch<Value>,
    last: Option<(u64, u64)>,
}

impl Watcher {
    async fn read(&mut self, events: usize, store: &Store) -> usize {
        for number in 0..events {
            let Ok(event) = timeout(Duration::from_millis(1), self.stream.next()).await else {
                return number;
            };
            let event = event.expect("no end").expect("no error");
            let Some(at) = event.position else {
                assert_eq!((event.version, event.value), (0, None));
                continue;
            };
            let (epoch, version) = (at.epoch.0, at.offset);
            assert_eq!(event.version, version);
            let value = store.values.get(&(epoch, version)).expect("a version that there was");
            assert_eq!(event.value.as_ref().unwrap_or(&Value::Null), value, "not its value");
            assert!(self.last.is_none_or(|last| last < (epoch, version)), "{:?} {at:?}", self.last);
            self.last = Some((epoch, version));
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
    watchers: Vec<Watcher>,
}

impl World {
    fn up_to(&self, max: u64) -> u64 {
        self.entropy.u64() % (max + 1)
    }

    async fn serve(&mut self) {
        if self.link.is_none() {
            self.is_subscribed = false;
            sleep(BACKOFF).await;
            self.link = self.server.try_welcome().await;
        }
        while let Some(link) = &mut self.link {
            let Some(frame) = link.try_recv().await else { break };
            let Some(id) = frame["id"].as_u64() else { continue };
            match frame["command"].as_str() {
                Some("mesh/subscribe-record") => {
                    self.is_subscribed = true;
                    link.answer(id, self.store.answer(&frame["payload"])).await;
                }
                Some("mesh/unsubscribe-record") => {
                    self.is_subscribed = false;
                    link.answer(id, json!(true)).await;
                }
                _ => {}
            }
        }
    }

    /// Most often one member changes, so that a patch to another version would make another value.
    fn next_value(&self) -> Value {
        let items = || (0..self.up_to(5)).map(|_| json!(self.up_to(9))).collect();
        match (self.up_to(19), self.store.value()) {
            (0, _) => Value::Null,
            (1, Value::Object(_)) => items(),
            (2.., Value::Object(members)) => {
                let mut members = members.clone();
                let name = ["a", "b", "items"][self.up_to(2) as usize];
                let value = if name == "items" { items() } else { json!(self.up_to(99)) };
                members.insert(name.to_owned(), value);
                Value::Object(members)
            }
            _ => json!({"a": 0, "b": 0, "items": [], "same": "always".repeat(100)}),
        }
    }

    /// The next version; `trouble`: its update is left out (1), full (2), or says nonsense (3).
    async fn write(&mut self, trouble: u64) {
        let value = self.next_value();
        if *self.store.value() == value {
            return;
        }
        let (from, old, new) = self.store.write(value);
        let Some(link) = self.link.as_mut().filter(|_| self.is_subscribed && trouble != 1) else { return };
        let mut update = json!({"recordId": "r", "offset": self.store.version});
        let patch = diff(&old, &new, &PatchLimits::default());
        match patch.filter(|_| trouble != 2 && !new.is_null() && from > 0) {
            Some(_) if trouble == 3 => {
                update["patch"] = json!([{"op": "test", "path": "/same", "value": "never"}]);
                update["from"] = json!(from);
            }
            Some(patch) => {
                update["patch"] = json!(patch);
                update["from"] = json!(from);
            }
            None => {
                update["full"] = new.clone();
                update["deleted"] = json!(new.is_null());
            }
        }
        link.push("mesh/record-update", self.store.position(update)).await;
    }

    async fn step(&mut self) {
        let number = |world: &Self| world.up_to(world.watchers.len() as u64 - 1) as usize;
        match self.up_to(19) {
            0 => self.link = None,
            1 if self.up_to(3) == 0 => self.store.wipe(),
            2 if self.watchers.len() < 4 => {
                let stream = self.client.record("r").watch();
                self.watchers.push(Watcher { stream, last: None });
            }
            3 if !self.watchers.is_empty() => {
                let number = number(self);
                self.watchers.swap_remove(number);
            }
            4..=8 if !self.watchers.is_empty() => {
                let (number, events) = (number(self), self.up_to(20) as usize);
                self.watchers[number].read(events, &self.store).await;
            }
            9 => sleep(Duration::from_millis(self.up_to(3000))).await,
            10 => {
                let trouble = self.up_to(3);
                self.write(trouble).await;
            }
            11..=15 => self.serve().await,
            _ => {
                for _ in 0..self.up_to(10) {
                    self.write(0).await;
                }
            }
        }
    }

    /// All see the newest.
    async fn settle(&mut self) {
        self.write(0).await;
        self.write(0).await;
        for round in 0..300 {
            self.serve().await;
            for watcher in &mut self.watchers {
                watcher.read(usize::MAX, &self.store).await;
            }
            if self.link.is_none() {
                sleep(Duration::from_secs(1)).await;
            }
            if round == 200 {
                self.write(0).await;
            }
        }
        for watcher in &self.watchers {
            assert_eq!(watcher.last, Some((self.store.epoch, self.store.version)), "not the newest");
        }
    }
}

async fn run(seed: u64) {
    let (builder, server) = pair();
    let client = builder.backoff(Duration::ZERO, BACKOFF).start().expect("an address");
    let store = Store { epoch: 1, version: 0, values: BTreeMap::new() };
    let entropy = Entropy::from_seed(seed);
    let mut world =
        World { entropy, client, server, link: None, is_subscribed: false, store, watchers: Vec::new() };
    for _ in 0..STEPS {
        world.step().await;
    }
    if world.store.version == 0 {
        world.store.write(json!(1));
    }
    world.settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_watcher_sees_values_that_the_record_had_and_the_newest_in_the_end() {
    for seed in 0..WORLDS {
        // A task of its own, so that a panic can say which seed it was.
        if tokio::spawn(run(seed)).await.is_err() {
            panic!("the world of seed {seed} failed");
        }
    }
}
