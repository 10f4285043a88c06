//! Asking again whether a connection may follow what it is subscribed to.

use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use mesh_backend::{Key, Kind};
use mesh_proto::{Code, command, encode_push};
use serde::Serialize;

use crate::ask::Ask;
use crate::command::Command;
use crate::conn::Conn;
use crate::error::{MeshError, Result};
use crate::fault::Fault;
use crate::mesh::Mesh;
use crate::metadata::ConnRef;

/// Guards of one connection that are asked at once.
const AT_ONCE: usize = 32;

/// Which subscription.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
enum About<'a> {
    Channel(&'a str),
    RecordId(&'a str),
}

#[derive(Serialize)]
struct Ended<'a> {
    #[serde(flatten)]
    about: About<'a>,
    code: &'a str,
    message: &'a str,
}

impl ConnRef<'_> {
    /// Ask once more whether it may read the channels and records that it is subscribed to, on whichever instance it is: after
    /// it was given or lost a right. What is refused now is ended, and its client is told; what is on its way is asked about,
    /// too. Whether any was ended.
    ///
    /// It is asked as if the client subscribed anew: middleware is passed with `mesh/subscribe-channel` or
    /// `mesh/subscribe-record` and the name alone, then the guard is asked. Whatever fails refuses. Rooms stay as they are:
    /// [`RoomRef::remove`](crate::RoomRef::remove).
    ///
    /// ```
    /// # async fn doc(mesh: mesh_server::Mesh) -> mesh_server::Result<()> {
    /// // Everybody whom the application put into this room is the user whose rights changed.
    /// for id in mesh.room("user:7").members().await?.ids {
    ///     mesh.conn(id).recheck().await?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `not_found` when it is gone, `unavailable` when its instance does not answer in time: it may be done all the same.
    pub async fn recheck(&self) -> Result<bool> {
        match self.mesh.0.instance.conn(self.id) {
            Some(conn) => recheck(self.mesh, &conn).await,
            None => self.ask(Ask::Recheck { conn: self.id }).await,
        }
    }
}

/// The same for a connection of this instance.
pub(crate) async fn recheck(mesh: &Mesh, conn: &Conn) -> Result<bool> {
    let there: Vec<(Key, u32)> = conn.0.subscriptions.with(|subscriptions| {
        subscriptions.rechecks += 1;
        subscriptions.numbers.iter().map(|(key, number)| (key.clone(), *number)).collect()
    });
    let asked = stream::iter(there).map(|(key, number)| async move {
        let Err(refusal) = ask(mesh, conn, &key).await else { return Ok(false) };
        // One that took its place meanwhile was asked about later.
        let of = mesh.0.instance.hub.subscription(&key, conn.id());
        if !conn.0.subscriptions.with(|subscriptions| subscriptions.forget(&key, number)) {
            return Ok(false);
        }
        let ended =
            Ended { about: about(&key), code: refusal.code.as_str(), message: refusal.message.as_str() };
        let frame = mesh_ws::text(&encode_push(command::SUBSCRIPTION_ENDED, &ended)?);
        // One that is only about to begin finds out by itself.
        if let Some(of) = of {
            mesh.0.instance.hub.end(&key, conn.id(), of, &frame);
        }
        Ok(true)
    });
    let ended: Vec<Result<bool>> = asked.buffered(AT_ONCE).collect().await;
    ended.into_iter().try_fold(false, |any, ended| Ok(any | ended?))
}

fn about(key: &Key) -> About<'_> {
    if key.kind == Kind::Channel { About::Channel(&key.name) } else { About::RecordId(&key.name) }
}

/// Whether it might subscribe now.
async fn ask(mesh: &Mesh, conn: &Conn, key: &Key) -> Result<()> {
    let about = about(key);
    let name = match about {
        About::Channel(_) => command::SUBSCRIBE_CHANNEL,
        About::RecordId(_) => command::SUBSCRIBE_RECORD,
    };
    let Some(route) = mesh.0.commands.get(name) else { return Err(MeshError::not_found(name)) };
    let payload = Bytes::from(serde_json::to_vec(&about)?);
    let cmd = Command::new(mesh.clone(), conn.clone(), route.name.clone(), payload).asking();
    let asking = AssertUnwindSafe(async { (route.run)(cmd).await }).catch_unwind();
    let deadline = mesh.0.instance.limits.command_timeout;
    let what = || format!("the middleware of {name:?}").into();
    let (fault, code) = match tokio::time::timeout(deadline, asking).await {
        Ok(Ok(reply)) => return reply.map(drop),
        Ok(Err(_)) => (Fault::Panicked(what()), Code::Internal),
        Err(_) => (Fault::TimedOut(what(), deadline), Code::Timeout),
    };
    mesh.0.reports.fault(&fault);
    Err(MeshError::new(code, "it could not be asked whether this may be read"))
}
