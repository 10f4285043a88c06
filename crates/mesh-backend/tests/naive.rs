//! Memory is the model of every other backend; this is a model of memory: everything in lists, searched from end to
//! end, without leases or counts. What the two agree on in random runs was written twice.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use mesh_backend::conformance::{World, random};
use mesh_backend::{
    Announce, Arrival, Backend, Beat, CellValue, Done, Entered, Entry, Expect, Inbox, Keep, Key, Kind, Left,
    Link, LogPage, LogRead, Logged, Member, Orphan, Roll, Wire, Write, Written, WrittenAll, check_together,
};
use mesh_proto::{ConnId, Epoch, Incarnation, Position, Tag};

#[derive(Clone, Default)]
struct Naive(Arc<Mutex<Lists>>);

#[derive(Default)]
struct Lists {
    subscriptions: Vec<(Key, Incarnation, Inbox)>,
    /// Every entry ever appended, and the bounds it came with.
    entries: Vec<(Key, Logged, Keep)>,
    cells: Vec<(Key, CellValue)>,
    members: Vec<(Key, Member)>,
    entered: u64,
}

struct NaiveLink {
    me: Incarnation,
    inbox: Inbox,
    lists: Arc<Mutex<Lists>>,
}

/// The epoch of a log is a function of its key: each has one life.
fn epoch(key: &Key) -> Epoch {
    let text = format!("{key:?}");
    Epoch(text.bytes().fold(7, |hash: u64, byte| hash.wrapping_mul(31).wrapping_add(byte.into())))
}

impl Lists {
    fn publish(&self, from: Incarnation, announce: Announce, position: Option<Position>) {
        let text = |wire: Wire| match wire {
            Wire::Final(text) => text,
            Wire::Seam { .. } => panic!("random runs have no seams"),
        };
        for (_, _, inbox) in self.subscriptions.iter().filter(|(topic, _, _)| *topic == announce.topic) {
            inbox.push(Arrival {
                topic: announce.topic.clone(),
                from,
                n: 0,
                position,
                audience: announce.audience.clone(),
                txn: None,
                full: announce.variants.clone().and_then(|variants| variants.full).map(text),
                patch: None,
                control: None,
                group: None,
            });
        }
    }

    fn append(&mut self, from: Incarnation, key: &Key, entry: Entry, keep: Keep) -> Position {
        let offset = self.entries.iter().filter(|(log, _, _)| log == key).count() as u64 + 1;
        let position = Position { epoch: epoch(key), offset, tag: entry.tag };
        self.entries.push((key.clone(), Logged { offset, tag: entry.tag, kept: entry.kept }, keep));
        if let Some(announce) = entry.announce {
            self.publish(from, Announce { topic: key.clone(), ..announce }, Some(position));
        }
        position
    }

    fn read(&self, key: &Key, read: LogRead) -> LogPage {
        let all: Vec<_> = self.entries.iter().filter(|(log, _, _)| log == key).collect();
        // What one append's bounds let go of does not come back with wider bounds.
        let mut kept: Vec<&Logged> = Vec::new();
        for (_, logged, keep) in &all {
            kept.push(logged);
            while kept.len() > keep.count_max
                || kept.iter().map(|l| l.kept.len()).sum::<usize>() > keep.bytes_max
            {
                kept.remove(0);
            }
        }
        let newest = all.len() as u64;
        let oldest = kept.first().map_or(newest + 1, |logged| logged.offset);
        let newest_of = |kept: Vec<&Logged>, limit: usize| {
            let skip = kept.len().saturating_sub(limit);
            kept.into_iter().skip(skip).cloned().collect()
        };
        let (entries, lost) = match read {
            LogRead::Newest { limit } => (newest_of(kept, limit), false),
            LogRead::Before { offset, limit } => {
                (newest_of(kept.into_iter().filter(|logged| logged.offset < offset).collect(), limit), false)
            }
            LogRead::After { position, limit } => {
                let known = kept.iter().copied().chain(all.last().map(|(_, newest, _)| newest));
                let mut forks =
                    known.filter(|logged| logged.offset == position.offset && logged.tag != position.tag);
                if all.is_empty()
                    || position.epoch != epoch(key)
                    || position.offset > newest
                    || forks.next().is_some()
                {
                    (Vec::new(), true)
                } else {
                    let behind = kept.into_iter().filter(|logged| logged.offset > position.offset);
                    (behind.take(limit).cloned().collect(), position.offset + 1 < oldest)
                }
            }
        };
        let tag = all.last().map_or(Tag(0), |(_, newest, _)| newest.tag);
        LogPage { epoch: (newest > 0).then(|| epoch(key)), newest, tag, oldest, entries, lost }
    }

