//! The commands of one connection: started in the order in which they came, at most N at once, the others wait.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use mesh_proto::Limits;

use crate::mesh::Route;

/// Empty most of the time, when it owns no memory but its own.
#[derive(Default)]
pub(crate) struct Calls {
    /// Nothing starts yet: `mesh/hello` or `on_connect` is under way.
    held: bool,
    running: usize,
    /// The names, of rooms for now, that a running built-in is about.
    busy: Vec<Arc<str>>,
    waiting: VecDeque<Call>,
    waiting_bytes: usize,
}

/// One command that waits.
pub(crate) struct Call {
    /// As written.
    pub(crate) id: Box<str>,
    pub(crate) route: Arc<Route>,
    pub(crate) payload: Bytes,
    /// The name it is about, if it must not overtake others about it.
    pub(crate) lane: Option<Arc<str>>,
}

/// What becomes of a command that came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Start,
    Wait,
    TooMany,
}

impl Calls {
    pub(crate) fn hold(&mut self) {
        self.held = true;
    }

    /// Let commands start.
    pub(crate) fn release(&mut self) {
        self.held = false;
    }

    fn may_start(&self, lane: Option<&Arc<str>>, limits: &Limits) -> bool {
        let free = |lane: &Arc<str>| !self.busy.contains(lane);
        !self.held && self.running < limits.in_flight_max && lane.is_none_or(free)
    }

    /// A command of `bytes` came. It counts as running if it may start; only one that has to wait is made into a call.
    pub(crate) fn admit(
        &mut self,
        lane: Option<&Arc<str>>,
        bytes: usize,
        limits: &Limits,
        call: impl FnOnce() -> Call,
    ) -> Admission {
        let overtakes = lane.is_some() && self.waiting.iter().any(|waiting| waiting.lane.as_ref() == lane);
        if !overtakes && self.may_start(lane, limits) {
            self.start(lane);
            return Admission::Start;
        }
        let bytes = self.waiting_bytes + bytes;
        if self.waiting.len() >= limits.waiting_max || bytes > limits.waiting_bytes_max {
            return Admission::TooMany;
        }
        self.waiting_bytes = bytes;
        self.waiting.push_back(call());
        Admission::Wait
    }

    fn start(&mut self, lane: Option<&Arc<str>>) {
        self.running += 1;
        self.busy.extend(lane.cloned());
    }

    /// One is over. Says whether others wait.
    pub(crate) fn finish(&mut self, lane: Option<&Arc<str>>) -> bool {
        self.running -= 1;
        if let Some(at) = lane.and_then(|lane| self.busy.iter().position(|busy| busy == lane)) {
            self.busy.swap_remove(at);
        }
        if self.running == 0 {
            self.busy = Vec::new();
        }
        !self.waiting.is_empty()
    }

    /// The first one that waits and may start.
    pub(crate) fn next(&mut self, limits: &Limits) -> Option<Call> {
        if self.waiting.is_empty() || self.held || self.running >= limits.in_flight_max {
            return None;
        }
        let at = self.waiting.iter().position(|call| self.may_start(call.lane.as_ref(), limits))?;
        let call = self.waiting.remove(at)?;
        self.waiting_bytes -= call.payload.len();
        if self.waiting.is_empty() {
            self.waiting = VecDeque::new();
        }
        self.start(call.lane.as_ref());
        Some(call)
    }

    /// The connection is closed: what waits is dropped, what runs runs on.
    pub(crate) fn clear(&mut self) {
        self.waiting = VecDeque::new();
        self.waiting_bytes = 0;
        self.held = true;
    }
}
