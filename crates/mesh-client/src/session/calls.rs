//! The commands that wait to be sent, and those that wait for an answer.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::rooms::Join;
use super::throttle::Outcome;
use super::wants::{IN_FLIGHT_MAX, Want};
use crate::error::Result;
use crate::wire;

/// Bytes of commands that may wait in a server, whatever their number. PROTOCOL.md names it; the answer to the hello
/// does not.
const WAITING_BYTES_MAX: usize = 256 * 1024;
/// Commands that an application leaves free for what the session itself asks.
const RESERVED: usize = IN_FLIGHT_MAX + super::rooms::RESTORING_MAX;

/// What may wait here for a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueLimits {
    /// Commands that wait.
    pub(crate) commands_max: usize,
    /// Bytes of their frames.
    pub(crate) bytes_max: usize,
}

/// How much a server takes at once, by its answer to the hello.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerLimits {
    pub(crate) message_bytes: usize,
    pub(crate) in_flight: usize,
    pub(crate) waiting: usize,
}

impl Default for ServerLimits {
    /// What a server takes unless it says otherwise.
    fn default() -> Self {
        Self { message_bytes: 256 * 1024, in_flight: 32, waiting: 1024 }
    }
}

/// Where the answer to a command goes.
pub(crate) type Reply = oneshot::Sender<Result<Box<RawValue>>>;

/// A command on its way, ours or the application's.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) kind: Kind,
    pub(crate) command: Cow<'static, str>,
    /// The payload as JSON, so that what waits is what was meant at the call.
    pub(crate) body: Option<String>,
    /// When it is given up; `None` for never.
    pub(crate) deadline: Option<Instant>,
}

/// What is done with an answer.
#[derive(Debug)]
pub(crate) enum Kind {
    Hello,
    /// The application waits for it under this key.
    User {
        key: u64,
        reply: Reply,
        join: Option<Join>,
    },
    /// A write that others may have given way to.
    Write(watch::Sender<Outcome>),
    /// A room is joined again.
    Rejoin(String),
    /// Subscribing, or what ends it.
    Want(Want),
    /// Nobody waits any more, but the server has not answered.
    Ended,
}

impl Call {
    /// One of the session's own.
    pub(super) fn own(kind: Kind, command: &'static str, body: Option<String>) -> Self {
        Self { kind, command: Cow::Borrowed(command), body, deadline: None }
    }

    pub(super) fn until(self, now: Instant, timeout: Duration) -> Self {
        Self { deadline: now.checked_add(timeout), ..self }
    }

    /// The length of its frame, with the longest id.
    fn bytes(&self) -> usize {
        wire::command_bytes_max(&self.command, self.body.as_deref())
    }
}

#[derive(Debug)]
pub(super) struct Calls {
    limits: QueueLimits,
    id_next: u64,
    sent: BTreeMap<u64, Call>,
    sent_bytes: usize,
    queue: VecDeque<Call>,
    queue_bytes: usize,
    /// Never later than the first deadline. It may be earlier, since calls that end do not move it: then the timer
    /// fires once for nothing, which costs less than a search for each answer.
    due_at: Option<Instant>,
}

impl Calls {
    pub(super) fn new(limits: QueueLimits) -> Self {
        Self {
            limits,
            id_next: 0,
            sent: BTreeMap::new(),
            sent_bytes: 0,
            queue: VecDeque::new(),
            queue_bytes: 0,
            due_at: None,
        }
    }

    /// Give the call an id and answer its frame. An id is never used twice on a connection, so a late answer is nobody
    /// else's.
    pub(super) fn send(&mut self, call: Call) -> String {
        let id = self.id_next;
        self.id_next += 1;
        let text = wire::command(id, &call.command, call.body.as_deref());
        self.sent_bytes += call.bytes();
        self.watch(call.deadline);
        self.sent.insert(id, call);
        text
    }

    /// The call that an answer belongs to.
    pub(super) fn answered(&mut self, id: u64) -> Option<Call> {
        let call = self.sent.remove(&id)?;
        self.sent_bytes -= call.bytes();
        Some(call)
    }

