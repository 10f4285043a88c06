//! Where a backend puts what was published, and where an instance takes it out: bounded in bytes.
//!
//! A backend must not wait for a slow instance, and must not lose anything silently: what does not fit empties the
//! queue and leaves the word that continuity was lost, upon which every topic resynchronises.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::Arrival;

/// The end a backend writes to. Never waits.
#[derive(Clone, Debug)]
pub struct Inbox(Arc<Shared>);

/// The end an instance reads from.
#[derive(Debug)]
pub struct Arrivals(Arc<Shared>);

/// What comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
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
        let bytes_max = self.0.bytes_max;
        let first = self.0.with(|queue| {
            let weight = arrival.weight();
            if queue.closed {
                return false;
            }
            // An empty queue takes any one arrival, else a bound below one message would deafen the instance.
            if queue.bytes > 0 && queue.bytes + weight > bytes_max {
                return queue.lose();
            }
            queue.bytes += weight;
            queue.waiting.push_back(Received::Arrival(arrival));
            queue.waiting.len() == 1
        });
        if first {
            self.0.wake.notify_one();
        }
    }

    /// Say that something may be missing: after a reconnection, a failed probe, a gap.
    pub fn lose_continuity(&self) {
        self.0.with(Queue::lose);
        self.0.wake.notify_one();
    }

    /// Say that nothing will come any more.
    pub fn close(&self) {
        self.0.with(|queue| queue.closed = true);
        self.0.wake.notify_one();
    }
}

impl Queue {
    fn lose(&mut self) -> bool {
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
