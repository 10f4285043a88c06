//! Carrying out a plan, on a clock of its own.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh_server::{ConnId, Mesh};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use super::caller::{Caller, Seen};
use super::ledger::Ledger;
use super::plan::{Act, Plan, StoreFault};
use super::reader::{Order, Reader};
use super::stage::{Bug, Stage};
use super::streams::{CHANNELS, Change, RECORDS, Topic, is_narrow};
use super::transfers::Transfer;
use super::verdict;

/// How long a world has, after the last fault, until everything has to be as it must.
const PEACE: Duration = Duration::from_secs(60);

/// For a reader that was slow to read what waits, and to be told that it is closed.
const READING: Duration = Duration::from_secs(1);

/// Between what is said in a flood.
const APART: Duration = Duration::from_millis(20);

/// How a world ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What did not hold. Empty, if all did.
    pub violations: Vec<String>,
    /// A number made of everything every client was told, and when: the same plan gives the same.
    pub trace: u64,
    /// Simulated time.
    pub time: Duration,
    /// Pushes that clients got.
    pub delivered: u64,
    /// Messages and versions that clients handed out.
    pub followed: u64,
    /// Times that clients were told that something is missing.
    pub gaps: u64,
    /// Connections of slow readers that were closed.
    pub slow: u64,
    /// Lives that instances began anew.
    pub revivals: u64,
}

/// Everything that clients were told.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    began: Instant,
    hasher: Arc<Mutex<DefaultHasher>>,
}

impl Trace {
    pub(super) fn note(&self, at: Instant, client: usize, frame: &Value) {
        let mut hasher = self.hasher.lock().unwrap_or_else(PoisonError::into_inner);
        ((at - self.began).as_micros(), client, frame.to_string()).hash(&mut *hasher);
    }
}

/// How often hooks ran, by connection and room.
#[derive(Clone, Debug, Default)]
pub(super) struct Hooks(Arc<Mutex<BTreeMap<(ConnId, String), Ran>>>);

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ran {
    pub(super) joined: u32,
    pub(super) left: u32,
}

impl Hooks {
    fn with(&self, who: ConnId, room: &str, f: impl FnOnce(&mut Ran)) {
        let mut ran = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        f(ran.entry((who, room.to_owned())).or_default());
    }

    pub(super) fn joined(&self, who: ConnId, room: &str) {
        self.with(who, room, |ran| ran.joined += 1);
    }

    pub(super) fn left(&self, who: ConnId, room: &str) {
        self.with(who, room, |ran| ran.left += 1);
    }