    fn load(&self, key: &Key) -> Option<CellValue> {
        self.cells.iter().find(|(cell, _)| cell == key).map(|(_, there)| there.clone())
    }

    fn write(&mut self, from: Incarnation, key: &Key, write: Write) -> Written {
        let there = self.load(key);
        let version = there.as_ref().map(|there| (there.position.epoch, there.position.offset));
        let expected = match write.expect {
            Expect::Absent => None,
            Expect::Version(epoch, version) => Some((epoch, version)),
        };
        if version != expected {
            return Written::Conflict(there);
        }
        let steps: Vec<_> =
            write.entries.into_iter().map(|entry| self.append(from, key, entry, write.keep)).collect();
        let position = steps[steps.len() - 1];
        self.cells.retain(|(cell, _)| cell != key);
        self.cells.push((key.clone(), CellValue { position, value: write.value }));
        Written::At(position)
    }

    fn write_all(&mut self, from: Incarnation, writes: Vec<(Key, Write)>) -> WrittenAll {
        for (key, write) in &writes {
            let there = self.load(key);
            let expect = there
                .as_ref()
                .map_or(Expect::Absent, |there| Expect::Version(there.position.epoch, there.position.offset));
            if write.expect != expect {
                return WrittenAll::Conflict(key.clone(), there);
            }
        }
        let mut positions = Vec::new();
        for (key, write) in writes.into_iter().filter(|(_, write)| !write.entries.is_empty()) {
            let Written::At(position) = self.write(from, &key, write) else { panic!("it was looked at") };
            positions.push(position);
        }
        WrittenAll::At(positions)
    }

    fn members<'a>(&'a self, key: &'a Key) -> impl Iterator<Item = &'a Member> {
        self.members.iter().filter(move |(roster, _)| roster == key).map(|(_, member)| member)
    }

    fn find(&self, key: &Key, who: ConnId) -> Option<Member> {
        self.members(key).find(|member| member.who == who).cloned()
    }

    fn list<T>(
        names: impl Iterator<Item = (Key, T)>,
        (kind, prefix, after, limit): (Kind, &str, Option<&str>, usize),
    ) -> Vec<(Arc<str>, T)> {
        let mut listed: Vec<_> = names
            .filter(|(key, _)| key.kind == kind && key.name.starts_with(prefix))
            .filter(|(key, _)| after.is_none_or(|after| &*key.name > after))
            .map(|(key, with)| (key.name, with))
            .collect();
        listed.sort_by(|a, b| a.0.cmp(&b.0));
        listed.truncate(limit);
        listed
    }
}

impl fmt::Debug for Naive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Naive")
    }
}

impl fmt::Debug for NaiveLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NaiveLink")
    }
}

impl Backend for Naive {
    fn attach(&self, me: Incarnation, _: Duration, inbox: Inbox) -> Done<'_, Arc<dyn Link>> {
        Box::pin(async move { Ok(Arc::new(NaiveLink { me, inbox, lists: self.0.clone() }) as Arc<dyn Link>) })
    }
}

impl Drop for NaiveLink {
    fn drop(&mut self) {
        self.lists
            .lock()
            .expect("nothing panics under it")
            .subscriptions
            .retain(|(_, who, _)| *who != self.me);
    }
}

impl NaiveLink {
    fn with<'a, R: Send + 'a>(&'a self, f: impl FnOnce(&mut Lists) -> R + Send + 'a) -> Done<'a, R> {
        Box::pin(async move { Ok(f(&mut self.lists.lock().expect("nothing panics under it"))) })
    }
}

impl Link for NaiveLink {
    fn subscribe<'a>(&'a self, topic: &'a Key) -> Done<'a, ()> {
        self.with(|lists| {
            lists.subscriptions.retain(|(there, who, _)| (there, *who) != (topic, self.me));
            lists.subscriptions.push((topic.clone(), self.me, self.inbox.clone()));
        })
    }

    fn unsubscribe<'a>(&'a self, topic: &'a Key) -> Done<'a, ()> {
        self.with(|lists| lists.subscriptions.retain(|(there, who, _)| (there, *who) != (topic, self.me)))
    }

