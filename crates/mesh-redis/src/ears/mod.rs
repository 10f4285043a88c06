//! What an instance hears: the topics it wishes to hear, on a connection of its own to each Redis.
//!
//! What arrives goes from the connection straight into the inbox, which is bounded and never waits; so there is no queue
//! between the two, and nothing that could overflow without a word. A topic is *open* from the moment Redis confirmed
//! the subscription on the connection at hand; only then what arrives on it is handed on. After a connection was lost
//! every topic is subscribed to anew on the next one while all stay shut; then the inbox is told that continuity was lost and
//! all open at once. So no gap is ever seen before that word.

mod feed;
mod janitor;
mod keeper;
mod topics;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh_backend::{Inbox, Key, Result};
use mesh_proto::{Entropy, Incarnation};
use redis::Value;
use tokio::sync::{Notify, RwLock, watch};
use tokio::time::timeout;

use self::topics::State;
use crate::call::Commands;
use crate::error::{said, unavailable};
use crate::io::{Io, Task};

/// Waits until what was published before has arrived.
#[cfg(feature = "testing")]
pub(crate) type Settler =
    Arc<dyn Fn(u64) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What a link hears.
#[derive(Debug)]
pub(crate) struct Ears {
    shared: Arc<Shared>,
    _keeper: Task,
    _janitor: Task,
}

#[derive(Debug)]
struct Shared {
    me: Incarnation,
    inbox: Inbox,
    commands: Commands,
    entropy: Arc<Entropy>,
    linger: Duration,
    state: Mutex<State>,
    /// Held for reading while a subscription is asked for and for writing while one is given up, so that what is
    /// decided first is sent first.
    order: RwLock<()>,
    /// A topic was left.
    left: Notify,
    /// How often a connection was made and every topic subscribed to on it.
    resumed: watch::Sender<u64>,
    /// How often a publication of our own came back.
    echoed: watch::Sender<u64>,
}

impl Ears {
    /// Listening at every Redis that serves a shard, once this returns.
    pub(crate) async fn open(
        me: Incarnation,
        inbox: Inbox,
        commands: Commands,
        io: Arc<Io>,
        entropy: Arc<Entropy>,
        linger: Duration,
    ) -> Result<Self> {
        let deadline = commands.deadline;
        let shared = Arc::new(Shared {
            me,
            inbox,
            commands,
            entropy,
            linger,
            state: Mutex::default(),
            order: RwLock::new(()),
            left: Notify::new(),
            resumed: watch::Sender::new(0),
            echoed: watch::Sender::new(0),
        });
        let janitor = io.spawn(janitor::give_up(shared.clone()));
        let keeper = io.spawn(keeper::keep(shared.clone(), io.clone()));
        let ears = Self { shared: shared.clone(), _keeper: keeper, _janitor: janitor };
        let mut resumed = shared.resumed.subscribe();
        // The keeper begins a feed for each node before it does anything else; none is listed as long as it has not run.
        let all = timeout(deadline, resumed.wait_for(|_| shared.with(|state| state.is_whole()))).await;
        match all {
            Ok(Ok(_)) => Ok(ears),
            _ => Err(unavailable(
                ears.trouble().unwrap_or_else(|| "nothing was subscribed to in time".to_owned()),
            )),
        }
    }

    /// From here on publications on `topic` are handed on.
    pub(crate) async fn subscribe(&self, topic: &Key) -> Result<()> {
        let (shared, commands) = (&self.shared, &self.shared.commands);
        let _order = shared.order.read().await;
        let shard = commands.keys.shard(topic);
        let channel = commands.keys.channel(topic);
        let owner = commands.map.borrow().owner(shard).map(|node| node.name());
        let connection = shared.with(|state| state.wish(&channel, topic, shard, owner.as_deref()))?;
        let Some(mut connection) = connection else { return Ok(()) };
        let mut command = redis::cmd(commands.verbs.subscribe);
        command.arg(&channel);
        match timeout(commands.deadline, connection.send_packed_command(&command)).await {
            Err(_) => Err(unavailable(format!(
                "Redis did not confirm a subscription within {:?}",
                commands.deadline
            ))),
            Ok(Ok(Value::ServerError(error))) => {
                shared.with(|state| state.forget(&channel));
                Err(unavailable(said(&error.into())))
            }
            Ok(Ok(_)) => Ok(()),
            // It is wished for, so the next connection has it.
            Ok(Err(error)) => Err(unavailable(said(&error))),
        }
    }

    /// From here on they are not. Redis is told a little later, so that churn costs nothing.
    pub(crate) fn unsubscribe(&self, topic: &Key) {
        let channel = self.shared.commands.keys.channel(topic);
        let until = tokio::time::Instant::now() + self.shared.linger;
        if self.shared.with(|state| state.leave(&channel, until)) {
            self.shared.left.notify_one();
        }
    }

    /// What publishes to ourselves, and comes back when that has arrived, and so everything published before it.
    #[cfg(feature = "testing")]
    pub(crate) fn settler(&self) -> Settler {
        let shared = Arc::downgrade(&self.shared);
        Arc::new(move |number| {
            let shared = shared.clone();
            Box::pin(async move {
                let Some(shared) = shared.upgrade() else { return };
                let map = shared.commands.map.borrow().clone();
                for node in map.nodes() {
                    let first = map.served_by(node).first().copied().unwrap_or_default();
                    let probe = shared.commands.keys.probe(first, shared.me);
                    let _ = node
                        .ask(&feed::probe_command(&shared, &probe, number), shared.commands.deadline)
                        .await;
                }
                let mut echoed = shared.echoed.subscribe();
                let back = echoed.wait_for(|_| shared.with(|state| state.has_echo(number)));
                let _ = timeout(shared.commands.deadline, back).await;
            })
        })
    }

    /// Hear nothing more.
    pub(crate) fn close(&self) {
        self.shared.with(|state| *state = State::closed());
    }

    /// What is wrong with it.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.shared.with(|state| state.trouble())
    }
}

impl Shared {
    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
