//! What a world runs on: instances that share memory, or a simulated Redis; and the faults of both.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use mesh_backend::{Backend, Memory};
use mesh_server::testing::Cluster;
use mesh_server::{Builder, Conn, Entropy, Mesh, Name, Room, any};
use tokio::time::sleep;

use super::plan::{Act, StoreFault};
use super::run::Hooks;
use super::streams;
use crate::lie::Lying;
use crate::redis::{Client, Data, Direction, Redis, Whom};

/// What instances share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The embedded backend.
    Memory,
    /// The Redis backend, over a simulated Redis.
    Redis,
}

/// A mistake put in on purpose, to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// One departure of ten is answered and does not take place.
    ForgottenDepartures,
    /// One subscription of ten is answered and does not take place.
    DeafSubscriptions,
    /// One message of ten is answered and not kept.
    ForgottenMessages,
    /// One write of a record of ten is answered and does not take place.
    ForgottenWrites,
    /// One transaction of ten is answered and leaves out the last of its records.
    TornTransactions,
    /// Each transaction writes one record after the other.
    TransactionsInSteps,
    /// One page of ten leaves out the entry before its last.
    TornPages,
    /// One page of ten does not have the newest entry yet, which was told already.
    ToldTooSoon,
}

pub(super) struct Stage {
    pub(super) cluster: Cluster<()>,
    pub(super) redis: Option<Redis>,
    /// How many faults of each instance are under way.
    cut: Vec<usize>,
}

const FLAKY_DELAY: Range<Duration> = Duration::ZERO..Duration::from_millis(300);

impl Stage {
    pub(super) async fn set(
        seed: u64,
        kind: Kind,
        instances: usize,
        hooks: &Hooks,
        bug: Option<Bug>,
    ) -> mesh_server::Result<Self> {
        let redis = (kind == Kind::Redis).then(|| Redis::new(seed));
        let memory: Arc<dyn Backend> = Arc::new(Memory::from_seed(seed));
        let mut backends = Vec::new();
        for number in 0..instances {
            let honest = match &redis {
                None => memory.clone(),
                Some(redis) => over(redis, seed ^ number as u64).await,
            };
            backends.push(match bug {
                None => honest,
                Some(bug) => Arc::new(Lying::new(honest, bug, seed)),
            });
        }
        let hooks = hooks.clone();
        let cluster = Cluster::over(seed, backends, move |_| server(&hooks)).await?;
        Ok(Self { cluster, redis, cut: vec![0; instances] })
    }

    /// Begin a fault. What it takes to end it is for [`end`](Self::end).
    pub(super) fn begin(&mut self, act: Act) {
        match act {
            Act::CutOff(instance, _) | Act::BlackHole(instance, _) if self.runs(instance) => {
                self.cut[instance] += 1;
                match act {
                    Act::CutOff(..) => self.cluster.partition(instance),
                    _ => self.cluster.black_hole(instance, Duration::from_secs(2)),
                }
            }
            Act::Flaky(instance, _) if self.runs(instance) => {
                let faults = self.cluster.faults(instance);
                faults.delay(FLAKY_DELAY);
                faults.delay_arrivals(FLAKY_DELAY);
                faults.fail_before(0.03);
                faults.fail_after(0.03);
            }
            Act::Store(fault, _) => {
                if let Some(redis) = &self.redis {
                    begin(redis, fault);
                }
            }
            _ => {}
        }
    }

    pub(super) fn end(&mut self, act: Act) {
        match act {
            Act::CutOff(instance, _) | Act::BlackHole(instance, _) if self.cut[instance] > 0 => {
                self.cut[instance] -= 1;
                if self.cut[instance] == 0 {
                    self.cluster.heal(instance);
                }
            }
            Act::Flaky(instance, _) if self.runs(instance) => self.cluster.faults(instance).calm(),
            Act::Store(fault, _) => {
                if let Some(redis) = &self.redis {
                    end(redis, fault);
                }
            }
            _ => {}
        }
    }

    pub(super) fn kill(&mut self, instance: usize) {
        if self.runs(instance) {
            self.cut[instance] = 0;
            self.cluster.kill(instance);
        }
    }

    pub(super) fn runs(&self, instance: usize) -> bool {
        self.cluster.alive().contains(&instance)
    }
}

async fn over(redis: &Redis, seed: u64) -> Arc<dyn Backend> {
    let dialled = redis.clone();
    let options = mesh_redis::Redis::builder("redis://simulated").entropy(Arc::new(Entropy::from_seed(seed)));
    let dial = move |_| std::future::ready(dialled.dial());
    Arc::new(mesh_redis::Redis::over(dial, options).await.expect("a simulated Redis that runs"))
}

fn begin(redis: &Redis, fault: StoreFault) {
    match fault {
        StoreFault::CutListeners => drop(redis.cut(&Whom::Pubsub)),
        StoreFault::CutAll => drop(redis.cut(&Whom::All)),
        StoreFault::Deaf => redis.black_hole(Whom::Pubsub, Direction::ToClient),
        StoreFault::LoseMessages => redis.lose_messages(Whom::Pubsub, 33),
        StoreFault::DownWithData | StoreFault::DownEmpty => redis.stop(),
        StoreFault::Emptied => empty(redis),
        StoreFault::FailOver(lose) => drop(redis.fail_over(lose)),
        StoreFault::Evict => drop(redis.evict_random()),
        StoreFault::Pause => redis.pause(None),
        StoreFault::ForgetScripts => redis.forget_scripts(),
        StoreFault::OutOfMemory => redis.be_out_of_memory(true),
        StoreFault::ReadOnly => redis.be_read_only(true),
    }
}

/// By a command, so that it is one write, which a failover may take back. One that is down is not emptied.
fn empty(redis: &Redis) {
    if let Ok(stream) = redis.dial() {
        tokio::spawn(async move { Client::new(stream).call(["FLUSHALL"]).await.is_ok() });
    }
}

fn end(redis: &Redis, fault: StoreFault) {
    match fault {
        StoreFault::Deaf | StoreFault::LoseMessages => redis.heal(),
        StoreFault::DownWithData => redis.start(Data::Kept),
        StoreFault::DownEmpty => redis.start(Data::Lost),
        StoreFault::Pause => redis.resume(),
        StoreFault::OutOfMemory => redis.be_out_of_memory(false),
        StoreFault::ReadOnly => redis.be_read_only(false),
        _ => {}
    }
}

fn server(hooks: &Hooks) -> Builder<()> {
    let (joined, left) = (hooks.clone(), hooks.clone());
    let room = Room::open()
        .on_join(async move |conn: Conn, Name(room): Name| joined.joined(conn.id(), &room))
        .on_leave(async move |conn: Conn, Name(room): Name| left.left(conn.id(), &room));
    streams::serve(Mesh::builder())
        .room(any(), room)
        .command("whoami", async |conn: Conn| conn.id())
        .command("slow", async || sleep(Duration::from_millis(700)).await)
}
