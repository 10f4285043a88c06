//! Looking at a Redis before anything relies on it.

use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, ConnectionAddr, ErrorKind, RedisError, Value};

use crate::call::{Call, Verbs};
use crate::dial::Dial;
use crate::error::{ConnectError, is_login, said};
use crate::key::{FIRST, Keys};
use crate::script::{RIGHTS, SCHEMA};

/// The oldest version whose streams can be trimmed by id, and whose pub/sub obeys ACLs.
const OLDEST: (u32, u32) = (6, 2);

/// The oldest whose topics can belong to shards, as they do on a cluster.
const OLDEST_CLUSTER: (u32, u32) = (7, 0);

/// Refuses with one sentence what could not work later.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) dial: Dial,
    pub(crate) address: ConnectionAddr,
    pub(crate) keys: Keys,
    pub(crate) verbs: Verbs,
    pub(crate) is_cluster: bool,
    /// Unlike any other's, so that two checks do not meet.
    pub(crate) mark: u64,
}

impl Check {
    /// Whether it is there and what it should be.
    pub(crate) async fn greet(&self) -> Result<MultiplexedConnection, ConnectError> {
        let dialed = self.dial.dial(&self.address, Arc::new(|_| {})).await;
        let mut redis = dialed.map_err(|error| self.not_connected(&error))?;
        self.version(&mut redis).await?;
        Ok(redis)
    }

    /// Whether everything works on it.
    pub(crate) async fn run(&self) -> Result<(), ConnectError> {
        let mut redis = self.greet().await?;
        self.rights(&mut redis).await?;
        self.schema(&mut redis).await?;
        self.eviction(&mut redis).await;
        Ok(())
    }

    fn address(&self) -> String {
        self.address.to_string()
    }

    fn not_connected(&self, error: &RedisError) -> ConnectError {
        let address = self.address();
        let text = error.to_string();
        if is_login(error) {
            ConnectError::Refused(address)
        } else if error.kind() == ErrorKind::RESP3NotSupported || text.contains("unknown command") {
            ConnectError::TooOld { address, version: "5 or older".to_owned() }
        } else if error.is_io_error() {
            ConnectError::Unreachable { address, reason: text }
        } else {
            ConnectError::Unusable { address, reason: said(error) }
        }
    }

    async fn version(&self, redis: &mut MultiplexedConnection) -> Result<(), ConnectError> {
        let mut command = redis::cmd("INFO");
        command.arg("server");
        let info = text(ask(redis, &command).await.map_err(|error| self.not_done(&error))?);
        let Some(version) = field(&info, "redis_version") else { return Ok(()) };
        let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
        let number = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let oldest = if self.is_cluster { OLDEST_CLUSTER } else { OLDEST };
        if number < oldest {
            return Err(ConnectError::TooOld { address: self.address(), version: version.to_owned() });
        }
        let mode = field(&info, "redis_mode").or_else(|| field(&info, "server_mode"));
        let reason = match (mode, self.is_cluster) {
            (Some("cluster"), false) => {
                "it is a node of a Redis Cluster; name its nodes with `.cluster([..])`"
            }
            (Some("standalone"), true) => "it is no node of a Redis Cluster; leave out `.cluster([..])`",
            (Some("sentinel"), _) => "it is a sentinel; name it with `.sentinel([..], \"master\")`",
            _ => return Ok(()),
        };
        Err(ConnectError::Unusable { address: self.address(), reason: reason.to_owned() })
    }

    async fn rights(&self, redis: &mut MultiplexedConnection) -> Result<(), ConnectError> {
        let key = self.keys.of_shard(FIRST, &format!("rights:{:016x}", self.mark));
        let mut listen = redis::cmd(self.verbs.subscribe);
        listen.arg(&key);
        ask(redis, &listen).await.map_err(|error| self.not_done(&error))?;
        let call = Call::new(&RIGHTS).key(self.keys.alive(FIRST)).key(key.clone());
        let call = call.arg("").arg(self.verbs.publish).arg(key.clone());
        self.script(redis, call).await?;
        Ok(())
    }

    async fn schema(&self, redis: &mut MultiplexedConnection) -> Result<(), ConnectError> {
        let call = Call::new(&SCHEMA).key(self.keys.alive(FIRST)).key(self.keys.of_shard(FIRST, "schema"));
        let found = text(self.script(redis, call.arg("").arg(self.keys.schema())).await?);
        if found != self.keys.schema() {
            let prefix = self.keys.prefix().to_owned();
            return Err(ConnectError::OtherSchema { prefix, found, expected: self.keys.schema() });
        }
        Ok(())
    }

    /// Evicting a key at random is told as a loss, and fences; it should not be how a server is run.
    async fn eviction(&self, redis: &mut MultiplexedConnection) {
        let mut command = redis::cmd("INFO");
        command.arg("memory");
        let Ok(info) = ask(redis, &command).await else { return };
        let info = text(info);
        if let Some(policy) = field(&info, "maxmemory_policy").filter(|policy| policy.starts_with("allkeys"))
        {
            tracing::warn!(
                "Redis at {} may evict any key (maxmemory-policy {policy}): histories, records and rooms would be lost \
                 when it is full. Set it to noeviction, or to volatile-lru",
                self.address()
            );
        }
    }

    async fn script(&self, redis: &mut MultiplexedConnection, call: Call) -> Result<Value, ConnectError> {
        let answer = match ask(redis, &call.by_hash()).await {
            Err(error) if error.code() == Some("NOSCRIPT") => ask(redis, &call.by_text()).await,
            answer => answer,
        };
        answer.map_err(|error| self.not_done(&error))
    }

    fn not_done(&self, error: &RedisError) -> ConnectError {
        let (prefix, text) = (self.keys.prefix().to_owned(), error.to_string());
        let reason = error.detail().map_or(text.clone(), str::to_owned);
        if ["NOPERM", "permission", "can't run this command", "can't access"]
            .iter()
            .any(|word| text.contains(word))
        {
            ConnectError::TooFewRights { reason, prefix }
        } else if text.contains("WRONGTYPE") {
            ConnectError::ForeignKeys { prefix, reason }
        } else if is_login(error) {
            ConnectError::Refused(self.address())
        } else if error.is_io_error() {
            ConnectError::Unreachable { address: self.address(), reason }
        } else {
            ConnectError::Unusable { address: self.address(), reason: said(error) }
        }
    }
}

async fn ask(redis: &mut MultiplexedConnection, command: &Cmd) -> Result<Value, RedisError> {
    let answer = tokio::time::timeout(crate::dial::DIAL_MAX, redis.send_packed_command(command)).await;
    let too_long =
        |_| RedisError::from(std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in time"));
    match answer.map_err(too_long)?? {
        Value::ServerError(error) => Err(error.into()),
        value => Ok(value),
    }
}

fn text(value: Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => text,
        _ => String::new(),
    }
}

/// A line `name:value` of INFO.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}
