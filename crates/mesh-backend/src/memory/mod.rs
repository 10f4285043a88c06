//! The embedded backend: one store in this process, shared by any number of links. The default, and the model that
//! other backends are compared with.
//!
//! Everything is under one lock, which is held for one operation and never over an await; so there is one total order
//! of everything, and every subscriber sees its part of it. Under the lock an arrival is only appended to the bounded
//! inboxes of those subscribed.
//!
//! Nothing here bounds how many logs, cells and rosters there are, nor how large a value is: names, connections and
//! sizes are bounded by the server. What is over is forgotten: a tombstone or an emptied log after
//! [`FORGET_AFTER`](logs::FORGET_AFTER), a roster with its last entry, a topic with its last subscriber. Of a dead
//! incarnation its 16 bytes stay, so that it is fenced for ever.

mod cells;
mod leases;
mod logs;
mod rosters;
#[cfg(test)]
mod tests;
mod topics;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mesh_proto::{ConnId, Entropy, Incarnation, Position};
use tokio::time::Instant;

use self::cells::Cells;
use self::leases::Leases;
use self::logs::Logs;
use self::rosters::Rosters;
use self::topics::Topics;
use crate::{
    Announce, Backend, Beat, CellValue, Done, Entered, Entry, Inbox, Keep, Key, Kind, Left, Link, LogPage,
    LogRead, Member, Orphan, Result, Roll, Write, Written, WrittenAll, check_together,
};

/// The embedded backend. Clones share one store.
#[derive(Clone)]
pub struct Memory(Arc<Shared>);

struct Shared {
    entropy: Arc<Entropy>,
    store: Mutex<Store>,
}

#[derive(Default)]
struct Store {
    topics: Topics,
    logs: Logs,
    cells: Cells,
    rosters: Rosters,
    leases: Leases,
}

impl Memory {
    /// A store whose epochs come from `entropy`.
    pub fn with_entropy(entropy: Arc<Entropy>) -> Self {
        Self(Arc::new(Shared { entropy, store: Mutex::default() }))
    }

    /// A store whose epochs are a function of `seed`. For tests and simulations.
    pub fn from_seed(seed: u64) -> Self {
        Self::with_entropy(Arc::new(Entropy::from_seed(seed)))
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::with_entropy(Arc::new(Entropy::from_os()))
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

impl Shared {
    fn with<R>(&self, f: impl FnOnce(&mut Store) -> R) -> R {
        f(&mut self.store.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Backend for Memory {
    fn attach(&self, me: Incarnation, lease: Duration, inbox: Inbox) -> Done<'_, Arc<dyn Link>> {
        Box::pin(async move {
            let shared = self.0.clone();
            let life = shared.with(|store| {
                let (life, before) = store.leases.attach(me, lease, inbox.clone(), Instant::now())?;
                // The same incarnation attached twice: the later one counts.
                if let Some(before) = before {
                    store.topics.forget(me);
                    before.close();
                }
                Ok(life)
            })?;
            Ok(Arc::new(MemoryLink { me, life, inbox, shared }) as Arc<dyn Link>)
        })
    }
}

struct MemoryLink {
    me: Incarnation,
    /// Which attachment of `me` this is.
    life: u64,
    inbox: Inbox,
    shared: Arc<Shared>,
}

impl MemoryLink {
    /// Do one step, unless this incarnation is dead.
    fn step<'a, R>(&'a self, f: impl FnOnce(&mut Store) -> Result<R> + Send + 'a) -> Done<'a, R> {
        Box::pin(async move {
            self.shared.with(|store| {
                store.leases.check(self.me)?;
                f(store)
            })
        })
    }
}

impl fmt::Debug for MemoryLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLink").field("me", &self.me).finish_non_exhaustive()
    }
}

/// Dropping a link is like dying: what it subscribed to ends at once, what it put in rosters becomes orphans when its
/// lease has run out.
impl Drop for MemoryLink {
    fn drop(&mut self) {
        self.shared.with(|store| {
            if store.leases.detach(self.me, self.life) {
                store.topics.forget(self.me);
            }
        });
        self.inbox.close();
    }
}

impl Link for MemoryLink {
    fn subscribe<'a>(&'a self, topic: &'a Key) -> Done<'a, ()> {
        self.step(|store| {
            store.topics.subscribe(topic, self.me, &self.inbox);
            Ok(())
        })
    }

    fn unsubscribe<'a>(&'a self, topic: &'a Key) -> Done<'a, ()> {
        self.step(|store| {
            store.topics.unsubscribe(topic, self.me);
            Ok(())
        })
    }

    fn publish(&self, announce: Announce) -> Done<'_, ()> {
        self.step(|store| {
            store.topics.publish(self.me, announce, None);
            Ok(())
        })
    }

    fn append<'a>(&'a self, log: &'a Key, entry: Entry, keep: Keep) -> Done<'a, Position> {
        self.step(move |store| {
            let now = Instant::now();
            let position = store.logs.append(log, entry.tag, entry.kept, keep, now, &self.shared.entropy);
            if let Some(announce) = entry.announce {
                store.topics.publish(self.me, Announce { topic: log.clone(), ..announce }, Some(position));
            }
            Ok(position)
        })
    }

    fn read<'a>(&'a self, log: &'a Key, read: LogRead) -> Done<'a, LogPage> {
        self.step(move |store| Ok(store.logs.read(log, read, Instant::now())))
    }

    fn load<'a>(&'a self, cell: &'a Key) -> Done<'a, Option<CellValue>> {
        self.step(|store| Ok(store.cells.load(cell)))
    }

    fn write<'a>(&'a self, cell: &'a Key, write: Write) -> Done<'a, Written> {
        assert!(!write.entries.is_empty(), "a write has at least one entry");
        self.step(move |store| {
            let now = Instant::now();
            if let Some(conflict) = store.cells.conflict(cell, write.expect) {
                return Ok(conflict);
            }
            let position = store.put(cell, write, now, &self.shared.entropy, |topics, announce, position| {
                topics.publish(self.me, announce, Some(position));
            });
            Ok(Written::At(position))
        })
    }

    fn write_all(&self, writes: Vec<(Key, Write)>) -> Done<'_, WrittenAll> {
        Box::pin(async move {
            check_together(&writes)?;
            self.step(move |store| {
                let now = Instant::now();
                for (cell, write) in &writes {
                    if let Some(Written::Conflict(there)) = store.cells.conflict(cell, write.expect) {
                        return Ok(WrittenAll::Conflict(cell.clone(), there));
                    }
                }
                let mut told = Vec::new();
                let mut put = |(cell, write): (Key, Write)| {
                    store.put(&cell, write, now, &self.shared.entropy, |_, announce, position| {
                        told.push((announce, position));
                    })
                };
                let changes = writes.into_iter().filter(|(_, write)| !write.entries.is_empty());
                let positions = changes.map(&mut put).collect();
                store.topics.publish_group(self.me, self.shared.entropy.u64(), told);
                Ok(WrittenAll::At(positions))
            })
            .await
        })
    }

