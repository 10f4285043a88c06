//! The client's one state machine, without socket and timer.
//!
//! Each input is told the time; those of a socket carry its generation, and what an older one still has to say is
//! ignored. [`Session::take`] answers what is to be done, [`Session::due_at`] when [`Session::time`] is to be called.

mod attempts;
mod backoff;
mod calls;
mod channels;
mod frames;
mod inlet;
mod life;
mod liveness;
mod paced;
mod pushes;
mod records;
mod rooms;
mod throttle;
mod topics;
mod wants;
mod write;

use std::collections::VecDeque;
use std::time::Duration;

use mesh_proto::{Class, CloseCode, ConnId, Entropy};
use tokio::sync::oneshot;
use tokio::time::Instant;

pub(crate) use attempts::AttemptOptions;
pub(crate) use calls::{Call, Kind, QueueLimits};
pub(crate) use channels::{Event, Mode};
pub(crate) use throttle::{Pace, Turn};
pub(crate) use write::{RecordValue, Strategy, Write};

use attempts::Attempts;
use calls::{Calls, ServerLimits};
use channels::Channels;
use life::close_error;
use liveness::Liveness;
use pushes::PushReaders;
use records::Records;
use rooms::Rooms;
use throttle::Throttle;
use wants::Wants;

use crate::error::{ClientError, Result};
use crate::{Reason, Status};

/// How long a credential may take.
const CREDENTIAL_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of the credential with what is around it: the server takes 4 KiB.
const HELLO_BYTES_MAX: usize = 4000;

/// What a session is told once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionOptions {
    pub(crate) queue: QueueLimits,
    pub(crate) attempts: AttemptOptions,
    /// From the dial to the answer to the hello.
    pub(crate) connect_timeout: Duration,
}

/// What the session wants done. Those with a generation are about the socket of that attempt alone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Fetch a credential.
    Credential(u64, Reason),
    /// Open a socket.
    Dial(u64),
    /// Send a text over it.
    Send(u64, String),
    /// Close it; one that is dead without a word.
    Hangup { generation: u64, code: u16, is_dead: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Credential,
    Dial,
    Hello,
    Restore,
    Online,
    Wait,
    Stopped,
}

/// What [`Session::command`] is given.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) command: String,
    pub(crate) body: Option<String>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) room: Option<RoomWish>,
}

/// What a command means for the rooms that are joined again.
#[derive(Debug)]
pub(crate) enum RoomWish {
    Join(String),
    Leave(String),
}

#[derive(Debug)]
pub(crate) struct Session {
    options: SessionOptions,
    attempts: Attempts,
    liveness: Liveness,
    calls: Calls,
    throttle: Throttle,
    rooms: Rooms,
    wants: Wants,
    pub(crate) channels: Channels,
    pub(crate) records: Records,
    pub(crate) pushes: PushReaders,
    actions: VecDeque<Action>,
    /// Bytes of frames that the socket has not taken.
    unsent: usize,
    phase: Phase,
    /// Of `Credential`, `Dial`, `Hello` and `Wait`: when it ends.
    phase_ends: Option<Instant>,
    next_reason: Reason,
    generation: u64,
    keys: u64,
    /// As JSON, from its arrival until it is sent.
    credential: Option<String>,
    connection_id: Option<ConnId>,
    latency: Option<Duration>,
    online_at: Instant,
    was_online: bool,
    /// Why there is no connection.
    reason: Option<ClientError>,
    server: ServerLimits,
    /// Who waits for the first attempt to succeed or to fail.
    connecting: Vec<oneshot::Sender<Result<()>>>,
    /// What the marks of this client's writes begin with.
    mark: String,
    marks: u64,
}

