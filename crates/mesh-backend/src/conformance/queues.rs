//! Writers of one cell on several instances, through their queues.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mesh_proto::Tag;

use super::World;
use super::support::{KEEP, Peer, all, bytes, incarnation, record, text, told};
use crate::{CellQueue, Decision, Faulty, Key, Op, Outcome, Seen, inbox};

fn number(seen: &Seen) -> u64 {
    seen.value.as_ref().map_or(0, |value| text(value).parse().unwrap())
}

/// Add one, and tell what there is then.
fn increment(cell: &Key, seen: &Seen) -> Decision {
    let number = (number(seen) + 1).to_string();
    let entry = told(cell, &number, seen.version as u32 + 1);
    Decision::Store(bytes(&number), entry)
}

pub async fn writers_of_several_instances_make_every_version_once(world: &impl World) {
    const WRITERS: u64 = 10;
    const EACH: u64 = 10;
    let mut peers = Peer::attach_all(world, 4).await;
    let cell = record("r");
    let total = peers.len() as u64 * WRITERS * EACH;
    peers[0].link.subscribe(&cell).await.unwrap();
    let writers = peers.iter().flat_map(|peer| {
        let queue = CellQueue::new(peer.link.clone());
        let cell = cell.clone();
        (0..WRITERS).map(move |_| {
            let (queue, cell) = (queue.clone(), cell.clone());
            async move {
                let mut versions = Vec::new();
                for _ in 0..EACH {
                    let edited = cell.clone();
                    let edit = move |seen: &Seen| (increment(&edited, seen), number(seen));
                    let (outcome, before) = queue.edit(cell.clone(), KEEP, edit).await.unwrap();
                    let Outcome::Written(there) = outcome else { panic!("an edit that stores is written") };
                    assert_eq!(there.value, Some(bytes(&(before + 1).to_string())));
                    assert_eq!(there.position.offset, before + 1, "each step added one");
                    versions.push(there.position.offset);
                }
                assert!(versions.is_sorted(), "one writer's versions grow");
                versions
            }
        })
    });
    let versions: Vec<_> = all(writers.collect::<Vec<_>>()).await.concat();
    assert_eq!(versions.len() as u64, total);
    assert_eq!(versions.into_iter().collect::<BTreeSet<_>>(), (1..=total).collect());
    let there = peers[1].link.load(&cell).await.unwrap().unwrap();
    assert_eq!((there.position.offset, there.value), (total, Some(bytes(&total.to_string()))));
    for version in 1..=total {
        let arrival = peers[0].next().await;
        let position = arrival.position.unwrap();
        assert_eq!((position.offset, position.tag), (version, Tag(version as u32)));
        assert_eq!(arrival.full, Some(bytes(&version.to_string())));
    }
    peers[0].silent(world).await;
}

pub async fn edits_that_keep_announce_nothing(world: &impl World) {
    let mut peer = Peer::attach(world, 1).await;
    let cell = record("r");
    peer.link.subscribe(&cell).await.unwrap();
    let queue = CellQueue::new(peer.link.clone());
    let kept = queue.edit(cell.clone(), KEEP, |seen| (Decision::Keep, seen.clone())).await.unwrap();
    assert_eq!(kept, (Outcome::Kept(None), Seen::default()));
    let position = peer.put(&cell, Some("x")).await;
    let (outcome, seen) =
        queue.edit(cell.clone(), KEEP, |seen| (Decision::Keep, seen.clone())).await.unwrap();
    let Outcome::Kept(Some(there)) = outcome else { panic!("{outcome:?}") };
    assert_eq!((there.position, there.value), (position, Some(bytes("x"))));
    assert_eq!(seen, Seen { epoch: Some(position.epoch), version: 1, value: Some(bytes("x")) });
    peer.silent(world).await;
}

pub async fn removal_and_creation_by_several_instances_go_on_counting(world: &impl World) {
    let peers = Peer::attach_all(world, 3).await;
    let cell = record("r");
    let toggles = peers.iter().map(|peer| {
        let (queue, cell) = (CellQueue::new(peer.link.clone()), cell.clone());
        async move {
            let mut versions = Vec::new();
            for _ in 0..20 {
                let topic = cell.clone();
                let toggle = move |seen: &Seen| match seen.value {
                    Some(_) => (Decision::Remove(told(&topic, "-", 1)), ()),
                    None => (Decision::Store(bytes("x"), told(&topic, "+", 1)), ()),
                };
                let (outcome, ()) = queue.edit(cell.clone(), KEEP, toggle).await.unwrap();
                let Outcome::Written(there) = outcome else { panic!("a toggle writes") };
                assert_eq!(there.value.is_some(), there.position.offset % 2 == 1, "they alternate");
                versions.push(there.position.offset);
            }
            versions
        }
    });
    let versions = all(toggles.collect::<Vec<_>>()).await.concat();
    assert_eq!(versions.into_iter().collect::<BTreeSet<_>>(), (1..=60).collect());
}

pub async fn an_edit_is_decided_again_when_another_instance_was_first(world: &impl World) {
    let faulty = Faulty::new(world.backend(), 1);
    let slow = Peer::attach_to(&faulty, world.lease(), 1, inbox(1 << 20)).await;
    let fast = Peer::attach(world, 2).await;
    let cell = record("r");
    let faults = faulty.faults(incarnation(1));
    faults.delay(world.lease()..world.lease() + Duration::from_millis(1));
    let runs = Arc::new(AtomicUsize::new(0));
    let edit = tokio::spawn({
        let (queue, cell, runs) = (CellQueue::new(slow.link.clone()), cell.clone(), runs.clone());
        async move {
            let topic = cell.clone();
            let edit = move |seen: &Seen| (increment(&topic, seen), runs.fetch_add(1, Ordering::Relaxed));
            queue.edit(cell, KEEP, edit).await
        }
    });
    // Its write is on the way, over the version that it has read.
    while faults.calls(Op::Write) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    fast.put(&cell, Some("41")).await;
    let (outcome, run) = edit.await.unwrap().unwrap();
    let Outcome::Written(there) = outcome else { panic!("{outcome:?}") };
    assert_eq!((there.position.offset, there.value), (2, Some(bytes("42"))));
    assert_eq!((run, runs.load(Ordering::Relaxed)), (1, 2), "what the caller gets is of the run that counts");
}
