//! Loading, writing and listing cells.

use std::sync::Arc;

use bytes::Bytes;
use mesh_backend::{CellValue, Expect, Key, Kind, Result, Write, Written};
use mesh_proto::{Epoch, Position};

use super::RedisLink;
use super::lists::name;
use super::logs::bounds;
use crate::reply::Reply;
use crate::script::{CELLS, LOAD, WRITE};

impl RedisLink {
    pub(super) async fn do_load(&self, cell: &Key) -> Result<Option<CellValue>> {
        let keys = &self.commands.keys;
        let shard = keys.shard(cell);
        let mut reply = self.commands.run(shard, self.call(&LOAD, shard).key(keys.hash(cell))).await?;
        if reply.is_empty() { Ok(None) } else { there(&mut reply).map(Some) }
    }

    pub(super) async fn do_write(&self, cell: &Key, write: Write) -> Result<Written> {
        let keys = &self.commands.keys;
        let shard = keys.shard(cell);
        let call = self
            .call(&WRITE, shard)
            .key(keys.hash(cell))
            .key(keys.stream(cell))
            .key(keys.counts(cell))
            .key(keys.index(shard, "cells", cell.kind));
        let call = self.on_channel(call, cell).arg(Epoch::random(&self.entropy).to_string());
        let call = bounds(call, write.keep);
        let call = match write.expect {
            Expect::Absent => call.arg("").arg("0"),
            Expect::Version(epoch, version) => call.arg(epoch.to_string()).number(version),
        };
        let flag = u64::from(write.value.is_some()) + 2 * u64::from(write.insist);
        let mut call = call.number(flag).arg(write.value.unwrap_or_default()).arg(cell.name.to_string());
        let mut tag = None;
        for entry in write.entries {
            tag = Some(entry.tag);
            let blob = entry.announce.as_ref().map(|announce| self.blob(announce));
            let flag = if blob.is_some() { "1" } else { "0" };
            call = call.arg(entry.tag.to_string()).arg(entry.kept).arg(flag).arg(blob.unwrap_or_default());
        }
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

/// Epoch, version, tag, value.
fn there(reply: &mut Reply) -> Result<CellValue> {
    let position = reply.position()?;
    let value: Option<Bytes> = reply.maybe_bytes()?;
    Ok(CellValue { position, value })
}
