//! What dead instances left behind: any peer takes it out, the first one tells the hooks.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use mesh_backend::{BackendError, Kind, Orphan};
use mesh_proto::{ConnId, RoomName};
use tokio::time::timeout;

use crate::conn::Conn;
use crate::fault::Fault;
use crate::instance::Counters;
use crate::mesh::Mesh;
use crate::{room, serve};

/// Entries looked at in one go.
const LOOK_MAX: usize = 10_000;
/// Entries taken out at once.
const AT_ONCE: usize = 128;

/// Take out everything that dead instances left behind.
pub(super) async fn bury(mesh: &Mesh) {
    loop {
        let instance = &mesh.0.instance;
        let life = instance.life();
        let looking = timeout(instance.limits.backend_timeout, life.link.orphans(LOOK_MAX));
        let orphans = match looking.await {
            Ok(Ok(orphans)) => orphans,
            // We are the dead one, which nobody may have noticed yet where nothing goes on.
            Ok(Err(BackendError::Fenced)) => return instance.lives.doubt(),
            // That the backend fails is noticed by the beat.
            _ => return,
        };
        if orphans.is_empty() {
            return;
        }
        let many = orphans.len() == LOOK_MAX;
        if take_out(mesh, orphans).await.is_err() || !many {
            return;
        }
    }
}

async fn take_out(mesh: &Mesh, orphans: Vec<Orphan>) -> crate::Result<()> {
    let who: BTreeSet<ConnId> = orphans.iter().map(|orphan| orphan.who).collect();
    let metadata = mesh.0.instance.last_metadata(&Vec::from_iter(who)).await?;
    // Out of rooms first: whoever is told that a connection is gone finds it in none.
    let (conns, others): (Vec<_>, Vec<_>) =
        orphans.into_iter().partition(|orphan| orphan.roster.kind == Kind::Connections);
    for orphans in [others, conns] {
        let taking = stream::iter(orphans).for_each_concurrent(AT_ONCE, async |orphan| {
            if let Err(error) = take(mesh, &orphan, &metadata).await {
                let why = format!("{:?} could not be taken out of {:?}: {error}", orphan.who, orphan.roster);
                mesh.0.reports.fault(&Fault::Backend(why));
            }
        });
        taking.await;
    }
    Ok(())
}

async fn take(mesh: &Mesh, orphan: &Orphan, metadata: &BTreeMap<ConnId, Bytes>) -> crate::Result<()> {
    let instance = &mesh.0.instance;
    let left = instance.call(instance.life().link.leave(&orphan.roster, orphan.who, None)).await?;
    if !left.was_in {
        return Ok(());
    }
    Counters::add(&instance.counters.orphans);
    let conn = Conn::departed(orphan.who, instance.clone(), metadata.get(&orphan.who).cloned());
    match orphan.roster.kind {
        Kind::Connections => serve::tell_disconnected(mesh, &conn).await,
        Kind::Room => {
            if let Ok(name) = RoomName::new(&orphan.roster.name) {
                room::tell_left(mesh, &conn, &name).await;
            }
        }
        _ => {}
    }
    Ok(())
}
