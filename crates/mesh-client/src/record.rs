//! Records.

use std::sync::Arc;

use mesh_proto::patch::Patch;
use mesh_proto::{Position, command};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Number, Value};

use crate::client::Client;
use crate::error::{ClientError, Result};
use crate::watch::Watch;
use crate::wire::{self, RecordAnswer, WriteAnswer};

/// A record by its name: 1 to 255 bytes without control characters.
///
/// Writes take place at the server, one after the other; each that changes something makes the next version. One that comes
/// with a version takes place only at that version, else it fails with [`conflict`](ClientError::conflict).
///
/// ```no_run
/// # use serde_json::json;
/// # #[derive(serde::Deserialize, serde::Serialize)] struct Product { name: String, stock: i64 }
/// # async fn run(client: mesh_client::Client) -> mesh_client::Result<()> {
/// let record = client.record("product:1");
/// record.set(&Product { name: "chair".into(), stock: 4 }).await?;
/// record.merge(&json!({"stock": 3})).await?;
/// record.increment("/stock", -1).await?;
///
/// let now = record.get::<Product>().await?;
/// let changed = Product { name: "stool".into(), stock: 2 };
/// if let Err(error) = record.compare_and_set(now.version, &changed).await {
///     let conflict = error.conflict().ok_or(error)?;
///     // Somebody was first: `conflict.record` is what it is now.
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Record {
    pub(crate) client: Client,
    pub(crate) name: Arc<str>,
    /// What its writes expect.
    if_version: Option<u64>,
}

/// A record at a version.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Versioned<T> {
    /// `None` if it was never written, was deleted, or is `null`.
    pub value: Option<T>,
    /// Grows by one with each change; 0 if it was never written.
    pub version: u64,
    /// The version with its life and its mark; `None` if it was never written.
    pub position: Option<Position>,
}

/// A write that took place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// The version that it made, or found if it changed nothing.
    pub version: u64,
    /// The version with its life and its mark.
    pub position: Option<Position>,
    /// The mark that the update bears when it comes back.
    pub txn: String,
}

/// An increment that took place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Incremented {
    /// The new number.
    pub value: Number,
    /// The version that it made.
    pub version: u64,
    /// The version with its life and its mark.
    pub position: Option<Position>,
    /// The mark that the update bears when it comes back.
    pub txn: String,
}

#[derive(Serialize)]
struct Options {
    strategy: &'static str,
}

/// A write of any kind.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Write<'a> {
    record_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_value: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<Options>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<&'a Patch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    if_version: Option<u64>,
    txn: String,
}

impl Record {
    pub(crate) fn new(client: Client, name: &str) -> Self {
        Self { client, name: name.into(), if_version: None }
    }

