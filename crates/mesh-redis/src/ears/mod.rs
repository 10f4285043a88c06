//! What an instance hears: the topics it wishes to hear, on a connection of its own to each Redis.
//!
//! What arrives goes from the connection straight into the inbox, which is bounded and never waits; so there is no queue
//! between the two, and nothing that could overflow without a word. A topic is *open* from the moment Redis confirmed
//! the subscription on the connection at hand; only then what arrives on it is handed on. After a connection was lost
//! every topic is subscribed to anew on the next one while all stay shut; then the inbox is told that continuity was lost and
//! all open at once. So no gap is ever seen before that word.
//!
//! A topic that is left is given up at once and shuts when Redis confirms, so that what was published before still
//! arrives. It does not linger here: the server lets its topics linger already.

mod feed;
mod keeper;
mod topics;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh_backend::{Inbox, Key, Result};
use mesh_proto::{Entropy, Incarnation};
use redis::Value;
use redis::aio::MultiplexedConnection;
use tokio::sync::watch;
use tokio::time::timeout;

use self::topics::State;
use crate::call::Commands;
use crate::error::{said, unavailable};
use crate::io::{Spawner, Task};

/// How long a new link may take to hear every Redis: a connection is dialled within 1 s, and then again.
const OPEN_MAX: Duration = Duration::from_secs(3);

/// Waits until what was published before has arrived.
#[cfg(feature = "testing")]
pub(crate) type Settler =
    Arc<dyn Fn(u64) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What a link hears.
#[derive(Debug)]
pub(crate) struct Ears {
    shared: Arc<Shared>,
    _keeper: Task,
}

#[derive(Debug)]
struct Shared {
    me: Incarnation,
    inbox: Inbox,
    commands: Commands,
    entropy: Arc<Entropy>,
    state: Mutex<State>,
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
        spawner: &Spawner,
        entropy: Arc<Entropy>,
    ) -> Result<Self> {
        let shared = Arc::new(Shared {
            me,
            inbox,
            commands,
            entropy,
            state: Mutex::default(),
            resumed: watch::Sender::new(0),
            echoed: watch::Sender::new(0),
        });
        let keeper = spawner.spawn(keeper::keep(shared.clone(), spawner.clone()));
        let ears = Self { shared: shared.clone(), _keeper: keeper };
        let mut resumed = shared.resumed.subscribe();
        // The keeper begins a feed for each node before it does anything else; none is listed as long as it has not run.
        let all = timeout(OPEN_MAX, resumed.wait_for(|_| shared.with(|state| state.is_whole()))).await;
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
        let shard = commands.keys.shard(topic);
        let channel = commands.keys.channel(topic);
        let owner = commands.map.borrow().owner(shard).map(|node| node.name());
        let connection = shared.with(|state| state.wish(&channel, topic, shard, owner.as_deref()))?;
        let Some((connection, is_new)) = connection else { return Ok(()) };
        let wish = OnDrop(|| {
            shared.with(|state| {
                if is_new {
                    state.forget(&channel)
                }
            })
        });
        self.ask(connection, commands.verbs.on(&channel).subscribe, &channel).await?;
        std::mem::forget(wish);
        Ok(())
    }

    /// From here on they are not. What was published before still is.
    pub(crate) async fn unsubscribe(&self, topic: &Key) -> Result<()> {
        let (shared, commands) = (&self.shared, &self.shared.commands);
        let channel = commands.keys.channel(topic);
        let Some(connection) = shared.with(|state| state.leave(&channel)) else { return Ok(()) };
        let _over = OnDrop(|| shared.with(|state| state.forget_unwished(&channel)));
        self.ask(connection, commands.verbs.on(&channel).unsubscribe, &channel).await
    }

    /// Fails unless Redis confirms.
    async fn ask(&self, mut connection: MultiplexedConnection, verb: &str, channel: &str) -> Result<()> {
        let deadline = self.shared.commands.deadline;
        let mut command = redis::cmd(verb);
        command.arg(channel);
        match timeout(deadline, connection.send_packed_command(&command)).await {
            Err(_) => Err(unavailable(format!("Redis did not confirm {verb} within {deadline:?}"))),
            Ok(Ok(Value::ServerError(error))) => Err(unavailable(said(&error.into()))),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(unavailable(said(&error))),
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

/// Does something when it is dropped, so also when whoever waits gives up.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
