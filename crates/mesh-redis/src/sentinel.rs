//! Redis Sentinel: where the master is now.

use redis::aio::MultiplexedConnection;
use redis::{ConnectionAddr, Value};
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::dial::{DIAL_MAX, Dial};
use crate::error::said;
use crate::place::address;

/// Sentinels, and the name that they know the master by.
pub(crate) struct Sentinels {
    addresses: Vec<ConnectionAddr>,
    name: String,
    /// Sentinels have logins of their own.
    dial: Dial,
    /// How the master is reached, but for its address.
    like: ConnectionAddr,
    /// The sentinel that answered last.
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl Sentinels {
    pub(crate) fn new(
        addresses: Vec<ConnectionAddr>,
        name: String,
        dial: Dial,
        like: ConnectionAddr,
    ) -> Self {
        Self { addresses, name, dial, like, connection: Mutex::default() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where the master is, after it said itself that it is one: sentinels may be behind.
    pub(crate) async fn master(&self, dial: &Dial) -> Result<ConnectionAddr, String> {
        let master = self.ask().await?;
        let mut redis = dial.dial(&master, Arc::new(|_| {})).await.map_err(|error| said(&error))?;
        let mut command = redis::cmd("INFO");
        command.arg("replication");
        let info = match timeout(DIAL_MAX, redis.send_packed_command(&command)).await {
            Ok(Ok(Value::BulkString(info))) => String::from_utf8_lossy(&info).into_owned(),
            Ok(Ok(Value::VerbatimString { text, .. })) => text,
            Ok(Err(error)) => return Err(said(&error)),
            _ => return Err(format!("{master} does not say whether it is the master")),
        };
        if info.contains("role:master") { Ok(master) } else { Err(format!("{master} is no master yet")) }
    }

    /// Where the first sentinel that answers says the master is.
    pub(crate) async fn ask(&self) -> Result<ConnectionAddr, String> {
        let mut connection = self.connection.lock().await;
        if let Some(sentinel) = &mut *connection
            && let Ok(master) = self.ask_one(sentinel).await
        {
            return Ok(master);
        }
        *connection = None;
        let mut why = "no sentinel is named".to_owned();
        for address in &self.addresses {
            let asked = match self.dial.dial(address, Arc::new(|_| {})).await {
                Ok(mut sentinel) => self.ask_one(&mut sentinel).await.map(|master| (sentinel, master)),
                Err(error) => Err(said(&error)),
            };
            match asked {
                Ok((sentinel, master)) => {
                    *connection = Some(sentinel);
                    return Ok(master);
                }
                Err(reason) => why = format!("the sentinel at {address}: {reason}"),
            }
        }
        Err(why)
    }

    async fn ask_one(&self, sentinel: &mut MultiplexedConnection) -> Result<ConnectionAddr, String> {
        let mut command = redis::cmd("SENTINEL");
        command.arg("get-master-addr-by-name").arg(&self.name);
        let answer = match timeout(DIAL_MAX, sentinel.send_packed_command(&command)).await {
            Err(_) => return Err("no answer in time".to_owned()),
            Ok(Err(error)) => return Err(said(&error)),
            Ok(Ok(Value::ServerError(error))) => return Err(said(&error.into())),
            Ok(Ok(answer)) => answer,
        };
        let unknown = || format!("it knows no master `{}`", self.name);
        let Value::Array(parts) = answer else { return Err(unknown()) };
        let [Value::BulkString(host), Value::BulkString(port)] = &parts[..] else { return Err(unknown()) };
        let (host, port) = (String::from_utf8_lossy(host).into_owned(), String::from_utf8_lossy(port));
        let port = port.parse().map_err(|_| unknown())?;
        address(Some(host), port, Some(&self.like)).ok_or_else(unknown)
    }
}

/// Without logins.
impl std::fmt::Debug for Sentinels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sentinels").field("name", &self.name).finish_non_exhaustive()
    }
}
