//! What went wrong, for whoever watches over a server: each is logged, counted where there is a counter, and told to the
//! application's hooks.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use mesh_proto::CloseCode;
use tokio::time::Instant;

use crate::conn::Conn;

/// How long the code of an application may keep a thread to itself before it is said: others wait behind it.
const BLOCKED_MAX: Duration = Duration::from_millis(100);

/// Something that went wrong on this side. Nothing of it was the client's doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A handler, guard, hook or authenticator panicked, which ended only its own call.
    Panicked(Arc<str>),
    /// It did not end in time, and was dropped.
    TimedOut(Arc<str>, Duration),
    /// A hook returned an error, or could not be given what its arguments ask for.
    HookFailed(Arc<str>, String),
    /// The code of an application kept its thread to itself for so long.
    Blocked(Arc<str>, Duration),
    /// The backend failed at something that nobody waits for.
    Backend(String),
    /// Publications of other instances may have been missed.
    ContinuityLost,
    /// Others took this instance for dead: it was paused or cut off for longer than its lease, or what is shared was
    /// emptied. It enters everything anew under a new name.
    DeclaredDead,
}

/// A client that did something it must not.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientFault {
    /// A frame that was no JSON object or had no id. It was ignored.
    BadFrame(Conn),
    /// It was closed for what it did, with this WebSocket close code and reason: too much data, no sign of life, a broken
    /// frame, no hello.
    Closed(Conn, u16, &'static str),
}

type Hooks<T> = Vec<Box<dyn Fn(&T) + Send + Sync>>;

/// Whom to tell.
#[derive(Default)]
pub(crate) struct Reports {
    pub(crate) faults: Hooks<Fault>,
    pub(crate) client_faults: Hooks<ClientFault>,
}

impl Reports {
    pub(crate) fn fault(&self, fault: &Fault) {
        match fault {
            // A machine with too little to go round takes a thread away as well.
            Fault::Blocked(..) => tracing::warn!("{fault}"),
            _ => tracing::error!("{fault}"),
        }
        tell(&self.faults, fault);
    }

    /// The code of an application ran since `begun`, without a pause.
    pub(crate) fn watch(&self, begun: Instant, what: impl FnOnce() -> String) {
        let time = begun.elapsed();
        if time > BLOCKED_MAX {
            self.fault(&Fault::Blocked(what().into(), time));
        }
    }

    pub(crate) fn client_fault(&self, fault: &ClientFault) {
        tracing::debug!("{fault}");
        tell(&self.client_faults, fault);
    }
}

fn tell<T>(hooks: &Hooks<T>, fault: &T) {
    for hook in hooks {
        if catch_unwind(AssertUnwindSafe(|| hook(fault))).is_err() {
            tracing::error!("a hook for errors panicked");
        }
    }
}

/// The reason, if a connection that ended with this code ended by its client's fault.
pub(crate) fn clients_fault(code: u16) -> Option<&'static str> {
    const OURS: [CloseCode; 5] = [
        CloseCode::SlowReader,
        CloseCode::Silent,
        CloseCode::BadFrames,
        CloseCode::UnsupportedVersion,
        CloseCode::HelloExpected,
    ];
    match code {
        1002 => Some("protocol error"),
        1007 => Some("not UTF-8"),
        1009 => Some("too large"),
        _ => OURS
            .iter()
            .map(|code| code.on_the_wire())
            .find(|(number, _)| *number == code)
            .map(|(_, reason)| reason),
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(what) => write!(f, "{what} panicked"),
            Self::TimedOut(what, after) => write!(f, "{what} did not end within {} s", after.as_secs_f32()),
            Self::HookFailed(what, why) => write!(f, "{what} failed: {why}"),
            Self::Blocked(what, time) => {
                write!(f, "{what} kept its thread to itself for {} ms; use spawn_blocking", time.as_millis())
            }
            Self::Backend(why) => write!(f, "the backend failed: {why}"),
            Self::ContinuityLost => {
                f.write_str("publications may have been missed; everything resynchronises")
            }
            Self::DeclaredDead => {
                f.write_str("this instance was taken for dead by others; it enters everything anew")
            }
        }
    }
}

impl fmt::Display for ClientFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadFrame(conn) => write!(f, "{} sent a frame that is no command", conn.id()),
            Self::Closed(conn, code, reason) => write!(f, "{} was closed with {code}: {reason}", conn.id()),
        }
    }
}

impl fmt::Debug for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reports")
    }
}
