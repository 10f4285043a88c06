//! Whether the server is still there.

use std::time::Duration;

use tokio::time::Instant;

/// Ping intervals that may pass without a byte from the server.
const INTERVALS_MAX: u32 = 3;
/// Until the answer to the hello says otherwise.
const INTERVAL: Duration = Duration::from_secs(10);
/// A server that says it pings without a pause would be dropped at once.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// It is there if anything comes from it in time.
#[derive(Debug)]
pub(super) struct Liveness {
    interval: Duration,
    heard_at: Option<Instant>,
}

impl Liveness {
    pub(super) fn new() -> Self {
        Self { interval: INTERVAL, heard_at: None }
    }

    /// Something came at that time, or a connection begins.
    pub(super) fn heard(&mut self, at: Instant) {
        self.heard_at = self.heard_at.max(Some(at));
    }

    /// The server says how often it pings.
    pub(super) fn pinged_every(&mut self, interval: Duration) {
        self.interval = interval.max(INTERVAL_MIN);
    }

    /// The connection is gone.
    pub(super) fn reset(&mut self) {
        *self = Self::new();
    }

    /// When it counts as dead unless something comes.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.heard_at.map(|at| at + self.interval * INTERVALS_MAX)
    }

    pub(super) fn is_silent(&self, now: Instant) -> bool {
        self.due_at().is_some_and(|due| due <= now)
    }
}