    /// The same record, whose writes take place only at that version; 0: if it was never written. Else they fail with
    /// `conflict`, of which [`ClientError::conflict`] tells the version and the value that it has.
    ///
    /// ```no_run
    /// # use serde_json::json;
    /// # async fn run(client: mesh_client::Client) -> mesh_client::Result<()> {
    /// let record = client.record("product:1");
    /// let now = record.get::<serde_json::Value>().await?;
    /// record.if_version(now.version).merge(&json!({"stock": 3})).await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn if_version(&self, version: u64) -> Self {
        Self { if_version: Some(version), ..self.clone() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value and each one after it, as a stream. See [`Watch`].
    pub fn watch<T: DeserializeOwned>(&self) -> Watch<T> {
        Watch::new(self.clone())
    }

    /// Its value now.
    ///
    /// # Errors
    /// `forbidden`, `bad_payload` if it is not a `T`, and those of any command.
    pub async fn get<T: DeserializeOwned>(&self) -> Result<Versioned<T>> {
        let body = wire::json(&serde_json::json!({ "recordId": &*self.name }));
        let answer: RecordAnswer = self.client.call(command::GET_RECORD, Ok(Some(body))).await?;
        let (version, position) = (answer.version, answer.position());
        Ok(Versioned { value: decode(&answer.record)?, version, position })
    }

    /// Replace the value.
    ///
    /// # Errors
    /// `forbidden`, `too_large`, and those of any command.
    pub async fn set<V: Serialize + ?Sized>(&self, value: &V) -> Result<Written> {
        self.update(value, None).await
    }

    /// Replace it if the record is at that version; 0: if it was never written.
    ///
    /// # Errors
    /// `conflict`, of which [`ClientError::conflict`] tells the version and the value that it has; and those of [`set`](Self::set).
    pub async fn compare_and_set<V: Serialize + ?Sized>(&self, version: u64, value: &V) -> Result<Written> {
        self.if_version(version).set(value).await
    }

    /// Replace the members that `value` has, and keep the others. What is no object is replaced.
    ///
    /// # Errors
    /// Those of [`set`](Self::set).
    pub async fn merge<V: Serialize + ?Sized>(&self, value: &V) -> Result<Written> {
        self.update(value, Some("merge")).await
    }

    /// The same, also inside of members that are objects.
    ///
    /// # Errors
    /// Those of [`set`](Self::set).
    pub async fn deep_merge<V: Serialize + ?Sized>(&self, value: &V) -> Result<Written> {
        self.update(value, Some("deepMerge")).await
    }

    /// Change it by a patch of at most 1,000 operations: all of them take place, or none.
    ///
    /// # Errors
    /// `bad_payload` if the patch does not fit, and those of [`set`](Self::set).
    pub async fn patch(&self, patch: &Patch) -> Result<Written> {
        let write = Write { patch: Some(patch), ..self.write() };
        self.send(command::PATCH_RECORD, write).await.map(Into::into)
    }

    /// Add to the number at a JSON pointer (`""`: the whole value). What is not there counts as 0.
    ///
    /// # Errors
    /// `bad_payload` if there is no number, if `by` is none, or with [`if_version`](Self::if_version); and those of [`set`](Self::set).
    pub async fn increment(&self, path: &str, by: impl Into<Value>) -> Result<Incremented> {
        let not = |what: &str| ClientError::give_up(mesh_proto::Code::BadPayload, what);
        let Value::Number(by) = by.into() else { return Err(not("an increment is a number")) };
        if self.if_version.is_some() {
            return Err(not("an increment takes no version: it adds to whatever there is"));
        }
        let path = Some(path).filter(|path| !path.is_empty());
        let write = Write { path, by: Some(by), ..self.write() };
        let (answer, txn) = self.send(command::INCREMENT_RECORD, write).await?;
        let position = answer.position();
        let value = answer.value.ok_or_else(|| not("the server did not tell the new number"))?;
        Ok(Incremented { value, version: answer.version, position, txn })
    }

    /// Take the value away. This makes a version, too.
    ///
    /// # Errors
    /// `forbidden`, and those of any command.
    pub async fn delete(&self) -> Result<Written> {
        self.send(command::DELETE_RECORD, self.write()).await.map(Into::into)
    }

    async fn update<V: Serialize + ?Sized>(
        &self,
        value: &V,
        strategy: Option<&'static str>,
    ) -> Result<Written> {
        let value = serde_json::value::to_raw_value(value).map_err(|error| ClientError::encoding(&error))?;
        let options = strategy.map(|strategy| Options { strategy });
        let write = Write { new_value: Some(&value), options, ..self.write() };
        self.send(command::PUBLISH_RECORD_UPDATE, write).await.map(Into::into)
    }

    fn write(&self) -> Write<'_> {
        Write {
            record_id: &self.name,
            new_value: None,
            options: None,
            patch: None,
            path: None,
            by: None,
            if_version: self.if_version,
            txn: self.client.session(|session| session.next_mark()),
        }
    }

    async fn send(&self, command: &str, write: Write<'_>) -> Result<(WriteAnswer, String)> {
        let body = wire::json(&write);
        let answer = self.client.call(command, Ok(Some(body))).await?;
        Ok((answer, write.txn))
    }
}

impl From<(WriteAnswer, String)> for Written {
    fn from((answer, txn): (WriteAnswer, String)) -> Self {
        Self { version: answer.version, position: answer.position(), txn }
    }
}

/// A value as a type; `null` is none.
pub(crate) fn decode<T: DeserializeOwned>(value: &Value) -> Result<Option<T>> {
    if value.is_null() {
        return Ok(None);
    }
    T::deserialize(value).map(Some).map_err(|error| ClientError::decoding(&error))
}
