//! What the cases have in common.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mesh_proto::{ConnId, Entropy, Epoch, Incarnation, Position, Tag};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::World;
use crate::{
    Announce, Arrival, Arrivals, Backend, Entry, Expect, Inbox, Keep, Key, Kind, Link, LogPage, LogRead,
    Received, Write, Written, inbox,
};

/// How long something that must come may take.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) const INBOX_BYTES_MAX: usize = 64 * 1024 * 1024;

/// More than any case needs.
pub(super) const KEEP: Keep =
    Keep { count_max: 10_000, bytes_max: 64 << 20, age_max: Duration::from_secs(3600) };

/// One instance.
pub(super) struct Peer {
    pub(super) me: Incarnation,
    pub(super) link: Arc<dyn Link>,
    pub(super) arrivals: Arrivals,
}

impl Peer {
    pub(super) async fn attach(world: &impl World, number: u64) -> Self {
        Self::attach_to(&*world.backend(), world.lease(), number, inbox(INBOX_BYTES_MAX)).await
    }

    pub(super) async fn attach_to(
        backend: &dyn Backend,
        lease: Duration,
        number: u64,
        (inbox, arrivals): (Inbox, Arrivals),
    ) -> Self {
        let me = incarnation(number);
        let link = backend.attach(me, lease, inbox).await.unwrap();
        Self { me, link, arrivals }
    }

    /// Several, with numbers from 1.
    pub(super) async fn attach_all(world: &impl World, count: u64) -> Vec<Self> {
        let mut peers = Vec::new();
        for number in 1..=count {
            peers.push(Self::attach(world, number).await);
        }
        peers
    }

    /// The next arrival. Fails if continuity was lost, or nothing comes.
    pub(super) async fn next(&mut self) -> Arrival {
        match self.received().await {
            Received::Arrival(arrival) => arrival,
            Received::ContinuityLost => panic!("continuity was lost"),
        }
    }

    pub(super) async fn next_all(&mut self, count: usize) -> Vec<Arrival> {
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(self.next().await);
        }
        all
    }

    pub(super) async fn received(&mut self) -> Received {
        let received = timeout(PATIENCE, self.arrivals.recv()).await.expect("nothing arrived in time");
        received.expect("the inbox was closed")
    }

    /// Fails if anything has arrived that was not taken.
    pub(super) async fn silent(&mut self, world: &impl World) {
        world.settle().await;
        assert_eq!(self.arrivals.try_recv(), None);
    }

    pub(super) async fn append(&self, log: &Key, kept: &str, keep: Keep) -> Position {
        self.link.append(log, entry(kept), keep).await.unwrap()
    }

    /// Append so many entries, kept as their offsets.
    pub(super) async fn fill(&self, log: &Key, count: u64, keep: Keep) -> Vec<Position> {
        let mut positions = Vec::new();
        for number in 1..=count {
            positions.push(self.append(log, &number.to_string(), keep).await);
        }
        positions
    }

    pub(super) async fn read(&self, log: &Key, read: LogRead) -> LogPage {
        self.link.read(log, read).await.unwrap()
    }

    pub(super) async fn newest(&self, log: &Key, limit: usize) -> LogPage {
        self.read(log, LogRead::Newest { limit }).await
    }

    pub(super) async fn after(&self, log: &Key, position: Position, limit: usize) -> LogPage {
        self.read(log, LogRead::After { position, limit }).await
    }

    /// One step over what is expected.
    pub(super) async fn step(&self, cell: &Key, expect: Expect, value: Option<&str>) -> Written {
        self.link.write(cell, write(expect, value, vec![entry("step")])).await.unwrap()
    }

    /// One step that must take place.
    pub(super) async fn put(&self, cell: &Key, value: Option<&str>) -> Position {
        let expect = self.link.load(cell).await.unwrap().map_or(Expect::Absent, |there| at(there.position));
        match self.step(cell, expect, value).await {
            Written::At(position) => position,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn enter(&self, roster: &Key, who: ConnId, value: &str) -> crate::Entered {
        self.link.enter(roster, who, Some(bytes(value)), None).await.unwrap()
    }

    pub(super) async fn leave(&self, roster: &Key, who: ConnId) -> crate::Left {
        self.link.leave(roster, who, None).await.unwrap()
    }

    /// Who is in, with what value.
    pub(super) async fn members(&self, roster: &Key) -> Vec<(ConnId, String)> {
        let roll = self.link.roll(roster, 0, 10_000).await.unwrap();
        let value = |value: Option<Bytes>| value.map_or(String::new(), |value| text(&value));
        roll.members.into_iter().map(|member| (member.who, value(member.value))).collect()
    }
}

pub(super) fn incarnation(number: u64) -> Incarnation {
    Incarnation::random(&Entropy::from_seed(number))
}

pub(super) fn conn(number: u64) -> ConnId {
    ConnId::random(&Entropy::from_seed(1_000_000 + number))
}

pub(super) fn channel(name: &str) -> Key {
    Key::new(Kind::Channel, name)
}

pub(super) fn record(name: &str) -> Key {
    Key::new(Kind::Record, name)
}

pub(super) fn room(name: &str) -> Key {
    Key::new(Kind::Room, name)
}

pub(super) fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

pub(super) fn text(bytes: &Bytes) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What was kept, in order.
pub(super) fn kept(page: &LogPage) -> Vec<String> {
    page.entries.iter().map(|logged| text(&logged.kept)).collect()
}

pub(super) fn offsets(page: &LogPage) -> Vec<u64> {
    page.entries.iter().map(|logged| logged.offset).collect()
}

/// An entry that is not announced.
pub(super) fn entry(kept: &str) -> Entry {
    Entry { tag: Tag(0xabc), kept: bytes(kept), announce: None }
}

/// An entry that is announced by the text that is kept.
pub(super) fn told(topic: &Key, kept: &str, tag: u32) -> Entry {
    Entry { tag: Tag(tag), kept: bytes(kept), announce: Some(tell(topic, kept)) }
}

pub(super) fn tell(topic: &Key, text: &str) -> Announce {
    Announce::text(topic.clone(), bytes(text))
}

pub(super) fn write(expect: Expect, value: Option<&str>, entries: Vec<Entry>) -> Write {
    Write { expect, value: value.map(bytes), entries, keep: KEEP, insist: false }
}

pub(super) fn at(position: Position) -> Expect {
    Expect::Version(position.epoch, position.offset)
}

pub(super) fn other(epoch: Epoch) -> Epoch {
    Epoch(epoch.0 ^ 1)
}

/// Run all at once, as tasks, and give what they gave.
pub(super) async fn all<T: Send + 'static>(
    tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    tasks.into_iter().collect::<JoinSet<_>>().join_all().await
}
