//! Records on the wire.

use std::borrow::Cow;

use mesh_proto::patch::Patch;
use mesh_proto::{Epoch, Position, Tag};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Number, Value};

use super::position;

/// `mesh/subscribe-record`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SubscribeRecord<'a> {
    pub(crate) record_id: &'a str,
    pub(crate) mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<Position>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) latest: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_rate: Option<f64>,
}

/// A write of any kind.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WriteRecord<'a> {
    pub(crate) record_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) new_value: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) options: Option<WriteOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) patch: Option<&'a Patch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) if_version: Option<u64>,
    pub(crate) txn: &'a str,
}

#[derive(Debug, Serialize)]
pub(crate) struct WriteOptions {
    pub(crate) strategy: &'static str,
}

impl<'a> WriteRecord<'a> {
    /// One of that record, with that mark.
    pub(crate) fn of(record_id: &'a str, txn: &'a str) -> Self {
        Self {
            record_id,
            new_value: None,
            options: None,
            patch: None,
            path: None,
            by: None,
            if_version: None,
            txn,
        }
    }
}

/// The answer to `mesh/subscribe-record` and `mesh/get-record`.
#[derive(Debug, Deserialize)]
pub(crate) struct RecordAnswer {
    #[serde(default)]
    pub(crate) unchanged: bool,
    #[serde(default)]
    pub(crate) record: Value,
    pub(crate) version: u64,
    epoch: Option<Epoch>,
    tag: Option<Tag>,
    #[serde(default)]
    pub(crate) deleted: bool,
}

impl RecordAnswer {
    pub(crate) fn position(&self) -> Option<Position> {
        position(self.epoch, Some(self.version), self.tag)
    }
}

/// The answer to a write.
#[derive(Debug, Deserialize)]
pub(crate) struct WriteAnswer {
    pub(crate) version: u64,
    epoch: Option<Epoch>,
    tag: Option<Tag>,
    /// Of an increment: the new number.
    #[serde(default)]
    pub(crate) value: Option<Number>,
}

impl WriteAnswer {
    pub(crate) fn position(&self) -> Option<Position> {
        position(self.epoch, Some(self.version), self.tag)
    }
}

/// `mesh/record-update`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePush<'a> {
    #[serde(borrow)]
    record_id: Cow<'a, str>,
    #[serde(default)]
    full: Value,
    #[serde(borrow, default)]
    patch: Option<&'a RawValue>,
    #[serde(default)]
    from: Option<u64>,
    version: u64,
    epoch: Option<Epoch>,
    tag: Option<Tag>,
    #[serde(default)]
    deleted: bool,
    #[serde(borrow, default)]
    txn: Option<Cow<'a, str>>,
}

/// The next version of a record.
#[derive(Debug)]
pub(crate) struct Update {
    pub(crate) change: Change,
    pub(crate) version: u64,
    pub(crate) position: Option<Position>,
    pub(crate) deleted: bool,
    pub(crate) txn: Option<String>,
}

/// How the next version of a record is told.
#[derive(Debug)]
pub(crate) enum Change {
    /// As it is.
    Full(Value),
    /// By what differs from that version, as JSON: a patch is parsed where its failure means something.
    Patch { from: Option<u64>, json: String },
}

impl Update {
    /// The push, and which record it is about.
    pub(crate) fn parse(json: &str) -> serde_json::Result<(Cow<'_, str>, Self)> {
        let push: WirePush<'_> = serde_json::from_str(json)?;
        let change = match push.patch {
            Some(patch) => Change::Patch { from: push.from, json: patch.get().to_owned() },
            None => Change::Full(push.full),
        };
        let update = Self {
            change,
            version: push.version,
            position: position(push.epoch, Some(push.version), push.tag),
            deleted: push.deleted,
            txn: push.txn.map(Cow::into_owned),
        };
        Ok((push.record_id, update))
    }
}

/// The payloads in `mesh/record-updates`, each one of a `mesh/record-update`.
pub(crate) fn updates(json: &str) -> Vec<&RawValue> {
    #[derive(Deserialize)]
    struct Updates<'a> {
        #[serde(borrow)]
        updates: Vec<&'a RawValue>,
    }
    serde_json::from_str::<Updates<'_>>(json).map(|it| it.updates).unwrap_or_default()
}
