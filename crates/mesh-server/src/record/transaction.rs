//! Several records written together or not at all.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::future::try_join_all;
use mesh_backend::{CellValue, Decision, Key, Seen, TRANSACTION_MAX, Write as CellWrite, WrittenAll};
use mesh_proto::{Code, RecordName, Tag};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::change::Change;
use super::hook;
use super::write::{KEEP, Write, expect};
use super::{key, load};
use crate::error::{MeshError, Result};
use crate::fault::Fault;
use crate::instance::Counters;
use crate::mesh::Mesh;

/// How often it is run anew because somebody else wrote one of its records first.
const ATTEMPTS_MAX: usize = 64;

/// The records of a transaction as they are, and as they are to be. Nothing is written before its function has returned.
#[derive(Debug)]
pub struct Transaction {
    slots: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    record: RecordName,
    there: Option<CellValue>,
    value: Option<Value>,
    /// Whether it was looked at: then what was decided holds only as long as it is the same.
    is_read: Cell<bool>,
    /// What it is to be; `None`: as it is.
    change: Option<Change>,
}

impl Mesh {
    /// Read and write several records, 16 at most: all of what `run` wrote takes place in one step, or nothing, and a
    /// subscriber of several of them is told in one frame. `run` works on what was read before; where somebody else was first
    /// to write one of the records that it read or wrote, it is run once more on what is there then. So what it returns, also an
    /// error, follows from what all of its records were at one moment, and nobody wrote between that and what it wrote. It never
    /// waits.
    ///
    /// ```
    /// # async fn doc() -> mesh_server::Result<()> {
    /// use mesh_server::{Mesh, MeshError};
    ///
    /// let mesh = Mesh::builder().build().await?;
    /// mesh.record("account:a").set(&100).await?;
    /// let moved = mesh.transaction(&["account:a", "account:b"], |tx| {
    ///     let (a, b): (i64, i64) = (tx.get("account:a")?.unwrap_or(0), tx.get("account:b")?.unwrap_or(0));
    ///     if a < 30 {
    ///         return Err(MeshError::app("too_little", "not enough there"));
    ///     }
    ///     tx.set("account:a", &(a - 30))?;
    ///     tx.set("account:b", &(b + 30))?;
    ///     Ok(30)
    /// });
    /// assert_eq!(moved.await?, 30);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Whatever `run` returns, and nothing is written; `bad_payload` for what is no name of a record, a name given twice, more than 16 of
    /// them, or names of different hash slots on a Redis Cluster (there they need a part in braces in common); `too_large`
    /// and `unavailable` as for any write; `conflict` where others were always first; `internal` if `run` panics.
    pub async fn transaction<R>(
        &self,
        records: &[&str],
        run: impl Fn(&mut Transaction) -> Result<R>,
    ) -> Result<R> {
        let instance = &self.0.instance;
        let names = checked(records)?;
        let mut turns: Vec<_> = hook::turns(self, &names).await.into_iter().map(Some).collect();
        let mut there = try_join_all(names.iter().map(|record| load(self, record))).await?;
        for _ in 0..ATTEMPTS_MAX {
            let mut tx = Transaction::of(&names, &there)?;
            let ran = catch_unwind(AssertUnwindSafe(|| run(&mut tx))).map_err(|_| {
                Counters::add(&instance.counters.panics);
                self.0.reports.fault(&Fault::Panicked("a transaction".into()));
                MeshError::new(Code::Internal, "internal error")
            })?;
            let writes = if ran.is_ok() { tx.writes(self)? } else { tx.reads() };
            // What is there of one record was there at one moment without further ado.
            if writes.len() <= 1 && writes.iter().all(|(_, (_, write))| write.entries.is_empty()) {
                return ran;
            }
            let changed = writes.iter().filter(|(_, (_, write))| !write.entries.is_empty());
            let changed: Vec<_> =
                changed.map(|(record, (_, write))| (record.clone(), write.value.clone())).collect();
            let writes = writes.into_iter().map(|(_, write)| write).collect();
            match instance.call(instance.life().link.write_all(writes)).await? {
                WrittenAll::At(positions) => {
                    for ((record, value), position) in changed.into_iter().zip(positions) {
                        let of = names.iter().position(|name| *name == record);
                        if let Some(turn) = of.and_then(|of| turns[of].take()) {
                            hook::tell(self, turn, &record, position.offset, value, None);
                        }
                    }
                    return ran;
                }
                WrittenAll::Conflict(cell, now) => {
                    let at = names.iter().position(|record| key(record) == cell);
                    let at = at.ok_or_else(|| MeshError::new(Code::Internal, "internal error"))?;
                    there[at] = now;
                }
            }
        }
        Err(MeshError::new(Code::Conflict, "others were always first to write these records"))
    }
}

