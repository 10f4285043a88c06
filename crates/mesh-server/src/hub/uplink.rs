//! Local first, then the world: the first listener here subscribes this instance at the backend, the last one takes it
//! away after a pause, so that churn costs nothing.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt, TryStreamExt, stream};
use mesh_backend::{BackendError, Key};
use mesh_proto::{ConnId, Incarnation};
use tokio::sync::oneshot;

use super::listener::Listener;
use super::stream::Followed;
use super::{Hub, Outbox, Topic, TopicState};
use crate::error::Result;
use crate::life::Life;

/// Topics subscribed to at once in another life.
const RESUBSCRIBE_AT_ONCE: usize = 256;

/// Whether this instance is subscribed to a topic.
#[derive(Debug, Default)]
pub(super) struct Uplink {
    stage: Stage,
    /// Told when the operation under way is over and the instance is subscribed, or could not be.
    waiting: Vec<oneshot::Sender<Result<(), BackendError>>>,
    lingering: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Down,
    /// One operation is under way.
    Busy,
    /// Subscribed in this life of the instance.
    Up(Incarnation),
}

enum Way {
    Done,
    Wait(oneshot::Receiver<Result<(), BackendError>>, bool),
    Again,
}

impl Stage {
    fn is_up(self) -> bool {
        matches!(self, Self::Up(_))
    }
}

impl Hub {
    /// From here on what is published on a topic reaches this connection. When it returns `Ok`, the instance is
    /// subscribed; after an error the connection does not listen.
    pub(crate) async fn listen(self: &Arc<Self>, key: &Key, outbox: &Arc<Outbox>) -> Result<()> {
        let listening = self.listen_as(key, || Listener { outbox: outbox.clone(), stream: None }).await;
        if listening.is_err() {
            self.unlisten(key, outbox.id);
        }
        listening
    }

    /// The same, where the caller takes the listener away after an error.
    pub(super) async fn listen_as(
        self: &Arc<Self>,
        key: &Key,
        listener: impl Fn() -> Listener,
    ) -> Result<()> {
        let waiting = loop {
            let topic = self.topic(key);
            let me = self.lives.now().me;
            match topic.state.with(|state| state.listen(listener(), me)) {
                Way::Again => {}
                Way::Done => return Ok(()),
                Way::Wait(waiting, start) => {
                    if start {
                        self.tasks.spawn(self.clone().bring_up(topic));
                    }
                    break waiting;
                }
            }
        };
        let over = waiting.await.unwrap_or_else(|_| Err(BackendError::Unavailable("stopped".into())));
        Ok(over?)
    }

    /// From here on it does not. Whether it did.
    pub(crate) fn unlisten(self: &Arc<Self>, key: &Key, id: ConnId) -> bool {
        self.unlisten_if(key, id, |_| true)
    }

    pub(super) fn unlisten_if(
        self: &Arc<Self>,
        key: &Key,
        id: ConnId,
        goes: impl FnOnce(&mut Listener) -> bool,
    ) -> bool {
        let Some(topic) = self.find(key) else { return false };
        let mut listened = false;
        let linger = topic.state.with(|state| {
            listened = state.listeners.get_mut(&id).is_some_and(goes);
            if listened {
                state.listeners.swap_remove(&id);
            }
            let uplink = &mut state.uplink;
            let linger = state.listeners.is_empty() && uplink.stage.is_up() && !uplink.lingering;
            uplink.lingering |= linger;
            linger
        });
        if linger {
            self.tasks.spawn(self.clone().take_down(topic));
        } else {
            self.bury(&topic);
        }
        listened
    }

    fn topic(&self, key: &Key) -> Arc<Topic> {
        self.shard(key).with(|topics| {
            let new = || Arc::new(Topic { key: key.clone(), state: Default::default() });
            topics.entry(key.clone()).or_insert_with(new).clone()
        })
    }

    async fn bring_up(self: Arc<Self>, topic: Arc<Topic>) {
        let (life, over) = loop {
            let life = self.lives.now();
            let over = self.subscribe(&life, &topic.key).await;
            // What was subscribed to in a life that is over has to be once more in this one.
            if self.lives.is_now(&life) {
                break (life, over);
            }
        };
        if over == Err(BackendError::Fenced) {
            self.lives.doubt();
        }
        let (waiting, linger) = topic.state.with(|state| {
            state.uplink.stage = if over.is_ok() { Stage::Up(life.me) } else { Stage::Down };
            state.heard = Vec::new();
            if !state.has_live_streams() {
                state.followed = Followed::Unknown;
            }
            // Everybody may have left meanwhile.
            let linger = over.is_ok() && state.listeners.is_empty() && !state.uplink.lingering;
            state.uplink.lingering |= linger;
            (std::mem::take(&mut state.uplink.waiting), linger)
        });
        for waiting in waiting {
            // Whoever stopped waiting has unlistened or will.
            let _ = waiting.send(over.clone());
        }
        if linger {
            self.tasks.spawn(self.clone().take_down(topic));
        } else {
            self.bury(&topic);
        }
    }

