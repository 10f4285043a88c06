//! What clients may do with records, and who is told of changes.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use mesh_proto::{ConnId, RecordName};
use serde::de::DeserializeOwned;

use super::{CheckWith, bind, guard};
use crate::command::{Check, Guard, HookOutcome};
use crate::error::Result;

/// A new version of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordChange {
    /// Which record.
    pub record: RecordName,
    /// Its version from now on. Hooks of one record run side by side: the version tells which is newer.
    pub version: u64,
    /// Who wrote it; `None`: the server.
    pub by: Option<ConnId>,
    pub(crate) value: Option<Bytes>,
}

impl RecordChange {
    /// Whether it was removed.
    pub fn is_removal(&self) -> bool {
        self.value.is_none()
    }

    /// The new value; `None` if it was removed.
    ///
    /// # Errors
    /// `bad_payload` if it is no `T`.
    pub fn value<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        Ok(self.value.as_ref().map(|json| serde_json::from_slice(json)).transpose()?)
    }
}

/// A hook, types erased.
pub(crate) type RecordHook = Arc<dyn Fn(RecordChange) -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// Clients may read and follow the record. They may not write it unless [`write`](Self::write) says so; the server always
/// may.
///
/// ```
/// # async fn doc() -> mesh_server::Result<()> {
/// use mesh_server::{Mesh, Record, RecordChange, prefix};
///
/// Mesh::builder()
///     .record("product:1", Record::open())
///     .record(prefix("doc:"), Record::open().write(async || true).on_update(async |change: RecordChange| {
///         println!("{} is at version {}", change.record, change.version);
///     }))
///     .build()
///     .await?;
/// # Ok(()) }
/// ```
#[must_use]
pub struct Record<S> {
    read: Option<CheckWith<S>>,
    write: Option<CheckWith<S>>,
    on_update: Vec<RecordHook>,
    on_remove: Vec<RecordHook>,
}

impl<S> Record<S> {
    /// Any client may read it.
    pub fn open() -> Self {
        Self { read: None, write: None, on_update: Vec::new(), on_remove: Vec::new() }
    }

    /// Only clients that the guard lets may read it, whatever [`write`](Self::write) says. Take [`Name`](crate::Name) for the
    /// record. A guard that fails, panics or takes longer than 5 s refuses.
    pub fn read<M, G: Guard<M, S>>(mut self, asked: G) -> Self {
        self.read = Some(guard(asked));
        self
    }

    /// Clients that the guard lets may write, patch, increment and delete it: `async || true` lets everybody.
    pub fn write<M, G: Guard<M, S>>(mut self, asked: G) -> Self {
        self.write = Some(guard(asked));
        self
    }

    /// Told of each new version, on the instance that wrote it, once it is written: 5 s at most, and the writer does not wait
    /// for it, unless 1,024 changes are being told of already.
    pub fn on_update<F, Fut>(mut self, told: F) -> Self
    where
        F: FnOnce(RecordChange) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output: HookOutcome> + Send + 'static,
    {
        self.on_update.push(hook(told));
        self
    }

    /// Told that it was removed. The same rules.
    pub fn on_remove<F, Fut>(mut self, told: F) -> Self
    where
        F: FnOnce(RecordChange) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output: HookOutcome> + Send + 'static,
    {
        self.on_remove.push(hook(told));
        self
    }

    pub(crate) fn bind(self, state: &S) -> RecordPolicy
    where
        S: Clone + Send + Sync + 'static,
    {
        RecordPolicy {
            read: bind(self.read, state),
            write: bind(self.write, state),
            on_update: self.on_update,
            on_remove: self.on_remove,
        }
    }
}

fn hook<F, Fut>(told: F) -> RecordHook
where
    F: FnOnce(RecordChange) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output: HookOutcome> + Send + 'static,
{
    Arc::new(move |change| {
        let telling = told.clone()(change);
        async move { telling.await.into_result() }.boxed()
    })
}

impl<S> fmt::Debug for Record<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Record")
    }
}

pub(crate) struct RecordPolicy {
    pub(crate) read: Option<Check>,
    pub(crate) write: Option<Check>,
    pub(crate) on_update: Vec<RecordHook>,
    pub(crate) on_remove: Vec<RecordHook>,
}
