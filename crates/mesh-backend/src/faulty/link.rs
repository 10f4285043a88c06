//! One link with faults.

use std::sync::Arc;

use bytes::Bytes;
use mesh_proto::{ConnId, Position};

use super::{Faults, Op};
use crate::{
    Announce, Beat, CellValue, Described, Done, Entered, Entry, Keep, Key, Kind, Left, Link, LogPage,
    LogRead, Member, Orphan, Roll, Write, Written, WrittenAll,
};

#[derive(Debug)]
pub(super) struct FaultyLink {
    faults: Faults,
    life: u64,
}

impl FaultyLink {
    pub(super) fn new(faults: Faults, life: u64) -> Self {
        Self { faults, life }
    }

    pub(super) fn faults(&self) -> &Faults {
        &self.faults
    }
}

impl Drop for FaultyLink {
    fn drop(&mut self) {
        self.faults.detached(self.life);
    }
}

/// There, done, and back. The link is held for one call only, so that a crash lets go of it.
macro_rules! call {
    ($self:ident, $op:ident, $method:ident($($argument:expr),*)) => {
        Box::pin(async move {
            let way = $self.faults.there(Op::$op).await?;
            let link = $self.faults.link($self.life)?;
            let done = link.$method($($argument),*).await;
            drop(link);
            $self.faults.back(way).await?;
            done
        })
    };
}

impl Link for FaultyLink {
    fn subscribe<'a>(&'a self, topic: &'a Key) -> Done<'a, ()> {
        call!(self, Subscribe, subscribe(topic))
    }

    fn unsubscribe<'a>(&'a self, topic: &'a Key) -> Done<'a, ()> {
        call!(self, Unsubscribe, unsubscribe(topic))
    }

    fn publish(&self, announce: Announce) -> Done<'_, ()> {
        call!(self, Publish, publish(announce))
    }

    fn append<'a>(&'a self, log: &'a Key, entry: Entry, keep: Keep) -> Done<'a, Position> {
        call!(self, Append, append(log, entry, keep))
    }

    fn read<'a>(&'a self, log: &'a Key, read: LogRead) -> Done<'a, LogPage> {
        call!(self, Read, read(log, read))
    }

    fn load<'a>(&'a self, cell: &'a Key) -> Done<'a, Option<CellValue>> {
        call!(self, Load, load(cell))
    }

    fn write<'a>(&'a self, cell: &'a Key, write: Write) -> Done<'a, Written> {
        call!(self, Write, write(cell, write))
    }

    fn write_all(&self, writes: Vec<(Key, Write)>) -> Done<'_, WrittenAll> {
        call!(self, WriteAll, write_all(writes))
    }

    fn cells<'a>(
        &'a self,
        kind: Kind,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> Done<'a, Vec<(Arc<str>, CellValue)>> {
        call!(self, Cells, cells(kind, prefix, after, limit))
    }

    fn enter<'a>(
        &'a self,
        roster: &'a Key,
        who: ConnId,
        value: Option<Bytes>,
        announce: Option<Announce>,
    ) -> Done<'a, Entered> {
        call!(self, Enter, enter(roster, who, value, announce))
    }

    fn leave<'a>(&'a self, roster: &'a Key, who: ConnId, announce: Option<Announce>) -> Done<'a, Left> {
        call!(self, Leave, leave(roster, who, announce))
    }

    fn roll<'a>(&'a self, roster: &'a Key, after: u64, limit: usize) -> Done<'a, Roll> {
        call!(self, Roll, roll(roster, after, limit))
    }

    fn described<'a>(&'a self, roster: &'a Key, after: u64, limit: usize) -> Done<'a, Described> {
        call!(self, Described, described(roster, after, limit))
    }

    fn find<'a>(&'a self, wanted: &'a [(Key, ConnId)]) -> Done<'a, Vec<Option<Member>>> {
        call!(self, Find, find(wanted))
    }

    fn rosters<'a>(
        &'a self,
        kind: Kind,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> Done<'a, Vec<(Arc<str>, u64)>> {
        call!(self, Rosters, rosters(kind, prefix, after, limit))
    }

    fn mine<'a>(&'a self, after: Option<&'a (Key, ConnId)>, limit: usize) -> Done<'a, Vec<(Key, ConnId)>> {
        call!(self, Mine, mine(after, limit))
    }

    fn beat(&self) -> Done<'_, Beat> {
        call!(self, Beat, beat())
    }

    fn orphans(&self, limit: usize) -> Done<'_, Vec<Orphan>> {
        call!(self, Orphans, orphans(limit))
    }

    fn trouble(&self) -> Option<String> {
        self.faults.deaf().then(|| "cut off from what is shared".to_owned())
    }
}
