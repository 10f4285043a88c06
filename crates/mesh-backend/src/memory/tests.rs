//! What is particular to memory: how long it remembers, and what it forgets.

use mesh_proto::Tag;

use super::logs::{FORGET_AFTER, SWEEP_MAX};
use super::*;
use crate::{Arrivals, Expect, Received, inbox};

const LEASE: Duration = Duration::from_secs(6);
const KEEP: Keep = Keep { count_max: 10, bytes_max: 1000, age_max: Duration::from_secs(60) };

async fn attach(memory: &Memory, number: u64) -> (Arc<dyn Link>, Arrivals) {
    let (inbox, arrivals) = inbox(1 << 20);
    let me = Incarnation::random(&Entropy::from_seed(number));
    (memory.attach(me, LEASE, inbox).await.unwrap(), arrivals)
}

fn entry() -> Entry {
    Entry { tag: Tag(1), kept: Bytes::from_static(b"x"), announce: None }
}

fn write(expect: Expect, value: Option<&'static str>) -> Write {
    let value = value.map(|value| Bytes::from_static(value.as_bytes()));
    Write { expect, value, entries: vec![entry()], keep: KEEP, insist: false }
}

fn key(name: &str) -> Key {
    Key::new(Kind::Record, name)
}

/// Enough beats for the sweep to come around.
async fn sweep(link: &Arc<dyn Link>, count: usize) {
    for _ in 0..count.div_ceil(SWEEP_MAX) + 2 {
        link.beat().await.unwrap();
    }
}

impl Memory {
    fn sizes(&self) -> [usize; 5] {
        self.0.with(|store| {
            [store.logs.len(), store.cells.len(), store.rosters.len(), store.topics.len(), store.leases.len()]
        })
    }
}

#[tokio::test(start_paused = true)]
async fn epochs_are_a_function_of_the_seed() {
    let mut epochs = Vec::new();
    for seed in [1, 1, 2] {
        let (link, _arrivals) = attach(&Memory::from_seed(seed), 1).await;
        epochs.push(link.append(&key("a"), entry(), KEEP).await.unwrap().epoch);
    }
    assert_eq!(epochs[0], epochs[1]);
    assert_ne!(epochs[1], epochs[2]);
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_is_never_polled_does_not_take_place() {
    let memory = Memory::default();
    let (link, _arrivals) = attach(&memory, 1).await;
    drop(link.append(&key("a"), entry(), KEEP));
    assert_eq!(memory.sizes()[0], 0);
}

#[tokio::test(start_paused = true)]
async fn a_tombstone_is_forgotten_after_seven_days_and_a_new_life_begins() {
    let memory = Memory::default();
    let (link, _arrivals) = attach(&memory, 1).await;
    let Written::At(first) = link.write(&key("a"), write(Expect::Absent, Some("x"))).await.unwrap() else {
        panic!()
    };
    let expect = Expect::Version(first.epoch, 1);
    let Written::At(gone) = link.write(&key("a"), write(expect, None)).await.unwrap() else { panic!() };
    tokio::time::sleep(FORGET_AFTER - Duration::from_secs(1)).await;
    sweep(&link, 1).await;
    assert_eq!(link.load(&key("a")).await.unwrap().unwrap().position, gone);
    tokio::time::sleep(Duration::from_secs(2)).await;
    sweep(&link, 1).await;
    assert_eq!(link.load(&key("a")).await.unwrap(), None);
    assert_eq!(memory.sizes()[..2], [0, 0]);
    let Written::At(again) = link.write(&key("a"), write(Expect::Absent, Some("x"))).await.unwrap() else {
        panic!()
    };
    assert_eq!(again.offset, 1);
    assert_ne!(again.epoch, first.epoch);
}

#[tokio::test(start_paused = true)]
async fn a_value_is_never_forgotten_nor_is_its_version() {
    let memory = Memory::default();
    let (link, _arrivals) = attach(&memory, 1).await;
    let Written::At(first) = link.write(&key("a"), write(Expect::Absent, Some("x"))).await.unwrap() else {
        panic!()
    };
    tokio::time::sleep(FORGET_AFTER * 3).await;
    sweep(&link, 1).await;
    let expect = Expect::Version(first.epoch, first.offset);
    let Written::At(next) = link.write(&key("a"), write(expect, Some("y"))).await.unwrap() else { panic!() };
    assert_eq!((next.epoch, next.offset), (first.epoch, 2));
}

#[tokio::test(start_paused = true)]
async fn what_aged_is_freed_and_an_emptied_log_is_forgotten_though_nobody_touches_it() {
    let memory = Memory::default();
    let (link, _arrivals) = attach(&memory, 1).await;
    let count = 3 * SWEEP_MAX;
    for number in 0..count {
        link.append(&Key::new(Kind::Channel, number.to_string()), entry(), KEEP).await.unwrap();
    }
    let kept = || memory.0.with(|store| store.logs.kept());
    assert_eq!(kept(), count);
    tokio::time::sleep(KEEP.age_max * 2).await;
    sweep(&link, count).await;
    assert_eq!((kept(), memory.sizes()[0]), (0, count));
    tokio::time::sleep(FORGET_AFTER).await;
    sweep(&link, count).await;
    assert_eq!(memory.sizes()[0], 0);
}

#[tokio::test(start_paused = true)]
async fn of_empty_rosters_and_topics_without_subscribers_nothing_stays() {
    let memory = Memory::default();
    let (link, arrivals) = attach(&memory, 1).await;
    let who = ConnId::random(&Entropy::from_seed(1));
    for number in 0..100 {
        let room = Key::new(Kind::Room, number.to_string());
        link.subscribe(&room).await.unwrap();
        link.enter(&room, who, None, Some(Announce::text(room.clone(), Bytes::new()))).await.unwrap();
        link.publish(Announce::text(Key::new(Kind::Channel, "nobody"), Bytes::new())).await.unwrap();
        link.leave(&room, who, None).await.unwrap();
        if number % 2 == 0 {
            link.unsubscribe(&room).await.unwrap();
        }
    }
    assert_eq!(memory.sizes(), [0, 0, 0, 50, 1]);
    drop((link, arrivals));
    assert_eq!(
        memory.sizes(),
        [0, 0, 0, 0, 0],
        "a link that is dropped with nothing in rosters leaves nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn offsets_of_a_roster_never_go_back_over_emptiness() {
    let (link, _arrivals) = attach(&Memory::default(), 1).await;
    let who = ConnId::random(&Entropy::from_seed(1));
    let mut last = 0;
    for room in ["a", "b", "a", "a", "b"] {
        let offset = link.enter(&Key::new(Kind::Room, room), who, None, None).await.unwrap().offset;
        assert!(offset > last);
        last = offset;
        link.leave(&Key::new(Kind::Room, room), who, None).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_incarnation_attached_twice_has_the_later_link() {
    let memory = Memory::default();
    let room = Key::new(Kind::Room, "r");
    let (first, mut first_arrivals) = attach(&memory, 1).await;
    first.subscribe(&room).await.unwrap();
    let (second, mut second_arrivals) = attach(&memory, 1).await;
    assert_eq!(first_arrivals.recv().await, None);
    second.subscribe(&room).await.unwrap();
    drop(first);
    second.publish(Announce::text(room, Bytes::new())).await.unwrap();
    assert!(matches!(second_arrivals.try_recv(), Some(Received::Arrival(_))));
}
