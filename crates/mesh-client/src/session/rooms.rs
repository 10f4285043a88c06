//! The rooms this client wants to be in, so that a new connection joins them again.

use std::collections::{BTreeMap, VecDeque};

use tokio::time::Instant;

/// Rooms that are joined again at once: the server runs 32 commands at once and lets only so many wait.
pub(super) const RESTORING_MAX: usize = 16;

#[derive(Debug)]
struct Room {
    /// Tells this wish from an earlier one for the same room.
    number: u64,
    joined: bool,
    pending: u32,
}

/// A join under way. It counts only if the room was not left since.
#[derive(Clone, Debug)]
pub(crate) struct Join {
    name: String,
    number: u64,
}

#[derive(Debug, Default)]
pub(super) struct Rooms {
    numbers: u64,
    rooms: BTreeMap<String, Room>,
    /// When a room is tried again whose server could not let us in for now.
    retries: BTreeMap<String, Instant>,
    waiting: VecDeque<String>,
    restoring: usize,
}

impl Rooms {
    /// The application joins. Two joins at once share the room, so the success of either counts.
    pub(super) fn join(&mut self, name: &str) -> Join {
        self.numbers += 1;
        let number = self.numbers;
        let room = self.rooms.entry(name.to_owned()).or_insert(Room { number, joined: false, pending: 0 });
        room.pending += 1;
        Join { name: name.to_owned(), number: room.number }
    }

    /// That join has ended.
    pub(super) fn joined(&mut self, join: &Join, success: bool) {
        let Some(room) = self.rooms.get_mut(&join.name).filter(|room| room.number == join.number) else {
            return;
        };
        room.pending = room.pending.saturating_sub(1);
        room.joined |= success;
        if !room.joined && room.pending == 0 {
            self.rooms.remove(&join.name);
        }
    }

    /// The application leaves, or is refused: the room is not joined again.
    pub(super) fn leave(&mut self, name: &str) {
        self.rooms.remove(name);
        self.retries.remove(name);
    }

    /// A new connection begins to join the rooms again.
    pub(super) fn restore(&mut self) {
        self.retries.clear();
        self.restoring = 0;
        let joined = self.rooms.iter().filter(|(_, room)| room.joined);
        self.waiting = joined.map(|(name, _)| name.clone()).collect();
    }

    /// The next room to join, some at a time.
    pub(super) fn next(&mut self) -> Option<String> {
        while self.restoring < RESTORING_MAX {
            let name = self.waiting.pop_front()?;
            if self.rooms.get(&name).is_some_and(|room| room.joined) {
                self.restoring += 1;
                return Some(name);
            }
        }
        None
    }

    /// One of them has ended, one way or another.
    pub(super) fn restored(&mut self) {
        self.restoring = self.restoring.saturating_sub(1);
    }

    /// Whether the last has.
    pub(super) fn is_restored(&self) -> bool {
        self.restoring == 0 && self.waiting.is_empty()
    }

    /// Joining that room again failed for now.
    pub(super) fn retry(&mut self, name: &str, at: Instant) {
        if self.rooms.get(name).is_some_and(|room| room.joined) {
            self.retries.insert(name.to_owned(), at);
        }
    }

    /// Take the rooms whose next try is due.
    pub(super) fn due(&mut self, now: Instant) -> Vec<String> {
        let due: Vec<_> =
            self.retries.iter().filter(|(_, at)| **at <= now).map(|(name, _)| name.clone()).collect();
        for name in &due {
            self.retries.remove(name);
        }
        due
    }

    /// When the next room is due.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.retries.values().min().copied()
    }
}
