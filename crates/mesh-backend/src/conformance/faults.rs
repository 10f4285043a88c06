//! Lost calls, lost answers, lost connections: what holds then, of any backend behind [`Faulty`].

use super::World;
use super::support::{INBOX_BYTES_MAX, KEEP, Peer, bytes, channel, conn, entry, incarnation, room, tell};
use crate::{BackendError, Fault, Faults, Faulty, Op, Partition, Received, inbox};

/// A peer behind faults, and another without.
async fn pair(world: &impl World) -> (Peer, Faults, Peer) {
    let faulty = Faulty::new(world.backend(), 1);
    let a = Peer::attach_to(&faulty, world.lease(), 1, inbox(INBOX_BYTES_MAX)).await;
    (a, faulty.faults(incarnation(1)), Peer::attach(world, 2).await)
}

fn is_unavailable<T>(result: Result<T, BackendError>) -> bool {
    matches!(result, Err(BackendError::Unavailable(_)))
}

pub async fn a_lost_answer_may_have_been_a_step(world: &impl World) {
    let (a, faults, b) = pair(world).await;
    faults.fail_next(Op::Append, Fault::After);
    assert!(is_unavailable(a.link.append(&channel("c"), entry("x"), KEEP).await));
    assert_eq!(b.newest(&channel("c"), 10).await.newest, 1);
    assert_eq!(a.append(&channel("c"), "y", KEEP).await.offset, 2);
}

pub async fn a_lost_call_was_none(world: &impl World) {
    let (a, faults, b) = pair(world).await;
    faults.fail_next(Op::Append, Fault::Before);
    assert!(is_unavailable(a.link.append(&channel("c"), entry("x"), KEEP).await));
    assert_eq!(b.newest(&channel("c"), 10).await.epoch, None);
    assert_eq!(a.append(&channel("c"), "y", KEEP).await.offset, 1);
}

pub async fn a_healed_partition_is_told(world: &impl World) {
    let (mut a, faults, b) = pair(world).await;
    a.link.subscribe(&room("r")).await.unwrap();
    b.link.publish(tell(&room("r"), "before")).await.unwrap();
    assert_eq!(a.next().await.full, Some(bytes("before")));
    faults.partition(Partition::Refuse);
    b.link.publish(tell(&room("r"), "unheard")).await.unwrap();
    assert!(is_unavailable(a.link.publish(tell(&room("r"), "unsaid")).await));
    // What the world has settled may still be on its way through the faults.
    world.settle().await;
    world.pass(world.lease() / 10).await;
    faults.heal();
    assert_eq!(a.received().await, Received::ContinuityLost);
    b.link.publish(tell(&room("r"), "after")).await.unwrap();
    assert_eq!(a.next().await.full, Some(bytes("after")), "it is still subscribed");
}

pub async fn an_instance_cut_off_for_longer_than_its_lease_is_fenced(world: &impl World) {
    let (a, faults, b) = pair(world).await;
    a.enter(&room("r"), conn(1), "").await;
    faults.partition(Partition::Hang(world.lease() * 2));
    assert!(is_unavailable(a.link.beat().await), "a call that hangs comes to its deadline");
    b.link.beat().await.unwrap();
    assert_eq!(b.link.orphans(10).await.unwrap().len(), 1);
    faults.heal();
    assert_eq!(a.link.beat().await.unwrap_err(), BackendError::Fenced);
    assert!(b.leave(&room("r"), conn(1)).await.was_in);
}

pub async fn a_crashed_instance_leaves_orphans(world: &impl World) {
    let (mut a, faults, b) = pair(world).await;
    a.link.subscribe(&room("r")).await.unwrap();
    a.enter(&room("r"), conn(1), "").await;
    faults.crash();
    assert!(is_unavailable(a.link.beat().await));
    assert_eq!(a.arrivals.recv().await, None);
    world.pass(world.lease() * 2).await;
    b.link.beat().await.unwrap();
    assert_eq!(b.link.orphans(10).await.unwrap()[0].owner, a.me);
}
