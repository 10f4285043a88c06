//! Where a backend puts what was published, and where an instance takes it out: bounded in bytes.
//!
//! A backend must not wait for a slow instance, and must not lose anything silently: what does not fit empties the
//! queue and leaves the word that continuity was lost, upon which every topic resynchronises.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::{Arrival, Group};

/// The end a backend writes to. Never waits.
#[derive(Clone, Debug)]
pub struct Inbox(Arc<Shared>);

/// The end an instance reads from.
#[derive(Debug)]
pub struct Arrivals(Arc<Shared>);

/// What comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "nearly all are arrivals")]
pub enum Received {
    /// A publication on a topic this instance is subscribed to.
    Arrival(Arrival),
    /// Publications may be missing from here on back: ask again for whatever depends on having seen all.
    ContinuityLost,
}

#[derive(Debug)]
struct Shared {
    bytes_max: usize,
    queue: Mutex<Queue>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Received>,
    bytes: usize,
    closed: bool,
}

/// The two ends of a queue of at most `bytes_max` bytes.
pub fn inbox(bytes_max: usize) -> (Inbox, Arrivals) {
    let shared = Arc::new(Shared { bytes_max, queue: Mutex::default(), wake: Notify::new() });
    (Inbox(shared.clone()), Arrivals(shared))
}

