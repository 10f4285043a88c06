//! The trait that a backend implements.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mesh_proto::{ConnId, Epoch, Incarnation, Position, Tag};

use crate::{Announce, BackendError, Inbox, Key, Kind, Result};

/// An operation under way. Dropping it may or may not stop it.
pub type Done<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// What instances share.
pub trait Backend: fmt::Debug + Send + Sync + 'static {
    /// Begin a life of an instance. What it subscribes to arrives in `inbox`, which the backend closes when the link
    /// is dropped. Dropping it is like dying: subscriptions end, and what it put in rosters becomes orphans once its
    /// lease runs out. Fails with `Fenced` if this incarnation was declared dead.
    fn attach(&self, me: Incarnation, lease: Duration, inbox: Inbox) -> Done<'_, Arc<dyn Link>>;
}

impl Backend for Arc<dyn Backend> {
    fn attach(&self, me: Incarnation, lease: Duration, inbox: Inbox) -> Done<'_, Arc<dyn Link>> {
        (**self).attach(me, lease, inbox)
    }
}

/// One instance's link to what is shared. Every operation is one atomic step.
///
/// An operation that fails with [`Unavailable`](crate::BackendError::Unavailable) may have taken place. Every operation
/// of an incarnation that was declared dead fails with [`Fenced`](crate::BackendError::Fenced) and changes nothing.
pub trait Link: fmt::Debug + Send + Sync + 'static {
    // -- Topics: at most once, in order per publisher and topic, to every instance subscribed, the publisher's too.

    /// From here on publications on `topic` arrive. Idempotent.
    fn subscribe<'a>(&'a self, topic: &'a Key) -> Done<'a, ()>;
    /// No longer wish for them. Idempotent. Publications made before it may still arrive after it returns.
    fn unsubscribe<'a>(&'a self, topic: &'a Key) -> Done<'a, ()>;
    /// Tell every instance that is subscribed.
    fn publish(&self, announce: Announce) -> Done<'_, ()>;

    // -- Logs: a bounded tail of entries. Minting the position, keeping and announcing are one step. An announcement
    // -- that has arrived can be read, here and in cells and rosters.

    /// Append an entry and announce it on the topic of the same key.
    fn append<'a>(&'a self, log: &'a Key, entry: Entry, keep: Keep) -> Done<'a, Position>;
    /// Read a part of the tail, oldest first.
    fn read<'a>(&'a self, log: &'a Key, read: LogRead) -> Done<'a, LogPage>;

    // -- Cells: one value and its version. Comparing, storing, keeping and announcing k entries are one step. The log
    // -- of a cell is appended to by `write` alone, so that versions are its offsets.

    /// What is there now, `None` if nothing was ever written.
    fn load<'a>(&'a self, cell: &'a Key) -> Done<'a, Option<CellValue>>;
    /// Store a value over the version expected, which k entries led to; the version grows by k.
    fn write<'a>(&'a self, cell: &'a Key, write: Write) -> Done<'a, Written>;
    /// Write several cells, all of them or none: at most [`TRANSACTION_MAX`], each once. One without steps is only compared
    /// with what is expected. What is announced arrives as one [`Group`](crate::Group) at whoever is subscribed to several of
    /// them, in the order given. Fails with
    /// [`Refused`](BackendError::Refused), before anything is done, if these cells cannot be written in one step; cells
    /// whose names share a part in braces, as `{order 7}:items` and `{order 7}:total` do, can on every backend.
    fn write_all(&self, writes: Vec<(Key, Write)>) -> Done<'_, WrittenAll>;
    /// Cells that hold a value, whose name begins with `prefix` and comes after `after`, in order of their names.
    fn cells<'a>(
        &'a self,
        kind: Kind,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> Done<'a, Vec<(Arc<str>, CellValue)>>;

    // -- Rosters: who is in a set, in order of entering. An entry belongs to the incarnation that put it there.

    /// Put a connection in, or replace its value; then announce, if it is new.
    fn enter<'a>(
        &'a self,
        roster: &'a Key,
        who: ConnId,
        value: Option<Bytes>,
        announce: Option<Announce>,
    ) -> Done<'a, Entered>;
    /// Take a connection out, whoever put it there; then announce, if it was in. Unlike those of logs and cells,
    /// announcements of rosters go where they say and bear no position.
    fn leave<'a>(&'a self, roster: &'a Key, who: ConnId, announce: Option<Announce>) -> Done<'a, Left>;
    /// Who is in, in order of entering, after the entry at offset `after` (0: from the first).
    fn roll<'a>(&'a self, roster: &'a Key, after: u64, limit: usize) -> Done<'a, Roll>;
    /// The same, and what each of these brought to the roster of connections that it is in: `None` where it is in none any
    /// more. One round trip where both are in one place.
    fn described<'a>(&'a self, roster: &'a Key, after: u64, limit: usize) -> Done<'a, Described> {
        Box::pin(async move {
            let roll = self.roll(roster, after, limit).await?;
            let wanted: Vec<_> =
                roll.members.iter().map(|member| (Key::connections_with(member.who), member.who)).collect();
            let found = self.find(&wanted).await?;
            Ok(Described { roll, connections: found })
        })
    }

    /// These entries, each `None` where there is none. One round trip for all.
    fn find<'a>(&'a self, wanted: &'a [(Key, ConnId)]) -> Done<'a, Vec<Option<Member>>>;
    /// Rosters with an entry, whose name begins with `prefix` and comes after `after`, in order of their names, with
    /// how many are in.
    fn rosters<'a>(
        &'a self,
        kind: Kind,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> Done<'a, Vec<(Arc<str>, u64)>>;

    /// Entries that this incarnation put in and that are in, after one of them, in an order of the backend's own.
    fn mine<'a>(&'a self, after: Option<&'a (Key, ConnId)>, limit: usize) -> Done<'a, Vec<(Key, ConnId)>>;

    // -- Leases: an instance that stops beating leaves orphans. Any peer may `leave` them; the first one does.

    /// Renew this incarnation's lease. Fails with `Fenced` once it was declared dead.
    fn beat(&self) -> Done<'_, Beat>;
    /// Entries of the dead, at most `limit`; the same ones until somebody takes them out or over. Whoever asks declares
    /// everybody dead whose lease has run out, but itself: what asks is alive.
    fn orphans(&self, limit: usize) -> Done<'_, Vec<Orphan>>;

    // -- Health.

    /// What is wrong now, as a sentence for an operator: `None` while a publication of this link's own came back to it
    /// within the last 3 s. Local knowledge, never a round trip. A backend inside this process has no trouble.
    fn trouble(&self) -> Option<String> {
        None
    }
}