    pub(super) fn all(&self) -> BTreeMap<(ConnId, String), Ran> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A world under way.
pub(super) struct World {
    pub(super) stage: Stage,
    pub(super) callers: Vec<Option<Caller>>,
    /// What each client knows, over all its connections.
    pub(super) readers: Vec<Arc<Mutex<Reader>>>,
    pub(super) ledger: Ledger,
    /// Connections that are over, by a hang-up or with their instance.
    pub(super) past: Vec<(Seen, bool)>,
    pub(super) hooks: Hooks,
    pub(super) trace: Trace,
    pub(super) rooms: usize,
    /// Whether any instance was killed: with it goes what its hooks were about to say.
    pub(super) killed: bool,
    /// Whether calls or publications were lost or late.
    pub(super) faulted: bool,
    /// Whether calls over a link to the store were lost.
    pub(super) cut: bool,
    /// Whether a stream was lost by itself, of which its next entry tells.
    pub(super) evicted: bool,
    /// Whether what was published was lost, and nobody told.
    pub(super) lost: bool,
    /// How often the store lost its last writes.
    pub(super) forgot: u32,
    told: u64,
    /// Connections of slow readers that were closed.
    slow: u64,
}

/// Run a world, with a mistake in its backend if one is given.
pub fn run(plan: &Plan, bug: Option<Bug>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(live(plan, bug))
}

async fn live(plan: &Plan, bug: Option<Bug>) -> Outcome {
    let began = Instant::now();
    let trace = Trace { began, hasher: Arc::default() };
    let hooks = Hooks::default();
    let stage = Stage::set(plan.seed, plan.kind, plan.scale.instances, &hooks, bug).await;
    let stage = stage.expect("a world whose store is there at first");
    let callers = (0..plan.scale.clients).map(|_| None).collect();
    let ledger = Ledger::default();
    // One of three is of the origin.
    let reader = |who| Arc::new(Mutex::new(Reader::new(who, who % 3 == 2, ledger.clone())));
    let readers = (0..plan.scale.clients).map(reader).collect();
    let (past, rooms) = (Vec::new(), plan.scale.rooms);
    let mut world = World {
        stage,
        callers,
        readers,
        ledger,
        past,
        hooks,
        trace,
        rooms,
        killed: false,
        faulted: false,
        cut: false,
        evicted: false,
        lost: false,
        forgot: 0,
        told: 0,
        slow: 0,
    };
    // What is to end, and when; by a number, as two may end at once.
    let mut ends: BTreeMap<(Instant, usize), Act> = BTreeMap::new();
    for (number, step) in plan.steps.iter().enumerate() {
        let at = began + step.at;
        while let Some(end) = ends.first_entry().filter(|end| end.key().0 <= at) {
            sleep_until(end.key().0).await;
            world.stage.end(end.remove());
        }
        sleep_until(at).await;
        world.dial_again();
        world.act(step.act).await;
        if step.act.time() > Duration::ZERO {
            ends.insert((Instant::now() + step.act.time(), number), step.act);
        }
    }
    for ((at, _), act) in ends {
        sleep_until(at).await;
        world.stage.end(act);
    }
    // Who was slow reads that it was closed, and comes back once more.
    sleep(READING).await;
    world.dial_again();
    sleep(PEACE).await;
    let violations = verdict::judge(&mut world).await;
    let stats =
        world.stage.cluster.alive().into_iter().map(|number| world.stage.cluster.mesh(number).stats());
    let revivals = stats.map(|stats| stats.revivals).sum();
    let open = world.callers.iter().flatten().map(Caller::seen);
    let seen = world.past.iter().map(|(seen, _)| seen.clone()).chain(open);
    let delivered = seen.map(|seen| seen.told.values().map(|times| u64::from(*times)).sum::<u64>()).sum();
    let trace = world.trace.hasher.lock().unwrap_or_else(PoisonError::into_inner).finish();
    let (followed, gaps) = world.ledger.with(|book| (book.delivered, book.gaps));
    Outcome {
        violations,
        trace,
        time: began.elapsed(),
        delivered,
        followed,
        gaps,
        slow: world.slow,
        revivals,
    }
}

pub(super) fn room_name(room: usize) -> String {
    format!("room-{room}")
}

async fn publish(mesh: &Mesh, channel: usize, number: u64, message: &Value, ledger: &Ledger) {
    ledger.with(|book| book.publishes(number, channel));
    let published = mesh.channel(CHANNELS[channel]).publish(message).await;
    ledger.with(|book| match published {
        Ok(position) => book.was_published(number, Ok(position)),
        Err(error) => book.was_published(number, Err(error.code.as_str())),
    });
}

impl World {
    /// A number that no other broadcast has.
    pub(super) fn number(&mut self) -> u64 {
        self.told += 1;
        self.told
    }

    pub(super) fn mesh(&self, instance: usize) -> Option<Mesh> {
        self.stage.runs(instance).then(|| self.stage.cluster.mesh(instance).clone())
    }

    fn id(&self, client: usize) -> Option<ConnId> {
        self.callers[client].as_ref()?.seen().id
    }