impl Session {
    /// A session that begins to connect.
    pub(crate) fn start(options: SessionOptions, entropy: Entropy, now: Instant) -> Self {
        let mark = format!("{:016x}-", entropy.u64());
        let mut session = Self {
            options,
            attempts: Attempts::new(options.attempts, entropy),
            liveness: Liveness::new(),
            calls: Calls::new(options.queue),
            throttle: Throttle::new(options.queue.bytes_max),
            rooms: Rooms::default(),
            wants: Wants::default(),
            channels: Channels::new(mark.clone()),
            records: Records::new(mark.clone()),
            pushes: PushReaders::default(),
            actions: VecDeque::new(),
            unsent: 0,
            phase: Phase::Wait,
            phase_ends: None,
            next_reason: Reason::Initial,
            generation: 0,
            keys: 0,
            credential: None,
            connection_id: None,
            latency: None,
            online_at: now,
            was_online: false,
            reason: None,
            server: ServerLimits::default(),
            connecting: Vec::new(),
            mark,
            marks: 0,
        };
        session.attempt(Reason::Initial, now);
        session
    }

    pub(crate) fn status(&self) -> Status {
        match self.phase {
            Phase::Online => Status::Online,
            Phase::Stopped => Status::Offline,
            _ if self.was_online || self.reason.is_some() => Status::Reconnecting,
            _ => Status::Connecting,
        }
    }

    pub(crate) fn connection_id(&self) -> Option<ConnId> {
        self.connection_id
    }

    /// The last round trip of this connection, as the server measured it.
    pub(crate) fn latency(&self) -> Option<Duration> {
        self.latency
    }

    /// Why there is no connection, or was none last.
    pub(crate) fn reason(&self) -> Option<ClientError> {
        self.reason.clone()
    }

    /// A mark for a write, unlike those of others and those before.
    pub(crate) fn next_mark(&mut self) -> String {
        self.marks += 1;
        format!("{}{:x}", self.mark, self.marks)
    }

    /// Whether a mark is one of this client's.
    pub(crate) fn is_own(&self, mark: &str) -> bool {
        mark.starts_with(&self.mark)
    }