fn checked(records: &[&str]) -> Result<Vec<RecordName>> {
    if records.is_empty() || records.len() > TRANSACTION_MAX {
        return Err(MeshError::bad_payload(format!("a transaction is of 1 to {TRANSACTION_MAX} records")));
    }
    let names = records.iter().map(|name| Ok(RecordName::new(name)?)).collect::<Result<Vec<_>>>()?;
    let twice = names.iter().enumerate().find(|(n, name)| names[..*n].contains(name));
    match twice {
        Some((_, name)) => Err(MeshError::bad_payload(format!("record \"{name}\" is named twice"))),
        None => Ok(names),
    }
}

impl Transaction {
    fn of(names: &[RecordName], there: &[Option<CellValue>]) -> Result<Self> {
        let slot = |(record, there): (&RecordName, &Option<CellValue>)| {
            let json = there.as_ref().and_then(|cell| cell.value.as_ref());
            let value = json.map(|json| serde_json::from_slice(json)).transpose()?;
            let (record, there) = (record.clone(), there.clone());
            Ok(Slot { record, there, value, is_read: Cell::new(false), change: None })
        };
        Ok(Self { slots: names.iter().zip(there).map(slot).collect::<Result<_>>()? })
    }

    /// A record's value: what was written here, else what was read. `None` if there is none.
    ///
    /// # Errors
    /// `bad_payload` if it is no `T`, or a record that the transaction was not opened for.
    pub fn get<T: DeserializeOwned>(&self, record: &str) -> Result<Option<T>> {
        let slot =
            self.slots.iter().find(|slot| slot.record.as_str() == record).ok_or_else(|| unnamed(record))?;
        let value = match &slot.change {
            None => {
                slot.is_read.set(true);
                slot.value.as_ref()
            }
            Some(Change::Set(value)) => Some(value),
            Some(_) => None,
        };
        Ok(value.map(T::deserialize).transpose()?)
    }

    /// Replace a record's value.
    ///
    /// # Errors
    /// `bad_payload` for what is no JSON, or a record that the transaction was not opened for.
    pub fn set<T: Serialize + ?Sized>(&mut self, record: &str, value: &T) -> Result<()> {
        self.slot(record)?.change = Some(Change::Set(serde_json::to_value(value)?));
        Ok(())
    }

    /// Remove a record.
    ///
    /// # Errors
    /// `bad_payload` for a record that the transaction was not opened for.
    pub fn delete(&mut self, record: &str) -> Result<()> {
        self.slot(record)?.change = Some(Change::Delete);
        Ok(())
    }

    fn slot(&mut self, record: &str) -> Result<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.record.as_str() == record).ok_or_else(|| unnamed(record))
    }

    /// What must be as it was read.
    fn reads(self) -> Vec<(RecordName, (Key, CellWrite))> {
        let read = self.slots.into_iter().filter(|slot| slot.is_read.get());
        read.map(|Slot { record, there, .. }| compared(record, there.as_ref())).collect()
    }

    /// What changes, and what must be as it was read.
    fn writes(self, mesh: &Mesh) -> Result<Vec<(RecordName, (Key, CellWrite))>> {
        let instance = &mesh.0.instance;
        let mut writes = Vec::new();
        for Slot { record, there, is_read, change, .. } in self.slots {
            let Some(change) = change else {
                writes.extend(is_read.get().then(|| compared(record, there.as_ref())));
                continue;
            };
            let bytes_max = instance.limits.record_bytes_max;
            let write = Write { change, if_version: None, txn: None, bytes_max };
            let seen = Seen {
                epoch: there.as_ref().map(|cell| cell.position.epoch),
                version: there.as_ref().map_or(0, |cell| cell.position.offset),
                value: there.as_ref().and_then(|cell| cell.value.clone()),
            };
            let (cell, tag) = (key(&record), Tag::random(&instance.entropy));
            let (value, entry) = match write.decide(&seen, &record, tag, &cell, instance)?.0 {
                // What changes nothing does so only to what was there.
                Decision::Keep => {
                    writes.push(compared(record, there.as_ref()));
                    continue;
                }
                Decision::Store(value, entry) => (Some(value), entry),
                Decision::Remove(entry) => (None, entry),
            };
            let expect = expect(there.as_ref());
            let write = CellWrite { expect, value, entries: vec![entry], keep: KEEP, insist: false };
            writes.push((record, (cell, write)));
        }
        Ok(writes)
    }
}

/// No change, if it is still what was read.
fn compared(record: RecordName, there: Option<&CellValue>) -> (RecordName, (Key, CellWrite)) {
    let (cell, expect) = (key(&record), expect(there));
    (record, (cell, CellWrite { expect, value: None, entries: Vec::new(), keep: KEEP, insist: false }))
}

fn unnamed(record: &str) -> MeshError {
    MeshError::bad_payload(format!("the transaction was not opened for record \"{record}\""))
}
