//! What must hold when a world was left in peace: invariants I4, I5 (for rooms), I6 and I8 of GUARANTEES.md.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_server::{ConnId, Mesh};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::caller::Seen;
use super::followed;
use super::run::{World, room_name};

/// For what is published now to arrive.
const ARRIVAL: Duration = Duration::from_secs(1);

type Members = BTreeMap<String, BTreeSet<ConnId>>;

pub(super) async fn judge(world: &mut World) -> Vec<String> {
    let mut found = Vec::new();
    connections(world, &mut found);
    let local = local(world);
    for instance in world.stage.cluster.alive() {
        let mesh = world.stage.cluster.mesh(instance);
        let readiness = mesh.readiness();
        if !readiness.ready {
            found.push(format!("instance {instance} is not ready: {readiness:?}"));
        }
        match listed(mesh, world.rooms).await {
            Ok(listed) => compare(instance, &local, &listed, &mut found),
            Err(error) => found.push(format!("instance {instance} cannot list members: {error}")),
        }
        if let Err(error) = described(world, instance, &mut found).await {
            found.push(format!("instance {instance} cannot list connections: {error}"));
        }
    }
    hooks(world, &local, &mut found);
    told(world, &local, &mut found).await;
    followed::judge(world, &mut found).await;
    followed::leftovers(world, &mut found).await;
    found
}

/// Each request was answered once; nobody was told anything twice; nobody was closed for what others did.
fn connections(world: &World, found: &mut Vec<String>) {
    let open = world.callers.iter().flatten().map(|caller| (caller.seen(), false));
    for (seen, meant) in world.past.iter().cloned().chain(open) {
        let Seen { id, sent, answers, told, ended, .. } = seen;
        // It was never let in where the store was away just then.
        let let_in = id.is_some();
        if let Some(how) = ended.as_ref().filter(|_| !meant && let_in) {
            found.push(format!("{id:?} was closed: {how}"));
        }
        if let Some((request, times)) = answers.iter().find(|(_, times)| **times != 1) {
            found.push(format!("{id:?} got {times} answers to request {request}"));
        }
        if ended.is_none() && !meant && answers.len() as u64 != sent {
            found.push(format!("{id:?} sent {sent} requests and got {} answers", answers.len()));
        }
        if let Some((number, times)) = told.iter().find(|(_, times)| **times != 1) {
            found.push(format!("{id:?} was told broadcast {number} {times} times"));
        }
    }
}

/// Who is in which room, as the instances have it that own the connections.
fn local(world: &World) -> Members {
    let mut members = Members::new();
    for instance in world.stage.cluster.alive() {
        for conn in world.stage.cluster.mesh(instance).local_conns() {
            for room in conn.rooms() {
                members.entry(room.to_string()).or_default().insert(conn.id());
            }
        }
    }
    members
}

/// The same, as the backend has it.
async fn listed(mesh: &Mesh, rooms: usize) -> mesh_server::Result<Members> {
    let mut members = Members::new();
    for room in (0..rooms).map(room_name) {
        let ids = mesh.room(&room).members().await?.ids;
        if !ids.is_empty() {
            members.insert(room, ids.into_iter().collect());
        }
    }
    Ok(members)
}

fn compare(instance: usize, local: &Members, listed: &Members, found: &mut Vec<String>) {
    let rooms: BTreeSet<_> = local.keys().chain(listed.keys()).collect();
    let none = BTreeSet::new();
    for room in rooms {
        let (local, listed) = (local.get(room).unwrap_or(&none), listed.get(room).unwrap_or(&none));
        for ghost in listed.difference(local) {
            found.push(format!("instance {instance} lists {ghost} in {room}, where it is not"));
        }
        for missing in local.difference(listed) {
            found.push(format!("instance {instance} does not list {missing} in {room}, where it is"));
        }
    }
}

/// The list of connections, and what they said of themselves.
async fn described(world: &World, instance: usize, found: &mut Vec<String>) -> mesh_server::Result<()> {
    let mut local = BTreeMap::new();
    for instance in world.stage.cluster.alive() {
        for conn in world.stage.cluster.mesh(instance).local_conns() {
            local.insert(conn.id(), conn.metadata::<Value>()?);
        }
    }
    let mut listed = BTreeMap::new();
    let mut shard = Some(0);
    while let Some(number) = shard {
        let (conns, next) = world.stage.cluster.mesh(instance).conns_metadata::<Value>(number).await?;
        listed.extend(conns);
        shard = next;
    }
    if local != listed {
        found.push(format!("instance {instance} lists connections {listed:?}, and there are {local:?}"));
    }
    Ok(())
}

/// Hooks ran in pairs. Where calls are lost one departure more may be told: of a join that took place, whose answer was
/// lost together with its instance's lease; and one for each time that the store forgot that the entry was taken out. What
/// a killed instance was about to tell, nobody tells.
fn hooks(world: &World, local: &Members, found: &mut Vec<String>) {
    for ((who, room), ran) in world.hooks.all() {
        let is_in = local.get(&room).is_some_and(|members| members.contains(&who));
        let pairs = match (world.faulted, world.killed) {
            (false, false) => ran.joined == ran.left + u32::from(is_in),
            (false, true) => ran.joined >= ran.left + u32::from(is_in),
            (true, _) => ran.joined + 1 + world.forgot >= ran.left,
        };
        if !pairs {
            found.push(format!("{who} left {room} {} times and joined it {} times", ran.left, ran.joined));
        }
    }
}

/// Every member hears what a room is told now, once, and nobody else does.
async fn told(world: &mut World, local: &Members, found: &mut Vec<String>) {
    let Some(&from) = world.stage.cluster.alive().last() else { return };
    let mut numbers = Vec::new();
    for room in (0..world.rooms).map(room_name) {
        let number = world.number();
        let mesh = world.stage.cluster.mesh(from).clone();
        if let Err(error) = mesh.room(&room).broadcast("told", &json!({"n": number})).await {
            found.push(format!("{room} cannot be told anything: {error}"));
        }
        numbers.push((room, number));
    }
    sleep(ARRIVAL).await;
    for caller in world.callers.iter().flatten() {
        let seen = caller.seen();
        let Some(id) = seen.id.filter(|_| seen.ended.is_none()) else { continue };
        for (room, number) in &numbers {
            let expected = u32::from(local.get(room).is_some_and(|members| members.contains(&id)));
            let times = seen.told.get(number).copied().unwrap_or_default();
            if times != expected {
                found.push(format!("{id} heard {times} times what {room} was told, not {expected}"));
            }
        }
    }
}
