//! Writes that leave at a rate: of what is written the newest waits, in the place of what waited before.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use mesh_proto::Code;
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio::time::Instant;

use super::calls::{Call, Kind};
use super::write::{Subject, Write};
use crate::error::{ClientError, Result};

/// Things that are written at a rate at once, each until its interval is over. Over it: `queue_full`.
const SUBJECTS_MAX: usize = 1000;
/// Writes a second.
const RATES: std::ops::RangeInclusive<f64> = 0.01..=1000.0;

/// How writes leave.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Pace {
    /// Writes a second.
    pub(crate) rate_max: Option<f64>,
    /// Whether they are dropped rather than kept.
    pub(crate) is_volatile: bool,
}

impl Pace {
    pub(crate) fn is_set(self) -> bool {
        self != Self::default()
    }

    /// From one write to the next.
    pub(super) fn interval(self) -> Result<Duration> {
        match self.rate_max {
            None => Ok(Duration::ZERO),
            Some(rate) if RATES.contains(&rate) => Ok(Duration::from_secs_f64(1.0 / rate)),
            Some(_) => Err(ClientError::give_up(Code::BadPayload, "a rate is 0.01 to 1,000 times a second")),
        }
    }
}

/// What came of a write; `None` as long as that is open.
pub(crate) type Outcome = Option<Result<Box<RawValue>>>;

/// A place that a write has taken, alone or after others.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) outcome: watch::Receiver<Outcome>,
    /// The mark of what leaves.
    pub(crate) mark: String,
}

/// The newest write about a thing.
#[derive(Debug)]
pub(super) struct Waiting {
    write: Write,
    body: Option<String>,
    mark: String,
    pub(super) bytes: usize,
    pub(super) is_volatile: bool,
    interval: Duration,
    deadline: Option<Instant>,
    pub(super) tell: watch::Sender<Outcome>,
}

impl Waiting {
    /// As it leaves.
    pub(super) fn into_call(self) -> Call {
        let command = self.write.subject.command.to_string().into();
        Call { kind: Kind::Write(self.tell), command, body: self.body, deadline: self.deadline }
    }

    pub(super) fn fail(self, error: ClientError) {
        self.tell.send_replace(Some(Err(error)));
    }
}

/// One thing that is written.
#[derive(Debug)]
struct Slot {
    /// Nothing leaves before.
    free_at: Instant,
    waiting: Option<Waiting>,
    /// Whether it is among those whose turn it is.
    is_ready: bool,
    /// When there is something to do about it.
    due_at: Option<Instant>,
}

/// What is asked of a place.
pub(super) struct Offer {
    pub(super) write: Write,
    pub(super) is_volatile: bool,
    pub(super) interval: Duration,
    pub(super) timeout: Option<Duration>,
    /// For a place that nobody waits in.
    pub(super) mark: String,
}

#[derive(Debug)]
pub(super) struct Throttle {
    /// Bytes that may wait.
    bytes_max: usize,
    bytes: usize,
    slots: BTreeMap<Subject, Slot>,
    /// Whose turn it is, in order.
    ready: VecDeque<Subject>,
    dues: BTreeSet<(Instant, Subject)>,
}

