//! One server instance: its link to what is shared, its connections, its counters.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use mesh_backend::{Announce, Audience, BackendError, Control, Key, Kind};
use mesh_proto::{CommandName, ConnId, Entropy, Incarnation, Limits};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ask::{Ask, Asked};
use crate::conn::Conn;
use crate::error::Result;
use crate::hub::{Flushers, Hub};
use crate::life::{Life, Lives};
use crate::lock::Lock;
use crate::schedule::Schedule;

#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) lives: Arc<Lives>,
    /// What other instances were asked, and have not answered yet.
    pub(crate) asked: Asked,
    pub(crate) hub: Arc<Hub>,
    pub(crate) flushers: Arc<Flushers>,
    pub(crate) schedule: Arc<Schedule>,
    pub(crate) limits: Limits,
    pub(crate) entropy: Arc<Entropy>,
    /// Everything that must be over before `close` is.
    pub(crate) tasks: TaskTracker,
    /// Ends the tasks that only serve others.
    pub(crate) stop: CancellationToken,
    pub(crate) draining: AtomicBool,
    /// Connections here. A map in order, so that whatever is done to all of them is done in an order that a run repeats.
    pub(crate) conns: Lock<BTreeMap<ConnId, Conn>>,
    /// Connections that are being let in or cleaned up after: what the backend lists of them is right.
    pub(crate) passing: Lock<BTreeSet<ConnId>>,
    pub(crate) counters: Counters,
    /// One permit for each stream that may be read on at once.
    pub(crate) resyncing: Semaphore,
    /// One permit for each change of a record whose hooks may run at once.
    pub(crate) telling: Arc<Semaphore>,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) encodes: AtomicU64,
    pub(crate) commands: AtomicU64,
    pub(crate) bad_frames: AtomicU64,
    pub(crate) panics: AtomicU64,
    pub(crate) continuity_lost: AtomicU64,
    pub(crate) revivals: AtomicU64,
    pub(crate) orphans: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counters of one instance since it started. Only ever grow, but for `connections`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections open now.
    pub connections: usize,
    /// Pushes encoded, however many get them: one per broadcast or message, one or two (whole, and what changed) per
    /// version of a record.
    pub encodes: u64,
    /// Pushes handed to connections.
    pub delivered: u64,
    /// Messages that slow readers were not given, of channels that drop the oldest.
    pub dropped: u64,
    /// Publications that arrived from other instances and this one.
    pub arrivals: u64,
    /// Commands begun.
    pub commands: u64,
    /// Frames that were no JSON object or had no id.
    pub bad_frames: u64,
    /// Handlers that panicked.
    pub panics: u64,
    /// Times that publications may have been missed.
    pub continuity_lost: u64,
    /// Times that this instance was taken for dead and entered everything anew.
    pub revivals: u64,
    /// Entries that dead instances left behind and this one took out.
    pub orphans: u64,
}

/// A connection on its way in or out.
#[derive(Debug)]
pub(crate) struct Passing(Arc<Instance>, ConnId);

impl Drop for Passing {
    fn drop(&mut self) {
        self.0.passing.with(|passing| passing.remove(&self.1));
    }
}

impl Instance {
    pub(crate) fn stats(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            connections: self.conns.with(|conns| conns.len()),
            encodes: read(&self.counters.encodes),
            delivered: self.hub.delivered(),
            dropped: read(&self.flushers.dropped),
            arrivals: self.hub.arrivals(),
            commands: read(&self.counters.commands),
            bad_frames: read(&self.counters.bad_frames),
            panics: read(&self.counters.panics),
            continuity_lost: read(&self.counters.continuity_lost),
            revivals: read(&self.counters.revivals),
            orphans: read(&self.counters.orphans),
        }
    }

    pub(crate) fn conn(&self, id: ConnId) -> Option<Conn> {
        self.conns.with(|conns| conns.get(&id).cloned())
    }

    /// A connection is being let in or cleaned up after, until what this gives is dropped.
    pub(crate) fn pass(self: &Arc<Self>, id: ConnId) -> Passing {
        self.passing.with(|passing| passing.insert(id));
        Passing(self.clone(), id)
    }

    pub(crate) fn is_passing(&self, id: ConnId) -> bool {
        self.passing.with(|passing| passing.contains(&id))
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// A push as text, encoded once for all who get it.
    pub(crate) fn encode<T: Serialize + ?Sized>(&self, command: &str, payload: &T) -> Result<Bytes> {
        CommandName::new(command)?;
        Counters::add(&self.counters.encodes);
        Ok(mesh_proto::encode_push(command, payload)?)
    }

    /// Wait for the backend, but not for ever.
    pub(crate) async fn call<T>(&self, call: impl Future<Output = mesh_backend::Result<T>>) -> Result<T> {
        match tokio::time::timeout(self.limits.backend_timeout, call).await {
            Ok(Err(BackendError::Fenced)) => {
                self.lives.doubt();
                Err(BackendError::Fenced.into())
            }
            Ok(done) => Ok(done?),
            Err(_) => Err(BackendError::Unavailable("no answer in time".into()).into()),
        }
    }

    pub(crate) async fn publish(&self, announce: Announce) -> Result<()> {
        self.call(self.life().link.publish(announce)).await
    }

    /// What connections of any instance last said of themselves, for hooks that are told of them.
    pub(crate) async fn last_metadata(&self, who: &[ConnId]) -> Result<BTreeMap<ConnId, Bytes>> {
        let wanted: Vec<_> = who.iter().map(|id| (Key::connections_with(*id), *id)).collect();
        let found = self.call(self.life().link.find(&wanted)).await?;
        Ok(found.into_iter().flatten().filter_map(|member| Some((member.who, member.value?))).collect())
    }

    /// Ask the instance that owns a connection.
    pub(crate) async fn ask(&self, owner: Incarnation, ask: &Ask) -> Result<bool> {
        let publish = |number, body| {
            let control = Control::Ask(number, body);
            self.publish(Announce::control(instance_topic(owner), Audience::All, control))
        };
        self.asked.ask(ask, self.limits.backend_timeout, publish).await
    }

    /// Whether no other life took the place of this one, as far as is known here.
    pub(crate) fn is_alive(&self, life: &Arc<Life>) -> bool {
        self.lives.is_now(life) && !self.stop.is_cancelled()
    }

    /// The present life, to do something with what is shared.
    pub(crate) fn life(&self) -> Arc<Life> {
        self.lives.now()
    }
}

/// The topic that every instance and every connection listens to.
pub(crate) fn everybody() -> Key {
    Key::new(Kind::Everybody, "")
}

/// One instance's own topic.
pub(crate) fn instance_topic(of: Incarnation) -> Key {
    Key::new(Kind::Instance, of.to_string())
}
