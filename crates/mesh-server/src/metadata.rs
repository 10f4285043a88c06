//! What is known about connections, on whichever instance they are.

use std::fmt;

use mesh_backend::{CONNECTION_SHARDS, Key, Kind, Member};
use mesh_proto::{ConnId, ConnectionMetadata, Incarnation, Metadata, RoomName};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::ask::Ask;
use crate::command::{Command, Payload};
use crate::error::{MeshError, Result};
use crate::mesh::Mesh;
use crate::policy::ask;

/// A connection of any instance, alive or not. Made by [`Mesh::conn`].
#[derive(Clone, Copy, Debug)]
pub struct ConnRef<'a> {
    pub(crate) mesh: &'a Mesh,
    pub(crate) id: ConnId,
}

impl Mesh {
    /// A connection by its id, on whichever instance it is.
    pub fn conn(&self, id: ConnId) -> ConnRef<'_> {
        ConnRef { mesh: self, id }
    }

    /// The ids and metadata of all connections of all instances, shard by shard: give 0 first, then what came back,
    /// until that is `None`. One shard of 64 is one round trip.
    pub async fn conns_metadata<T: DeserializeOwned>(
        &self,
        shard: u8,
    ) -> Result<(Vec<(ConnId, Option<T>)>, Option<u8>)> {
        let instance = &self.0.instance;
        let roster = Key::connections(shard);
        let mut found = Vec::new();
        let mut after = 0;
        loop {
            let roll =
                instance.call(instance.life().link.roll(&roster, after, instance.limits.page_max)).await?;
            for member in &roll.members {
                found.push((member.who, parse(member)?));
            }
            match roll.members.last() {
                Some(last) if roll.members.len() == instance.limits.page_max => after = last.offset,
                _ => break,
            }
        }
        Ok((found, (shard + 1 < CONNECTION_SHARDS).then_some(shard + 1)))
    }

    /// The ids and metadata of members of a room, of all instances, in order of joining, 1,000 at most: give 0 first, then
    /// what came back, until that is `None`. One round trip; two on a Redis Cluster.
    ///
    /// # Errors
    /// `bad_payload` for what is no name of a room, or metadata that is no `T`; `unavailable`.
    pub async fn room_members_metadata<T: DeserializeOwned>(
        &self,
        room: &str,
        after: u64,
    ) -> Result<(Vec<(ConnId, Option<T>)>, Option<u64>)> {
        let instance = &self.0.instance;
        let (roster, limit) = (Key::new(Kind::Room, RoomName::new(room)?.shared()), instance.limits.page_max);
        let page = instance.call(instance.life().link.described(&roster, after, limit)).await?;
        let next = page.roll.members.last().map(|last| last.offset);
        let next = next.filter(|_| page.roll.members.len() == limit);
        // One that is in no list of connections any more is just leaving.
        let found = page.connections.iter().flatten().map(|member| Ok((member.who, parse(member)?)));
        Ok((found.collect::<Result<_>>()?, next))
    }
}

fn parse<T: DeserializeOwned>(member: &Member) -> Result<Option<T>> {
    Ok(member.value.as_ref().map(|json| serde_json::from_slice(json)).transpose()?)
}

impl ConnRef<'_> {
    pub(crate) async fn find(&self) -> Result<Option<Member>> {
        let instance = &self.mesh.0.instance;
        let wanted = [(Key::connections_with(self.id), self.id)];
        Ok(instance.call(instance.life().link.find(&wanted)).await?.pop().flatten())
    }

    /// Ask its instance, which is another one.
    pub(crate) async fn ask(&self, ask: Ask) -> Result<bool> {
        let owner = self.find().await?.ok_or_else(|| MeshError::not_found("no such connection"))?.owner;
        self.mesh.0.instance.ask(owner, &ask).await
    }

    /// Replace its metadata, on whichever instance it is.
    ///
    /// # Errors
    /// `too_large` over 64 KiB, `not_found` when it is gone, `unavailable`.
    pub async fn set_metadata<T: Serialize + ?Sized>(&self, value: &T) -> Result<()> {
        if let Some(conn) = self.mesh.0.instance.conn(self.id) {
            return conn.set_metadata(value).await;
        }
        let metadata = serde_json::value::to_raw_value(value)?;
        self.ask(Ask::SetMetadata { conn: self.id, metadata }).await.map(drop)
    }

    /// Its metadata: from memory if it is on this instance, else one round trip. `None` if it has none or is gone.
    pub async fn metadata<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        if let Some(conn) = self.mesh.0.instance.conn(self.id) {
            return conn.metadata();
        }
        self.find().await?.as_ref().map_or(Ok(None), parse)
    }

    /// Which instance it is on; `None` if it is gone.
    pub async fn instance(&self) -> Result<Option<Incarnation>> {
        Ok(self.find().await?.map(|member| member.owner))
    }
}

fn answer(metadata: Option<&RawValue>) -> Result<Box<RawValue>> {
    Ok(serde_json::value::to_raw_value(&Metadata { metadata })?)
}

/// `mesh/get-my-connection-metadata`
pub(crate) async fn get_mine(cmd: Command) -> Result<Box<RawValue>> {
    answer(cmd.conn.metadata::<Box<RawValue>>()?.as_deref())
}

/// `mesh/get-connection-metadata`
pub(crate) async fn get(
    cmd: Command,
    Payload(ConnectionMetadata { connection_id }): Payload<ConnectionMetadata>,
) -> Result<Box<RawValue>> {
    let id: ConnId = connection_id.parse().map_err(|_| MeshError::bad_payload("not a connection id"))?;
    if id == cmd.conn.id() {
        return get_mine(cmd).await;
    }
    let Some(policy) = &cmd.mesh.0.metadata else {
        tracing::info!(
            "refused: nobody may read others' metadata; allow it with `.connection_metadata(guard)`"
        );
        return Err(MeshError::forbidden("other connections' metadata is not open"));
    };
    let timeout = cmd.mesh.0.instance.limits.guard_timeout;
    ask(policy, cmd.about(&connection_id), timeout).await?;
    let metadata: Option<Box<RawValue>> = match cmd.mesh.0.instance.conn(id) {
        Some(conn) => conn.metadata()?,
        None => match cmd.mesh.conn(id).find().await? {
            Some(member) => parse(&member)?,
            None => return Err(MeshError::not_found("no such connection")),
        },
    };
    answer(metadata.as_deref())
}

impl fmt::Display for ConnRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

/// `mesh/noop`
pub(crate) async fn noop() -> bool {
    true
}

/// `mesh/subscribe-presence`, until presence exists.
pub(crate) async fn no_presence() -> mesh_proto::Success {
    mesh_proto::Success { success: false }
}
