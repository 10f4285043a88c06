//! Rooms: groups of connections that can be told something at once.

mod builtin;
mod membership;
mod metadata;

use mesh_backend::{Announce, Audience, Key, Kind};
use mesh_proto::{Code, ConnId, RoomName};
use serde::Serialize;

pub(crate) use builtin::{get_metadata, join, leave};
pub(crate) use membership::{enter, exit, exit_all, exit_stray, leave_all, reenter, tell_left};

use crate::ask::Ask;
use crate::error::{MeshError, Result};
use crate::fault::Fault;
use crate::mesh::Mesh;

/// A room, whether anybody is in it or not. Made by [`Mesh::room`].
///
/// Any text can be asked for; one that is no name of a room fails with `bad_payload` when something is done with it.
#[derive(Clone, Copy, Debug)]
pub struct RoomRef<'a> {
    mesh: &'a Mesh,
    name: &'a str,
}

/// Members of a room, in order of joining.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    /// This page.
    pub ids: Vec<ConnId>,
    /// How many are in the room.
    pub count: u64,
    /// What to give to [`RoomRef::members_after`] for the next page; `None` on the last.
    pub next: Option<u64>,
}

impl Mesh {
    /// A room by its name.
    pub fn room<'a>(&'a self, name: &'a str) -> RoomRef<'a> {
        RoomRef { mesh: self, name }
    }
}

/// A room's key at the backend.
pub(crate) fn key(room: &RoomName) -> Key {
    Key::new(Kind::Room, room.shared())
}

impl RoomRef<'_> {
    fn name(&self) -> Result<RoomName> {
        Ok(RoomName::new(self.name)?)
    }

    /// Put a connection in, of whichever instance; its instance does it, and answers. No guard is asked. Whether it was
    /// not in before.
    ///
    /// # Errors
    /// `too_large` for its 51st room, `not_found` when it is gone, `unavailable`.
    pub async fn add(&self, id: ConnId) -> Result<bool> {
        let room = self.name()?;
        match self.mesh.0.instance.conn(id) {
            Some(conn) => enter(self.mesh, &conn, room).await,
            None => self.mesh.conn(id).ask(Ask::Enter { conn: id, room }).await,
        }
    }

    /// Take a connection out, of whichever instance. Whether it was in.
    ///
    /// # Errors
    /// `not_found` when it is gone, `unavailable`.
    pub async fn remove(&self, id: ConnId) -> Result<bool> {
        let room = self.name()?;
        match self.mesh.0.instance.conn(id) {
            Some(conn) => exit(self.mesh, &conn, room).await,
            None => self.mesh.conn(id).ask(Ask::Exit { conn: id, room }).await,
        }
    }

    /// Whether a connection of any instance is in.
    pub async fn contains(&self, id: ConnId) -> Result<bool> {
        let instance = &self.mesh.0.instance;
        let wanted = [(key(&self.name()?), id)];
        let found = instance.call(instance.life().link.find(&wanted)).await?;
        Ok(found.iter().any(Option::is_some))
    }

    /// The first 1,000 members, of all instances.
    pub async fn members(&self) -> Result<Members> {
        self.members_after(0).await
    }

    /// The next 1,000 members: `after` is the `next` of the page before.
    pub async fn members_after(&self, after: u64) -> Result<Members> {
        let instance = &self.mesh.0.instance;
        let (key, limit) = (key(&self.name()?), instance.limits.present_max);
        let roll = instance.call(instance.life().link.roll(&key, after, limit)).await?;
        let next = roll.members.last().map(|last| last.offset).filter(|_| roll.members.len() == limit);
        Ok(Members { ids: roll.members.iter().map(|member| member.who).collect(), count: roll.count, next })
    }

    /// How many are in, of all instances.
    pub async fn count(&self) -> Result<u64> {
        let instance = &self.mesh.0.instance;
        let key = key(&self.name()?);
        Ok(instance.call(instance.life().link.roll(&key, 0, 1)).await?.count)
    }

    /// Take everybody out, on whichever instance, and remove the metadata. When it returns nobody is in who was when it
    /// began; each was told to `on_leave` once.
    ///
    /// # Errors
    /// `unavailable`, when some may be out and others not.
    pub async fn clear(&self) -> Result<()> {
        let name = self.name()?;
        membership::clear(self.mesh, &name).await?;
        self.remove_metadata().await
    }

    /// Send a push to every member, on whichever instance: one publish, encoded once.
    ///
    /// # Errors
    /// `bad_payload` for a command name of the protocol's own or a payload that is no JSON, `unavailable`.
    pub async fn broadcast<T: Serialize + ?Sized>(&self, command: &str, payload: &T) -> Result<()> {
        self.tell(command, payload, Audience::All).await
    }

    /// The same to every member but these.
    pub async fn broadcast_except<T: Serialize + ?Sized>(
        &self,
        command: &str,
        payload: &T,
        except: &[ConnId],
    ) -> Result<()> {
        self.tell(command, payload, Audience::Except(except.into())).await
    }

    async fn tell<T: Serialize + ?Sized>(&self, command: &str, payload: &T, to: Audience) -> Result<()> {
        let instance = &self.mesh.0.instance;
        let text = instance.encode(command, payload)?;
        instance.publish(Announce::text(key(&self.name()?), text).to(to)).await
    }
}

impl Mesh {
    /// Take a connection out of all of its rooms, on whichever instance it is.
    ///
    /// # Errors
    /// `not_found` when it is gone, `unavailable`.
    pub async fn remove_from_all_rooms(&self, id: ConnId) -> Result<()> {
        match self.0.instance.conn(id) {
            Some(conn) => exit_all(self, &conn).await,
            None => self.conn(id).ask(Ask::ExitAll { conn: id }).await.map(drop),
        }
    }

    /// Rooms of all instances whose name begins with `prefix` and comes after `after`, with how many are in, in order of
    /// their names, 1,000 at most.
    pub async fn rooms(&self, prefix: &str, after: Option<&str>) -> Result<Vec<(RoomName, u64)>> {
        let instance = &self.0.instance;
        let life = instance.life();
        let listed = life.link.rosters(Kind::Room, prefix, after, instance.limits.page_max);
        let listed = instance.call(listed).await?;
        let named = |(name, count): (std::sync::Arc<str>, u64)| Some((RoomName::new(&name).ok()?, count));
        Ok(listed.into_iter().filter_map(named).collect())
    }
}

pub(crate) fn too_many_rooms(max: usize) -> MeshError {
    MeshError::new(Code::TooLarge, format!("a connection is in at most {max} rooms"))
}

/// Another instance said that a room is to be cleared.
pub(crate) async fn cleared(mesh: Mesh, topic: Key) {
    if let Ok(room) = RoomName::new(&topic.name)
        && let Err(error) = membership::clear_local(&mesh, &room).await
    {
        mesh.0.reports.fault(&Fault::Backend(format!("{room:?} could not be cleared: {error}")));
    }
}
