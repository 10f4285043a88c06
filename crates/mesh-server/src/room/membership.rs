//! Who is in which room. Local memory owns it; the roster at the backend follows, one operation at a time per
//! connection and room, so a departure that overtakes its join, or a close that meets either, leaves no ghost.

use futures_util::{StreamExt, TryStreamExt, stream};
use mesh_backend::{Announce, Audience, Control};
use mesh_proto::RoomName;

use super::{key, too_many_rooms};
use crate::command::Command;
use crate::conn::{AGAIN, Conn, Membership, Rooms};
use crate::error::{MeshError, Result};
use crate::fault::Fault;
use crate::follow::{Follow, Wish};
use crate::life::Life;
use crate::mesh::Mesh;
use crate::policy::tell;

/// Members of other instances taken out at once when a room is cleared.
const CLEAR_AT_ONCE: usize = 64;

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

/// The backend lists it in a room where it is not: out, in turn with what its client says of that room. No hook is told,
/// as none was told that it is in.
pub(crate) async fn exit_stray(mesh: &Mesh, conn: &Conn, room: RoomName) -> Result<()> {
    let wish = conn.0.rooms.with(|rooms| {
        if rooms.closed || rooms.is_about(&room) {
            return None;
        }
        let mut inside = Follow::new(true);
        let wish = inside.wish(false);
        rooms.entries.push(Membership::new(room.clone(), inside));
        Some(wish)
    });
    match wish {
        Some(wish) => carry_out(mesh, conn, &room, wish).await,
        None => Ok(()),
    }
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

/// After this instance was taken for dead: in once more, if it still is.
pub(crate) async fn reenter(mesh: &Mesh, conn: &Conn, room: &RoomName) -> Result<()> {
    let wish = conn.0.rooms.with(|rooms| {
        let entry = rooms.find(room).filter(|entry| *entry.inside.wanted())?;
        Some(entry.inside.again())
    });
    match wish {
        Some(wish) => carry_out(mesh, conn, room, wish).await,
        None => Ok(()),
    }
}

/// Take a connection out of all of its rooms. It may enter others meanwhile.
pub(crate) async fn exit_all(mesh: &Mesh, conn: &Conn) -> Result<()> {
    for room in conn.rooms() {
        exit(mesh, conn, room).await?;
    }
    Ok(())
}

/// Take every member out, of all instances. These are told first: one that does not hear of it finds out that it missed
/// something, and enters its members again.
pub(super) async fn clear(mesh: &Mesh, room: &RoomName) -> Result<()> {
    let (instance, key) = (&mesh.0.instance, key(room));
    let life = instance.life();
    instance.publish(Announce::control(key.clone(), Audience::All, Control::ClearRoom)).await?;
    clear_local(mesh, room).await?;
    let mut after = 0;
    loop {
        let roll = instance.call(life.link.roll(&key, after, instance.limits.page_max)).await?;
        let Some(last) = roll.members.last() else { break };
        after = last.offset;
        let who: Vec<_> = roll.members.iter().map(|member| member.who).collect();
        let metadata = instance.last_metadata(&who).await?;
        let leaving = who.into_iter().map(|who| {
            let conn = Conn::departed(who, instance.clone(), metadata.get(&who).cloned());
            take_out(mesh.clone(), room.clone(), conn)
        });
        stream::iter(leaving).buffer_unordered(CLEAR_AT_ONCE).try_collect::<()>().await?;
    }
    Ok(())
}

async fn take_out(mesh: Mesh, room: RoomName, conn: Conn) -> Result<()> {
    let instance = &mesh.0.instance;
    // One that has entered here meanwhile is not of those who were in.
    if instance.conn(conn.id()).is_some() {
        return Ok(());
    }
    let (key, life) = (key(&room), instance.life());
    if instance.call(life.link.leave(&key, conn.id(), None)).await?.was_in {
        tell_left(&mesh, &conn, &room).await;
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
    let instance = &mesh.0.instance;
    while let Some((inside, version)) = conn.0.rooms.with(|rooms| rooms.next(room)) {
        let life = instance.life();
        let result =
            if inside { go_in(mesh, &life, conn, room).await } else { go_out(mesh, &life, conn, room).await };
        let failed = result.is_err();
        let try_again = conn.0.rooms.with(|rooms| {
            let Some(entry) = rooms.find(room) else { return false };
            entry.inside.done(version, result);
            entry.unsure = (failed && !inside).then_some(life.me).or(entry.unsure);
            // Whether the backend has a newcomer is not known: make sure that it has not. One that was in stays in.
            let stays = entry.is_member && entry.unsure.is_none();
            if failed && inside && *entry.inside.wanted() && !stays {
                drop(entry.inside.wish(false));
            }
            failed && (!inside || stays)
        });
        // Whoever wished for a departure is told that it failed; it takes place all the same once the backend is back.
        // After a life that is over all is entered anew, and what it had entered is taken out as an orphan.
        if try_again && instance.is_alive(&life) {
            tokio::time::sleep(AGAIN).await;
            conn.0.rooms.with(|rooms| rooms.find(room).map(|entry| drop(entry.inside.again())));
        }
    }
}

async fn go_in(mesh: &Mesh, life: &Life, conn: &Conn, room: &RoomName) -> Result<()> {
    let (instance, key) = (&mesh.0.instance, key(room));
    // Listen, then enter: what is broadcast once it is a member reaches it.
    instance.hub.listen(&key, &conn.0.outbox).await?;
    let entered = instance.call(life.link.enter(&key, conn.id(), None, None)).await;
    let (was_member, unsure) = conn
        .0
        .rooms
        .with(|rooms| rooms.find(room).map_or((false, None), |entry| (entry.is_member, entry.unsure)));
    if entered.is_err() && !was_member {
        instance.hub.unlisten(&key, conn.id());
    }
    // New to us: the answer to an earlier try may have been lost. New to others: they were told that it is out, but for a
    // departure of our own whose answer was lost, and which was not told of.
    let is_new = (entered?.new && unsure != Some(life.me)) || !was_member;
    let hook = mesh.0.rooms.find(room.as_str()).and_then(|policy| policy.on_join.clone());
    let greeting = hook.filter(|_| is_new).map(|hook| {
        let (cmd, timeout) = (hook_command(mesh, conn, room), instance.limits.guard_timeout);
        instance.tasks.spawn(async move { tell("on_join", &hook, cmd, timeout).await })
    });
    conn.0.rooms.with(|rooms| {
        if let Some(entry) = rooms.find(room) {
            entry.is_member = true;
            entry.unsure = None;
            entry.greeting = greeting.or(entry.greeting.take());
        }
    });
    Ok(())
}

async fn go_out(mesh: &Mesh, life: &Life, conn: &Conn, room: &RoomName) -> Result<()> {
    let (instance, key) = (&mesh.0.instance, key(room));
    instance.hub.unlisten(&key, conn.id());
    let left = instance.call(life.link.leave(&key, conn.id(), None)).await?;
    let (was_member, unsure, greeting) = conn.0.rooms.with(|rooms| {
        rooms.find(room).map_or((false, None, None), |entry| {
            let greeting = entry.greeting.take();
            (std::mem::take(&mut entry.is_member), entry.unsure.take(), greeting)
        })
    });
    // Whoever takes an entry out tells it. After a lost answer that was most likely this one; in another life, others.
    if was_member && (left.was_in || unsure == Some(life.me)) {
        let (mesh, conn, room) = (mesh.clone(), conn.clone(), room.clone());
        instance.tasks.clone().spawn(async move {
            if let Some(greeting) = greeting {
                // It ends by its own timeout, and a panic in it was caught.
                let _ = greeting.await;
            }
            tell_left(&mesh, &conn, &room).await;
        });
    }
    Ok(())
}

/// Run `on_leave` for a connection that was taken out, of this instance or of one that died.
pub(crate) async fn tell_left(mesh: &Mesh, conn: &Conn, room: &RoomName) {
    let hook = mesh.0.rooms.find(room.as_str()).and_then(|policy| policy.on_leave.as_ref());
    if let Some(hook) = hook {
        let timeout = mesh.0.instance.limits.guard_timeout;
        tell("on_leave", hook, hook_command(mesh, conn, room), timeout).await;
    }
}

fn hook_command(mesh: &Mesh, conn: &Conn, room: &RoomName) -> Command {
    Command::new(mesh.clone(), conn.clone(), room.shared(), Default::default()).about(room.as_str())
}

impl Rooms {
    /// Whether it is in, or on its way in or out.
    pub(crate) fn is_about(&self, room: &RoomName) -> bool {
        self.entries.iter().any(|entry| entry.room == *room)
    }

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
        self.entries.push(Membership::new(room.clone(), inside));
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
