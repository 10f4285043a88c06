//! Comparing what this instance has with what the backend lists of it, both ways. They differ where a word of clearing was
//! missed, where a failover lost the last writes, or where a key was evicted; local memory is right.

use std::collections::BTreeSet;

use mesh_backend::{Key, Kind};
use mesh_proto::{ConnId, RoomName};

use super::revival::{Entry, enter_all, entries};
use crate::error::Result;
use crate::fault::Fault;
use crate::instance::connections_shard;
use crate::mesh::Mesh;
use crate::room;

/// Entries looked for in one round trip.
const LOOK_MAX: usize = 1000;
/// Entries of one page of those that the backend has.
const PAGE_MAX: usize = 10_000;

/// Entries that the backend has and this instance does not. One that is there in two audits in a row is taken out: in one
/// alone it may be of a connection that is just coming or going.
pub(super) type Suspects = BTreeSet<(Key, ConnId)>;

/// Enter what is missing, take out what was suspected before, and say what is suspected now.
pub(super) async fn audit(mesh: &Mesh, before: Suspects) -> Result<Suspects> {
    let missing = enter_missing(mesh).await?;
    let suspects = strangers(mesh).await?;
    let ghosts: Vec<_> = suspects.intersection(&before).collect();
    for (key, who) in &ghosts {
        let instance = &mesh.0.instance;
        instance.call(instance.life().link.leave(key, *who, None)).await?;
    }
    if missing + ghosts.len() > 0 {
        let why = format!("{missing} entries were missing or old there and {} were left over", ghosts.len());
        mesh.0.reports.fault(&Fault::Backend(why));
    }
    Ok(suspects)
}

async fn enter_missing(mesh: &Mesh) -> Result<usize> {
    let instance = &mesh.0.instance;
    let life = instance.life();
    let all: Vec<Entry> = mesh.local_conns().into_iter().flat_map(entries).collect();
    let mut missing = Vec::new();
    for some in all.chunks(LOOK_MAX) {
        let key = |(conn, room): &Entry| match room {
            None => (connections_shard(conn.id()), conn.id()),
            Some(room) => (room::key(room), conn.id()),
        };
        let wanted: Vec<_> = some.iter().map(key).collect();
        let metadata: Vec<_> = some.iter().map(|(conn, _)| conn.settled_metadata()).collect();
        let found = instance.call(life.link.find(&wanted)).await?;
        for ((entry, metadata), found) in some.iter().zip(metadata).zip(found) {
            let is_there = match (entry, found) {
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

async fn strangers(mesh: &Mesh) -> Result<Suspects> {
    let instance = &mesh.0.instance;
    let life = instance.life();
    let mut strangers = Suspects::new();
    let mut after = None;
    loop {
        let page = instance.call(life.link.mine(after.as_ref(), PAGE_MAX)).await?;
        after = page.last().cloned();
        let is_last = page.len() < PAGE_MAX;
        strangers.extend(page.into_iter().filter(|(key, who)| !has(mesh, key, *who)));
        if is_last {
            return Ok(strangers);
        }
    }
}

/// Whether this instance has an entry, or is busy with it.
fn has(mesh: &Mesh, key: &Key, who: ConnId) -> bool {
    let conn = mesh.0.instance.conn(who);
    match key.kind {
        Kind::Connections => conn.is_some(),
        Kind::Room => {
            let Ok(room) = RoomName::new(&key.name) else { return false };
            conn.is_some_and(|conn| conn.0.rooms.with(|rooms| rooms.is_about(&room)))
        }
        // What belongs to a feature is looked after by it.
        _ => true,
    }
}
