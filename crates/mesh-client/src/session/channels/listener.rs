//! One reader of a channel: what waits for it, and up to where it has been served.

use std::task::{Context, Poll};

use mesh_proto::Position;

use super::Mode;
use crate::error::Result;
use crate::session::inlet::Inlet;
use crate::wire::Entry;

/// Messages that came live and wait for one reader. Over it: they are read again once it has room.
const MESSAGES_MAX: usize = 256;
/// Bytes of them (1 MiB). An empty queue takes any one.
const BYTES_MAX: usize = 1024 * 1024;
/// Messages of one page, which a queue with room takes beyond its bound.
pub(super) const PAGE_MAX: u32 = 1000;

/// What a reader is handed.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Message { entry: Entry, replayed: bool, own: bool },
    Gap { reason: String, missed: Option<u64> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The server has not let it in yet.
    New,
    /// The next push is the next message.
    Following,
    /// The next push is whatever comes: the server has told of a gap before it.
    Jumping,
    /// Something was missed, or had no room: it is read from the position on.
    Behind,
}

/// Whether what stands there can come after that: a channel that has had no message begins any life.
pub(super) fn is_same_life(last: Position, at: Position) -> bool {
    last.epoch == at.epoch || last.offset == 0
}

#[derive(Debug)]
pub(in crate::session) struct Listener {
    pub(super) inlet: Inlet<Event>,
    bytes: usize,
    /// How many messages it wants of what was.
    history: u32,
    pub(super) stage: Stage,
    /// Of the last message that was queued for it.
    pub(super) position: Option<Position>,
    /// Whether the server has told of a gap behind the position, and this the reader.
    pub(super) is_gap_told: bool,
    /// Messages without a position that had no room since the last one that had.
    missed: u64,
}

impl Listener {
    pub(super) fn new(history: u32) -> Self {
        let history = history.min(PAGE_MAX);
        Self {
            inlet: Inlet::default(),
            bytes: 0,
            history,
            stage: Stage::New,
            position: None,
            is_gap_told: false,
            missed: 0,
        }
    }

    pub(super) fn history(&self) -> u32 {
        self.history
    }

    pub(super) fn position(&self) -> Option<Position> {
        self.position
    }

    pub(super) fn is_behind(&self) -> bool {
        self.stage == Stage::Behind
    }

    /// Whether it waits for something that the server has to be asked for, and has room for it.
    pub(super) fn needs_page(&self) -> bool {
        match self.stage {
            Stage::New => true,
            Stage::Behind => self.inlet.events.len() <= MESSAGES_MAX / 2 && self.bytes <= BYTES_MAX / 2,
            Stage::Following | Stage::Jumping => false,
        }
    }

    /// It is served up to there; what comes next is the next.
    pub(super) fn follow(&mut self, position: Option<Position>) {
        self.position = position;
        self.is_gap_told = false;
        self.stage = Stage::Following;
        self.inlet.open();
    }

    /// The connection is gone. One that was never let in still is not.
    pub(super) fn fall_behind(&mut self) {
        if self.stage != Stage::New {
            self.stage = Stage::Behind;
        }
    }

    /// A message came live.
    pub(super) fn offer(&mut self, entry: &Entry, mode: Mode, mark: &str) {
        if matches!(self.stage, Stage::New | Stage::Behind) {
            return;
        }
        let Some(at) = entry.position else {
            return self.offer_unnumbered(entry, mode, mark);
        };
        let is_next = match self.position {
            _ if self.stage == Stage::Jumping || mode.skips() => true,
            Some(last) => is_same_life(last, at) && last.offset + 1 == at.offset,
            None => true,
        };
        let is_old = self.position.is_some_and(|last| last.epoch == at.epoch && at.offset <= last.offset);
        if is_old {
            return;
        }
        if !is_next || (!mode.skips() && self.is_full(entry)) {
            self.stage = Stage::Behind;
            return;
        }
        self.stage = Stage::Following;
        self.hand_out(entry, false, mode, mark);
    }

    /// Of a channel without history: what has no room is lost, and told as such.
    fn offer_unnumbered(&mut self, entry: &Entry, mode: Mode, mark: &str) {
        if !mode.skips() && (self.missed > 0 || self.is_full(entry)) {
            self.missed += 1;
        } else {
            self.hand_out(entry, false, mode, mark);
        }
    }

    /// The server tells of a gap before what it sends next.
    pub(super) fn jump(&mut self, reason: &str, missed: Option<u64>, mode: Mode) {
        // Who reads again is told there.
        if !matches!(self.stage, Stage::Following | Stage::Jumping) || mode.skips() {
            return;
        }
        self.stage = Stage::Jumping;
        self.is_gap_told = true;
        self.tell_gap(reason, missed);
    }

    /// Whether it has all that was heard of; if not, it is behind.
    pub(super) fn check(&mut self, newest: Option<Position>, mode: Mode) {
        let (Stage::Following, Some(newest), Some(at)) = (self.stage, newest, self.position) else { return };
        if !mode.skips() && is_same_life(at, newest) && at.offset < newest.offset {
            self.stage = Stage::Behind;
        }
    }

    pub(super) fn is_full(&self, entry: &Entry) -> bool {
        self.inlet.events.len() >= MESSAGES_MAX
            || (self.bytes > 0 && self.bytes + entry.json.len() > BYTES_MAX)
    }

    /// Whether not even a page has room any more.
    pub(super) fn is_full_of_pages(&self) -> bool {
        self.inlet.events.len() >= MESSAGES_MAX + PAGE_MAX as usize
    }

    pub(super) fn tell_gap(&mut self, reason: &str, missed: Option<u64>) {
        self.inlet.push(Event::Gap { reason: reason.to_owned(), missed });
    }

    pub(super) fn hand_out(&mut self, entry: &Entry, replayed: bool, mode: Mode, mark: &str) {
        if mode.skips() && (!replayed || self.is_behind()) {
            self.inlet.events.clear();
            self.bytes = 0;
        }
        let own = entry.txn.as_ref().is_some_and(|txn| txn.starts_with(mark));
        self.bytes += entry.json.len();
        self.position = entry.position.or(self.position);
        self.is_gap_told = false;
        self.inlet.push(Event::Message { entry: entry.clone(), replayed, own });
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event>>> {
        if self.inlet.events.is_empty() && self.missed > 0 {
            let missed = Some(std::mem::take(&mut self.missed));
            return Poll::Ready(Some(Ok(Event::Gap { reason: "no_history".to_owned(), missed })));
        }
        let polled = self.inlet.poll_next(cx);
        if let Poll::Ready(Some(Ok(Event::Message { entry, .. }))) = &polled {
            self.bytes -= entry.json.len();
        }
        polled
    }
}
