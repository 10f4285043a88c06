//! One channel: what the server sends of it, and who listens.

use std::collections::{BTreeMap, VecDeque};

use mesh_proto::Position;

use super::Mode;
use super::listener::{Listener, PAGE_MAX};
use crate::wire::{Entry, SubscribedChannel};

/// Messages that are held while the server has not answered. More of them would only be missed, and are read again.
const HELD_MAX: usize = 256;

#[derive(Debug)]
pub(in crate::session) struct Channel {
    pub(super) mode: Mode,
    pub(super) listeners: BTreeMap<u64, Listener>,
    wire: Wire,
    /// Whether the server may be sending.
    pub(super) is_subscribed: bool,
    /// Whether the server has said yes over this connection; a later no leaves that as it was.
    pub(super) is_granted: bool,
    /// The newest that was heard of over this connection.
    newest: Option<Position>,
    /// What came while the server had not answered yet.
    held: VecDeque<Entry>,
    /// When it is asked for once more, after a failure that passes.
    pub(super) retry_at: Option<tokio::time::Instant>,
}

#[derive(Clone, Debug, PartialEq)]
enum Wire {
    /// Nothing is asked for.
    Idle,
    /// To be asked for.
    Wanted(u64),
    Asked(Asked),
    /// Subscribed: pushes come.
    Live,
}

/// What the server was asked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    number: u64,
    pub(super) after: Option<Position>,
    pub(super) history_limit: u32,
}

impl Channel {
    pub(super) fn new(mode: Mode) -> Self {
        Self {
            mode,
            listeners: BTreeMap::new(),
            wire: Wire::Idle,
            is_subscribed: false,
            is_granted: false,
            newest: None,
            held: VecDeque::new(),
            retry_at: None,
        }
    }

    pub(super) fn add(&mut self, id: u64, mut listener: Listener) {
        // Who wants nothing of what was hears from now on, without a question.
        if self.wire == Wire::Live && listener.history() == 0 {
            listener.follow(self.newest);
        }
        self.listeners.insert(id, listener);
    }

    /// Whether it has to be asked for, by that number.
    pub(super) fn want(&mut self, number: u64) -> bool {
        let can = matches!(self.wire, Wire::Idle | Wire::Live) && self.retry_at.is_none();
        if !can || !self.listeners.values().any(Listener::needs_page) {
            return false;
        }
        self.wire = Wire::Wanted(number);
        true
    }

    /// Whether the server sends what no listener can take: then it is to stop, and each reads on from where it is once it
    /// has room.
    pub(super) fn pause(&mut self) -> bool {
        let is_waste = self.wire == Wire::Live && self.listeners.values().all(Listener::is_behind);
        if is_waste {
            self.wire = Wire::Idle;
            (self.is_subscribed, self.is_granted) = (false, false);
        }
        is_waste
    }

    /// What to ask: after which position, and how many messages otherwise.
    pub(super) fn ask(&mut self, number: u64) -> Option<(Option<Position>, u32)> {
        if self.wire != Wire::Wanted(number) {
            return None;
        }
        let (mut after, mut history_limit): (Option<Position>, u32) = (None, 0);
        for listener in self.listeners.values().filter(|listener| listener.needs_page()) {
            if !listener.is_behind() || self.mode.skips() {
                continue;
            }
            match (after, listener.position()) {
                (None, at) => after = at,
                (Some(least), Some(at)) if at.epoch == least.epoch && at.offset < least.offset => {
                    after = Some(at);
                }
                _ => {}
            }
        }
        for listener in self.listeners.values().filter(|listener| listener.needs_page()) {
            let wished = match listener.position() {
                _ if !listener.is_behind() => listener.history(),
                // What was missed is of no interest, but what there is now is.
                _ if self.mode.skips() => 1,
                // It does not know where it was: all there is may be new to it.
                None => PAGE_MAX,
                Some(_) => listener.history(),
            };
            let is_served = after.is_none() || listener.position() == after;
            if is_served {
                history_limit = history_limit.max(wished);
            }
        }
        self.wire = Wire::Asked(Asked { number, after, history_limit });
        self.is_subscribed = true;
        Some((after, history_limit))
    }

    /// Take what was asked, if that number is still waited for.
    pub(super) fn take_asked(&mut self, number: u64) -> Option<Asked> {
        match std::mem::replace(&mut self.wire, Wire::Idle) {
            Wire::Asked(asked) if asked.number == number => Some(asked),
            wire => {
                self.wire = wire;
                None
            }
        }
    }

    /// The server has answered.
    pub(super) fn opened(&mut self, asked: &Asked, page: SubscribedChannel, mark: &str) {
        self.wire = if page.more { Wire::Idle } else { Wire::Live };
        self.is_granted = true;
        for listener in self.listeners.values_mut() {
            listener.page(asked, &page, self.mode, mark);
        }
        if let Some(position) = page.position {
            self.heard(position);
        }
        // What came before the answer and is of another life than the answer is of one that is over.
        let is_over = |at: Position| page.position.is_some_and(|newest| newest.epoch != at.epoch);
        for entry in std::mem::take(&mut self.held) {
            if !entry.position.is_some_and(is_over) {
                self.offer(&entry, mark);
            }
        }
        for listener in self.listeners.values_mut() {
            listener.check(self.newest, self.mode);
        }
    }

    /// A message came.
    pub(super) fn message(&mut self, entry: Entry, mark: &str) {
        self.offer(&entry, mark);
        if let Some(position) = entry.position {
            self.heard(position);
            if matches!(self.wire, Wire::Asked(_)) && self.held.len() < HELD_MAX {
                self.held.push_back(entry);
            }
        }
    }

    fn offer(&mut self, entry: &Entry, mark: &str) {
        for listener in self.listeners.values_mut() {
            listener.offer(entry, self.mode, mark);
        }
    }

    fn heard(&mut self, at: Position) {
        if self.newest.is_none_or(|newest| newest.epoch != at.epoch || newest.offset < at.offset) {
            self.newest = Some(at);
        }
    }

    /// The server itself has missed something.
    pub(super) fn gap(&mut self, reason: &str, missed: Option<u64>) {
        for listener in self.listeners.values_mut() {
            listener.jump(reason, missed, self.mode);
        }
    }

    /// The server has ended the subscription. Whether that is the last word: what was asked since is answered yet, and what
    /// was left is not granted any more.
    pub(super) fn ended(&mut self) -> bool {
        let was_granted = std::mem::take(&mut self.is_granted);
        was_granted && !matches!(self.wire, Wire::Asked(_))
    }

    pub(super) fn disconnected(&mut self) {
        self.wire = Wire::Idle;
        (self.is_subscribed, self.is_granted) = (false, false);
        self.newest = None;
        self.held.clear();
        self.retry_at = None;
        for listener in self.listeners.values_mut() {
            listener.fall_behind();
        }
    }
}