    /// Keep the call until it can be sent; answer it if there is no room.
    pub(super) fn enqueue(&mut self, call: Call) -> Option<Call> {
        let bytes = call.bytes();
        let is_full = self.queue.len() >= self.limits.commands_max;
        if is_full || self.queue_bytes + bytes > self.limits.bytes_max {
            return Some(call);
        }
        self.queue_bytes += bytes;
        self.watch(call.deadline);
        self.queue.push_back(call);
        None
    }

    /// Whether a call has to wait behind others.
    pub(super) fn is_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether the server takes that call now.
    pub(super) fn fits(&self, call: &Call, server: &ServerLimits) -> bool {
        self.fits_bytes(call.bytes(), server)
    }

    /// Whether the server takes a call of that length now.
    pub(super) fn fits_bytes(&self, bytes: usize, server: &ServerLimits) -> bool {
        let unanswered = self.sent.len();
        if unanswered < server.in_flight {
            return true;
        }
        let places = (server.in_flight + server.waiting).saturating_sub(RESERVED);
        unanswered < places && self.sent_bytes + bytes <= WAITING_BYTES_MAX
    }

    /// Whether the server would close the connection for that message.
    pub(super) fn is_too_large(call: &Call, server: &ServerLimits) -> bool {
        call.bytes() > server.message_bytes
    }

    /// The next of the queue that may be sent.
    pub(super) fn next(&mut self, server: &ServerLimits) -> Option<Call> {
        let call = self.queue.front().filter(|call| self.fits(call, server))?;
        self.queue_bytes -= call.bytes();
        self.queue.pop_front()
    }

    /// Take all that was queued, in order.
    pub(super) fn drain(&mut self) -> Vec<Call> {
        self.queue_bytes = 0;
        self.queue.drain(..).collect()
    }

    /// The connection is gone: take all that was sent, and begin again.
    pub(super) fn reset(&mut self) -> Vec<Call> {
        self.id_next = 0;
        self.sent_bytes = 0;
        std::mem::take(&mut self.sent).into_values().collect()
    }

    /// The application no longer waits for that call. What was sent stays until its answer comes.
    pub(super) fn abort(&mut self, key: u64) -> Option<Call> {
        let is_it = |call: &Call| matches!(call.kind, Kind::User { key: other, .. } if other == key);
        if let Some(at) = self.queue.iter().position(is_it) {
            let call = self.queue.remove(at)?;
            self.queue_bytes -= call.bytes();
            return Some(call);
        }
        self.sent.values_mut().find(|call| is_it(call)).map(end)
    }

    /// Take the calls whose time is up, and whether each was sent.
    pub(super) fn expired(&mut self, now: Instant) -> Vec<(Call, bool)> {
        if self.due_at.is_none_or(|due| now < due) {
            return Vec::new();
        }
        let is_over = |call: &Call| call.deadline.is_some_and(|deadline| deadline <= now);
        let mut expired: Vec<(Call, bool)> =
            self.sent.values_mut().filter(|call| is_over(call)).map(|call| (end(call), true)).collect();
        let queue = std::mem::take(&mut self.queue);
        for call in queue {
            if is_over(&call) {
                self.queue_bytes -= call.bytes();
                expired.push((call, false));
            } else {
                self.queue.push_back(call);
            }
        }
        self.due_at = self.sent.values().chain(&self.queue).filter_map(|call| call.deadline).min();
        expired
    }

    /// When [`expired`](Self::expired) has something to do at the earliest.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.due_at
    }

    fn watch(&mut self, deadline: Option<Instant>) {
        self.due_at = [self.due_at, deadline].into_iter().flatten().min();
    }
}

/// Leave in the place of a call one that only waits for the server to be done with it. Its length stays.
fn end(call: &mut Call) -> Call {
    let (command, body) = (call.command.clone(), call.body.clone());
    std::mem::replace(call, Call { kind: Kind::Ended, command, body, deadline: None })
}
