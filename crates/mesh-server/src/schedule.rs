//! Pings, latency and deadlines of all connections in one place: no timer per connection.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::lock::Lock;

/// How finely time is told. Connections due in the same tick are served together.
const TICK: Duration = Duration::from_millis(50);

/// Something that is looked at when its time has come.
pub(crate) trait Timed: Send + Sync {
    /// Do what is due; when to be looked at next, or `None` for never again.
    fn on_time(&self, now: Instant) -> Option<Instant>;
}

pub(crate) struct Schedule {
    start: Instant,
    due: Lock<BTreeMap<u64, Vec<Weak<dyn Timed>>>>,
    sooner: Notify,
}

impl Schedule {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { start: Instant::now(), due: Lock::default(), sooner: Notify::new() })
    }

    /// Have it looked at once `at` has come. Each connection is on the schedule once.
    pub(crate) fn add(&self, at: Instant, timed: Weak<dyn Timed>) {
        let tick = (at - self.start).as_millis().div_ceil(TICK.as_millis()) as u64;
        let first = self.due.with(|due| {
            due.entry(tick).or_default().push(timed);
            due.first_key_value().is_some_and(|(first, at)| *first == tick && at.len() == 1)
        });
        if first {
            self.sooner.notify_one();
        }
    }

    pub(crate) async fn run(&self) {
        loop {
            let first = self.due.with(|due| due.first_key_value().map(|(tick, _)| *tick));
            let Some(first) = first else {
                self.sooner.notified().await;
                continue;
            };
            let at = self.start + TICK * u32::try_from(first).unwrap_or(u32::MAX);
            tokio::select! {
                biased;
                () = self.sooner.notified() => continue,
                () = tokio::time::sleep_until(at) => {}
            }
            let due = self.due.with(|due| due.pop_first());
            for timed in due.into_iter().flat_map(|(_, due)| due) {
                let next = timed.upgrade().and_then(|timed| timed.on_time(Instant::now()));
                if let Some(next) = next {
                    self.add(next, timed);
                }
            }
        }
    }
}

impl std::fmt::Debug for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Schedule")
    }
}
