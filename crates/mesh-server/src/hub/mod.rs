//! Who on this instance listens to what. Short locks, bytes only; handing out never awaits.

mod backlog;
mod flusher;
mod inbox;
mod listener;
mod outbox;
mod pipe;
mod stream;
mod together;
mod uplink;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indexmap::IndexMap;
use mesh_backend::{Arrival, Audience, Control, Key, Kind};
use mesh_proto::{ConnId, Incarnation};
use tokio_util::task::TaskTracker;

pub(crate) use backlog::Lag;
pub(crate) use flusher::Flushers;
pub(crate) use inbox::{Heard, hand_out};
pub(crate) use listener::Wants;
use listener::{Frames, Listener};
pub(crate) use outbox::{Outbox, Phase, Sink};
pub(crate) use pipe::{PIPE_BYTES, PipeReader, PipeWriter, pipe};
use stream::{Followed, Held};
pub(crate) use stream::{Opening, Repair};
use uplink::Uplink;

use crate::life::Lives;
use crate::lock::Lock;

const SHARDS: usize = 64;
/// From this many exceptions on, a set is quicker than a list.
const EXCEPT_LIST_MAX: usize = 8;

/// Publishers of one topic whose numbers are remembered: instances come and go, and a topic may stay for years.
const HEARD_MAX: usize = 128;

type Shard = Lock<HashMap<Key, Arc<Topic>>>;

/// Whether what others publish on the backend's own channel of this name is for the subscribers of that name.
pub(crate) type Bridged = Box<dyn Fn(&str) -> bool + Send + Sync>;

pub(crate) struct Hub {
    shards: [Shard; SHARDS],
    bridged: Bridged,
    lives: Arc<Lives>,
    tasks: TaskTracker,
    call_timeout: Duration,
    linger: Duration,
    delivered: AtomicU64,
    arrivals: AtomicU64,
    /// Of subscribings to streams, from 1.
    tokens: AtomicU64,
}

#[derive(Debug)]
struct Topic {
    key: Key,
    state: Lock<TopicState>,
}

#[derive(Debug, Default)]
struct TopicState {
    listeners: IndexMap<ConnId, Listener>,
    uplink: Uplink,
    /// The number of the last publication of each publisher since this instance subscribed, the latest publishers.
    heard: Vec<(Incarnation, u64)>,
    followed: Followed,
    held: Option<Held>,
    /// Out of the map: whoever still holds it must look again.
    dead: bool,
}

impl Topic {
    /// Whether publications between this one and the last of its publisher are missing.
    fn follows_a_gap(&self, arrival: &Arrival) -> bool {
        self.state.with(|state| {
            let last = state.heard.iter_mut().find(|(from, _)| *from == arrival.from);
            if let Some((_, last)) = last {
                return arrival.n != std::mem::replace(last, arrival.n) + 1;
            }
            if state.heard.len() == HEARD_MAX {
                state.heard.remove(0);
            }
            state.heard.push((arrival.from, arrival.n));
            false
        })
    }
}

impl Hub {
    pub(crate) fn new(
        lives: Arc<Lives>,
        tasks: TaskTracker,
        call_timeout: Duration,
        linger: Duration,
        bridged: Bridged,
    ) -> Arc<Self> {
        let shards = std::array::from_fn(|_| Lock::default());
        Arc::new(Self {
            shards,
            bridged,
            lives,
            tasks,
            call_timeout,
            linger,
            delivered: AtomicU64::new(0),
            arrivals: AtomicU64::new(0),
            tokens: AtomicU64::new(1),
        })
    }

    /// The topic whose arrivals are for the subscribers of another one, too.
    fn bridge(&self, key: &Key) -> Option<Key> {
        let is_bridged = key.kind == Kind::Channel && (self.bridged)(&key.name);
        is_bridged.then(|| Key::new(Kind::Bridge, key.name.clone()))
    }

    fn shard(&self, key: &Key) -> &Shard {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        &self.shards[hasher.finish() as usize % SHARDS]
    }

    fn find(&self, key: &Key) -> Option<Arc<Topic>> {
        self.shard(key).with(|topics| topics.get(key).cloned())
    }

    /// The listeners of a topic here, in order of coming.
    pub(crate) fn listeners(&self, key: &Key) -> Vec<Arc<Outbox>> {
        let topic = self.find(key);
        topic.map_or_else(Vec::new, |topic| {
            topic
                .state
                .with(|state| state.listeners.values().map(|listener| listener.outbox.clone()).collect())
        })
    }

    /// Frames handed to connections so far.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Publications that arrived so far.
    pub(crate) fn arrivals(&self) -> u64 {
        self.arrivals.load(Ordering::Relaxed)
    }

    /// Forget what was heard: what comes next follows no gap that was not told already.
    fn hear_anew(&self) {
        for shard in &self.shards {
            let topics: Vec<_> = shard.with(|topics| topics.values().cloned().collect());
            topics.iter().for_each(|topic| topic.state.with(|state| state.heard = Vec::new()));
        }
    }

    /// Hand an arrival to whom it is for. Whether something is missing before it, and the caller has to make the topic
    /// good.
    fn fan_out(self: &Arc<Self>, topic: Option<&Arc<Topic>>, arrival: &Arrival) -> bool {
        match &arrival.audience {
            Audience::Only(ids) => {
                let Some(everybody) = self.find(&Key::new(Kind::Everybody, "")) else { return false };
                everybody.state.with(|state| {
                    let frames = Frames::new(arrival);
                    ids.iter().for_each(|id| self.deliver(&frames, state.listeners.get_mut(id)));
                });
            }
            Audience::All if arrival.control.is_none() && topic.is_some_and(|topic| topic.is_stream()) => {
                return topic.is_some_and(|topic| self.advance(topic, arrival, None));
            }
            Audience::All => self.deliver_to(topic, arrival, |_| true),
            Audience::Except(ids) if ids.len() <= EXCEPT_LIST_MAX => {
                self.deliver_to(topic, arrival, |id| !ids.contains(id));
            }
            Audience::Except(ids) => {
                let ids: BTreeSet<_> = ids.iter().collect();
                self.deliver_to(topic, arrival, |id| !ids.contains(id));
            }
        }
        false
    }

    fn deliver_to(&self, topic: Option<&Arc<Topic>>, arrival: &Arrival, wanted: impl Fn(&ConnId) -> bool) {
        let Some(topic) = topic else { return };
        topic.state.with(|state| {
            let frames = Frames::new(arrival);
            let listeners = state.listeners.iter_mut().filter(|(id, _)| wanted(id));
            self.deliver(&frames, listeners.map(|(_, listener)| listener));
        });
    }

    fn deliver<'a>(&self, frames: &Frames<'_>, listeners: impl IntoIterator<Item = &'a mut Listener>) {
        let mut count = 0;
        for listener in listeners {
            if let Some(Control::Close(code)) = frames.arrival.control {
                listener.outbox.close_raw(code, "disconnected");
            } else if let Some(frame) = frames.full() {
                listener.outbox.push(frame);
                count += 1;
            }
        }
        self.delivered.fetch_add(count, Ordering::Relaxed);
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("delivered", &self.delivered).finish_non_exhaustive()
    }
}
