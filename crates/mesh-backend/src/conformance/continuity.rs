//! Whatever is lost, is told.

use super::World;
use super::support::{Peer, bytes, room, tell};
use crate::{Received, inbox};

const SMALL: usize = 16 * 1024;

pub async fn an_inbox_that_overflows_says_so_and_goes_on(world: &impl World) {
    let (backend, lease) = (world.backend(), world.lease());
    let mut slow = Peer::attach_to(&*backend, lease, 1, inbox(SMALL)).await;
    let fast = Peer::attach(world, 2).await;
    let topic = room("r");
    slow.link.subscribe(&topic).await.unwrap();
    for round in 0..3 {
        for _ in 0..100 {
            fast.link.publish(tell(&topic, &"x".repeat(1000))).await.unwrap();
        }
        world.settle().await;
        assert_eq!(slow.received().await, Received::ContinuityLost);
        while slow.arrivals.try_recv().is_some() {}
        let next = format!("after {round}");
        fast.link.publish(tell(&topic, &next)).await.unwrap();
        assert_eq!(slow.next().await.full, Some(bytes(&next)), "it is still subscribed");
    }
}

pub async fn a_reader_that_does_not_read_holds_up_nobody(world: &impl World) {
    let (backend, lease) = (world.backend(), world.lease());
    let slow = Peer::attach_to(&*backend, lease, 1, inbox(SMALL)).await;
    let mut fast = Peer::attach(world, 2).await;
    let topic = room("r");
    slow.link.subscribe(&topic).await.unwrap();
    fast.link.subscribe(&topic).await.unwrap();
    for _ in 0..200 {
        fast.link.publish(tell(&topic, &"x".repeat(1000))).await.unwrap();
    }
    let arrivals = fast.next_all(200).await;
    assert!((1..).zip(arrivals).all(|(n, arrival)| arrival.n == n));
    drop(slow);
}

pub async fn every_loss_is_told(world: &impl World) {
    let (backend, lease) = (world.backend(), world.lease());
    let mut slow = Peer::attach_to(&*backend, lease, 1, inbox(SMALL)).await;
    let fast = Peer::attach(world, 2).await;
    let topic = room("r");
    slow.link.subscribe(&topic).await.unwrap();
    let publishing = tokio::spawn(async move {
        for number in 0..600 {
            fast.link.publish(tell(&topic, &"x".repeat(100 + number % 7 * 300))).await.unwrap();
            // In bursts, so that some fit and some do not.
            if number % 40 == 0 {
                tokio::task::yield_now().await;
            }
        }
        fast.link.publish(tell(&topic, "end")).await.unwrap();
        fast
    });
    let (mut last, mut lost) = (0, false);
    loop {
        match slow.received().await {
            Received::ContinuityLost => lost = true,
            Received::Arrival(arrival) => {
                assert!(lost || arrival.n == last + 1, "{} after {last} without a word", arrival.n);
                (last, lost) = (arrival.n, false);
                if arrival.full == Some(bytes("end")) {
                    break;
                }
            }
        }
    }
    publishing.await.unwrap();
}