    async fn subscribe(&self, life: &Life, key: &Key) -> Result<(), BackendError> {
        let bridge = self.bridge(key);
        let subscribing = async {
            life.link.subscribe(key).await?;
            match &bridge {
                Some(bridge) => life.link.subscribe(bridge).await,
                None => Ok(()),
            }
        };
        let subscribing = tokio::time::timeout(self.call_timeout, subscribing);
        subscribing.await.unwrap_or_else(|_| Err(BackendError::Unavailable("timed out".into())))
    }

    /// In another life: subscribe anew to whatever somebody listens to.
    pub(crate) async fn resubscribe(&self, life: &Life) -> Result<(), BackendError> {
        let mut heard = Vec::new();
        for shard in &self.shards {
            let topics: Vec<_> = shard.with(|topics| topics.values().cloned().collect());
            heard.extend(
                topics.into_iter().filter(|topic| topic.state.with(|state| !state.listeners.is_empty())),
            );
        }
        // In an order that a run repeats.
        heard.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let subscribing = stream::iter(heard).map(|topic| async move {
            self.subscribe(life, &topic.key).await?;
            topic.state.with(|state| {
                if state.uplink.stage.is_up() {
                    state.uplink.stage = Stage::Up(life.me);
                }
            });
            Ok(())
        });
        subscribing.buffered(RESUBSCRIBE_AT_ONCE).try_collect().await
    }

    /// Boxed, because the two call one another.
    fn take_down(self: Arc<Self>, topic: Arc<Topic>) -> BoxFuture<'static, ()> {
        Box::pin(self.linger_and_leave(topic))
    }

    async fn linger_and_leave(self: Arc<Self>, topic: Arc<Topic>) {
        tokio::time::sleep(self.linger).await;
        let go = topic.state.with(|state| {
            state.uplink.lingering = false;
            let go = state.listeners.is_empty() && state.uplink.stage.is_up();
            if go {
                state.uplink.stage = Stage::Busy;
            }
            go
        });
        if !go {
            return;
        }
        // A failure leaves the instance subscribed to what it does not need: nobody listens, so nothing is handed out.
        let life = self.lives.now();
        let bridge = self.bridge(&topic.key);
        let unsubscribing = async {
            if let Some(bridge) = &bridge {
                life.link.unsubscribe(bridge).await?;
            }
            life.link.unsubscribe(&topic.key).await
        };
        let unsubscribing = tokio::time::timeout(self.call_timeout, unsubscribing);
        if !matches!(unsubscribing.await, Ok(Ok(()))) {
            tracing::debug!(topic = ?topic.key, "could not unsubscribe");
        }
        // Somebody may have come while it was under way: then up again.
        let again = topic.state.with(|state| {
            let again = !state.uplink.waiting.is_empty();
            state.uplink.stage = if again { Stage::Busy } else { Stage::Down };
            again
        });
        if again {
            self.bring_up(topic).await;
        } else {
            self.bury(&topic);
        }
    }

    /// A topic with nobody and nothing under way takes no memory.
    fn bury(&self, topic: &Arc<Topic>) {
        let dead = topic.state.with(|state| {
            state.dead =
                state.listeners.is_empty() && state.uplink.stage == Stage::Down && !state.uplink.lingering;
            state.dead
        });
        if dead {
            self.shard(&topic.key).with(|topics| {
                if topics.get(&topic.key).is_some_and(|found| Arc::ptr_eq(found, topic)) {
                    topics.remove(&topic.key);
                }
            });
        }
    }
}

impl TopicState {
    pub(super) fn has_live_streams(&self) -> bool {
        self.listeners.values().any(|listener| listener.stream.as_ref().is_some_and(|it| it.is_live()))
    }

    fn listen(&mut self, listener: Listener, me: Incarnation) -> Way {
        if self.dead {
            return Way::Again;
        }
        self.listeners.insert(listener.outbox.id, listener);
        if self.uplink.stage == Stage::Up(me) {
            return Way::Done;
        }
        let (tell, told) = oneshot::channel();
        self.uplink.waiting.push(tell);
        // Up in a life that is over counts for nothing.
        let start = self.uplink.stage != Stage::Busy;
        self.uplink.stage = Stage::Busy;
        Way::Wait(told, start)
    }
}
