//! The server as a handle.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::BoxFuture;
use mesh_proto::{CloseCode, ConnId};
use rustc_hash::FxBuildHasher;

use crate::command::{Check, Run, Told};
use crate::conn::Conn;
use crate::error::Result;
use crate::fault::Reports;
use crate::instance::{Instance, Stats};
use crate::login::{Login, Origins};
use crate::pattern::Policies;
use crate::policy::{ChannelPolicy, RecordPolicy, RoomPolicy};

/// The server: a cheap handle, shared by every connection and yours to clone into any task.
#[derive(Clone)]
pub struct Mesh(pub(crate) Arc<Inner>);

/// What an authenticator makes of a login, types erased.
pub(crate) type Authenticate =
    Arc<dyn Fn(Login) -> BoxFuture<'static, Result<Arc<dyn Any + Send + Sync>>> + Send + Sync>;

/// The commands by their names. These are the application's, so that a client that chooses what to look up gains nothing
/// by a hash it can foresee.
pub(crate) type Commands = HashMap<Arc<str>, Arc<Route>, FxBuildHasher>;

pub(crate) struct Inner {
    pub(crate) instance: Arc<Instance>,
    pub(crate) commands: Commands,
    pub(crate) rooms: Policies<RoomPolicy>,
    /// The hub knows by it what is bridged.
    pub(crate) channels: Arc<Policies<ChannelPolicy>>,
    pub(crate) records: Policies<RecordPolicy>,
    /// Who may read whose connection metadata; `None`: nobody but the owner.
    pub(crate) metadata: Option<Check>,
    pub(crate) authenticate: Option<Authenticate>,
    pub(crate) origins: Origins,
    pub(crate) connected: Vec<Told>,
    pub(crate) disconnected: Vec<Told>,
    pub(crate) reports: Reports,
}

/// A command that can be called.
pub(crate) struct Route {
    pub(crate) name: Arc<str>,
    /// The name as a JSON string, for the answer.
    pub(crate) name_json: String,
    /// The handler with all of its middleware around it.
    pub(crate) run: Run,
    /// A built-in that names a room, channel or record: it waits for an earlier one of the same connection about the same.
    pub(crate) in_order: bool,
}

/// Whether the server takes new connections, for a load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Readiness {
    /// It does.
    pub ready: bool,
    /// It closes, and takes none any more.
    pub draining: bool,
    /// What is wrong between it and what instances share, for an operator. Told within 3 s.
    pub trouble: Option<String>,
}

impl Mesh {
    /// Counters since the start.
    pub fn stats(&self) -> Stats {
        self.0.instance.stats()
    }

    /// Whether it takes new connections.
    pub fn readiness(&self) -> Readiness {
        let (draining, trouble) = (self.0.instance.is_draining(), self.0.instance.life().link.trouble());
        Readiness { ready: !draining && trouble.is_none(), draining, trouble }
    }

    /// The connections on this instance, in order of their ids.
    pub fn local_conns(&self) -> Vec<Conn> {
        self.0.instance.conns.with(|conns| conns.values().cloned().collect())
    }

    /// A connection on this instance.
    pub fn local_conn(&self, id: ConnId) -> Option<Conn> {
        self.0.instance.conn(id)
    }

    /// End every connection with *retry* (`restart`, 1012), wait until handlers and hooks are over, and stop. Always
    /// returns, after 10 s at most; see [`close_within`](Self::close_within).
    pub async fn close(&self) {
        self.close_within(Duration::from_secs(10)).await;
    }

    /// The same with a deadline of your own. What is not over by then is cut off.
    pub async fn close_within(&self, deadline: Duration) {
        let instance = &self.0.instance;
        // From here on no connection comes in, so this ends even while clients dial again and again.
        instance.draining.store(true, Ordering::Release);
        for conn in self.local_conns() {
            conn.0.outbox.close(CloseCode::Restart);
        }
        instance.tasks.close();
        if tokio::time::timeout(deadline, instance.tasks.wait()).await.is_err() {
            for conn in self.local_conns() {
                conn.0.outbox.abort();
            }
        }
        instance.stop.cancel();
    }
}

#[cfg(feature = "testing")]
impl Mesh {
    /// Be gone as after `kill -9`.
    pub(crate) fn vanish(&self) {
        self.0.instance.stop.cancel();
        self.0.instance.tasks.close();
        for conn in self.local_conns() {
            conn.0.outbox.abort();
        }
    }
}

impl Drop for Inner {
    /// Nobody holds it any more, so nobody is connected either.
    fn drop(&mut self) {
        self.instance.stop.cancel();
    }
}

impl fmt::Debug for Mesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mesh").field("instance", &self.0.instance.life().me).finish_non_exhaustive()
    }
}
