//! Writing a record: one step in the store, in line with all other writes of it on this instance.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use mesh_backend::{Announce, Audience, CellValue, Decision, Entry, Expect, Keep, Key, Outcome, Seen};
use mesh_proto::patch::diff;
use mesh_proto::{Code, ConnId, PatchLimits, Position, RecordName, Tag, Txn, scan};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Number, Value};

use super::change::Change;
use super::hook;
use super::message::Version;
use super::{key, position};
use crate::error::{MeshError, Result};
use crate::fault::Fault;
use crate::instance::{Counters, Instance};
use crate::mesh::Mesh;

/// A subscriber that was away is given the value there is, so no step is kept.
pub(super) const KEEP: Keep = Keep { count_max: 0, bytes_max: 0, age_max: std::time::Duration::ZERO };

pub(super) struct Write {
    pub(super) change: Change,
    /// Only at this version.
    pub(super) if_version: Option<u64>,
    pub(super) txn: Option<Txn>,
    /// Of the value it makes.
    pub(super) bytes_max: usize,
}

/// What came of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The version from now on, or as it was where nothing changed.
    pub version: u64,
    /// Whether anything changed.
    pub changed: bool,
}

/// Gives also where the record is now, and the sum of an increment.
pub(super) async fn write(
    mesh: &Mesh,
    record: &RecordName,
    write: Write,
    by: Option<ConnId>,
) -> Result<(Written, Position, Option<Number>)> {
    let instance = &mesh.0.instance;
    let turns = hook::turns(mesh, std::slice::from_ref(record)).await;
    let (of, topic, name) = (instance.clone(), key(record), record.clone());
    let decide = move |seen: &Seen| {
        let tag = Tag::random(&of.entropy);
        match write.decide(seen, &name, tag, &topic, &of) {
            Ok((decision, sum)) => (decision, Ok(sum)),
            Err(error) => (Decision::Keep, Err(error)),
        }
    };
    let edited = instance.call(instance.life().cells.edit(key(record), KEEP, decide)).await;
    let (outcome, sum) = edited.inspect_err(|error| {
        if error.code == Code::Internal {
            Counters::add(&instance.counters.panics);
            mesh.0.reports.fault(&Fault::Panicked(format!("the update of {record:?}").into()));
        }
    })?;
    let sum = sum?;
    let (cell, changed) = match outcome {
        Outcome::Written(cell) => (Some(cell), true),
        Outcome::Kept(cell) => (cell, false),
    };
    let position = position(cell.as_ref());
    if let (Some(CellValue { value, .. }), Some(turn)) = (cell.filter(|_| changed), turns.into_iter().next())
    {
        hook::tell(mesh, turn, record, position.offset, value, by);
    }
    Ok((Written { version: position.offset, changed }, position, sum))
}

impl Write {
    pub(super) fn decide(
        &self,
        seen: &Seen,
        record: &RecordName,
        tag: Tag,
        topic: &Key,
        instance: &Instance,
    ) -> Result<(Decision, Option<Number>)> {
        if self.if_version.is_some_and(|version| version != seen.version) {
            return Err(conflict(seen));
        }
        let now: Option<Value> = seen.value.as_ref().map(|json| serde_json::from_slice(json)).transpose()?;
        let patch_limits = PatchLimits::default();
        let (value, sum) = self.change.make(now.as_ref(), &patch_limits)?;
        let is_same = match (&now, &value) {
            // What was never written, or was deleted, is null to everybody who reads it.
            (None, value) => value.as_ref().is_none_or(Value::is_null),
            (Some(_), None) => false,
            (Some(now), Some(value)) => now == value,
        };
        if is_same {
            return Ok((Decision::Keep, sum));
        }
        let json = value.as_ref().map(|value| self.encode(value, instance.limits.depth_max)).transpose()?;
        let patch = match (&now, &value) {
            (Some(now), Some(value)) => diff(now, value, &patch_limits),
            _ => None,
        };
        let version = seen.version + 1;
        let version = Version { record: record.as_str(), version, tag, txn: self.txn.as_ref() };
        let variants = version.variants(json.as_deref(), patch.as_ref())?;
        instance.counters.encodes.fetch_add(1 + u64::from(patch.is_some()), Ordering::Relaxed);
        let announce = Announce {
            topic: topic.clone(),
            audience: Audience::All,
            txn: None,
            variants: Some(variants),
            control: None,
        };
        let entry = Entry { tag, kept: Bytes::new(), announce: Some(announce) };
        let decision = match json {
            Some(json) => Decision::Store(json, entry),
            None => Decision::Remove(entry),
        };
        Ok((decision, sum))
    }

    fn encode(&self, value: &Value, depth_max: usize) -> Result<Bytes> {
        let json = serde_json::to_string(value)?;
        if json.len() > self.bytes_max {
            let message = format!("a record has at most {} bytes, this has {}", self.bytes_max, json.len());
            return Err(MeshError::new(Code::TooLarge, message));
        }
        scan(&json, depth_max, usize::MAX).map_err(|excess| MeshError::bad_payload(excess.to_string()))?;
        Ok(json.into())
    }
}

/// To be written over what is there.
pub(super) fn expect(there: Option<&CellValue>) -> Expect {
    there.map_or(Expect::Absent, |cell| Expect::Version(cell.position.epoch, cell.position.offset))
}

fn conflict(seen: &Seen) -> MeshError {
    #[derive(Serialize)]
    struct Details<'a> {
        version: u64,
        record: Option<&'a RawValue>,
    }
    let value = seen.value.as_ref().and_then(|json| serde_json::from_slice::<&RawValue>(json).ok());
    let details = Details { version: seen.version, record: value };
    MeshError::new(Code::Conflict, format!("the record is at version {}", seen.version))
        .with_details(&details)
}