    /// Take what is to be done next.
    pub(crate) fn take(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`time`](Self::time) is to be called.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        let online = self.phase == Phase::Online;
        let dues = [
            self.calls.due_at(),
            self.throttle.due_at(),
            self.phase_ends,
            self.liveness.due_at().filter(|_| self.is_open()),
            self.rooms.due_at().filter(|_| online),
            self.channels.topics.due_at().filter(|_| self.is_open()),
            self.records.topics.due_at().filter(|_| self.is_open()),
        ];
        dues.into_iter().flatten().min()
    }

    // --- What the application wants ---------------------------------------------------------------------------------

    /// Be told when the attempt under way has succeeded or failed.
    pub(crate) fn connected(&mut self, tell: oneshot::Sender<Result<()>>) {
        match self.phase {
            Phase::Online => _ = tell.send(Ok(())),
            Phase::Stopped => _ = tell.send(Err(self.refusal())),
            _ => self.connecting.push(tell),
        }
    }

    /// Close for good.
    pub(crate) fn close(&mut self) {
        if self.phase != Phase::Stopped {
            self.hangup(1000, false);
            self.stop(ClientError::closed());
        }
    }

    /// Send a command, or keep it until there is a connection. The answer goes to `reply`; the key ends the wait for it.
    pub(crate) fn command(&mut self, ask: Ask, reply: calls::Reply, now: Instant) -> u64 {
        self.keys += 1;
        let key = self.keys;
        let deadline = ask.timeout.and_then(|timeout| now.checked_add(timeout));
        let kind = Kind::User { key, reply, join: None };
        let mut call = Call { kind, command: ask.command.into(), body: ask.body, deadline };
        if self.phase == Phase::Stopped {
            let refusal = self.refusal();
            self.fail(call, refusal);
            return key;
        }
        match ask.room {
            Some(RoomWish::Leave(name)) => self.rooms.leave(&name),
            Some(RoomWish::Join(name)) => {
                if let Kind::User { join, .. } = &mut call.kind {
                    *join = Some(self.rooms.join(&name));
                }
            }
            None => {}
        }
        // What can never be sent must not wait in front of what can.
        if Calls::is_too_large(&call, &self.server) {
            self.fail(call, ClientError::too_large(self.server.message_bytes));
        } else if self.phase == Phase::Online
            && !self.calls.is_queued()
            && self.calls.fits(&call, &self.server)
        {
            self.send(call);
        } else if let Some(call) = self.calls.enqueue(call) {
            self.fail(call, ClientError::queue_full());
        }
        key
    }

    /// The application no longer waits for that call. What waits behind it goes out at the next [`time`](Self::time).
    pub(crate) fn abort(&mut self, key: u64) {
        if let Some(call) = self.calls.abort(key) {
            self.fail(call, ClientError::closed());
        }
    }

    // --- What the socket and the clock say --------------------------------------------------------------------------

    /// The credential for the attempt is here, as JSON; `None` if there is none.
    pub(crate) fn credential(&mut self, generation: u64, body: Option<String>, now: Instant) {
        if generation == self.generation && self.phase == Phase::Credential {
            self.credential = body;
            self.enter(Phase::Dial, now.checked_add(self.options.connect_timeout));
            self.actions.push_back(Action::Dial(generation));
        }
    }

    /// There is no credential to be had now; or never, where the error is not retryable.
    pub(crate) fn credential_failed(&mut self, generation: u64, error: ClientError, now: Instant) {
        if generation == self.generation && self.phase == Phase::Credential {
            let class = if error.retryable() { Class::Retry } else { Class::GiveUp };
            self.lost(class, error, now);
        }
    }

    /// The socket is open.
    pub(crate) fn opened(&mut self, generation: u64, now: Instant) {
        if generation != self.generation || self.phase != Phase::Dial {
            return;
        }
        self.liveness.heard(now);
        self.enter(Phase::Hello, self.phase_ends);
        let credential = self.credential.take().map(|json| format!(",\"credential\":{json}"));
        let body = format!("{{\"protocol\":1{}}}", credential.unwrap_or_default());
        if body.len() > HELLO_BYTES_MAX {
            self.hangup(1000, false);
            return self.stop(ClientError::too_large(HELLO_BYTES_MAX));
        }
        self.send(Call::own(Kind::Hello, mesh_proto::command::HELLO, Some(body)));
    }

    /// The socket could not be opened.
    pub(crate) fn undialable(&mut self, generation: u64, class: Class, error: ClientError, now: Instant) {
        if generation == self.generation && self.phase == Phase::Dial {
            self.lost(class, error, now);
        }
    }

    /// The last byte came at that time, of whatever it is a part.
    pub(crate) fn heard(&mut self, generation: u64, at: Instant) {
        if generation == self.generation && self.is_open() {
            self.liveness.heard(at);
        }
    }

    /// The socket closed.
    pub(crate) fn closed(&mut self, generation: u64, code: u16, reason: &str, now: Instant) {
        if generation == self.generation && self.is_open() {
            self.lost(CloseCode::class_of(code), close_error(code, reason), now);
        }
    }

    /// Time has passed.
    pub(crate) fn time(&mut self, now: Instant) {
        for (call, was_sent) in self.calls.expired(now) {
            self.expired(call, was_sent, now);
        }
        for waiting in self.throttle.time(now) {
            waiting.fail(ClientError::timeout(false));
        }
        if self.is_open() && self.liveness.is_silent(now) {
            self.drop_socket("the server is silent", true, now);
        } else if self.phase_ends.is_some_and(|ends| ends <= now) {
            match self.phase {
                Phase::Wait => self.attempt(self.next_reason, now),
                _ => self.drop_socket("the attempt took too long", false, now),
            }
        }
        if self.phase == Phase::Online {
            for name in self.rooms.due(now) {
                self.rejoin(name, now);
            }
        }
        self.channels.topics.time(now);
        self.records.topics.time(now);
        self.pump(now);
    }

    // --- Bookkeeping ------------------------------------------------------------------------------------------------

    /// Why a client that has stopped refuses.
    fn refusal(&self) -> ClientError {
        self.reason.clone().unwrap_or_else(ClientError::closed)
    }

    fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Hello | Phase::Restore | Phase::Online)
    }

    fn enter(&mut self, phase: Phase, ends: Option<Instant>) {
        self.phase = phase;
        self.phase_ends = ends;
    }
}
