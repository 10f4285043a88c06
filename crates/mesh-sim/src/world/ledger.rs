//! What is true of a world's channels and records: put together from all that anybody was told, and compared on the way.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use mesh_server::{Epoch, Position, Tag};
use serde_json::Value;
use tokio::time::Instant;

use super::streams::{CHANNELS, COUNT, Topic};
use super::transfers::Transfers;

/// Violations that are told. Those that follow from one are many.
const TOLD_MAX: usize = 10;

/// Shared by all clients of a world.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) violations: Vec<String>,
    /// Whether anything happened to links or the store.
    pub(super) faulted: bool,
    /// Whether the store lost something: then positions fork.
    pub(super) lossy: bool,
    /// What each entry says, and which the entries are that bear a number.
    says: BTreeMap<(Topic, Epoch, u64, Tag), Value>,
    tags: BTreeMap<(Topic, Epoch, u64), Tag>,
    lives: BTreeMap<Topic, BTreeSet<Epoch>>,
    pub(super) published: BTreeMap<u64, Published>,
    /// Numbers added to the record that only that is done to.
    pub(super) added: Outcomes,
    /// What moved between accounts.
    pub(super) transfers: Transfers,
    /// Since when the world is left in peace, and all that was lost is known.
    pub(super) calm: Option<Instant>,
    /// What clients handed out.
    pub(super) delivered: u64,
    /// Times that something missing was told.
    pub(super) gaps: u64,
}

/// A message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Published {
    pub(super) channel: usize,
    pub(super) began: Instant,
    pub(super) outcome: Outcome,
}

/// What came of a write, as far as its writer knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Unknown,
    Done(Option<Position>),
    Refused,
}

/// How often a write was done, and how often nobody knows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcomes {
    pub(super) done: u64,
    pub(super) unknown: u64,
}

impl Ledger {
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Book) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether what fails with this code did not take place for certain.
pub(super) fn is_certain(code: &str) -> bool {
    !matches!(code, "unavailable" | "timeout" | "internal" | "server")
}

impl Book {
    pub(super) fn complain(&mut self, what: String) {
        if self.violations.len() < TOLD_MAX {
            self.violations.push(what);
        }
    }

    /// Somebody was told of an entry, and perhaps what it says.
    pub(super) fn learn(&mut self, topic: Topic, at: Position, value: Option<&Value>) {
        if at == Position::START {
            return;
        }
        let name = topic.name();
        if !self.lossy {
            let lives = self.lives.entry(topic).or_default();
            lives.insert(at.epoch);
            if lives.len() > 1 {
                self.complain(format!("{name} has another epoch at {at:?}, and nothing was lost"));
            }
            let tag = *self.tags.entry((topic, at.epoch, at.offset)).or_insert(at.tag);
            if tag != at.tag {
                self.complain(format!("{name} has two entries at {at:?}, and nothing was lost"));
            }
        }
        let Some(value) = value else { return };
        match self.says.entry((topic, at.epoch, at.offset, at.tag)) {
            Entry::Vacant(place) => {
                place.insert(value.clone());
                self.check_account(topic, at, value);
            }
            Entry::Occupied(there) if there.get() != value => {
                let there = there.get().clone();
                self.complain(format!("{name} at {at:?} is {there} to one and {value} to another"));
            }
            Entry::Occupied(_) => {}
        }
    }

    /// A message that somebody was given: one that was published there, and was not refused.
    pub(super) fn heard(&mut self, channel: usize, number: Option<u64>) {
        self.delivered += 1;
        let published = number.and_then(|number| self.published.get(&number)).copied();
        if published.is_none_or(|it| it.channel != channel || it.outcome == Outcome::Refused) {
            self.complain(format!("{} told {number:?}, which is {published:?}", CHANNELS[channel]));
        }
    }

    pub(super) fn publishes(&mut self, number: u64, channel: usize) {
        let published = Published { channel, began: Instant::now(), outcome: Outcome::Unknown };
        self.published.insert(number, published);
    }

    pub(super) fn was_published(&mut self, number: u64, result: Result<Option<Position>, &str>) {
        let Some(published) = self.published.get_mut(&number) else { return };
        let topic = Topic::Channel(published.channel);
        match result {
            Ok(position) => {
                published.outcome = Outcome::Done(position);
                if position.is_some() != topic.is_numbered() {
                    self.complain(format!("{} answered {position:?} to a publisher", topic.name()));
                }
                if let Some(at) = position {
                    self.learn(topic, at, Some(&Value::from(number)));
                }
            }
            Err(code) if is_certain(code) => published.outcome = Outcome::Refused,
            Err(_) => {}
        }
    }

    /// A number is being added; nobody knows yet.
    pub(super) fn adds(&mut self, record: usize) {
        self.added.unknown += u64::from(record == COUNT);
    }

    pub(super) fn was_added(&mut self, record: usize, result: Result<(), &str>) {
        if record != COUNT {
            return;
        }
        match result {
            Ok(()) => {
                self.added.unknown -= 1;
                self.added.done += 1;
            }
            Err(code) if is_certain(code) => self.added.unknown -= 1,
            Err(_) => {}
        }
    }

    /// The highest number that anybody was told of.
    pub(super) fn newest(&self, topic: Topic) -> u64 {
        let told = self.tags.keys().filter(|(of, ..)| *of == topic);
        told.map(|(_, _, offset)| *offset).max().unwrap_or_default()
    }

    /// Of one channel's messages, how many were published, and of how many nobody knows.
    pub(super) fn outcomes(&self, channel: usize) -> Outcomes {
        let mut outcomes = Outcomes::default();
        for published in self.published.values().filter(|published| published.channel == channel) {
            match published.outcome {
                Outcome::Done(_) => outcomes.done += 1,
                Outcome::Unknown => outcomes.unknown += 1,
                Outcome::Refused => {}
            }
        }
        outcomes
    }
}