/// One entry of a log, or one step of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The writer's mark.
    pub tag: Tag,
    /// What is kept in the log, for those who read it later.
    pub kept: Bytes,
    /// What is announced, if anything. Its topic is the log's or cell's own key, whatever it says.
    pub announce: Option<Announce>,
}

/// How much of a log is kept. What is over any bound goes, oldest first. Readable is exactly what is within the bounds
/// of the last append, however the store trims; by age also while nothing is appended. What went does not come back with
/// wider bounds. A log of which everything went keeps its epoch and its newest offset for at least seven days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Entries.
    pub count_max: usize,
    /// Bytes of all `kept` together.
    pub bytes_max: usize,
    /// Age of an entry.
    pub age_max: Duration,
}

/// Which part of a log to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogRead {
    /// The newest `limit`.
    Newest {
        /// Entries at most.
        limit: usize,
    },
    /// The oldest `limit` after a position. If the position is not of this life the page is empty; in any case of doubt
    /// it says [`lost`](LogPage::lost).
    After {
        /// From the entry behind this one; offset 0, with any tag, is the beginning.
        position: Position,
        /// Entries at most.
        limit: usize,
    },
    /// The newest `limit` before an offset.
    Before {
        /// Up to the entry in front of this one.
        offset: u64,
        /// Entries at most.
        limit: usize,
    },
}

/// One entry that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Counts from 1.
    pub offset: u64,
    /// The writer's mark.
    pub tag: Tag,
    /// What was kept.
    pub kept: Bytes,
}

