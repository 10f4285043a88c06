//! What a room is about: a cell at the backend, written through its queue, so that concurrent merges lose nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use mesh_backend::{Decision, Entry, Keep, Key, Kind, Seen};
use mesh_proto::{RoomName, Tag};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::RoomRef;
use crate::conn::encode_metadata;
use crate::error::{MeshError, Result};
use crate::mesh::Mesh;

/// Nobody reads the history of a room's metadata.
const KEEP: Keep = Keep { count_max: 0, bytes_max: 0, age_max: Duration::ZERO };

impl RoomRef<'_> {
    fn cell(&self) -> Result<Key> {
        Ok(Key::new(Kind::RoomMetadata, self.name()?.shared()))
    }

    fn step(&self) -> Entry {
        Entry { tag: Tag::random(&self.mesh.0.instance.entropy), kept: Bytes::new(), announce: None }
    }

    /// The room's metadata; `None` if it has none.
    ///
    /// # Errors
    /// `bad_payload` if it is not a `T`, `unavailable`.
    pub async fn metadata<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        let instance = &self.mesh.0.instance;
        let found = instance.call(instance.life().link.load(&self.cell()?)).await?;
        let json = found.and_then(|found| found.value);
        Ok(json.map(|json| serde_json::from_slice(&json)).transpose()?)
    }

    /// Replace the room's metadata.
    ///
    /// # Errors
    /// `too_large` over 64 KiB, `unavailable`.
    pub async fn set_metadata<T: Serialize + ?Sized>(&self, value: &T) -> Result<()> {
        let json = encode_metadata(value, self.mesh.0.instance.limits.metadata_bytes_max)?;
        let step = self.step();
        self.edit(move |_| Ok(Decision::Store(json.clone(), step.clone()))).await
    }

    /// Replace the members that `fields` has and leave the others: a shallow merge. `fields` must be an object; metadata
    /// that is none is replaced by it.
    pub async fn merge_metadata<T: Serialize + ?Sized>(&self, fields: &T) -> Result<()> {
        let max = self.mesh.0.instance.limits.metadata_bytes_max;
        let fields = serde_json::to_vec(fields)?;
        let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(&fields)?;
        let step = self.step();
        self.edit(move |seen| {
            let now = seen.value.as_ref().and_then(|json| serde_json::from_slice(json).ok());
            let mut merged: BTreeMap<String, Box<RawValue>> = now.unwrap_or_default();
            merged.extend(fields.iter().map(|(name, value)| (name.clone(), value.clone())));
            Ok(Decision::Store(encode_metadata(&merged, max)?, step.clone()))
        })
        .await
    }

    pub(super) async fn remove_metadata(&self) -> Result<()> {
        let step = self.step();
        self.edit(move |seen| {
            Ok(if seen.value.is_some() { Decision::Remove(step.clone()) } else { Decision::Keep })
        })
        .await
    }

    async fn edit(&self, edit: impl Fn(&Seen) -> Result<Decision> + Send + 'static) -> Result<()> {
        let instance = &self.mesh.0.instance;
        let decide = move |seen: &Seen| match edit(seen) {
            Ok(decision) => (decision, Ok(())),
            Err(error) => (Decision::Keep, Err(error)),
        };
        let (_, result) = instance.call(instance.life().cells.edit(self.cell()?, KEEP, decide)).await?;
        result
    }
}

impl Mesh {
    /// The metadata of rooms whose name begins with `prefix` and comes after `after`, in order of their names, 1,000 at
    /// most. Rooms without metadata are left out.
    pub async fn rooms_metadata<T: DeserializeOwned>(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Vec<(RoomName, T)>> {
        let instance = &self.0.instance;
        let life = instance.life();
        let listed = life.link.cells(Kind::RoomMetadata, prefix, after, instance.limits.page_max);
        let mut rooms = Vec::new();
        for (name, cell) in instance.call(listed).await? {
            let name = RoomName::new(&name).map_err(|_| MeshError::not_found("not a room"))?;
            if let Some(json) = cell.value {
                rooms.push((name, serde_json::from_slice(&json)?));
            }
        }
        Ok(rooms)
    }
}
