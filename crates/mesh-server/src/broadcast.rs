//! Pushes to many connections, or to one, on whichever instances they are.

use std::collections::BTreeMap;

use bytes::Bytes;
use mesh_backend::{Announce, Audience, Control, Key};
use mesh_proto::{CloseCode, ConnId, Incarnation};
use serde::Serialize;

use crate::error::{MeshError, Result};
use crate::instance::{everybody, instance_topic};
use crate::mesh::Mesh;
use crate::metadata::ConnRef;

impl Mesh {
    /// Send a push to every connection of every instance: one publish, encoded once.
    ///
    /// # Errors
    /// `bad_payload` for a command name of the protocol's own or a payload that is no JSON, `unavailable`.
    pub async fn broadcast<T: Serialize + ?Sized>(&self, command: &str, payload: &T) -> Result<()> {
        self.broadcast_except(command, payload, &[]).await
    }

    /// The same to every connection but these.
    pub async fn broadcast_except<T: Serialize + ?Sized>(
        &self,
        command: &str,
        payload: &T,
        except: &[ConnId],
    ) -> Result<()> {
        let instance = &self.0.instance;
        let text = instance.encode(command, payload)?;
        let to = if except.is_empty() { Audience::All } else { Audience::Except(except.into()) };
        instance.publish(Announce::text(everybody(), text).to(to)).await
    }

    /// The same to these connections alone: one look-up for all of them, then one publish per instance that has any.
    /// Those that are gone are left out.
    pub async fn broadcast_to<T: Serialize + ?Sized>(
        &self,
        ids: &[ConnId],
        command: &str,
        payload: &T,
    ) -> Result<()> {
        let text = self.0.instance.encode(command, payload)?;
        self.send_text(ids, text).await
    }

    async fn send_text(&self, ids: &[ConnId], text: Bytes) -> Result<()> {
        for (owner, ids) in self.owners(ids).await? {
            let announce = Announce::text(instance_topic(owner), text.clone()).to(Audience::Only(ids.into()));
            self.0.instance.publish(announce).await?;
        }
        Ok(())
    }

    async fn owners(&self, ids: &[ConnId]) -> Result<BTreeMap<Incarnation, Vec<ConnId>>> {
        let instance = &self.0.instance;
        let wanted: Vec<_> = ids.iter().map(|id| (Key::connections_with(*id), *id)).collect();
        let mut owners: BTreeMap<Incarnation, Vec<ConnId>> = BTreeMap::new();
        for member in instance.call(instance.life().link.find(&wanted)).await?.into_iter().flatten() {
            owners.entry(member.owner).or_default().push(member.who);
        }
        Ok(owners)
    }
}

impl ConnRef<'_> {
    /// Send a push to this connection: at once if it is on this instance, else one look-up and one publish.
    ///
    /// # Errors
    /// `not_found` if it is gone; else as [`Mesh::broadcast`].
    pub async fn send<T: Serialize + ?Sized>(&self, command: &str, payload: &T) -> Result<()> {
        if let Some(conn) = self.mesh.0.instance.conn(self.id) {
            return conn.send(command, payload);
        }
        let text = self.mesh.0.instance.encode(command, payload)?;
        let owner = self.find().await?.ok_or_else(|| MeshError::not_found("no such connection"))?.owner;
        let announce = Announce::text(instance_topic(owner), text).to(Audience::Only([self.id].into()));
        self.mesh.0.instance.publish(announce).await
    }

    /// End it on purpose (`disconnected`, 4201), on whichever instance it is. One that is gone is no error.
    pub async fn disconnect(&self) -> Result<()> {
        if let Some(conn) = self.mesh.0.instance.conn(self.id) {
            conn.close();
            return Ok(());
        }
        let Some(member) = self.find().await? else { return Ok(()) };
        let (code, _) = CloseCode::Disconnected.on_the_wire();
        let to = Audience::Only([self.id].into());
        let announce = Announce::control(instance_topic(member.owner), to, Control::Close(code));
        self.mesh.0.instance.publish(announce).await
    }
}
