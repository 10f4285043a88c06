//! Tails of entries, and the positions they bear.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use bytes::Bytes;
use mesh_proto::{Entropy, Epoch, Position, Tag};
use tokio::time::Instant;

use crate::{Keep, Key, LogPage, LogRead, Logged};

/// How long a log without entries, or a removed cell, keeps its epoch and its newest offset. A client that was away for
/// longer is told that its position is lost, since the next entry begins a new life.
pub(super) const FORGET_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// How many logs or cells one beat looks through: enough for 100,000 in a quarter of an hour, too few to be felt.
pub(super) const SWEEP_MAX: usize = 256;

#[derive(Default)]
pub(super) struct Logs {
    logs: BTreeMap<Key, Log>,
    /// Where the sweep goes on.
    swept: Option<Key>,
}

struct Log {
    epoch: Epoch,
    newest: u64,
    /// The mark of the newest entry, also when it is no longer kept.
    newest_tag: Tag,
    entries: VecDeque<(Instant, Logged)>,
    bytes: usize,
    /// As of the last append, for what ages while nothing is appended.
    keep: Keep,
    appended: Instant,
}

impl Logs {
    pub(super) fn append(
        &mut self,
        key: &Key,
        tag: Tag,
        kept: Bytes,
        keep: Keep,
        now: Instant,
        entropy: &Entropy,
    ) -> Position {
        // Two look-ups for a new log, one without cloning the key for a log that exists.
        if !self.logs.contains_key(key) {
            self.logs.insert(key.clone(), Log::new(Epoch::random(entropy), keep, now));
        }
        let log = self.logs.get_mut(key).expect("a log that was missing was made");
        log.newest += 1;
        log.newest_tag = tag;
        log.bytes += kept.len();
        log.entries.push_back((now, Logged { offset: log.newest, tag, kept }));
        log.keep = keep;
        log.appended = now;
        log.trim(now);
        Position { epoch: log.epoch, offset: log.newest, tag }
    }

    pub(super) fn read(&mut self, key: &Key, read: LogRead, now: Instant) -> LogPage {
        let Some(log) = self.logs.get_mut(key) else {
            let lost = matches!(read, LogRead::After { .. });
            return LogPage { epoch: None, newest: 0, tag: Tag(0), oldest: 1, entries: Vec::new(), lost };
        };
        log.trim(now);
        log.page(read)
    }

    /// Of the next few logs: trim what is too old, and name those that held nothing for long.
    pub(super) fn over(&mut self, now: Instant) -> Vec<Key> {
        let from = self.swept.take().map_or(Bound::Unbounded, Bound::Excluded);
        let mut over = Vec::new();
        for (looked, (key, log)) in self.logs.range_mut((from, Bound::Unbounded)).enumerate() {
            if looked == SWEEP_MAX {
                break;
            }
            log.trim(now);
            if log.entries.is_empty() && now >= log.appended + FORGET_AFTER {
                over.push(key.clone());
            }
            self.swept = Some(key.clone());
        }
        over
    }

    pub(super) fn forget(&mut self, key: &Key) {
        self.logs.remove(key);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.logs.len()
    }

    /// How many entries are held.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.logs.values().map(|log| log.entries.len()).sum()
    }
}

impl Log {
    fn new(epoch: Epoch, keep: Keep, now: Instant) -> Self {
        Self { epoch, newest: 0, newest_tag: Tag(0), entries: VecDeque::new(), bytes: 0, keep, appended: now }
    }

    /// The offset of the oldest entry kept, or of the next one.
    fn oldest(&self) -> u64 {
        self.newest + 1 - self.entries.len() as u64
    }

    fn trim(&mut self, now: Instant) {
        let Keep { count_max, bytes_max, age_max } = self.keep;
        while let Some((at, oldest)) = self.entries.front() {
            let too_old = now.duration_since(*at) > age_max;
            if self.entries.len() <= count_max && self.bytes <= bytes_max && !too_old {
                break;
            }
            self.bytes -= oldest.kept.len();
            self.entries.pop_front();
        }
        if self.entries.is_empty() {
            self.entries = VecDeque::new();
        }
    }

    fn page(&self, read: LogRead) -> LogPage {
        let (oldest, end) = (self.oldest(), self.newest + 1);
        let mut lost = false;
        let (from, to) = match read {
            LogRead::Newest { limit } => (end.saturating_sub(limit as u64), end),
            LogRead::Before { offset, limit } => {
                let to = offset.clamp(oldest, end);
                (to.saturating_sub(limit as u64), to)
            }
            LogRead::After { position, limit } if self.contains(position) => {
                lost = position.offset + 1 < oldest;
                let from = oldest.max(position.offset + 1);
                (from, from.saturating_add(limit as u64).min(end))
            }
            LogRead::After { .. } => {
                lost = true;
                (end, end)
            }
        };
        let index = |offset: u64| (offset.max(oldest) - oldest) as usize;
        let entries = self.entries.range(index(from)..index(to)).map(|(_, logged)| logged.clone()).collect();
        LogPage { epoch: Some(self.epoch), newest: self.newest, tag: self.newest_tag, oldest, entries, lost }
    }

    /// Whether a position is of this life, as far as can be told: the marks of entries that went are not known.
    fn contains(&self, position: Position) -> bool {
        let Position { epoch, offset, tag } = position;
        if epoch != self.epoch || offset > self.newest {
            return false;
        }
        if offset == self.newest {
            return offset == 0 || tag == self.newest_tag;
        }
        let kept = offset.checked_sub(self.oldest()).and_then(|index| self.entries.get(index as usize));
        kept.is_none_or(|(_, logged)| logged.tag == tag)
    }
}