impl Throttle {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, bytes: 0, slots: BTreeMap::new(), ready: VecDeque::new(), dues: BTreeSet::new() }
    }

    /// A write takes its place. What waited there gives way, or, where one write can't say both, comes back: it has to leave
    /// now.
    pub(super) fn offer(
        &mut self,
        offer: Offer,
        message_bytes_max: usize,
        now: Instant,
    ) -> Result<(Turn, Option<Waiting>)> {
        let Offer { mut write, mut is_volatile, interval, timeout, mark } = offer;
        let subject = write.subject.clone();
        if !self.slots.contains_key(&subject) && self.slots.len() >= SUBJECTS_MAX {
            return Err(ClientError::queue_full());
        }
        let measure = |write: &Write, mark: &str| {
            let body = write.body(mark);
            let bytes = crate::wire::command_bytes_max(&write.subject.command, body.as_deref());
            (body, bytes)
        };
        let older = self.slots.get(&subject).and_then(|slot| slot.waiting.as_ref());
        let older_bytes = older.map_or(0, |older| older.bytes);
        let united = older.and_then(|older| {
            let content = write.content.over(&older.write.content)?;
            let both = Write { subject: subject.clone(), content };
            let (body, bytes) = measure(&both, &older.mark);
            (bytes <= message_bytes_max).then_some((both, body, bytes))
        });
        let is_united = united.is_some();
        let (body, bytes);
        (write, body, bytes) = match united {
            Some(united) => united,
            None => {
                let (body, bytes) = measure(&write, &mark);
                (write, body, bytes)
            }
        };
        if bytes > message_bytes_max {
            return Err(ClientError::too_large(message_bytes_max));
        }
        if self.bytes - older_bytes + bytes > self.bytes_max {
            return Err(ClientError::queue_full());
        }
        self.bytes = self.bytes - older_bytes + bytes;

        let slot = self.slots.entry(subject.clone()).or_insert(Slot {
            free_at: now,
            waiting: None,
            is_ready: false,
            due_at: None,
        });
        let deadline = timeout.and_then(|timeout| slot.free_at.max(now).checked_add(timeout));
        let older = slot.waiting.take();
        let (tell, mark, older) = match older {
            Some(older) if is_united => {
                // It stands for both, so it is kept if either is.
                is_volatile &= older.is_volatile;
                (older.tell, older.mark, None)
            }
            older => (watch::Sender::new(None), mark, older),
        };
        let turn = Turn { outcome: tell.subscribe(), mark: mark.clone() };
        slot.waiting = Some(Waiting { write, body, mark, bytes, is_volatile, interval, deadline, tell });
        if slot.free_at <= now {
            self.make_ready(&subject);
        } else {
            let free_at = slot.free_at;
            self.due(&subject, Some(free_at));
        }
        Ok((turn, older))
    }

    /// The first whose turn it is and that `may_leave`.
    pub(super) fn next(&mut self, now: Instant, may_leave: impl Fn(&Waiting) -> bool) -> Option<Waiting> {
        let waiting = |subject: &Subject| self.slots.get(subject).and_then(|slot| slot.waiting.as_ref());
        let at = self.ready.iter().position(|subject| waiting(subject).is_some_and(&may_leave))?;
        let subject = self.ready.remove(at)?;
        let slot = self.slots.get_mut(&subject)?;
        let waiting = slot.waiting.take()?;
        self.bytes -= waiting.bytes;
        slot.is_ready = false;
        slot.free_at = now + waiting.interval;
        let free_at = slot.free_at;
        if free_at > now {
            self.due(&subject, Some(free_at));
        } else {
            self.remove(&subject);
        }
        Some(waiting)
    }

    /// Time has passed: those that have waited too long.
    pub(super) fn time(&mut self, now: Instant) -> Vec<Waiting> {
        let mut expired = Vec::new();
        while self.dues.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, subject)) = self.dues.pop_first() else { break };
            let Some(slot) = self.slots.get_mut(&subject) else { continue };
            slot.due_at = None;
            let is_late = |waiting: &mut Waiting| waiting.deadline.is_some_and(|deadline| deadline <= now);
            expired.extend(slot.waiting.take_if(is_late));
            if slot.waiting.is_some() {
                self.make_ready(&subject);
            } else {
                self.remove(&subject);
            }
        }
        self.bytes -= expired.iter().map(|waiting| waiting.bytes).sum::<usize>();
        expired
    }

    /// Take those that do not outlive the connection.
    pub(super) fn take_volatile(&mut self) -> Vec<Waiting> {
        let is_over = |waiting: &mut Waiting| waiting.is_volatile;
        let taken: Vec<(Subject, Waiting)> = self
            .slots
            .iter_mut()
            .filter_map(|(subject, slot)| Some((subject.clone(), slot.waiting.take_if(is_over)?)))
            .collect();
        let mut dropped = Vec::new();
        for (subject, waiting) in taken {
            self.bytes -= waiting.bytes;
            self.vacate(&subject);
            dropped.push(waiting);
        }
        dropped
    }

    /// Take all of them.
    pub(super) fn drain(&mut self) -> Vec<Waiting> {
        let slots = std::mem::take(&mut self.slots);
        *self = Self::new(self.bytes_max);
        slots.into_values().filter_map(|slot| slot.waiting).collect()
    }

    /// When [`time`](Self::time) has something to do.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.dues.first().map(|(at, _)| *at)
    }

    /// What waits there may leave, until its deadline.
    fn make_ready(&mut self, subject: &Subject) {
        let Some(slot) = self.slots.get_mut(subject) else { return };
        if !std::mem::replace(&mut slot.is_ready, true) {
            self.ready.push_back(subject.clone());
        }
        let deadline = slot.waiting.as_ref().and_then(|waiting| waiting.deadline);
        self.due(subject, deadline);
    }

    /// Nothing waits there any more; the rate is as it was.
    fn vacate(&mut self, subject: &Subject) {
        let Some(slot) = self.slots.get_mut(subject) else { return };
        let free_at = slot.free_at;
        if std::mem::take(&mut slot.is_ready) {
            self.ready.retain(|ready| ready != subject);
        }
        self.due(subject, Some(free_at));
    }

    /// Nothing more is known of it.
    fn remove(&mut self, subject: &Subject) {
        self.due(subject, None);
        if self.slots.remove(subject).is_some_and(|slot| slot.is_ready) {
            self.ready.retain(|ready| ready != subject);
        }
    }

    fn due(&mut self, subject: &Subject, at: Option<Instant>) {
        let Some(slot) = self.slots.get_mut(subject) else { return };
        if let Some(old) = std::mem::replace(&mut slot.due_at, at) {
            self.dues.remove(&(old, subject.clone()));
        }
        if let Some(at) = at {
            self.dues.insert((at, subject.clone()));
        }
    }
}

#[cfg(test)]
mod tests;