/// A part of a log, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPage {
    /// The log's life; `None` if nothing was ever appended.
    pub epoch: Option<Epoch>,
    /// The offset of the newest entry ever appended, 0 if none.
    pub newest: u64,
    /// The mark of that entry, also when it is no longer kept; zeros if none.
    pub tag: Tag,
    /// The offset of the oldest entry still kept, `newest + 1` if none is.
    pub oldest: u64,
    /// What was asked for.
    pub entries: Vec<Logged>,
    /// For [`LogRead::After`]: the position is not of this log's life (another epoch or none, another tag at its offset
    /// as far as that is kept or the newest, or an offset that was never minted), or entries right behind it are no
    /// longer kept.
    pub lost: bool,
}

/// What a cell holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellValue {
    /// The version is its offset. It never goes back, also over removal and re-creation.
    pub position: Position,
    /// `None` after a removal, which is remembered for at least seven days.
    pub value: Option<Bytes>,
}

/// What a write expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing was ever written.
    Absent,
    /// This version of this life.
    Version(Epoch, u64),
}

/// A write of a cell: k steps at once, of which the last one's value is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// What must be there.
    pub expect: Expect,
    /// What is there afterwards; `None` removes it.
    pub value: Option<Bytes>,
    /// The steps, in order; at least one, but for a cell of [`write_all`](Link::write_all) that is only compared.
    pub entries: Vec<Entry>,
    /// How much of the cell's log is kept.
    pub keep: Keep,
    /// It lost often: if it conflicts once more, only this incarnation may write for the next 100 ms, or until it has. A
    /// backend in which nobody loses for long does not need it.
    pub insist: bool,
}

/// How a write ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// Stored; the position is the last step's.
    At(Position),
    /// Somebody else was first; this is what is there (`None`: nothing was ever written). Nothing changed.
    Conflict(Option<CellValue>),
    /// It is another incarnation's turn, which lost often. Nothing changed; soon it may again.
    Busy,
}

/// How many cells are written together at most: one step holds up everybody else for as long as it takes.
pub const TRANSACTION_MAX: usize = 16;

/// How a write of several cells ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WrittenAll {
    /// All stored; of each cell that has steps the position of its last one.
    At(Vec<Position>),
    /// Of this cell, the first such one, somebody else was first; this is what is there. Nothing changed.
    Conflict(Key, Option<CellValue>),
}

/// Whether these writes can be one step at all. For backends: to be asked before anything else is done.
pub fn check_together(writes: &[(Key, Write)]) -> Result<()> {
    let refused = |why: String| Err(BackendError::Refused(why));
    if !(1..=TRANSACTION_MAX).contains(&writes.len()) {
        return refused(format!(
            "from 1 to {TRANSACTION_MAX} cells are written together, not {}",
            writes.len()
        ));
    }
    let mut seen = BTreeSet::new();
    match writes.iter().find(|(cell, _)| !seen.insert(cell)) {
        Some((twice, _)) => refused(format!("{twice:?} is in one transaction twice")),
        None => Ok(()),
    }
}

/// One entry of a roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub who: ConnId,
    /// When it entered, relative to the others in this roster: grows with each that enters while anybody is in.
    pub offset: u64,
    /// Which incarnation put it there.
    pub owner: Incarnation,
    /// What it brought.
    pub value: Option<Bytes>,
}

/// A page of a roster, in order of entering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roll {
    /// This page.
    pub members: Vec<Member>,
    /// How many are in, all pages together.
    pub count: u64,
}

/// A page of a roster, with what is known of the connections in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The page.
    pub roll: Roll,
    /// For each of its members, in the same order, its entry in the roster of connections.
    pub connections: Vec<Option<Member>>,
}

/// How an entry ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entered {
    /// Whether it was not in before. An entry of another incarnation is taken over, which is not new.
    pub new: bool,
    /// Its offset.
    pub offset: u64,
}

/// How a departure ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Whether it was in. Of several that take out the same entry, exactly one is told so.
    pub was_in: bool,
    /// How many are left.
    pub count: u64,
}

/// How a beat ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Whether the lease had not run out before. If it had, nobody has noticed yet, and it holds again.
    pub held: bool,
}

/// An entry whose incarnation is dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// Where it is.
    pub roster: Key,
    /// Who it is.
    pub who: ConnId,
    /// What it brought.
    pub value: Option<Bytes>,
    /// Who put it there.
    pub owner: Incarnation,
}