    async fn act(&mut self, act: Act) {
        match act {
            Act::Dial(client, instance) => {
                let gone = self.callers[client].as_ref().is_none_or(|caller| caller.seen().ended.is_some());
                if gone && self.stage.runs(instance) {
                    self.forget(client, false);
                    self.dial(client, instance);
                }
            }
            Act::HangUp(client) => self.forget(client, true),
            Act::Join(client, room) => self.request(client, "mesh/join-room", room),
            Act::Leave(client, room) => self.request(client, "mesh/leave-room", room),
            Act::Add(instance, client, room) => {
                self.on(instance, client, async move |mesh, id| {
                    mesh.room(&room_name(room)).add(id).await.map(drop)
                });
            }
            Act::Remove(instance, client, room) => {
                self.on(instance, client, async move |mesh, id| {
                    mesh.room(&room_name(room)).remove(id).await.map(drop)
                });
            }
            Act::Describe(instance, client, what) => {
                self.on(instance, client, async move |mesh, id| mesh.conn(id).set_metadata(&what).await);
            }
            Act::Clear(instance, room) => {
                if let Some(mesh) = self.mesh(instance) {
                    tokio::spawn(async move { mesh.room(&room_name(room)).clear().await });
                }
            }
            Act::Tell(instance, room) => {
                let n = self.number();
                if let Some(mesh) = self.mesh(instance) {
                    tokio::spawn(async move {
                        mesh.room(&room_name(room)).broadcast("told", &json!({"n": n})).await
                    });
                }
            }
            Act::TellAll(instance) => {
                let n = self.number();
                if let Some(mesh) = self.mesh(instance) {
                    tokio::spawn(async move { mesh.broadcast("told", &json!({"n": n})).await });
                }
            }
            Act::Follow(client, topic, flavour) => {
                // Also who is away may want something.
                let order = self.reader(client, |reader| reader.follow(topic, flavour));
                self.order(client, order);
            }
            Act::Unfollow(client, topic) => {
                let order = self.reader(client, |reader| reader.unfollow(topic));
                self.order(client, order);
            }
            Act::Read(client, channel) => {
                let order = self.reader(client, |reader| reader.read(channel));
                self.order(client, order);
            }
            Act::Publish(client, channel) => {
                let number = self.number();
                let order = self.reader(client, |reader| reader.publish(channel, number));
                self.order(client, order);
            }
            Act::Write(client, record, change) => {
                let number = self.number();
                let order = self.reader(client, |reader| reader.write(record, change, number));
                self.order(client, order);
            }
            Act::PublishFrom(instance, channel) => self.publish(instance, channel),
            Act::WriteFrom(instance, record, change) => self.write(instance, record, change),
            Act::Transfer(instance, transfer) => self.transfer(instance, transfer),
            Act::Stall(client, time) => {
                if let Some(caller) = &self.callers[client] {
                    caller.stall(time);
                }
            }
            Act::Flood(instance, topic, count, bytes) => self.flood(instance, topic, count, bytes),
            Act::Kill(instance) if self.stage.cluster.alive().len() > 1 && self.stage.runs(instance) => {
                self.killed = true;
                self.ledger.with(|book| book.faulted = true);
                self.stage.kill(instance);
                for client in 0..self.callers.len() {
                    if self.callers[client].as_ref().is_some_and(|caller| caller.instance == instance) {
                        self.forget(client, true);
                    }
                }
            }
            // Where the store is away it fails, and the place stays empty.
            Act::Start(instance) if !self.stage.runs(instance) => {
                drop(self.stage.cluster.start_again(instance).await);
            }
            Act::Kill(_) | Act::Start(_) => {}
            Act::CutOff(..) | Act::BlackHole(..) | Act::Flaky(..) | Act::Store(..) => {
                self.faulted = true;
                self.doubt(act);
                self.forgot += u32::from(matches!(act, Act::Store(StoreFault::FailOver(_), _)));
                self.stage.begin(act);
            }
        }
    }

    /// Slow readers that were closed come back, as the code says that they may.
    fn dial_again(&mut self) {
        for client in (0..self.callers.len()).filter(|client| is_narrow(*client)) {
            let Some(caller) = self.callers[client].as_ref().filter(|caller| caller.was_slow()) else {
                continue;
            };
            let instance = caller.instance;
            self.slow += 1;
            if !self.reader(client, |reader| reader.has_channels) {
                let what = format!("client {client} follows records alone, and was closed as a slow reader");
                self.ledger.with(|book| book.complain(what));
            }
            self.forget(client, true);
            self.dial(client, instance);
        }
    }

    fn dial(&mut self, client: usize, instance: usize) {
        let Some(mesh) = self.mesh(instance) else { return };
        let reader = &self.readers[client];
        self.callers[client] = Some(Caller::dial(&mesh, instance, client, reader, self.trace.clone()));
    }

