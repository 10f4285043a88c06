//! Loading, writing and listing cells.

use std::sync::Arc;

use bytes::Bytes;
use mesh_backend::{
    BackendError, CellValue, Entry, Expect, Key, Kind, Result, Write, Written, WrittenAll, check_together,
};
use mesh_proto::{Epoch, Position};

use super::RedisLink;
use super::lists::name;
use super::logs::bounds;
use crate::call::Call;
use crate::key::{Shard, channel_tail};
use crate::message::{self, Part};
use crate::reply::Reply;
use crate::script::{CELLS, LOAD, WRITE, WRITE_ALL};

impl RedisLink {
    pub(super) async fn do_load(&self, cell: &Key) -> Result<Option<CellValue>> {
        let keys = &self.commands.keys;
        let shard = keys.shard(cell);
        let mut reply = self.commands.run(shard, self.call(&LOAD, shard).key(keys.hash(cell))).await?;
        if reply.is_empty() { Ok(None) } else { there(&mut reply).map(Some) }
    }

    pub(super) async fn do_write(&self, cell: &Key, write: Write) -> Result<Written> {
        let shard = self.commands.keys.shard(cell);
        let call = self.cell_keys(self.call(&WRITE, shard), shard, cell);
        let tag = write.entries.last().map(|entry| entry.tag);
        let (call, entries) = self.cell_args(call.arg(self.commands.verbs.publish), cell, write);
        let call = entries.into_iter().fold(call, |call, entry| self.step(call, entry, None));
        let mut reply = self.commands.run(shard, call).await?;
        let conflict = |reply: &mut Reply| match reply.parse::<u64>()? {
            2 if reply.is_empty() => Ok(Written::Conflict(None)),
            2 => Ok(Written::Conflict(Some(there(reply)?))),
            3 => Ok(Written::Busy),
            _ => Err(reply.strange()),
        };
        if reply.len() == 2
            && let Some(tag) = tag
        {
            return Ok(Written::At(Position { epoch: reply.epoch()?, offset: reply.parse()?, tag }));
        }
        conflict(&mut reply)
    }

    pub(super) async fn do_write_all(&self, writes: Vec<(Key, Write)>) -> Result<WrittenAll> {
        check_together(&writes)?;
        let keys = &self.commands.keys;
        let shard = keys.shard(&writes[0].0);
        if let Some((apart, _)) = writes.iter().find(|(cell, _)| keys.shard(cell) != shard) {
            return Err(BackendError::Refused(format!(
                "on Redis Cluster {:?} and {apart:?} cannot be in one transaction, as they are in different hash slots: give \
                 them names that share a part in braces, such as {{order 7}}:items and {{order 7}}:total",
                writes[0].0
            )));
        }
        let mut call = self.call(&WRITE_ALL, shard);
        for (cell, _) in &writes {
            call = self.cell_keys(call, shard, cell);
        }
        call = call.arg(self.commands.verbs.publish);
        let id = self.entropy.u64();
        let tails: Arc<[Option<Arc<str>>]> = writes.iter().map(tail_if_announced).collect();
        let mut last = Vec::new();
        for (index, (cell, write)) in writes.into_iter().enumerate() {
            let (args, entries) = self.cell_args(call, &cell, write);
            call = args.number(entries.len() as u64);
            let later: Arc<[_]> = tails[index + 1..].iter().flatten().cloned().collect();
            let mut announced = entries.iter().filter(|entry| entry.announce.is_some()).count();
            last.push((cell, entries.last().map(|entry| entry.tag)));
            for entry in entries {
                announced -= usize::from(entry.announce.is_some());
                let part = Part { id, more: announced > 0, later: later.clone() };
                call = self.step(call, entry, Some(part));
            }
        }
        let mut reply = self.commands.run(shard, call).await?;
        if reply.len() == 1 {
            let mut list = reply.list()?;
            let position = |tag| Ok(Position { epoch: list.epoch()?, offset: list.parse()?, tag });
            let changed = last.into_iter().filter_map(|(_, tag)| tag);
            return changed.map(position).collect::<Result<_>>().map(WrittenAll::At);
        }
        let (sign, index) = (reply.parse::<u64>()?, reply.parse::<usize>()?);
        match (sign, last.into_iter().nth(index)) {
            (2, Some((cell, _))) if reply.is_empty() => Ok(WrittenAll::Conflict(cell, None)),
            (2, Some((cell, _))) => Ok(WrittenAll::Conflict(cell, Some(there(&mut reply)?))),
            _ => Err(reply.strange()),
        }
    }

    fn cell_keys(&self, call: Call, shard: Shard, cell: &Key) -> Call {
        let keys = &self.commands.keys;
        call.key(keys.hash(cell))
            .key(keys.stream(cell))
            .key(keys.counts(cell))
            .key(keys.index(shard, "cells", cell.kind))
    }

    /// What a write says beside its steps, which are given back.
    fn cell_args(&self, call: Call, cell: &Key, write: Write) -> (Call, Vec<Entry>) {
        let Write { expect, value, entries, keep, insist } = write;
        let call = call.arg(self.commands.keys.channel(cell)).arg(Epoch::random(&self.entropy).to_string());
        let call = bounds(call, keep);
        let call = match expect {
            Expect::Absent => call.arg("").arg("0"),
            Expect::Version(epoch, version) => call.arg(epoch.to_string()).number(version),
        };
        let flags = u64::from(value.is_some()) + 2 * u64::from(insist);
        (call.number(flags).arg(value.unwrap_or_default()).arg(cell.name.to_string()), entries)
    }

    fn step(&self, call: Call, entry: Entry, part: Option<Part>) -> Call {
        let blob = entry.announce.as_ref().map(|announce| message::encode(self.me, announce, part.as_ref()));
        let flag = if blob.is_some() { "1" } else { "0" };
        call.arg(entry.tag.to_string()).arg(entry.kept).arg(flag).arg(blob.unwrap_or_default())
    }

    pub(super) async fn list_cells(
        &self,
        kind: Kind,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(Arc<str>, CellValue)>> {
        let next = |list: &mut Reply| {
            let mut cell = list.list()?;
            Ok((name(&mut cell)?, there(&mut cell)?))
        };
        self.list(&CELLS, "cells", (kind, prefix, after), limit, next).await
    }
}

fn tail_if_announced((cell, write): &(Key, Write)) -> Option<Arc<str>> {
    let announced = write.entries.iter().any(|entry| entry.announce.is_some());
    announced.then(|| channel_tail(cell).into())
}

/// Epoch, version, tag, value.
fn there(reply: &mut Reply) -> Result<CellValue> {
    let position = reply.position()?;
    let value: Option<Bytes> = reply.maybe_bytes()?;
    Ok(CellValue { position, value })
}