impl Shared {
    fn with<R>(&self, f: impl FnOnce(&mut Queue) -> R) -> R {
        f(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Inbox {
    /// Hand an arrival in. When it does not fit, everything that waits gives way to [`Received::ContinuityLost`].
    pub fn push(&self, arrival: Arrival) {
        let weight = arrival.weight();
        self.hand_in(weight, |waiting| waiting.push_back(Received::Arrival(arrival)));
    }

    /// Hand in what arrives of one transaction: all of it fits, or nothing does.
    pub fn push_group(&self, id: u64, mut arrivals: Vec<Arrival>) {
        let of = arrivals.len() as u16;
        for (index, arrival) in (0..).zip(&mut arrivals) {
            arrival.group = Some(Group { id, index, of });
        }
        let weight = arrivals.iter().map(Arrival::weight).sum();
        self.hand_in(weight, |waiting| waiting.extend(arrivals.into_iter().map(Received::Arrival)));
    }

    fn hand_in(&self, weight: usize, push: impl FnOnce(&mut VecDeque<Received>)) {
        let bytes_max = self.0.bytes_max;
        let wake = self.0.with(|queue| {
            if queue.closed {
                return false;
            }
            // An empty queue takes any one arrival, else a bound below one message would deafen the instance.
            if queue.bytes > 0 && queue.bytes + weight > bytes_max {
                return queue.lose();
            }
            let was_empty = queue.waiting.is_empty();
            queue.bytes += weight;
            push(&mut queue.waiting);
            was_empty
        });
        if wake {
            self.0.wake.notify_one();
        }
    }

    /// Say that something may be missing: after a reconnection, a failed probe, a gap.
    pub fn lose_continuity(&self) {
        if self.0.with(Queue::lose) {
            self.0.wake.notify_one();
        }
    }

    /// Say that nothing will come any more.
    pub fn close(&self) {
        self.0.with(|queue| queue.closed = true);
        self.0.wake.notify_one();
    }
}

impl Queue {
    /// Says whether there is something to wake for.
    fn lose(&mut self) -> bool {
        if self.closed {
            return false;
        }
        self.waiting.clear();
        self.bytes = 0;
        self.waiting.push_back(Received::ContinuityLost);
        true
    }

    fn take(&mut self) -> Option<Received> {
        let received = self.waiting.pop_front()?;
        if let Received::Arrival(arrival) = &received {
            self.bytes -= arrival.weight();
        }
        if self.waiting.is_empty() && self.waiting.capacity() > 1024 {
            self.waiting = VecDeque::new();
        }
        Some(received)
    }
}

impl Arrivals {
    /// The next one, or `None` once the inbox is closed and empty. Cancelling loses nothing.
    pub async fn recv(&mut self) -> Option<Received> {
        loop {
            if let Some(received) = self.try_recv() {
                return Some(received);
            }
            if self.0.with(|queue| queue.closed && queue.waiting.is_empty()) {
                return None;
            }
            self.0.wake.notified().await;
        }
    }

    /// The next one, if it is there already.
    pub fn try_recv(&mut self) -> Option<Received> {
        self.0.with(Queue::take)
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        self.0.with(|queue| *queue = Queue { closed: true, ..Queue::default() });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mesh_proto::{Entropy, Incarnation};
    use tokio::time::timeout;

    use super::*;
    use crate::{Audience, Key, Kind};

    fn arrival(n: u64, bytes: usize) -> Arrival {
        Arrival {
            topic: Key::new(Kind::Channel, "c"),
            from: Incarnation::random(&Entropy::from_seed(1)),
            n,
            position: None,
            audience: Audience::All,
            txn: None,
            full: Some(vec![b'x'; bytes].into()),
            patch: None,
            control: None,
            group: None,
        }
    }

    /// What waits: the number of each arrival, 0 for lost continuity.
    fn drain(arrivals: &mut Arrivals) -> Vec<u64> {
        let number = |received| match received {
            Received::Arrival(arrival) => arrival.n,
            Received::ContinuityLost => 0,
        };
        std::iter::from_fn(|| arrivals.try_recv().map(number)).collect()
    }

    #[test]
    fn an_overflow_empties_the_queue_and_says_so_once() {
        let (inbox, mut arrivals) = inbox(2 * arrival(0, 100).weight());
        (1..=2).for_each(|n| inbox.push(arrival(n, 100)));
        assert_eq!(drain(&mut arrivals), [1, 2]);
        (3..=5).for_each(|n| inbox.push(arrival(n, 100)));
        assert_eq!(drain(&mut arrivals), [0]);
        (6..=8).for_each(|n| inbox.push(arrival(n, 100)));
        inbox.push(arrival(9, 100));
        assert_eq!(drain(&mut arrivals), [0, 9], "what comes after an overflow comes");
    }

    #[test]
    fn an_empty_queue_takes_any_one_arrival() {
        let (inbox, mut arrivals) = inbox(10);
        inbox.push(arrival(1, 1000));
        assert_eq!(drain(&mut arrivals), [1]);
        inbox.push(arrival(2, 1000));
        inbox.push(arrival(3, 0));
        assert_eq!(drain(&mut arrivals), [0]);
    }

    #[test]
    fn lost_continuity_takes_the_place_of_everything_that_waits() {
        let (inbox, mut arrivals) = inbox(1 << 20);
        inbox.push(arrival(1, 1));
        inbox.lose_continuity();
        inbox.lose_continuity();
        inbox.push(arrival(2, 1));
        assert_eq!(drain(&mut arrivals), [0, 2]);
    }

    #[test]
    fn a_transaction_fits_whole_or_not_at_all() {
        let group = |ns: std::ops::RangeInclusive<u64>| ns.map(|n| arrival(n, 100)).collect::<Vec<_>>();
        let (inbox, mut arrivals) = inbox(3 * arrival(0, 100).weight());
        inbox.push(arrival(1, 100));
        inbox.push_group(7, group(2..=3));
        let Some(Received::Arrival(first)) = arrivals.try_recv() else { panic!() };
        assert_eq!(first.group, None);
        for index in 0..2 {
            let Some(Received::Arrival(part)) = arrivals.try_recv() else { panic!() };
            assert_eq!((part.n, part.group), (2 + u64::from(index), Some(Group { id: 7, index, of: 2 })));
        }
        inbox.push(arrival(4, 100));
        inbox.push_group(8, group(5..=7));
        assert_eq!(drain(&mut arrivals), [0], "nothing of it is there");
        inbox.push_group(9, group(8..=17));
        assert_eq!(drain(&mut arrivals).len(), 10, "an empty queue takes any one transaction");
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_inbox_gives_what_waits_and_then_ends() {
        let (inbox, mut arrivals) = inbox(1 << 20);
        inbox.push(arrival(1, 1));
        inbox.close();
        inbox.push(arrival(2, 1));
        inbox.lose_continuity();
        assert!(matches!(arrivals.recv().await, Some(Received::Arrival(_))));
        assert_eq!(arrivals.recv().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn closing_wakes_whoever_waits() {
        let (inbox, mut arrivals) = inbox(1 << 20);
        let waits = tokio::spawn(async move { arrivals.recv().await });
        tokio::task::yield_now().await;
        inbox.close();
        assert_eq!(waits.await.unwrap(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_wait_loses_no_arrival_and_no_wake_up() {
        let (inbox, mut arrivals) = inbox(1 << 20);
        for n in 1..=3 {
            assert!(timeout(Duration::from_millis(1), arrivals.recv()).await.is_err());
            {
                let mut wait = Box::pin(arrivals.recv());
                assert!(futures_util::FutureExt::now_or_never(&mut wait).is_none());
                inbox.push(arrival(n, 1));
                // Woken, and dropped before it looked.
            }
            let received = timeout(Duration::from_secs(1), arrivals.recv()).await.unwrap();
            assert!(matches!(received, Some(Received::Arrival(arrival)) if arrival.n == n));
        }
    }

    #[test]
    fn an_inbox_nobody_reads_any_more_holds_nothing() {
        let (inbox, arrivals) = inbox(1 << 20);
        inbox.push(arrival(1, 1));
        drop(arrivals);
        inbox.push(arrival(2, 1));
        inbox.lose_continuity();
        assert!(inbox.0.with(|queue| queue.waiting.is_empty()));
    }
}
