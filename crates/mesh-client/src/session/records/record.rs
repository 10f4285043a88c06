//! One record: its value as far as this client knows it, and who watches.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use mesh_proto::patch::{self, Patch};
use mesh_proto::{PatchLimits, Position};
use serde_json::Value;
use tokio::time::Instant;

use super::super::inlet::Inlet;
use crate::wire::{Change, RecordAnswer, Update};

/// Versions that wait for one watcher. Over it: all of them give way to the newest.
const VERSIONS_MAX: usize = 16;
/// Updates that are held while the server has not answered. More of them would only be missed, and the value is read again.
const HELD_MAX: usize = 64;

/// A record at a version.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) value: Arc<Value>,
    pub(crate) version: u64,
    pub(crate) position: Option<Position>,
    pub(crate) deleted: bool,
    pub(crate) own: bool,
}

#[derive(Debug)]
pub(in crate::session) struct Record {
    pub(super) rate_max: Option<f64>,
    pub(super) watchers: BTreeMap<u64, Inlet<Snapshot>>,
    wire: Wire,
    /// Whether the server may be sending.
    pub(super) is_subscribed: bool,
    /// Whether the server has said yes over this connection; a later no leaves that as it was.
    pub(super) is_granted: bool,
    now: Option<Snapshot>,
    /// Whether what comes next must be a full value: a version is missing, or a patch did not fit.
    is_lost: bool,
    held: VecDeque<Update>,
    /// When it is asked for once more, after a failure that passes.
    pub(super) retry_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    Idle,
    Wanted(u64),
    Asked(u64),
    Live,
}

impl Record {
    pub(super) fn new(rate_max: Option<f64>) -> Self {
        Self {
            rate_max,
            watchers: BTreeMap::new(),
            wire: Wire::Idle,
            is_subscribed: false,
            is_granted: false,
            now: None,
            is_lost: false,
            held: VecDeque::new(),
            retry_at: None,
        }
    }

    pub(super) fn add(&mut self, id: u64, mut inlet: Inlet<Snapshot>) {
        if let Some(now) = &self.now {
            inlet.open();
            inlet.push(now.clone());
        }
        self.watchers.insert(id, inlet);
    }

    /// Whether it has to be asked for, by that number.
    pub(super) fn want(&mut self, number: u64) -> bool {
        let must = match self.wire {
            Wire::Idle => true,
            Wire::Live => self.is_lost,
            Wire::Wanted(_) | Wire::Asked(_) => false,
        };
        if !must || self.retry_at.is_some() {
            return false;
        }
        self.wire = Wire::Wanted(number);
        true
    }

    /// After which version to ask; `None` within for a full value.
    pub(super) fn ask(&mut self, number: u64) -> Option<Option<Position>> {
        if self.wire != Wire::Wanted(number) {
            return None;
        }
        self.wire = Wire::Asked(number);
        self.is_subscribed = true;
        let known = self.now.as_ref().filter(|_| !self.is_lost);
        Some(known.and_then(|now| now.position))
    }

    /// Whether that number is still waited for.
    pub(super) fn take_asked(&mut self, number: u64) -> bool {
        let is_it = self.wire == Wire::Asked(number);
        if is_it {
            self.wire = Wire::Idle;
        }
        is_it
    }

    /// Whether a value is known that the server may call unchanged.
    pub(super) fn has_value(&self) -> bool {
        self.now.is_some() && !self.is_lost
    }

    /// The server has answered.
    pub(super) fn opened(&mut self, answer: RecordAnswer, mark: &str) {
        self.wire = Wire::Live;
        self.is_granted = true;
        self.is_lost = false;
        let position = answer.position();
        let is_known = self.now.as_ref().is_some_and(|now| {
            answer.unchanged || (now.version == answer.version && now.position == position)
        });
        if !is_known {
            let RecordAnswer { record, version, deleted, .. } = answer;
            self.hand_out(Snapshot { value: Arc::new(record), version, position, deleted, own: false });
        }
        for inlet in self.watchers.values_mut() {
            inlet.open();
        }
        // What came before the answer and is of another life than the answer is of one that is over.
        let epoch = position.map(|at| at.epoch);
        for update in std::mem::take(&mut self.held) {
            if update.position.map(|at| at.epoch) == epoch {
                self.apply(update, mark);
            }
        }
    }

    /// The next version, or one that is not the next.
    pub(super) fn update(&mut self, update: Update, mark: &str) {
        if !matches!(self.wire, Wire::Asked(_)) {
            self.apply(update, mark);
        } else if self.held.len() < HELD_MAX {
            self.held.push_back(update);
        } else {
            self.held.clear();
        }
    }

    fn apply(&mut self, update: Update, mark: &str) {
        // What waits for a full value takes no patch, and what was never answered has nothing to compare with.
        let Some(now) = &self.now else { return };
        let is_same_life = match (now.position, update.position) {
            (Some(now), Some(next)) => now.epoch == next.epoch,
            // Never written, as far as we know: then its first version is the next.
            (None, _) => update.version == now.version + 1,
            (Some(_), None) => false,
        };
        if is_same_life && update.version <= now.version {
            return;
        }
        let value = match update.change {
            // Of two lives only the server knows which is over: an update of that one may be on its way.
            Change::Full(value) if is_same_life => Some(value),
            Change::Full(_) => None,
            Change::Patch { from, json } if is_same_life && !self.is_lost && from == Some(now.version) => {
                let limits = PatchLimits::default();
                Patch::parse(&json, &limits).and_then(|patch| patch::apply(&now.value, &patch, &limits)).ok()
            }
            Change::Patch { .. } => None,
        };
        let Some(value) = value else {
            self.is_lost = true;
            return;
        };
        self.is_lost = false;
        let own = update.txn.is_some_and(|txn| txn.starts_with(mark));
        let Update { version, position, deleted, .. } = update;
        self.hand_out(Snapshot { value: Arc::new(value), version, position, deleted, own });
    }

    fn hand_out(&mut self, now: Snapshot) {
        for inlet in self.watchers.values_mut() {
            if inlet.events.len() >= VERSIONS_MAX {
                inlet.events.clear();
            }
            inlet.push(now.clone());
        }
        self.now = Some(now);
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
        self.held.clear();
        self.retry_at = None;
    }
}
