//! One instance in a test.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mesh_backend::{
    Announce, Arrival, Arrivals, Backend, BackendError, Entry, Keep, Key, Kind, Link, Received, inbox,
};
use mesh_proto::{ConnId, Entropy, Incarnation, Tag};
use mesh_redis::Redis;
use tokio::time::{Instant, sleep, timeout};

/// How long something that must come may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const KEEP: Keep =
    Keep { count_max: 1000, bytes_max: 1 << 20, age_max: Duration::from_secs(3600) };

/// One instance, with a backend of its own.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) me: Incarnation,
    pub(crate) link: Arc<dyn Link>,
    pub(crate) arrivals: Arrivals,
    pub(crate) backend: Redis,
}

impl Peer {
    pub(crate) async fn at(url: &str) -> Self {
        Self::with_inbox(url, 64 << 20).await
    }

    pub(crate) async fn with_inbox(url: &str, bytes_max: usize) -> Self {
        Self::attach(Redis::connect(url).await.unwrap(), bytes_max).await
    }

    pub(crate) async fn attach(backend: Redis, bytes_max: usize) -> Self {
        let me = Incarnation::random(&Entropy::from_os());
        let (inbox, arrivals) = inbox(bytes_max);
        let link = backend.attach(me, Duration::from_secs(6), inbox).await.unwrap();
        Self { me, link, arrivals, backend }
    }

    /// The next arrival, and whether continuity was lost before it.
    pub(crate) async fn next(&mut self) -> (Arrival, bool) {
        let mut lost = false;
        loop {
            let received = timeout(PATIENCE, self.arrivals.recv()).await.expect("nothing arrived in time");
            match received.expect("the inbox was closed") {
                Received::Arrival(arrival) => return (arrival, lost),
                Received::ContinuityLost => lost = true,
            }
        }
    }

    /// Wait until continuity was lost. Gives how long that took.
    pub(crate) async fn loses_continuity(&mut self) -> Duration {
        let begin = Instant::now();
        let lost = async { while self.arrivals.recv().await != Some(Received::ContinuityLost) {} };
        timeout(PATIENCE, lost).await.expect("continuity was never lost");
        begin.elapsed()
    }

    /// Publish until it works.
    pub(crate) async fn say(&self, topic: &Key, text: &str) {
        let announce = Announce::text(topic.clone(), Bytes::copy_from_slice(text.as_bytes()));
        eventually(|| async { self.link.publish(announce.clone()).await.is_ok() }).await;
    }
}

/// Wait until something holds.
#[track_caller]
pub(crate) fn eventually<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) -> impl Future<Output = ()> {
    let asked = std::panic::Location::caller();
    async move {
        let until = Instant::now() + PATIENCE;
        while !holds().await {
            assert!(Instant::now() < until, "it never came true: {asked}");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

pub(crate) fn room(name: &str) -> Key {
    Key::new(Kind::Room, name)
}

pub(crate) fn conn(number: u64) -> ConnId {
    ConnId::random(&Entropy::from_seed(number))
}

pub(crate) fn entry(kept: &str) -> Entry {
    Entry { tag: Tag(1), kept: Bytes::copy_from_slice(kept.as_bytes()), announce: None }
}

pub(crate) fn is_unavailable<T>(result: &Result<T, BackendError>) -> bool {
    matches!(result, Err(BackendError::Unavailable(_)))
}
