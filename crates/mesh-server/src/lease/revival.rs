//! Beginning anew after others took this instance for dead, or after what is shared was emptied: everything that local
//! memory has is entered again, and no connection notices.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use mesh_backend::BackendError;
use mesh_proto::RoomName;
use tokio::time::{sleep, timeout};

use super::hand_out_arrivals;
use crate::conn::Conn;
use crate::instance::instance_topic;
use crate::life::Life;
use crate::mesh::Mesh;
use crate::{resync, room};

/// Entries made at once.
const AT_ONCE: usize = 256;
/// What failed is tried again after this long.
const AGAIN: Duration = Duration::from_millis(250);

/// Ends when everything is entered again, or when the next life is over as well.
pub(super) async fn revive(mesh: &Mesh) {
    let instance = &mesh.0.instance;
    loop {
        let beginning = timeout(instance.limits.backend_timeout, instance.lives.begin_next(&instance.stop));
        match beginning.await {
            Ok(Ok(arrivals)) => {
                hand_out_arrivals(mesh, &instance.life(), arrivals);
                break;
            }
            Ok(Err(error)) => tracing::warn!(%error, "could not begin anew"),
            Err(_) => tracing::warn!("could not begin anew in time"),
        }
        sleep(AGAIN).await;
    }
    let life = instance.life();
    while let Err(error) = subscribe(mesh).await {
        if error == BackendError::Fenced {
            return instance.lives.doubt();
        }
        tracing::warn!(%error, "could not subscribe anew");
        sleep(AGAIN).await;
    }
    resync::begin_all(mesh);
    enter_all(mesh, &life, mesh.local_conns().into_iter().flat_map(entries).collect()).await;
}

/// A connection's place in the list of connections, or in a room.
pub(super) type Entry = (Conn, Option<RoomName>);

/// Enter all of these again, until they are in, or closed, or this life is over.
pub(super) async fn enter_all(mesh: &Mesh, life: &Arc<Life>, entries: Vec<Entry>) {
    let entering = entries.into_iter().map(|(conn, room)| enter(mesh.clone(), life.clone(), conn, room));
    stream::iter(entering).for_each_concurrent(AT_ONCE, |entering| entering).await;
}

/// Everything of a connection that is to be entered: itself, then its rooms.
pub(super) fn entries(conn: Conn) -> impl Iterator<Item = Entry> {
    let rooms = conn.rooms();
    std::iter::once(None).chain(rooms.into_iter().map(Some)).map(move |room| (conn.clone(), room))
}

async fn enter(mesh: Mesh, life: Arc<Life>, conn: Conn, room: Option<RoomName>) {
    loop {
        let entered = match &room {
            None => conn.reenter_index().await,
            Some(room) => room::reenter(&mesh, &conn, room).await,
        };
        // A connection that was closed meanwhile is in nothing any more.
        if entered.is_ok() || !conn.is_open() || !mesh.0.instance.is_alive(&life) {
            return;
        }
        // Where this life is over too, all begins once more with the next beat.
        let beat = timeout(mesh.0.instance.limits.backend_timeout, life.link.beat()).await;
        if beat == Ok(Err(BackendError::Fenced)) {
            return mesh.0.instance.lives.doubt();
        }
        sleep(AGAIN).await;
    }
}

async fn subscribe(mesh: &Mesh) -> Result<(), BackendError> {
    let instance = &mesh.0.instance;
    let life = instance.life();
    let topic = instance_topic(life.me);
    let own = timeout(instance.limits.backend_timeout, life.link.subscribe(&topic));
    own.await.unwrap_or_else(|_| Err(BackendError::Unavailable("timed out".into())))?;
    instance.hub.resubscribe(&life).await
}