    /// What a fault means for what has to hold.
    fn doubt(&mut self, act: Act) {
        let on_redis = self.stage.redis.is_some();
        let Act::Store(fault, _) = act else {
            self.cut = true;
            return self.ledger.with(|book| book.faulted = true);
        };
        if !on_redis {
            return;
        }
        let lossy = matches!(
            fault,
            StoreFault::DownEmpty | StoreFault::Emptied | StoreFault::FailOver(_) | StoreFault::Evict
        );
        self.evicted |= matches!(fault, StoreFault::Evict);
        self.lost |= matches!(fault, StoreFault::LoseMessages);
        self.ledger.with(|book| (book.faulted, book.lossy) = (true, book.lossy || lossy));
    }

    /// An instance publishes on a channel, and nobody waits for it.
    pub(super) fn publish(&mut self, instance: usize, channel: usize) {
        let number = self.number();
        let Some(mesh) = self.mesh(instance) else { return };
        let ledger = self.ledger.clone();
        tokio::spawn(async move { publish(&mesh, channel, number, &json!({"n": number}), &ledger).await });
    }

    /// An instance says much, whoever keeps up with it.
    fn flood(&mut self, instance: usize, topic: Topic, count: u64, bytes: usize) {
        let Some(mesh) = self.mesh(instance) else { return };
        let ledger = self.ledger.clone();
        let first = self.told + 1;
        self.told += count;
        tokio::spawn(async move {
            for number in first..first + count {
                let value = json!({"n": number, "text": "x".repeat(bytes)});
                match topic {
                    Topic::Channel(channel) => publish(&mesh, channel, number, &value, &ledger).await,
                    // Where it is cut off it fails.
                    Topic::Record(record) => drop(mesh.record(RECORDS[record]).set(&value).await),
                }
                sleep(APART).await;
            }
        });
    }

    /// An instance writes a record, and nobody waits for it.
    pub(super) fn write(&mut self, instance: usize, record: usize, change: Change) {
        let number = self.number();
        let Some(mesh) = self.mesh(instance) else { return };
        let ledger = self.ledger.clone();
        let counts = change == Change::Increment;
        if counts {
            ledger.with(|book| book.adds(record));
        }
        tokio::spawn(async move {
            let written = change.write(&mesh, record, number).await;
            if counts {
                ledger.with(|book| match written {
                    Ok(()) => book.was_added(record, Ok(())),
                    Err(error) => book.was_added(record, Err(error.code.as_str())),
                });
            }
        });
    }

    /// An instance moves something between accounts, and nobody waits for it.
    pub(super) fn transfer(&mut self, instance: usize, transfer: Transfer) {
        let number = self.number();
        let Some(mesh) = self.mesh(instance) else { return };
        let ledger = self.ledger.clone();
        ledger.with(|book| book.transfers.begins(number, transfer));
        tokio::spawn(async move {
            let ended = transfer.run(&mesh, number).await;
            let ended = ended.as_ref().map_err(|error| error.code.as_str());
            ledger.with(|book| book.transfers.ended(number, ended.copied()));
        });
    }

    fn reader<R>(&self, client: usize, f: impl FnOnce(&mut Reader) -> R) -> R {
        f(&mut self.readers[client].lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn order(&self, client: usize, order: Option<Order>) {
        if let (Some(caller), Some(order)) = (&self.callers[client], order) {
            caller.order(order);
        }
    }

    fn request(&self, client: usize, command: &'static str, room: usize) {
        if let Some(caller) = &self.callers[client] {
            caller.request(command, &json!({"roomName": room_name(room)}));
        }
    }

    /// An instance does something about a client, wherever that is, and nobody waits for it.
    fn on<F>(&self, instance: usize, client: usize, what: impl FnOnce(Mesh, ConnId) -> F)
    where
        F: Future + Send + 'static,
    {
        if let (Some(mesh), Some(id)) = (self.mesh(instance), self.id(client)) {
            let doing = what(mesh, id);
            tokio::spawn(async move { drop(doing.await) });
        }
    }

    /// `meant`: that its connection is over is as it should be.
    pub(super) fn forget(&mut self, client: usize, meant: bool) {
        if let Some(caller) = self.callers[client].take() {
            self.past.push((caller.end(), meant));
        }
    }
}