    fn publish(&self, announce: Announce) -> Done<'_, ()> {
        self.with(|lists| lists.publish(self.me, announce, None))
    }

    fn append<'a>(&'a self, log: &'a Key, entry: Entry, keep: Keep) -> Done<'a, Position> {
        self.with(move |lists| lists.append(self.me, log, entry, keep))
    }

    fn read<'a>(&'a self, log: &'a Key, read: LogRead) -> Done<'a, LogPage> {
        self.with(move |lists| lists.read(log, read))
    }

    fn load<'a>(&'a self, cell: &'a Key) -> Done<'a, Option<CellValue>> {
        self.with(|lists| lists.load(cell))
    }

    fn write<'a>(&'a self, cell: &'a Key, write: Write) -> Done<'a, Written> {
        self.with(move |lists| lists.write(self.me, cell, write))
    }

    fn write_all(&self, writes: Vec<(Key, Write)>) -> Done<'_, WrittenAll> {
        Box::pin(async move {
            check_together(&writes)?;
            self.with(move |lists| lists.write_all(self.me, writes)).await
        })
    }

    fn cells<'a>(
        &'a self,
        kind: Kind,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> Done<'a, Vec<(Arc<str>, CellValue)>> {
        self.with(move |lists| {
            let with_value = lists.cells.iter().filter(|(_, there)| there.value.is_some()).cloned();
            Lists::list(with_value, (kind, prefix, after, limit))
        })
    }

    fn enter<'a>(
        &'a self,
        roster: &'a Key,
        who: ConnId,
        value: Option<Bytes>,
        announce: Option<Announce>,
    ) -> Done<'a, Entered> {
        self.with(move |lists| {
            if let Some((_, member)) = lists.members.iter_mut().find(|(key, m)| (key, m.who) == (roster, who))
            {
                (member.owner, member.value) = (self.me, value);
                return Entered { new: false, offset: member.offset };
            }
            lists.entered += 1;
            let offset = lists.entered;
            lists.members.push((roster.clone(), Member { who, offset, owner: self.me, value }));
            announce.into_iter().for_each(|announce| lists.publish(self.me, announce, None));
            Entered { new: true, offset }
        })
    }

    fn leave<'a>(&'a self, roster: &'a Key, who: ConnId, announce: Option<Announce>) -> Done<'a, Left> {
        self.with(move |lists| {
            let was_in = lists.find(roster, who).is_some();
            lists.members.retain(|(key, member)| (key, member.who) != (roster, who));
            announce
                .filter(|_| was_in)
                .into_iter()
                .for_each(|announce| lists.publish(self.me, announce, None));
            Left { was_in, count: lists.members(roster).count() as u64 }
        })
    }

    fn roll<'a>(&'a self, roster: &'a Key, after: u64, limit: usize) -> Done<'a, Roll> {
        self.with(move |lists| Roll {
            members: lists
                .members(roster)
                .filter(|member| member.offset > after)
                .take(limit)
                .cloned()
                .collect(),
            count: lists.members(roster).count() as u64,
        })
    }

    fn find<'a>(&'a self, wanted: &'a [(Key, ConnId)]) -> Done<'a, Vec<Option<Member>>> {
        self.with(|lists| wanted.iter().map(|(roster, who)| lists.find(roster, *who)).collect())
    }

    fn rosters<'a>(
        &'a self,
        kind: Kind,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> Done<'a, Vec<(Arc<str>, u64)>> {
        self.with(move |lists| {
            let mut keys: Vec<_> = lists.members.iter().map(|(key, _)| key.clone()).collect();
            keys.sort();
            keys.dedup();
            let counts = keys.into_iter().map(|key| {
                let count = lists.members(&key).count() as u64;
                (key, count)
            });
            Lists::list(counts, (kind, prefix, after, limit))
        })
    }

    fn mine<'a>(&'a self, after: Option<&'a (Key, ConnId)>, limit: usize) -> Done<'a, Vec<(Key, ConnId)>> {
        self.with(move |lists| {
            let mine = lists.members.iter().filter(|(_, member)| member.owner == self.me);
            let mut mine: Vec<_> = mine.map(|(key, member)| (key.clone(), member.who)).collect();
            mine.sort();
            mine.into_iter().filter(|entry| after.is_none_or(|after| entry > after)).take(limit).collect()
        })
    }

    fn beat(&self) -> Done<'_, Beat> {
        self.with(|_| Beat { held: true })
    }

    fn orphans(&self, _: usize) -> Done<'_, Vec<Orphan>> {
        self.with(|_| Vec::new())
    }
}

impl World for Naive {
    async fn new() -> Self {
        Self::default()
    }

    fn backend(&self) -> Arc<dyn Backend> {
        Arc::new(self.clone())
    }

    fn lease(&self) -> Duration {
        Duration::from_secs(6)
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn settle(&self) {}
}

#[tokio::test(start_paused = true)]
async fn memory_agrees_with_a_model_that_was_written_naively() {
    random::random_runs_agree_with_memory(&Naive::default()).await;
}

#[tokio::test(start_paused = true)]
async fn the_naive_model_keeps_every_promise_too() {
    random::random_concurrent_runs_keep_every_promise(&Naive::default()).await;
}
