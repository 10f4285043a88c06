//! Appending to logs and reading them.

use std::time::Duration;

use mesh_backend::{Entry, Keep, Key, LogPage, LogRead, Logged, Result};
use mesh_proto::{Epoch, Position, Tag};

use super::RedisLink;
use crate::call::Call;
use crate::reply::Reply;
use crate::script::{APPEND, READ};

/// Longer than this nothing is kept by age; what is asked for beyond it means for ever.
const AGE_MAX: Duration = Duration::from_secs(1000 * 365 * 24 * 3600);

/// Entries of one page at most: more than any log keeps that is of use, and a bound on one answer.
const PAGE_MAX: usize = 1_000_000;

/// The bounds, as scripts take them.
pub(super) fn bounds(call: Call, keep: Keep) -> Call {
    let age = keep.age_max.min(AGE_MAX).as_millis() as u64;
    call.number(keep.count_max as u64).number(keep.bytes_max as u64).number(age)
}

impl RedisLink {
    pub(super) async fn do_append(&self, log: &Key, entry: Entry, keep: Keep) -> Result<Position> {
        let keys = &self.commands.keys;
        let shard = keys.shard(log);
        let call = self.call(&APPEND, shard).key(keys.hash(log)).key(keys.stream(log)).key(keys.counts(log));
        let call = self.on_channel(call, log).arg(Epoch::random(&self.entropy).to_string());
        let mut call = bounds(call, keep).arg(entry.tag.to_string()).arg(entry.kept);
        if let Some(announce) = &entry.announce {
            call = call.arg(self.blob(announce));
        }
        let mut reply = self.commands.run(shard, call).await?;
        Ok(Position { epoch: reply.epoch()?, offset: reply.parse()?, tag: entry.tag })
    }

    pub(super) async fn do_read(&self, log: &Key, read: LogRead) -> Result<LogPage> {
        let keys = &self.commands.keys;
        let shard = keys.shard(log);
        let call = self.call(&READ, shard).key(keys.hash(log)).key(keys.stream(log));
        let limit = |call: Call, limit: usize| call.number(limit.min(PAGE_MAX) as u64);
        let call = match read {
            LogRead::Newest { limit: most } => limit(call.arg("n"), most),
            LogRead::Before { offset, limit: most } => limit(call.arg("b"), most).number(offset),
            LogRead::After { position, limit: most } => limit(call.arg("a"), most)
                .number(position.offset)
                .arg(position.epoch.to_string())
                .arg(position.tag.to_string()),
        };
        page(self.commands.run(shard, call).await?, matches!(read, LogRead::After { .. }))
    }
}

fn page(mut reply: Reply, after: bool) -> Result<LogPage> {
    if reply.is_empty() {
        return Ok(LogPage {
            epoch: None,
            newest: 0,
            tag: Tag(0),
            oldest: 1,
            entries: Vec::new(),
            lost: after,
        });
    }
    let epoch = Some(reply.epoch()?);
    let newest = reply.parse()?;
    let tag = reply.tag()?;
    let oldest = reply.parse::<u64>()?.saturating_add(1);
    let lost = reply.is_one()?;
    let mut list = reply.list()?;
    let mut entries = Vec::new();
    while !list.is_empty() {
        entries.push(logged(list.list()?)?);
    }
    Ok(LogPage { epoch, newest, tag, oldest, entries, lost })
}

/// `<offset>-1`, and its fields `g` tag, `k` kept, `m` time.
fn logged(mut entry: Reply) -> Result<Logged> {
    let id = entry.text()?;
    let offset = id.split_once('-').and_then(|(offset, _)| offset.parse().ok());
    let offset = offset.ok_or_else(|| entry.strange())?;
    let mut fields = entry.list()?;
    let (_, tag) = (fields.bytes()?, fields.tag()?);
    let (_, kept) = (fields.bytes()?, fields.bytes()?);
    Ok(Logged { offset, tag, kept })
}
