//! Versioned JSON values: read, written and followed.

mod builtin;
mod change;
pub(crate) mod hook;
mod message;
mod resync;
mod transaction;
mod write;

use std::fmt;
use std::sync::Arc;

use mesh_backend::{CellValue, Key, Kind};
use mesh_proto::patch::{Patch, Pointer};
use mesh_proto::{Position, RecordName};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) use builtin::{delete, get, increment, patch, publish, subscribe, unsubscribe};
use change::Change;
pub(crate) use resync::read_on;
pub use transaction::Transaction;
use write::Write;
pub use write::Written;

use crate::error::{MeshError, Result};
use crate::mesh::Mesh;

/// A record, whether it was ever written or not. Made by [`Mesh::record`].
///
/// Any text can be asked for; one that is no name of a record fails with `bad_payload` when something is done with it. No
/// guard is asked. All writes fail with `too_large` over 1 MiB of JSON, `bad_payload` over 64 brackets, and `unavailable` when
/// the backend is away: then it may have taken place all the same. What changes nothing makes no version.
///
/// ```
/// # async fn doc() -> mesh_server::Result<()> {
/// use mesh_server::Mesh;
/// use serde_json::json;
///
/// let mesh = Mesh::builder().build().await?;
/// let user = mesh.record("user:1");
/// user.set(&json!({"name": "Ada", "visits": 1})).await?;
/// user.increment("/visits", 1).await?;
/// assert_eq!(user.get::<serde_json::Value>().await?, Some(json!({"name": "Ada", "visits": 2})));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    mesh: &'a Mesh,
    name: &'a str,
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    /// `None` if it was never written, or was deleted.
    pub value: Option<T>,
    /// 0 if it was never written.
    pub version: u64,
}

impl Mesh {
    /// A record by its name.
    pub fn record<'a>(&'a self, name: &'a str) -> RecordRef<'a> {
        RecordRef { mesh: self, name }
    }

    /// Records whose name begins with `prefix` and comes after `after`, in order of their names, 1,000 at most. Those that
    /// were deleted are left out.
    ///
    /// # Errors
    /// `bad_payload` for one that is no `T`, `unavailable`.
    pub async fn records<T: DeserializeOwned>(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Vec<(RecordName, Versioned<T>)>> {
        let instance = &self.0.instance;
        let life = instance.life();
        let listed = life.link.cells(Kind::Record, prefix, after, instance.limits.page_max);
        let named =
            |(name, cell): (Arc<str>, CellValue)| Ok((RecordName::new(&name)?, versioned(Some(cell))?));
        instance.call(listed).await?.into_iter().map(named).collect()
    }
}

fn key(record: &RecordName) -> Key {
    Key::new(Kind::Record, record.shared())
}

fn versioned<T: DeserializeOwned>(cell: Option<CellValue>) -> Result<Versioned<T>> {
    let Some(CellValue { position, value }) = cell else { return Ok(Versioned { value: None, version: 0 }) };
    let value = value.map(|json| serde_json::from_slice(&json)).transpose()?;
    Ok(Versioned { value, version: position.offset })
}

async fn load(mesh: &Mesh, record: &RecordName) -> Result<Option<CellValue>> {
    let instance = &mesh.0.instance;
    instance.call(instance.life().link.load(&key(record))).await
}

/// Where a record is.
fn position(cell: Option<&CellValue>) -> Position {
    cell.map_or(Position::START, |cell| cell.position)
}

impl RecordRef<'_> {
    /// Its value; `None` if it was never written, or was deleted.
    ///
    /// # Errors
    /// `bad_payload` if it is no `T`, `unavailable`.
    pub async fn get<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        Ok(self.get_versioned().await?.value)
    }

    /// Its value and its version.
    pub async fn get_versioned<T: DeserializeOwned>(&self) -> Result<Versioned<T>> {
        versioned(load(self.mesh, &RecordName::new(self.name)?).await?)
    }

    /// Replace the value.
    pub async fn set<T: Serialize + ?Sized>(&self, value: &T) -> Result<Written> {
        self.write(Change::Set(serde_json::to_value(value)?), None).await
    }

    /// Replace the members that `fields` has and leave the others. Where either is no object, it replaces the value.
    pub async fn merge<T: Serialize + ?Sized>(&self, fields: &T) -> Result<Written> {
        self.write(Change::Merge(serde_json::to_value(fields)?), None).await
    }

    /// The same, and objects inside of it are merged, too.
    pub async fn deep_merge<T: Serialize + ?Sized>(&self, fields: &T) -> Result<Written> {
        self.write(Change::DeepMerge(serde_json::to_value(fields)?), None).await
    }

    /// Apply a JSON patch, all of it or nothing.
    ///
    /// # Errors
    /// `bad_payload` if it does not apply.
    pub async fn patch(&self, patch: &Patch) -> Result<Written> {
        self.write(Change::Patch(patch.clone()), None).await
    }

    /// Make another value of the present one (`null` where there is none). `update` may run more than once, and holds up
    /// every other write of this record while it does.
    ///
    /// # Errors
    /// `internal` if it panics.
    pub async fn update(&self, update: impl Fn(&Value) -> Value + Send + Sync + 'static) -> Result<Written> {
        self.write(Change::Update(Arc::new(update)), None).await
    }

    /// Replace the value if it is at this version; 0: if it was never written.
    ///
    /// # Errors
    /// `conflict` at another version, with `details` of `{version, record}`.
    pub async fn compare_and_set<T: Serialize + ?Sized>(&self, version: u64, value: &T) -> Result<Written> {
        self.write(Change::Set(serde_json::to_value(value)?), Some(version)).await
    }

    /// Add to the number at a JSON pointer (empty: the value itself). What is not there counts as 0.
    ///
    /// # Errors
    /// `bad_payload` if something else is there, or the sum is out of range.
    pub async fn increment(&self, path: &str, by: i64) -> Result<Written> {
        let path = Pointer::new(path).map_err(|fault| MeshError::bad_payload(fault.to_string()))?;
        self.write(Change::Increment(path, by.into()), None).await
    }

    /// Remove it. Subscribers are told, and the version goes on from there.
    pub async fn delete(&self) -> Result<Written> {
        self.write(Change::Delete, None).await
    }

    async fn write(&self, change: Change, if_version: Option<u64>) -> Result<Written> {
        let bytes_max = self.mesh.0.instance.limits.record_bytes_max;
        let write = Write { change, if_version, txn: None, bytes_max };
        Ok(write::write(self.mesh, &RecordName::new(self.name)?, write, None).await?.0)
    }
}

impl fmt::Display for RecordRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