    fn cells<'a>(
        &'a self,
        kind: Kind,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> Done<'a, Vec<(Arc<str>, CellValue)>> {
        self.step(move |store| Ok(store.cells.list(kind, prefix, after, limit)))
    }

    fn enter<'a>(
        &'a self,
        roster: &'a Key,
        who: ConnId,
        value: Option<Bytes>,
        announce: Option<Announce>,
    ) -> Done<'a, Entered> {
        self.step(move |store| {
            let (entered, before) = store.rosters.enter(roster, who, self.me, value);
            store.leases.moved(before, Some(self.me));
            if let Some(announce) = announce.filter(|_| entered.new) {
                store.topics.publish(self.me, announce, None);
            }
            Ok(entered)
        })
    }

    fn leave<'a>(&'a self, roster: &'a Key, who: ConnId, announce: Option<Announce>) -> Done<'a, Left> {
        self.step(move |store| {
            let (left, before) = store.rosters.leave(roster, who);
            store.leases.moved(before, None);
            if let Some(announce) = announce.filter(|_| left.was_in) {
                store.topics.publish(self.me, announce, None);
            }
            Ok(left)
        })
    }

    fn roll<'a>(&'a self, roster: &'a Key, after: u64, limit: usize) -> Done<'a, Roll> {
        self.step(move |store| Ok(store.rosters.roll(roster, after, limit)))
    }

    fn find<'a>(&'a self, wanted: &'a [(Key, ConnId)]) -> Done<'a, Vec<Option<Member>>> {
        self.step(|store| Ok(wanted.iter().map(|(roster, who)| store.rosters.find(roster, *who)).collect()))
    }

    fn rosters<'a>(
        &'a self,
        kind: Kind,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> Done<'a, Vec<(Arc<str>, u64)>> {
        self.step(move |store| Ok(store.rosters.list(kind, prefix, after, limit)))
    }

    fn mine<'a>(&'a self, after: Option<&'a (Key, ConnId)>, limit: usize) -> Done<'a, Vec<(Key, ConnId)>> {
        self.step(move |store| Ok(store.rosters.of(self.me, after, limit)))
    }

    fn beat(&self) -> Done<'_, Beat> {
        self.step(|store| {
            let now = Instant::now();
            store.sweep(now);
            store.leases.beat(self.me, now)
        })
    }

    fn orphans(&self, limit: usize) -> Done<'_, Vec<Orphan>> {
        self.step(move |store| {
            store.leases.bury(self.me, Instant::now());
            let left = store.leases.orphans_left();
            Ok(store.rosters.orphans(|owner| store.leases.is_dead(owner), left.min(limit)))
        })
    }
}

impl Store {
    /// Store what a write brings, over what it expected; `tell` gets what it announces. Gives the last step's position.
    fn put(
        &mut self,
        cell: &Key,
        write: Write,
        now: Instant,
        entropy: &Entropy,
        mut tell: impl FnMut(&mut Topics, Announce, Position),
    ) -> Position {
        let mut last = None;
        for entry in write.entries {
            let position = self.logs.append(cell, entry.tag, entry.kept, write.keep, now, entropy);
            if let Some(announce) = entry.announce {
                tell(&mut self.topics, Announce { topic: cell.clone(), ..announce }, position);
            }
            last = Some(position);
        }
        let position = last.expect("a write has at least one entry");
        self.cells.put(cell, CellValue { position, value: write.value }, now);
        position
    }

    /// Forget a little of what is over. Each beat does so, so that what nobody touches any more goes too.
    fn sweep(&mut self, now: Instant) {
        for cell in self.cells.over(now) {
            self.cells.forget(&cell);
            self.logs.forget(&cell);
        }
        for log in self.logs.over(now) {
            // A log of a cell that holds a value carries the cell's version.
            if self.cells.load(&log).is_none() {
                self.logs.forget(&log);
            }
        }
    }
}

/// From where on to look in a map in order of keys, to list the names that begin with `prefix` and come after `after`.
fn list_from(kind: Kind, prefix: &str, after: Option<&str>) -> std::ops::Bound<Key> {
    match after {
        Some(after) if after >= prefix => std::ops::Bound::Excluded(Key::new(kind, after)),
        _ => std::ops::Bound::Included(Key::new(kind, prefix)),
    }
}
