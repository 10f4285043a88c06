//! A backend with a mistake in it, to see that the worlds find it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use mesh_backend::{
    Announce, Backend, BackendError, Beat, CellValue, Done, Entered, Entry, Expect, Inbox, Keep, Key, Kind,
    Left, Link, LogPage, LogRead, Member, Orphan, Roll, Write, Written, WrittenAll,
};
use mesh_server::{ConnId, Epoch, Position, Tag};

use crate::world::Bug;

/// Does what another backend does, but for one mistake.
#[derive(Clone, Debug)]
pub(crate) struct Lying {
    inner: Arc<dyn Backend>,
    bug: Bug,
    calls: Arc<AtomicU64>,
}

#[derive(Debug)]
struct LyingLink {
    inner: Arc<dyn Link>,
    lying: Lying,
}

impl Lying {
    pub(crate) fn new(inner: Arc<dyn Backend>, bug: Bug, seed: u64) -> Self {
        Self { inner, bug, calls: Arc::new(AtomicU64::new(seed % 10)) }
    }

    /// One of ten.
    fn lies(&self, bug: Bug) -> bool {
        self.bug == bug && self.calls.fetch_add(1, Ordering::Relaxed) % 10 == 9
    }
}

impl LyingLink {
    async fn write_in_steps(&self, writes: Vec<(Key, Write)>) -> mesh_backend::Result<WrittenAll> {
        let mut positions = Vec::new();
        // Nor does it look at what is only compared.
        for (cell, write) in writes.into_iter().filter(|(_, write)| !write.entries.is_empty()) {
            match self.inner.write(&cell, write).await? {
                Written::At(position) => positions.push(position),
                Written::Conflict(there) => return Ok(WrittenAll::Conflict(cell, there)),
                Written::Busy => return Err(BackendError::Unavailable("another one's turn".into())),
            }
        }
        Ok(WrittenAll::At(positions))
    }
}

impl Backend for Lying {
    fn attach(&self, me: mesh_proto::Incarnation, lease: Duration, inbox: Inbox) -> Done<'_, Arc<dyn Link>> {
        Box::pin(async move {
            let inner = self.inner.attach(me, lease, inbox).await?;
            Ok(Arc::new(LyingLink { inner, lying: self.clone() }) as Arc<dyn Link>)
        })
    }
}

impl Link for LyingLink {
    fn subscribe<'a>(&'a self, topic: &'a Key) -> Done<'a, ()> {
        if topic.kind == Kind::Room && self.lying.lies(Bug::DeafSubscriptions) {
            return Box::pin(async { Ok(()) });
        }
        self.inner.subscribe(topic)
    }

    fn leave<'a>(&'a self, roster: &'a Key, who: ConnId, announce: Option<Announce>) -> Done<'a, Left> {
        if roster.kind == Kind::Room && self.lying.lies(Bug::ForgottenDepartures) {
            return Box::pin(async { Ok(Left { was_in: true, count: 1 }) });
        }
        self.inner.leave(roster, who, announce)
    }

    fn unsubscribe<'a>(&'a self, topic: &'a Key) -> Done<'a, ()> {
        self.inner.unsubscribe(topic)
    }

    fn publish(&self, announce: Announce) -> Done<'_, ()> {
        self.inner.publish(announce)
    }

    fn append<'a>(&'a self, log: &'a Key, entry: Entry, keep: Keep) -> Done<'a, Position> {
        if self.lying.lies(Bug::ForgottenMessages) {
            return Box::pin(async move {
                let page = self.inner.read(log, LogRead::Newest { limit: 0 }).await?;
                let epoch = page.epoch.unwrap_or(Epoch(1));
                Ok(Position { epoch, offset: page.newest + 1, tag: entry.tag })
            });
        }
        self.inner.append(log, entry, keep)
    }

    fn read<'a>(&'a self, log: &'a Key, read: LogRead) -> Done<'a, LogPage> {
        let (torn, early) = (self.lying.lies(Bug::TornPages), self.lying.lies(Bug::ToldTooSoon));
        Box::pin(async move {
            let mut page = self.inner.read(log, read).await?;
            if torn && page.entries.len() > 1 {
                page.entries.remove(page.entries.len() - 2);
            }
            if let [.., last, newest] = &*page.entries
                && early
                && newest.offset == page.newest
            {
                (page.newest, page.tag) = (last.offset, last.tag);
                page.entries.pop();
            }
            Ok(page)
        })
    }

    fn load<'a>(&'a self, cell: &'a Key) -> Done<'a, Option<CellValue>> {
        self.inner.load(cell)
    }

    fn write<'a>(&'a self, cell: &'a Key, write: Write) -> Done<'a, Written> {
        if let (Expect::Version(epoch, version), true) = (write.expect, self.lying.lies(Bug::ForgottenWrites))
        {
            let offset = version + write.entries.len() as u64;
            let tag = write.entries.last().map_or(Tag(0), |entry| entry.tag);
            return Box::pin(async move { Ok(Written::At(Position { epoch, offset, tag })) });
        }
        self.inner.write(cell, write)
    }

    fn write_all(&self, mut writes: Vec<(Key, Write)>) -> Done<'_, WrittenAll> {
        if writes.len() > 1 && self.lying.lies(Bug::TornTransactions) {
            let forgets = writes.pop().is_some_and(|(_, write)| !write.entries.is_empty());
            return Box::pin(async move {
                let mut written = self.inner.write_all(writes).await?;
                if let WrittenAll::At(positions) = &mut written {
                    positions.extend(positions.last().copied().filter(|_| forgets));
                }
                Ok(written)
            });
        }
        if self.lying.bug == Bug::TransactionsInSteps {
            return Box::pin(self.write_in_steps(writes));
        }
        self.inner.write_all(writes)
    }

    fn cells<'a>(
        &'a self,
        kind: Kind,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> Done<'a, Vec<(Arc<str>, CellValue)>> {
        self.inner.cells(kind, prefix, after, limit)
    }

    fn enter<'a>(
        &'a self,
        roster: &'a Key,
        who: ConnId,
        value: Option<Bytes>,
        announce: Option<Announce>,
    ) -> Done<'a, Entered> {
        self.inner.enter(roster, who, value, announce)
    }

    fn roll<'a>(&'a self, roster: &'a Key, after: u64, limit: usize) -> Done<'a, Roll> {
        self.inner.roll(roster, after, limit)
    }

    fn find<'a>(&'a self, wanted: &'a [(Key, ConnId)]) -> Done<'a, Vec<Option<Member>>> {
        self.inner.find(wanted)
    }

    fn rosters<'a>(
        &'a self,
        kind: Kind,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> Done<'a, Vec<(Arc<str>, u64)>> {
        self.inner.rosters(kind, prefix, after, limit)
    }

    fn mine<'a>(&'a self, after: Option<&'a (Key, ConnId)>, limit: usize) -> Done<'a, Vec<(Key, ConnId)>> {
        self.inner.mine(after, limit)
    }

    fn beat(&self) -> Done<'_, Beat> {
        self.inner.beat()
    }

    fn orphans(&self, limit: usize) -> Done<'_, Vec<Orphan>> {
        self.inner.orphans(limit)
    }

    fn trouble(&self) -> Option<String> {
        self.inner.trouble()
    }
}
