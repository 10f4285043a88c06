//! Records.

use std::sync::Arc;

use mesh_proto::patch::Patch;
use mesh_proto::{Position, command};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Number, Value};

use crate::client::Client;
use crate::error::{ClientError, Result};
use crate::session::{Pace, RecordValue, Strategy, Write};
use crate::watch::Watch;
use crate::wire::{self, RecordAnswer, WriteAnswer, WriteRecord};

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
    /// How its values leave.
    pace: Pace,
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

impl Record {
    pub(crate) fn new(client: Client, name: &str) -> Self {
        Self { client, name: name.into(), if_version: None, pace: Pace::default() }
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

    /// The same record, which [`set`](Self::set), [`merge`](Self::merge) and [`deep_merge`](Self::deep_merge) write at most so
    /// many times a second, 0.01 to 1,000, over all handles with a rate. A newer value takes the place of one that waits for
    /// its turn, or for a connection, and the last one always leaves; members that wait to be merged are joined by those that
    /// come, so that none is lost. Each call is answered with what came of the write that left in its place.
    ///
    /// Two that no single write can say, a merge and a deep merge or writes at other versions, leave one after the other, the
    /// first at once. Other writes do not wait, and overtake those that do. All else is as with
    /// [`Channel::max_rate`](crate::Channel::max_rate).
    ///
    /// ```no_run
    /// # use serde_json::json;
    /// # async fn run(client: mesh_client::Client) -> mesh_client::Result<()> {
    /// let player = client.record("player:1").max_rate(10.0);
    /// player.merge(&json!({"x": 3, "y": 4})).await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn max_rate(&self, writes_per_second: f64) -> Self {
        let pace = Pace { rate_max: Some(writes_per_second), ..self.pace };
        Self { pace, ..self.clone() }
    }

    /// The same record, whose [`set`](Self::set), [`merge`](Self::merge) and [`deep_merge`](Self::deep_merge) are only worth
    /// sending now: without a connection, while more than 64 KiB wait to be sent, or when the server has as many commands as
    /// it takes, they fail with `dropped` and are not sent.
    #[must_use]
    pub fn volatile(&self) -> Self {
        let pace = Pace { is_volatile: true, ..self.pace };
        Self { pace, ..self.clone() }
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
        self.update(value, Strategy::Replace).await
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
        self.update(value, Strategy::Merge).await
    }

    /// The same, also inside of members that are objects.
    ///
    /// # Errors
    /// Those of [`set`](Self::set).
    pub async fn deep_merge<V: Serialize + ?Sized>(&self, value: &V) -> Result<Written> {
        self.update(value, Strategy::DeepMerge).await
    }

    /// Change it by a patch of at most 1,000 operations: all of them take place, or none.
    ///
    /// # Errors
    /// `bad_payload` if the patch does not fit, and those of [`set`](Self::set).
    pub async fn patch(&self, patch: &Patch) -> Result<Written> {
        let txn = self.mark();
        let write = WriteRecord { patch: Some(patch), ..self.write(&txn) };
        let answer = self.send(command::PATCH_RECORD, write).await?;
        Ok((answer, txn).into())
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
        let txn = self.mark();
        let write = WriteRecord { path, by: Some(by), ..self.write(&txn) };
        let answer = self.send(command::INCREMENT_RECORD, write).await?;
        let position = answer.position();
        let value = answer.value.ok_or_else(|| not("the server did not tell the new number"))?;
        Ok(Incremented { value, version: answer.version, position, txn })
    }

    /// Take the value away. This makes a version, too.
    ///
    /// # Errors
    /// `forbidden`, and those of any command.
    pub async fn delete(&self) -> Result<Written> {
        let txn = self.mark();
        let answer = self.send(command::DELETE_RECORD, self.write(&txn)).await?;
        Ok((answer, txn).into())
    }

    async fn update<V: Serialize + ?Sized>(&self, value: &V, strategy: Strategy) -> Result<Written> {
        let value = serde_json::value::to_raw_value(value).map_err(|error| ClientError::encoding(&error))?;
        let value = RecordValue { value, strategy, if_version: self.if_version };
        self.client.write(Write::value(&self.name, value), self.pace).await.map(Into::into)
    }

    fn mark(&self) -> String {
        self.client.session(|session| session.next_mark())
    }

    /// A write with that mark, of which the rest is still to be said.
    fn write<'a>(&'a self, txn: &'a str) -> WriteRecord<'a> {
        WriteRecord { if_version: self.if_version, ..WriteRecord::of(&self.name, txn) }
    }

    async fn send(&self, command: &str, write: WriteRecord<'_>) -> Result<WriteAnswer> {
        self.client.call(command, Ok(Some(wire::json(&write)))).await
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
