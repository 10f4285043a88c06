//! Who is in which room. Local memory owns it; the roster at the backend follows, one operation at a time per
//! connection and room, so a departure that overtakes its join, or a close that meets either, leaves no ghost.

use std::time::Duration;

use mesh_proto::RoomName;

use super::{key, too_many_rooms};
use crate::command::Command;
use crate::conn::{Conn, Membership, Rooms};
use crate::error::{MeshError, Result};
use crate::fault::Fault;
use crate::follow::{Follow, Wish};
use crate::mesh::Mesh;
use crate::policy::tell;

/// How often a departure that failed is tried again, and how long is waited in between. A roster entry that outlives
/// all tries is an orphan once this instance's lease is over.
const LEAVE_TRIES: u32 = 60;
const LEAVE_PAUSE: Duration = Duration::from_secs(1);

/// Put a connection in. Whether it was not in before.
pub(crate) async fn enter(mesh: &Mesh, conn: &Conn, room: RoomName) -> Result<bool> {
    let max = mesh.0.instance.limits.rooms_max;
    let wish = conn.0.rooms.with(|rooms| rooms.enter(&room, max))?;
    let Some(wish) = wish else { return Ok(false) };
    carry_out(mesh, conn, &room, wish).await?;
    Ok(true)
}

/// Take a connection out. Whether it was in.
pub(crate) async fn exit(mesh: &Mesh, conn: &Conn, room: RoomName) -> Result<bool> {
    let Some(wish) = conn.0.rooms.with(|rooms| rooms.exit(&room)) else { return Ok(false) };
    carry_out(mesh, conn, &room, wish).await?;
    Ok(true)
}

/// The connection is closed: out of everything, and nothing enters any more.
pub(crate) async fn leave_all(mesh: &Mesh, conn: &Conn) {
    let wishes = conn.0.rooms.with(|rooms| {
        rooms.closed = true;
        let names: Vec<RoomName> = rooms.entries.iter().map(|entry| entry.room.clone()).collect();
        names.into_iter().filter_map(|room| Some((room.clone(), rooms.exit(&room)?))).collect::<Vec<_>>()
    });
    for (room, wish) in wishes {
        if let Err(error) = carry_out(mesh, conn, &room, wish).await {
            let why = format!("{} could not leave {room:?}: {error}", conn.id());
            mesh.0.reports.fault(&Fault::Backend(why));
        }
    }
}

/// Take every local member out.
pub(super) async fn clear_local(mesh: &Mesh, room: &RoomName) -> Result<()> {
    for outbox in mesh.0.instance.hub.listeners(&key(room)) {
        if let Some(conn) = mesh.0.instance.conn(outbox.id) {
            exit(mesh, &conn, room.clone()).await?;
        }
    }
    Ok(())
}

async fn carry_out(mesh: &Mesh, conn: &Conn, room: &RoomName, wish: Wish) -> Result<()> {
    if wish.start {
        // A task of its own: whoever wished may be cancelled, the roster follows all the same.
        let (mesh, conn, room) = (mesh.clone(), conn.clone(), room.clone());
        mesh.0.instance.tasks.clone().spawn(async move { follow(&mesh, &conn, &room).await });
    }
    wish.done.await.unwrap_or_else(|_| Err(MeshError::gone()))
}

async fn follow(mesh: &Mesh, conn: &Conn, room: &RoomName) {
    while let Some((inside, version)) = conn.0.rooms.with(|rooms| rooms.next(room)) {
        let result = if inside { go_in(mesh, conn, room).await } else { go_out(mesh, conn, room).await };
        let failed_join = inside && result.is_err();
        conn.0.rooms.with(|rooms| {
            let Some(entry) = rooms.find(room) else { return };
            entry.inside.done(version, result);
            // Whether the backend has it is not known: make sure that it has not.
            if failed_join && *entry.inside.wanted() {
                drop(entry.inside.wish(false));
            }
        });
    }
}

