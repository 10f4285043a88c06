//! Calling scripts.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use mesh_backend::Result;
use redis::Cmd;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

use crate::cluster::is_elsewhere;
use crate::key::{Keys, Shard, is_foreign};
use crate::map::Map;
use crate::node::{Answer, Node};
use crate::reply::Reply;
use crate::script::Script;

/// The highest number that a script counts with exactly. No offset or length comes near it.
const NUMBER_MAX: u64 = (1 << 53) - 1;

/// Time between two attempts at a shard that is on its way to another node.
const ELSEWHERE_WAIT: Duration = Duration::from_millis(25);

/// A script with its keys and arguments.
#[derive(Debug)]
pub(crate) struct Call {
    script: &'static Script,
    keys: Vec<String>,
    arguments: Vec<Bytes>,
}

impl Call {
    pub(crate) fn new(script: &'static Script) -> Self {
        Self { script, keys: Vec::new(), arguments: Vec::new() }
    }

    pub(crate) fn key(mut self, key: String) -> Self {
        self.keys.push(key);
        self
    }

    pub(crate) fn arg(mut self, argument: impl Into<Bytes>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// A number, as far as scripts can count.
    pub(crate) fn number(self, number: u64) -> Self {
        self.arg(number.min(NUMBER_MAX).to_string())
    }

    /// By the name of the script that Redis knows once it has seen it.
    pub(crate) fn by_hash(&self) -> Cmd {
        self.command("EVALSHA", self.script.hash())
    }

    /// With the script's text.
    pub(crate) fn by_text(&self) -> Cmd {
        self.command("EVAL", self.script.text)
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(self.keys.len());
        for key in &self.keys {
            command.arg(key);
        }
        for argument in &self.arguments {
            command.arg(&argument[..]);
        }
        command
    }
}

/// How to speak of topics: on a cluster they belong to shards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verbs {
    pub(crate) publish: &'static str,
    pub(crate) subscribe: &'static str,
    pub(crate) unsubscribe: &'static str,
}

impl Verbs {
    pub(crate) const PLAIN: Self =
        Self { publish: "PUBLISH", subscribe: "SUBSCRIBE", unsubscribe: "UNSUBSCRIBE" };
    pub(crate) const SHARDED: Self =
        Self { publish: "SPUBLISH", subscribe: "SSUBSCRIBE", unsubscribe: "SUNSUBSCRIBE" };

    /// Those for a channel: what others publish belongs to no shard.
    pub(crate) fn on(self, channel: &str) -> Self {
        if is_foreign(channel) { Self::PLAIN } else { self }
    }
}

/// Calls scripts where their shard is.
#[derive(Clone, Debug)]
pub(crate) struct Commands {
    pub(crate) keys: Keys,
    pub(crate) verbs: Verbs,
    /// How long any one operation may take.
    pub(crate) deadline: Duration,
    pub(crate) map: watch::Receiver<Arc<Map>>,
    /// Tell that a command went to the wrong node.
    pub(crate) moved: Arc<Notify>,
}

impl Commands {
    /// Begin a call of a script for an incarnation: its first key is who is alive, its first argument who asks.
    pub(crate) fn call(&self, script: &'static Script, shard: Shard, me: &str) -> Call {
        Call::new(script).key(self.keys.alive(shard)).arg(me.to_owned())
    }

    /// What a script gives. Fails with `Fenced` where it says so.
    pub(crate) async fn run(&self, shard: Shard, call: Call) -> Result<Reply> {
        Reply::of(call.script, self.raw(shard, &call).await?)
    }

    /// What each of these gives, asked for at once, each with its shard. Fails as soon as one fails.
    pub(crate) async fn run_all(&self, calls: Vec<(Shard, Call)>) -> Result<Vec<(Shard, Reply)>> {
        let run = |(shard, call)| async move { Ok((shard, self.run(shard, call).await?)) };
        try_join_all(calls.into_iter().map(run)).await
    }

    /// The same of every shard.
    pub(crate) async fn run_everywhere(&self, call: impl Fn(Shard) -> Call) -> Result<Vec<(Shard, Reply)>> {
        self.run_all(self.keys.shards().map(|shard| (shard, call(shard))).collect()).await
    }

    /// What a script gives, whatever that is. While the shard is on its way to another node it is asked for again.
    pub(crate) async fn raw(&self, shard: Shard, call: &Call) -> Result<redis::Value> {
        let until = Instant::now() + self.deadline;
        loop {
            let node = self.map.borrow().owner(shard).cloned();
            let answer = match node {
                Some(node) => once(&node, call, until).await,
                None => Err(Answer::None(format!("no Redis serves shard {shard} now"))),
            };
            match answer {
                Err(answer) if is_elsewhere(&answer) && Instant::now() + ELSEWHERE_WAIT < until => {
                    self.moved.notify_one();
                    sleep(ELSEWHERE_WAIT).await;
                }
                answer => return Ok(answer?),
            }
        }
    }
}

async fn once(node: &Node, call: &Call, until: Instant) -> Result<redis::Value, Answer> {
    let left = || until.saturating_duration_since(Instant::now());
    match node.ask(&call.by_hash(), left()).await {
        // It was restarted, or never saw the script.
        Err(Answer::Error(error)) if error.code() == Some("NOSCRIPT") => {
            node.ask(&call.by_text(), left()).await
        }
        answer => answer,
    }
}
