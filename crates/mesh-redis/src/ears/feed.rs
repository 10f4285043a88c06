//! Listening to one Redis: a connection, everything wished for subscribed to on it, and the proof each second that what
//! is published comes back. A connection that is alive but deaf is found by that alone.

use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, PushInfo, PushKind, Value};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::Shared;
use super::topics::Verdict;
use crate::dial::Pushed;
use crate::error::said;
use crate::key::Shard;
use crate::node::{Backoff, Node};

/// Time between two publications of our own.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// Silence after which a connection is deaf. With a probe each second it is found within 3 s of its last word.
const DEAF_AFTER: Duration = Duration::from_millis(2500);

/// How often silence is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Topics subscribed to at once after a connection was lost.
const BATCH_MAX: usize = 500;

/// How long Redis may take to confirm them.
const BATCH_WAIT: Duration = Duration::from_secs(2);

/// Listens until the task ends.
pub(super) async fn listen(shared: Arc<Shared>, node: Arc<Node>, shards: Vec<Shard>) {
    let name = node.name();
    let mut backoff = Backoff::default();
    loop {
        let why = match session(&shared, &node, &name, &shards).await {
            Ended::Never(why) => why,
            Ended::Later(why) => {
                backoff = Backoff::default();
                tracing::warn!("lost the subscriptions at {name}: {why}");
                why
            }
        };
        shared.with(|state| state.lose(&name, why));
        sleep(backoff.next(&shared.entropy)).await;
    }
}

/// How a connection ended, and why.
enum Ended {
    /// Before it was of use.
    Never(String),
    /// After it was.
    Later(String),
}

async fn session(shared: &Arc<Shared>, node: &Node, name: &str, shards: &[Shard]) -> Ended {
    let Some(session) = shared.with(|state| state.begin(name)) else {
        return Ended::Never("it serves nothing".to_owned());
    };
    let (keys, first) = (&shared.commands.keys, shards.first().copied().unwrap_or_default());
    let probe = keys.probe(first, shared.me);
    let over = Arc::new(Notify::new());
    let ears = Listener {
        shared: Arc::downgrade(shared),
        name: name.to_owned(),
        session,
        probe: probe.clone(),
        over: over.clone(),
    };
    let pushed: Pushed = Arc::new(move |push| ears.hear(push));
    let mut connection = match node.dial(pushed).await {
        Ok(connection) => connection,
        Err(why) => return Ended::Never(why),
    };
    if let Err(why) = resume(shared, name, &mut connection, &probe).await {
        return Ended::Never(why);
    }
    shared.resumed.send_modify(|resumed| *resumed += 1);
    let why = tokio::select! {
        biased;
        () = over.notified() => "it was closed, or lost a subscription".to_owned(),
        why = deafness(shared, name) => why,
        why = probing(shared, node, &probe) => why,
        () = tidying(shared, name, connection) => "it does not answer".to_owned(),
    };
    Ended::Later(why)
}

/// Subscribe to everything that is wished for.
async fn resume(
    shared: &Shared,
    name: &str,
    connection: &mut MultiplexedConnection,
    probe: &str,
) -> Result<(), String> {
    let mut batch = vec![probe.to_owned()];
    loop {
        let mut pipeline = redis::pipe();
        for channel in &batch {
            pipeline.cmd(shared.commands.verbs.on(channel).subscribe).arg(channel);
        }
        let confirmed = connection.send_packed_commands(&pipeline, 0, batch.len());
        let answers = match timeout(BATCH_WAIT, confirmed).await {
            Err(_) => return Err(format!("subscriptions were not confirmed within {BATCH_WAIT:?}")),
            Ok(Err(error)) => return Err(said(&error)),
            Ok(Ok(answers)) => answers,
        };
        for answer in answers {
            if let Value::ServerError(error) = answer {
                return Err(said(&error.into()));
            }
        }
        let before = batch;
        batch = shared.with(|state| state.resume(name, connection, &shared.inbox, BATCH_MAX));
        if batch.is_empty() {
            return Ok(());
        }
        if batch == before {
            return Err("subscriptions were answered and not confirmed".to_owned());
        }
    }
}

/// Comes back when nothing of our own was heard for too long.
async fn deafness(shared: &Shared, name: &str) -> String {
    loop {
        sleep(LOOK_EVERY).await;
        let silence = shared.with(|state| state.silence(name));
        if silence > DEAF_AFTER {
            return format!("nothing published came back for {silence:?}");
        }
    }
}

/// Publishes to ourselves. Comes back when Redis says that nobody heard it.
async fn probing(shared: &Shared, node: &Node, probe: &str) -> String {
    let command = probe_command(shared, probe, 0);
    loop {
        if let Ok(Value::Int(0)) = node.ask(&command, shared.commands.deadline).await {
            return "Redis does not know the subscription any more".to_owned();
        }
        sleep(PROBE_EVERY).await;
    }
}

/// Gives up what arrives and nobody wishes for: what was subscribed to by a call that nobody waited for.
async fn tidying(shared: &Shared, name: &str, mut connection: MultiplexedConnection) {
    loop {
        sleep(PROBE_EVERY).await;
        let strays = shared.with(|state| state.take_strays(name));
        if strays.is_empty() {
            continue;
        }
        let mut pipeline = redis::pipe();
        for channel in &strays {
            pipeline.cmd(shared.commands.verbs.on(channel).unsubscribe).arg(channel);
        }
        let given_up = connection.send_packed_commands(&pipeline, 0, strays.len());
        if !matches!(timeout(BATCH_WAIT, given_up).await, Ok(Ok(_))) {
            return;
        }
    }
}

/// A publication that only we hear, with a number to know it by.
pub(super) fn probe_command(shared: &Shared, probe: &str, number: u64) -> Cmd {
    let mut command = redis::cmd(shared.commands.verbs.publish);
    command.arg(probe).arg(number);
    command
}

/// What hears a connection.
struct Listener {
    /// Weak, because the connection is held there.
    shared: Weak<Shared>,
    name: String,
    session: u64,
    probe: String,
    over: Arc<Notify>,
}

impl Listener {
    fn hear(&self, push: PushInfo) {
        let Some(shared) = self.shared.upgrade() else { return };
        let mut data = push.data.into_iter();
        let channel = match data.next() {
            Some(Value::BulkString(bytes)) => String::from_utf8(bytes).ok(),
            _ => None,
        };
        match (push.kind, channel, data.next()) {
            (PushKind::Disconnection, ..) => self.over.notify_one(),
            (PushKind::Message | PushKind::SMessage, Some(channel), Some(Value::BulkString(payload))) => {
                if channel == self.probe {
                    shared.with(|state| state.heard(&self.name, self.session, &payload, &shared.inbox));
                    shared.echoed.send_modify(|echoed| *echoed += 1);
                } else {
                    let (me, inbox) = (shared.me, &shared.inbox);
                    shared.with(|state| {
                        state.arrive(&self.name, self.session, me, &channel, payload.into(), inbox)
                    });
                }
            }
            (PushKind::Subscribe | PushKind::SSubscribe, Some(channel), _) => {
                shared.with(|state| state.confirm(&self.name, self.session, &channel));
            }
            (PushKind::Unsubscribe | PushKind::SUnsubscribe, Some(channel), _)
                if channel == self.probe
                    || shared.with(|state| state.ended(self.session, &channel)) == Verdict::Doubtful =>
            {
                self.over.notify_one();
            }
            _ => {}
        }
    }
}
