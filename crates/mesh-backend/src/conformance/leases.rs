//! Leases: who stops beating leaves orphans, once, and does nothing any more.

use std::collections::BTreeSet;

use mesh_proto::Position;

use super::World;
use super::support::{
    INBOX_BYTES_MAX, KEEP, Peer, all, at, bytes, channel, conn, entry, incarnation, record, room, tell, told,
    write,
};
use crate::{BackendError, Beat, Expect, Kind, Left, LogRead, Orphan, inbox};

/// Let a lease run out, while these peers beat.
async fn outlive(world: &impl World, alive: &[&Peer]) {
    for _ in 0..6 {
        for peer in alive {
            peer.link.beat().await.unwrap();
        }
        world.pass(world.lease() / 4).await;
    }
    for peer in alive {
        assert_eq!(peer.link.beat().await, Ok(Beat { held: true }));
    }
}

pub async fn beating_keeps_a_lease(world: &impl World) {
    let (a, b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    a.enter(&room("r"), conn(1), "").await;
    outlive(world, &[&a, &b]).await;
    assert_eq!(b.link.orphans(10).await, Ok(vec![]));
    assert_eq!(a.members(&room("r")).await.len(), 1);
}

pub async fn a_slow_instance_that_nobody_noticed_goes_on(world: &impl World) {
    let (a, b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    a.enter(&room("r"), conn(1), "").await;
    outlive(world, &[&b]).await;
    // Its lease has run out, but that is nobody's business yet.
    a.enter(&room("r"), conn(2), "").await;
    a.append(&channel("c"), "x", KEEP).await;
    assert_eq!(a.link.beat().await, Ok(Beat { held: false }));
    assert_eq!(a.link.beat().await, Ok(Beat { held: true }));
    assert_eq!(b.link.orphans(10).await, Ok(vec![]));
    assert_eq!(b.members(&room("r")).await.len(), 2);
}

pub async fn a_lease_that_ran_out_makes_orphans(world: &impl World) {
    let (a, b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    a.enter(&room("r"), conn(1), "one").await;
    a.enter(&room("s"), conn(1), "two").await;
    a.link.enter(&room("s"), conn(2), None, None).await.unwrap();
    b.enter(&room("s"), conn(3), "alive").await;
    assert_eq!(b.link.orphans(10).await, Ok(vec![]), "not yet");
    outlive(world, &[&b]).await;
    let mut orphans = b.link.orphans(10).await.unwrap();
    orphans.sort_by_key(|orphan| (orphan.roster.clone(), orphan.value.clone()));
    let orphan = |roster, who, value: Option<&str>| Orphan {
        roster: room(roster),
        who: conn(who),
        value: value.map(bytes),
        owner: a.me,
    };
    assert_eq!(orphans, [orphan("r", 1, Some("one")), orphan("s", 2, None), orphan("s", 1, Some("two"))]);
    assert_eq!(b.members(&room("s")).await.len(), 3, "they are in until somebody takes them out");
}

pub async fn a_dead_incarnation_is_fenced_for_every_operation(world: &impl World) {
    let (a, b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    outlive(world, &[&b]).await;
    b.link.orphans(10).await.unwrap();
    let (key, link) = (room("r"), &a.link);
    let fenced = BackendError::Fenced;
    assert_eq!(link.beat().await.unwrap_err(), fenced);
    assert_eq!(link.subscribe(&key).await.unwrap_err(), fenced);
    assert_eq!(link.unsubscribe(&key).await.unwrap_err(), fenced);
    assert_eq!(link.publish(tell(&key, "x")).await.unwrap_err(), fenced);
    assert_eq!(link.append(&key, entry("x"), KEEP).await.unwrap_err(), fenced);
    assert_eq!(link.read(&key, LogRead::Newest { limit: 1 }).await.unwrap_err(), fenced);
    assert_eq!(link.load(&key).await.unwrap_err(), fenced);
    assert_eq!(link.write(&key, write(Expect::Absent, None, vec![entry("x")])).await.unwrap_err(), fenced);
    let together = vec![(key.clone(), write(Expect::Absent, None, vec![entry("x")]))];
    assert_eq!(link.write_all(together).await.unwrap_err(), fenced);
    assert_eq!(link.cells(Kind::Room, "", None, 1).await.unwrap_err(), fenced);
    assert_eq!(link.enter(&key, conn(1), None, None).await.unwrap_err(), fenced);
    assert_eq!(link.leave(&key, conn(1), None).await.unwrap_err(), fenced);
    assert_eq!(link.roll(&key, 0, 1).await.unwrap_err(), fenced);
    assert_eq!(link.find(&[(key.clone(), conn(1))]).await.unwrap_err(), fenced);
    assert_eq!(link.rosters(Kind::Room, "", None, 1).await.unwrap_err(), fenced);
    assert_eq!(link.orphans(1).await.unwrap_err(), fenced);
}

pub async fn a_dead_incarnation_stays_dead(world: &impl World) {
    let (a, b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    a.enter(&room("r"), conn(1), "").await;
    outlive(world, &[&b]).await;
    b.link.orphans(10).await.unwrap();
    b.leave(&room("r"), conn(1)).await;
    for _ in 0..3 {
        assert_eq!(a.link.beat().await.unwrap_err(), BackendError::Fenced);
    }
    let again = world.backend().attach(a.me, world.lease(), inbox(INBOX_BYTES_MAX).0).await;
    assert_eq!(again.unwrap_err(), BackendError::Fenced);
}

pub async fn a_fenced_writer_changes_nothing(world: &impl World) {
    let (a, mut b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    let (log, cell, roster) = (channel("c"), record("r"), room("m"));
    let newest = a.append(&log, "x", KEEP).await;
    let there = a.put(&cell, Some("x")).await;
    b.enter(&roster, conn(1), "of b").await;
    for key in [&log, &cell, &roster] {
        b.link.subscribe(key).await.unwrap();
    }
    outlive(world, &[&b]).await;
    b.link.orphans(10).await.unwrap();
    a.link.publish(tell(&roster, "never")).await.unwrap_err();
    a.link.append(&log, told(&log, "never", 1), KEEP).await.unwrap_err();
    a.link.write(&cell, write(at(there), None, vec![told(&cell, "never", 1)])).await.unwrap_err();
    let step = write(at(there), None, vec![told(&cell, "never", 1)]);
    a.link.write_all(vec![(cell.clone(), step)]).await.unwrap_err();
    a.link.enter(&roster, conn(1), None, Some(tell(&roster, "never"))).await.unwrap_err();
    a.link.enter(&roster, conn(2), None, Some(tell(&roster, "never"))).await.unwrap_err();
    a.link.leave(&roster, conn(1), Some(tell(&roster, "never"))).await.unwrap_err();
    b.silent(world).await;
    let page = b.newest(&log, 10).await;
    assert_eq!((page.epoch, page.newest), (Some(newest.epoch), newest.offset));
    let loaded = b.link.load(&cell).await.unwrap().unwrap();
    assert_eq!((loaded.position, loaded.value), (there, Some(bytes("x"))));
    assert_eq!(b.members(&roster).await, [(conn(1), "of b".into())]);
}

pub async fn orphans_stay_until_somebody_takes_them_out(world: &impl World) {
    let (a, b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    for number in 0..10 {
        a.enter(&room(&number.to_string()), conn(number), "").await;
    }
    outlive(world, &[&b]).await;
    let mut left = 10;
    while left > 0 {
        let orphans = b.link.orphans(4).await.unwrap();
        assert_eq!(orphans.len(), left.min(4));
        assert_eq!(b.link.orphans(100).await.unwrap().len(), left, "asking takes nothing out");
        for orphan in orphans {
            assert!(b.leave(&orphan.roster, orphan.who).await.was_in);
            left -= 1;
        }
    }
    assert_eq!(b.link.orphans(100).await, Ok(vec![]));
    assert_eq!(b.link.orphans(0).await, Ok(vec![]));
    assert_eq!(b.link.rosters(Kind::Room, "", None, 100).await, Ok(vec![]));
}

pub async fn each_orphan_is_taken_out_by_exactly_one_peer(world: &impl World) {
    const COUNT: u64 = 30;
    let dead = [Peer::attach(world, 11).await, Peer::attach(world, 12).await];
    let mut peers = Peer::attach_all(world, 3).await;
    peers[0].link.subscribe(&room("r")).await.unwrap();
    for number in 0..COUNT {
        dead[number as usize % 2].enter(&room("r"), conn(number), "").await;
    }
    outlive(world, &peers.iter().collect::<Vec<_>>()).await;
    let reapers = peers.iter().map(|peer| {
        let link = peer.link.clone();
        async move {
            let mut taken = 0;
            loop {
                let orphans = link.orphans(7).await.unwrap();
                if orphans.is_empty() {
                    return taken;
                }
                for orphan in orphans {
                    let announce = tell(&orphan.roster, &orphan.who.to_string());
                    let left = link.leave(&orphan.roster, orphan.who, Some(announce)).await.unwrap();
                    taken += u64::from(left.was_in);
                    tokio::task::yield_now().await;
                }
            }
        }
    });
    let taken = all(reapers.collect::<Vec<_>>()).await;
    assert_eq!(taken.iter().sum::<u64>(), COUNT);
    let told: BTreeSet<_> =
        peers[0].next_all(COUNT as usize).await.into_iter().filter_map(|a| a.full).collect();
    assert_eq!(told, (0..COUNT).map(|number| bytes(&conn(number).to_string())).collect());
    peers[0].silent(world).await;
}

pub async fn an_entry_taken_over_is_no_orphan(world: &impl World) {
    let (a, b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    for number in 1..=3 {
        a.enter(&room("r"), conn(number), "of a").await;
    }
    b.enter(&room("r"), conn(1), "of b").await;
    outlive(world, &[&b]).await;
    assert_eq!(b.link.orphans(10).await.unwrap().len(), 2);
    // Also from the dead.
    assert!(!b.enter(&room("r"), conn(2), "of b").await.new);
    let orphans = b.link.orphans(10).await.unwrap();
    assert_eq!(orphans.iter().map(|orphan| orphan.who).collect::<Vec<_>>(), [conn(3)]);
    assert_eq!(b.members(&room("r")).await.len(), 3);
}

pub async fn asking_for_orphans_kills_nobody_who_is_alive(world: &impl World) {
    let peers = Peer::attach_all(world, 3).await;
    for (number, peer) in (0..).zip(&peers) {
        peer.enter(&room("r"), conn(number), "").await;
    }
    for _ in 0..8 {
        world.pass(world.lease() / 4).await;
        for peer in &peers {
            assert_eq!(peer.link.beat().await, Ok(Beat { held: true }));
            assert_eq!(peer.link.orphans(10).await, Ok(vec![]));
        }
    }
}

pub async fn asking_for_orphans_does_not_kill_the_one_who_asks(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    peer.enter(&room("r"), conn(1), "").await;
    world.pass(world.lease() * 2).await;
    assert_eq!(peer.link.orphans(10).await, Ok(vec![]));
    assert_eq!(peer.link.beat().await, Ok(Beat { held: false }));
    assert_eq!(peer.link.beat().await, Ok(Beat { held: true }));
}

pub async fn dropping_a_link_makes_orphans_when_its_lease_runs_out(world: &impl World) {
    let (a, b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    a.enter(&room("r"), conn(1), "").await;
    drop(a);
    assert_eq!(b.link.orphans(10).await, Ok(vec![]));
    assert_eq!(b.members(&room("r")).await.len(), 1);
    outlive(world, &[&b]).await;
    assert_eq!(b.link.orphans(10).await.unwrap().len(), 1);
    assert_eq!(b.leave(&room("r"), conn(1)).await, Left { was_in: true, count: 0 });
    assert_eq!(b.link.orphans(10).await, Ok(vec![]));
}

pub async fn what_a_dead_instance_wrote_stays(world: &impl World) {
    let (a, b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    let position = a.append(&channel("c"), "x", KEEP).await;
    let there = a.put(&record("r"), Some("x")).await;
    outlive(world, &[&b]).await;
    b.link.orphans(10).await.unwrap();
    let begin = Position { offset: 0, ..position };
    assert_eq!(b.after(&channel("c"), begin, 10).await.entries.len(), 1);
    assert_eq!(b.put(&record("r"), Some("y")).await.offset, there.offset + 1);
}

pub async fn a_later_life_enters_its_own_again(world: &impl World) {
    let (a, b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    for number in 0..3 {
        a.enter(&room("r"), conn(number), "").await;
    }
    outlive(world, &[&b]).await;
    // One orphan is taken out, and then the instance comes back as another incarnation.
    let orphans = b.link.orphans(1).await.unwrap();
    b.leave(&room("r"), orphans[0].who).await;
    assert_eq!(a.link.beat().await.unwrap_err(), BackendError::Fenced);
    let later = Peer::attach(world, 3).await;
    assert_ne!(incarnation(1), incarnation(3));
    let mut new = 0;
    for number in 0..3 {
        new += u64::from(later.enter(&room("r"), conn(number), "").await.new);
    }
    assert_eq!(new, 1);
    assert_eq!(b.link.orphans(10).await, Ok(vec![]));
    // What its earlier life still had under way comes to nothing.
    a.link.leave(&room("r"), conn(0), None).await.unwrap_err();
    assert_eq!(b.members(&room("r")).await.len(), 3);
}
