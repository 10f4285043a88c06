//! Comparing what this instance has with what the backend lists of it, both ways. They differ where a word of clearing was
//! missed, where a failover lost the last writes, or where a key was evicted; local memory is right.

use std::collections::BTreeSet;

use mesh_backend::{Key, Kind};
use mesh_proto::{ConnId, RoomName};

use super::revival::{Entry, enter_all, entries};
use crate::error::Result;
use crate::fault::Fault;
use crate::mesh::Mesh;
use crate::room;

/// Entries looked for in one round trip.
const LOOK_MAX: usize = 1000;
/// Entries of one page of those that the backend has.
const PAGE_MAX: usize = 10_000;

/// Enter what is missing, take out what is left over.
pub(super) async fn audit(mesh: &Mesh) -> Result<()> {
    let listed = listed(mesh).await?;
    let missing = enter_missing(mesh, &listed).await?;
    let strangers: Vec<_> = listed.iter().filter(|(key, who)| !has(mesh, key, *who)).collect();
    for (key, who) in &strangers {
        take_out(mesh, key, *who).await?;
    }
    if missing + strangers.len() > 0 {
        let left_over = strangers.len();
        let why = format!("{missing} entries were missing or old there and {left_over} were left over");
        mesh.0.reports.fault(&Fault::Backend(why));
    }
    Ok(())
}

/// Whatever is not found, or not found as this instance's, which it would be an orphan by.
async fn enter_missing(mesh: &Mesh, listed: &BTreeSet<(Key, ConnId)>) -> Result<usize> {
    let instance = &mesh.0.instance;
    let life = instance.life();
    let all: Vec<Entry> = mesh.local_conns().into_iter().flat_map(entries).collect();
    let mut missing = Vec::new();
    for some in all.chunks(LOOK_MAX) {
        let key = |(conn, room): &Entry| match room {
            None => (Key::connections_with(conn.id()), conn.id()),
            Some(room) => (room::key(room), conn.id()),
        };
        let wanted: Vec<_> = some.iter().map(key).collect();
        let metadata: Vec<_> = some.iter().map(|(conn, _)| conn.settled_metadata()).collect();
        let found = instance.call(life.link.find(&wanted)).await?;
        for (((entry, metadata), found), wanted) in some.iter().zip(metadata).zip(found).zip(&wanted) {
            let is_there = listed.contains(wanted)
                && match (entry, found) {
                    // What a connection says of itself is a part of its entry; unless it says something else just now.
                    ((conn, None), Some(found)) => {
                        metadata.is_none_or(|it| found.value == it || conn.settled_metadata() != Some(it))
                    }
                    (_, found) => found.is_some(),
                };
            if !is_there {
                missing.push(entry.clone());
            }
        }
    }
    let count = missing.len();
    enter_all(mesh, &life, missing).await;
    Ok(count)
}

/// Entries that the backend has as this instance's.
async fn listed(mesh: &Mesh) -> Result<BTreeSet<(Key, ConnId)>> {
    let instance = &mesh.0.instance;
    let life = instance.life();
    let mut listed = BTreeSet::new();
    let mut after = None;
    loop {
        let page = instance.call(life.link.mine(after.as_ref(), PAGE_MAX)).await?;
        after = page.last().cloned();
        let is_last = page.len() < PAGE_MAX;
        listed.extend(page);
        if is_last {
            return Ok(listed);
        }
    }
}

/// Whether this instance has an entry, or is busy with it. Looked at after the backend was asked: an id that is neither
/// here nor coming nor going by then never comes again.
fn has(mesh: &Mesh, key: &Key, who: ConnId) -> bool {
    let instance = &mesh.0.instance;
    match key.kind {
        _ if instance.is_passing(who) => true,
        Kind::Connections => instance.conn(who).is_some(),
        Kind::Room => {
            let Ok(room) = RoomName::new(&key.name) else { return false };
            instance.conn(who).is_some_and(|conn| conn.0.rooms.with(|rooms| rooms.is_about(&room)))
        }
        // What belongs to a feature is looked after by it.
        _ => true,
    }
}

async fn take_out(mesh: &Mesh, key: &Key, who: ConnId) -> Result<()> {
    let instance = &mesh.0.instance;
    // A connection that is here may be about to join that room: it leaves it in its turn.
    match (instance.conn(who), RoomName::new(&key.name)) {
        (Some(conn), Ok(room)) if key.kind == Kind::Room => room::exit_stray(mesh, &conn, room).await,
        _ => instance.call(instance.life().link.leave(key, who, None)).await.map(drop),
    }
}
