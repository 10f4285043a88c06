//! What one reader takes of the answer to a subscription.

use mesh_proto::Position;

use super::Mode;
use super::channel::Asked;
use super::listener::{Listener, Stage, is_same_life};
use crate::wire::{Entry, SubscribedChannel};

const EXPIRED: &str = "expired";
const EPOCH_CHANGED: &str = "epoch_changed";
const NO_HISTORY: &str = "no_history";

impl Listener {
    /// The server has answered what was asked for the channel, for this reader or for another.
    pub(super) fn page(&mut self, asked: &Asked, page: &SubscribedChannel, mode: Mode, mark: &str) {
        match (self.stage, self.position()) {
            (Stage::New, _) => self.begin(asked, page, mode, mark),
            _ if mode.skips() => self.catch_up(page, mode, mark),
            (Stage::Behind, None) => self.begin_again(asked, page, mode, mark),
            // It should have heard of the newest by a push.
            (_, None) if page.position.is_some() => self.stage = Stage::Behind,
            (_, None) => {}
            (_, Some(at)) if asked.after == Some(at) && page.gap.is_some() => {
                self.resume(page, at, mode, mark)
            }
            (Stage::Jumping, Some(at)) if !page.more => self.land(page, at, mode, mark),
            (_, Some(at)) => self.go_on(asked, page, at, mode, mark),
        }
    }

    /// The first answer: the newest of what was, as many as it wants.
    fn begin(&mut self, asked: &Asked, page: &SubscribedChannel, mode: Mode, mark: &str) {
        let is_served = asked.after.is_none() && self.history() <= asked.history_limit;
        if page.more || !(is_served || self.history() == 0) {
            return;
        }
        let skipped = page.messages.len().saturating_sub(self.history() as usize);
        self.replay(page.messages.iter().skip(skipped), mode, mark);
        self.follow(page.position.or(self.position()));
    }

    /// Where only the order counts: the newest, if it is news.
    fn catch_up(&mut self, page: &SubscribedChannel, mode: Mode, mark: &str) {
        if page.more {
            return;
        }
        let is_news = |at: &Position| {
            self.position().is_none_or(|last| last.epoch != at.epoch || last.offset < at.offset)
        };
        let newest = page.messages.last().filter(|entry| entry.position.as_ref().is_some_and(is_news));
        if let Some(entry) = newest {
            self.hand_out(entry, true, mode, mark);
        }
        self.follow(page.position.or(self.position()));
    }

    /// It has no position to read on from: where it was let in nothing is kept, or was kept then.
    fn begin_again(&mut self, asked: &Asked, page: &SubscribedChannel, mode: Mode, mark: &str) {
        if asked.after.is_some() || page.more {
            return;
        }
        let first = page.messages.first().and_then(|entry| entry.position);
        match (first, page.position) {
            (Some(first), _) if first.offset <= 1 => {}
            (Some(first), _) => self.tell_gap(EXPIRED, Some(first.offset - 1)),
            (None, Some(newest)) => self.tell_gap(EXPIRED, Some(newest.offset)),
            (None, None) => self.tell_gap(NO_HISTORY, None),
        }
        self.replay(page.messages.iter(), mode, mark);
        self.follow(page.position);
    }

    /// Something behind its position is lost.
    fn resume(&mut self, page: &SubscribedChannel, at: Position, mode: Mode, mark: &str) {
        let (reason, told) =
            page.gap.as_ref().map_or((EXPIRED, None), |(reason, missed)| (&**reason, *missed));
        let first = page.messages.first().and_then(|entry| entry.position);
        let next = first.or(page.position.map(|newest| Position { offset: newest.offset + 1, ..newest }));
        // What comes next says how much is missing, better than whoever counted before it was read.
        let missed = match next.filter(|next| is_same_life(at, *next) && next.offset > at.offset) {
            Some(next) => Some(next.offset - at.offset - 1),
            None => told,
        };
        if !self.is_gap_told {
            self.tell_gap(reason, missed);
        }
        self.replay(page.messages.iter(), mode, mark);
        if page.more {
            self.stage = Stage::Behind;
        } else {
            self.follow(page.position);
        }
    }

    /// It was told of a gap, and takes what comes behind it from the answer to another.
    fn land(&mut self, page: &SubscribedChannel, at: Position, mode: Mode, mark: &str) {
        let is_news = |next: Position| next.epoch != at.epoch || next.offset > at.offset;
        let news = page.messages.iter().filter(|entry| entry.position.is_some_and(is_news));
        self.replay(news, mode, mark);
        self.follow(page.position.filter(|newest| is_news(*newest)).or(self.position()));
    }

    /// What it lacks is there, or belongs to another reader.
    fn go_on(&mut self, asked: &Asked, page: &SubscribedChannel, from: Position, mode: Mode, mark: &str) {
        let is_mine = asked.after == Some(from);
        let mut at = from;
        for entry in &page.messages {
            let Some(next) = entry.position else { continue };
            if next.epoch == at.epoch && next.offset <= at.offset {
                continue;
            }
            let is_next = is_same_life(at, next) && next.offset == at.offset + 1;
            if !is_next && is_mine {
                // The server says that nothing is missing. A hole is told all the same.
                self.tell_hole(at, next.offset, next);
            } else if !is_next {
                break;
            }
            if self.is_full_of_pages() {
                break;
            }
            self.hand_out(entry, true, mode, mark);
            at = next;
        }
        self.stage = match page.position {
            _ if page.more => Stage::Behind,
            Some(newest) if newest.epoch == at.epoch && newest.offset < at.offset => Stage::Following,
            Some(newest) if newest == at => Stage::Following,
            // It is the same entry by another mark: if the server does not mind, who does?
            Some(newest) if is_mine && newest.epoch == at.epoch && newest.offset == at.offset => {
                Stage::Following
            }
            None if is_mine => Stage::Following,
            Some(newest) if is_mine && at == from && !self.is_full_of_pages() => {
                self.tell_hole(at, newest.offset + 1, newest);
                self.position = Some(newest);
                Stage::Following
            }
            _ => Stage::Behind,
        };
    }

    /// A hole between a position and the offset of what comes next.
    fn tell_hole(&mut self, at: Position, next: u64, of: Position) {
        if is_same_life(at, of) {
            self.tell_gap(EXPIRED, Some(next.saturating_sub(at.offset + 1)));
        } else {
            self.tell_gap(EPOCH_CHANGED, None);
        }
    }

    fn replay<'a>(&mut self, entries: impl Iterator<Item = &'a Entry>, mode: Mode, mark: &str) {
        for entry in entries {
            self.hand_out(entry, true, mode, mark);
        }
    }
}
