//! What is to be subscribed, and what no more, some at a time.

use std::collections::VecDeque;
use std::sync::Arc;

/// Subscriptions that are asked for at once. After a reconnect there may be a thousand, and the server must not be asked
/// for all of their history in one breath.
pub(crate) const IN_FLIGHT_MAX: usize = 64;

/// One thing to ask for. The number tells it from an earlier one for the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    Channel(Arc<str>, u64),
    LeaveChannel(Arc<str>),
    Record(Arc<str>, u64),
    LeaveRecord(Arc<str>),
}

/// In order: who leaves and comes again is subscribed in the end.
#[derive(Debug, Default)]
pub(super) struct Wants {
    queue: VecDeque<Want>,
    in_flight: usize,
}

impl Wants {
    pub(super) fn extend(&mut self, wants: impl IntoIterator<Item = Want>) {
        self.queue.extend(wants);
    }

    /// The next, if there is room for it. It counts until [`done`](Self::done).
    pub(super) fn next(&mut self) -> Option<Want> {
        if self.in_flight >= IN_FLIGHT_MAX {
            return None;
        }
        let want = self.queue.pop_front()?;
        self.in_flight += 1;
        Some(want)
    }

    /// One of them was answered, or not sent after all.
    pub(super) fn done(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// The connection is gone.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}
