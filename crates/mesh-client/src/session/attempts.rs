//! What follows a loss.

use std::time::Duration;

use mesh_proto::{Class, Entropy};
use tokio::time::Instant;

use super::backoff::backoff;
use crate::Reason;

/// A connection that lived for less does not make the next wait shorter: a server that takes every connection and drops
/// it at once would otherwise be dialled without end.
const STABLE: Duration = Duration::from_secs(10);
/// One thing that is tried again over a connection that lives waits as after so many failures.
const PATIENT: u32 = 3;

/// When a client tries again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttemptOptions {
    /// The first bound of the wait.
    pub(crate) base: Duration,
    /// The last bound of the wait.
    pub(crate) cap: Duration,
    /// Attempts in a row that may fail.
    pub(crate) attempts_max: u32,
}

/// What follows a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// An attempt at that time.
    At(Instant, Reason),
    /// No more.
    Stop,
}

/// Counts what went wrong since the last stable connection, and decides what follows.
#[derive(Debug)]
pub(super) struct Attempts {
    options: AttemptOptions,
    entropy: Entropy,
    failures: u32,
    /// Whether a new credential was asked for and has not brought us online yet.
    refreshed: bool,
}

impl Attempts {
    pub(super) fn new(options: AttemptOptions, entropy: Entropy) -> Self {
        Self { options, entropy, failures: 0, refreshed: false }
    }

    /// A connection is lost, or an attempt failed: then `online` is `None`.
    pub(super) fn lost(&mut self, class: Class, online: Option<Duration>, now: Instant) -> Next {
        if let Some(online) = online {
            self.refreshed = false;
            if online >= STABLE {
                self.failures = 0;
            }
        }
        if class == Class::GiveUp || (class == Class::Refresh && self.refreshed) {
            return Next::Stop;
        }
        let first = self.failures == 0;
        self.failures += 1;
        let mut reason = Reason::Reconnect;
        if class == Class::Refresh {
            self.refreshed = true;
            reason = Reason::Expired;
            // One that expires in its own time needs no jitter; one that is taken and dropped again and again does.
            if first {
                return Next::At(now, reason);
            }
        }
        if self.failures > self.options.attempts_max {
            return Next::Stop;
        }
        let wait = backoff(self.options.base, self.options.cap, self.failures, &self.entropy);
        Next::At(now + wait, reason)
    }

    /// When one thing is tried again over a connection that lives.
    pub(super) fn again(&self, now: Instant) -> Instant {
        now + backoff(self.options.base, self.options.cap, PATIENT, &self.entropy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(attempts_max: u32) -> Attempts {
        let options =
            AttemptOptions { base: Duration::from_secs(2), cap: Duration::from_secs(30), attempts_max };
        Attempts::new(options, Entropy::from_seed(1))
    }

    #[tokio::test(start_paused = true)]
    async fn a_credential_is_asked_for_once_and_not_again_before_it_worked() {
        let (mut attempts, now) = (attempts(u32::MAX), Instant::now());
        let online = Some(Duration::from_secs(60));
        assert_eq!(attempts.lost(Class::Refresh, online, now), Next::At(now, Reason::Expired));
        assert_eq!(attempts.lost(Class::Refresh, None, now), Next::Stop);

        assert_eq!(attempts.lost(Class::Refresh, online, now), Next::At(now, Reason::Expired));
        let Next::At(_, reason) = attempts.lost(Class::Refresh, Some(Duration::from_secs(1)), now) else {
            panic!("one that worked may be asked for again, later");
        };
        assert_eq!(reason, Reason::Expired);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_end_at_their_bound_and_a_stable_connection_begins_a_new_row() {
        let (mut attempts, now) = (attempts(2), Instant::now());
        for _ in 0..2 {
            assert!(matches!(attempts.lost(Class::Retry, None, now), Next::At(_, Reason::Reconnect)));
        }
        assert_eq!(attempts.lost(Class::Retry, None, now), Next::Stop);
        assert!(matches!(attempts.lost(Class::Retry, Some(STABLE), now), Next::At(..)));
        assert_eq!(attempts.lost(Class::GiveUp, None, now), Next::Stop);
    }
}
