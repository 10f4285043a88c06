//! The end of the tick: one task per worker writes each connection that has something to write, once.
//!
//! A write at push, or a wake-up per recipient, costs three to six times as much (measured); so `push` only queues and
//! puts the connection on its worker's list.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::outbox::Outbox;
use crate::lock::Lock;

/// Connections flushed before others get a turn. Messages that arrive meanwhile ride along with those not yet flushed.
const CHUNK: usize = 64;
/// A scratch buffer that grew beyond this is let go.
const SCRATCH_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Flushers {
    workers: Vec<Flusher>,
    /// Messages dropped so far because their readers were too slow.
    pub(crate) dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Flusher {
    dirty: Lock<Vec<Arc<Outbox>>>,
    wake: Notify,
    /// An empty task woken right after the flusher: a worker runs the task it woke last before any other may steal it,
    /// so a handler that publishes and then computes would hold its flusher up for as long (50 ms against 0.03 ms).
    chase: Notify,
}

static WORKERS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static WORKER: Cell<usize> = Cell::new(WORKERS.fetch_add(1, Ordering::Relaxed));
}

impl Flushers {
    /// As many as the runtime has workers. The tasks end when `stop` does.
    pub(crate) fn start(stop: &tokio_util::sync::CancellationToken) -> Arc<Self> {
        let workers = tokio::runtime::Handle::current().metrics().num_workers().max(1);
        let flushers = (0..workers).map(|_| Flusher::default()).collect();
        let flushers = Arc::new(Self { workers: flushers, dropped: AtomicU64::new(0) });
        for index in 0..workers {
            let (it, stopped) = (flushers.clone(), stop.clone());
            tokio::spawn(async move { stopped.run_until_cancelled(it.workers[index].run()).await });
            let (it, stopped) = (flushers.clone(), stop.clone());
            tokio::spawn(async move {
                let chaser = async {
                    loop {
                        it.workers[index].chase.notified().await;
                    }
                };
                stopped.run_until_cancelled(chaser).await
            });
        }
        flushers
    }

    pub(super) fn mark(&self, outbox: Arc<Outbox>) {
        let flusher = &self.workers[WORKER.get() % self.workers.len()];
        let first = flusher.dirty.with(|dirty| {
            dirty.push(outbox);
            dirty.len() == 1
        });
        if first {
            flusher.wake.notify_one();
            flusher.chase.notify_one();
        }
    }
}

impl Flusher {
    async fn run(&self) {
        let mut scratch = Vec::new();
        loop {
            self.wake.notified().await;
            // Whatever is runnable runs first, and adds to what this tick writes.
            tokio::task::yield_now().await;
            let dirty = self.dirty.with(std::mem::take);
            for (index, outbox) in dirty.iter().enumerate() {
                outbox.flush(&mut scratch);
                if index % CHUNK == CHUNK - 1 {
                    tokio::task::yield_now().await;
                }
            }
            if scratch.capacity() > SCRATCH_BYTES {
                scratch = Vec::new();
            }
        }
    }
}