async fn go_in(mesh: &Mesh, conn: &Conn, room: &RoomName) -> Result<()> {
    let (instance, key) = (&mesh.0.instance, key(room));
    // Listen, then enter: what is broadcast once it is a member reaches it.
    instance.hub.listen(&key, &conn.0.outbox).await?;
    let entered = instance.call(instance.link.enter(&key, conn.id(), None, None)).await;
    if entered.is_err() {
        instance.hub.unlisten(&key, conn.id());
    }
    if !entered?.new {
        return Ok(());
    }
    let hook = mesh.0.rooms.find(room.as_str()).and_then(|policy| policy.on_join.clone());
    if let Some(hook) = hook {
        let (cmd, timeout) = (hook_command(mesh, conn, room), instance.limits.guard_timeout);
        let greeting = instance.tasks.spawn(async move { tell("on_join", &hook, cmd, timeout).await });
        conn.0.rooms.with(|rooms| {
            if let Some(entry) = rooms.find(room) {
                entry.greeting = Some(greeting);
            }
        });
    }
    Ok(())
}

async fn go_out(mesh: &Mesh, conn: &Conn, room: &RoomName) -> Result<()> {
    let (instance, key) = (&mesh.0.instance, key(room));
    instance.hub.unlisten(&key, conn.id());
    let mut tries = 0;
    let left = loop {
        let left = instance.call(instance.link.leave(&key, conn.id(), None)).await;
        tries += 1;
        if left.is_ok() || tries == LEAVE_TRIES || instance.stop.is_cancelled() {
            break left?;
        }
        tokio::time::sleep(LEAVE_PAUSE).await;
    };
    let greeting = conn.0.rooms.with(|rooms| rooms.find(room).and_then(|entry| entry.greeting.take()));
    let hook = mesh.0.rooms.find(room.as_str()).and_then(|policy| policy.on_leave.clone());
    if let Some(hook) = hook.filter(|_| left.was_in) {
        let (cmd, timeout) = (hook_command(mesh, conn, room), instance.limits.guard_timeout);
        instance.tasks.spawn(async move {
            if let Some(greeting) = greeting {
                // It ends by its own timeout, and a panic in it was caught.
                let _ = greeting.await;
            }
            tell("on_leave", &hook, cmd, timeout).await;
        });
    }
    Ok(())
}

fn hook_command(mesh: &Mesh, conn: &Conn, room: &RoomName) -> Command {
    Command::new(mesh.clone(), conn.clone(), room.shared(), Default::default()).about(room.as_str())
}

impl Rooms {
    fn find(&mut self, room: &RoomName) -> Option<&mut Membership> {
        self.entries.iter_mut().find(|entry| entry.room == *room)
    }

    /// `None`: it is in already.
    fn enter(&mut self, room: &RoomName, max: usize) -> Result<Option<Wish>> {
        if self.closed {
            return Err(MeshError::gone());
        }
        if let Some(entry) = self.find(room) {
            let inside = *entry.inside.wanted() && entry.inside.is_settled();
            return Ok((!inside).then(|| entry.inside.wish(true)));
        }
        if self.entries.len() >= max {
            return Err(too_many_rooms(max));
        }
        let mut inside = Follow::new(false);
        let wish = inside.wish(true);
        self.entries.push(Membership { room: room.clone(), inside, greeting: None });
        Ok(Some(wish))
    }

    /// `None`: it is not in.
    fn exit(&mut self, room: &RoomName) -> Option<Wish> {
        Some(self.find(room)?.inside.wish(false))
    }

    fn next(&mut self, room: &RoomName) -> Option<(bool, u64)> {
        let entry = self.find(room)?;
        let next = entry.inside.next();
        if next.is_none() && !*entry.inside.wanted() {
            self.entries.retain(|entry| entry.room != *room);
        }
        next
    }
}
