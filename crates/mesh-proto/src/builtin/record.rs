//! What clients say about records.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::{Position, RecordName, Txn};

/// How a subscriber is told of changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Always by the whole value.
    #[default]
    Full,
    /// By what changed, where that is shorter.
    Patch,
}

/// `mesh/subscribe-record`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscribeRecord {
    /// Which record.
    pub record_id: RecordName,
    /// How it is told of changes.
    #[serde(default)]
    pub mode: Mode,
    /// What it has.
    pub after: Option<Position>,
    /// Only the newest version matters.
    #[serde(default)]
    pub latest: bool,
    /// Updates a second at most.
    pub max_rate: Option<f64>,
}

/// `mesh/unsubscribe-record`, `mesh/get-record`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamesRecord {
    /// Which record.
    pub record_id: RecordName,
}

/// What becomes of the value that was there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Strategy {
    /// The new one takes its place.
    #[default]
    Replace,
    /// Members of the new one take the place of those of the same name.
    Merge,
    /// The same, and objects inside are merged, too.
    DeepMerge,
}

/// Beside a value to be written.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct MergeOptions {
    /// How.
    #[serde(default)]
    pub strategy: Strategy,
}

/// `mesh/publish-record-update`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishRecord {
    /// Which record.
    pub record_id: RecordName,
    /// Any JSON value.
    pub new_value: Box<RawValue>,
    /// How it is written.
    #[serde(default)]
    pub options: Option<MergeOptions>,
    /// Only at this version.
    pub if_version: Option<u64>,
    /// The writer's own mark.
    pub txn: Option<Txn>,
}

/// `mesh/patch-record`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PatchRecord {
    /// Which record.
    pub record_id: RecordName,
    /// A JSON patch.
    pub patch: Box<RawValue>,
    /// Only at this version.
    pub if_version: Option<u64>,
    /// The writer's own mark.
    pub txn: Option<Txn>,
}

/// `mesh/increment-record`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IncrementRecord {
    /// Which record.
    pub record_id: RecordName,
    /// A JSON pointer to the number; the whole value if left out.
    #[serde(default)]
    pub path: String,
    /// What is added; 1 if left out.
    pub by: Option<Value>,
    /// The writer's own mark.
    pub txn: Option<Txn>,
}

/// `mesh/delete-record`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteRecord {
    /// Which record.
    pub record_id: RecordName,
    /// Only at this version.
    pub if_version: Option<u64>,
    /// The writer's own mark.
    pub txn: Option<Txn>,
}
