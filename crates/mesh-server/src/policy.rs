//! What clients may do with the names a pattern covers. Nothing is open unless a policy says so.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::command::{Check, Command, Guard, Hook, Told};
use crate::error::{MeshError, Result};
use crate::fault::Fault;

type CheckWith<S> = Arc<dyn Fn(Command, S) -> BoxFuture<'static, Result<()>> + Send + Sync>;
type ToldWith<S> = Arc<dyn Fn(Command, S) -> BoxFuture<'static, Result<()>> + Send + Sync>;

fn guard<M, S, G: Guard<M, S>>(guard: G) -> CheckWith<S> {
    Arc::new(move |cmd, state| guard.clone().check(cmd, state))
}

fn hook<M, S, H: Hook<M, S>>(hook: H) -> ToldWith<S> {
    Arc::new(move |cmd, state| hook.clone().run(cmd, state))
}

fn bind<S: Clone + Send + Sync + 'static>(check: Option<CheckWith<S>>, state: &S) -> Option<Check> {
    let (check, state) = (check?, state.clone());
    Some(Arc::new(move |cmd| check(cmd, state.clone())))
}

fn bind_hook<S: Clone + Send + Sync + 'static>(told: Option<ToldWith<S>>, state: &S) -> Option<Told> {
    let (told, state) = (told?, state.clone());
    Some(Arc::new(move |cmd| told(cmd, state.clone())))
}

/// Clients may join, and read the room's metadata.
#[must_use]
pub struct Room<S> {
    guard: Option<CheckWith<S>>,
    metadata: Option<CheckWith<S>>,
    on_join: Option<ToldWith<S>>,
    on_leave: Option<ToldWith<S>>,
}

impl<S> Room<S> {
    /// Any client may.
    pub fn open() -> Self {
        Self { guard: None, metadata: None, on_join: None, on_leave: None }
    }

    /// Only clients that the guard lets: it is asked when one joins or reads the room's metadata. Take [`Name`] for the
    /// room. A guard that fails, panics or takes longer than 5 s refuses.
    ///
    /// [`Name`]: crate::Name
    pub fn guard<M, G: Guard<M, S>>(mut self, asked: G) -> Self {
        self.guard = Some(guard(asked));
        self
    }

    /// A guard of its own for reading the room's metadata, in place of [`guard`](Self::guard).
    pub fn metadata_guard<M, G: Guard<M, S>>(mut self, asked: G) -> Self {
        self.metadata = Some(guard(asked));
        self
    }

    /// Told when a connection has entered.
    pub fn on_join<M, H: Hook<M, S>>(mut self, told: H) -> Self {
        self.on_join = Some(hook(told));
        self
    }

    /// Told when a connection has left, after its `on_join` is over. Of one whose instance died, or that another instance
    /// cleared out of the room, one instance is told: its [`Conn`](crate::Conn) is closed and has its metadata as last known,
    /// and no claims.
    pub fn on_leave<M, H: Hook<M, S>>(mut self, told: H) -> Self {
        self.on_leave = Some(hook(told));
        self
    }

    pub(crate) fn bind(self, state: &S) -> RoomPolicy
    where
        S: Clone + Send + Sync + 'static,
    {
        let guard = bind(self.guard, state);
        let metadata = bind(self.metadata, state).or_else(|| guard.clone());
        let (on_join, on_leave) = (bind_hook(self.on_join, state), bind_hook(self.on_leave, state));
        RoomPolicy { guard, metadata, on_join, on_leave }
    }
}

impl<S> fmt::Debug for Room<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Room")
    }
}

pub(crate) struct RoomPolicy {
    pub(crate) guard: Option<Check>,
    pub(crate) metadata: Option<Check>,
    pub(crate) on_join: Option<Told>,
    pub(crate) on_leave: Option<Told>,
}

/// Ask a guard. Whatever goes wrong with it refuses.
pub(crate) async fn ask(check: &Check, cmd: Command, timeout: Duration) -> Result<()> {
    let (mesh, what) = (cmd.mesh.clone(), what("the guard", &cmd));
    let asked = AssertUnwindSafe(async { check(cmd).await }).catch_unwind();
    let fault = match tokio::time::timeout(timeout, asked).await {
        Ok(Ok(verdict)) => return verdict,
        Ok(Err(_)) => Fault::Panicked(what()),
        Err(_) => Fault::TimedOut(what(), timeout),
    };
    mesh.0.reports.fault(&fault);
    Err(MeshError::forbidden("refused by a guard"))
}

/// Run a hook, named so, to its end, at most for `timeout`.
pub(crate) async fn tell(hook: &'static str, told: &Told, cmd: Command, timeout: Duration) {
    let (mesh, what) = (cmd.mesh.clone(), what(hook, &cmd));
    if mesh.0.instance.stop.is_cancelled() {
        return;
    }
    let telling = AssertUnwindSafe(async { told(cmd).await }).catch_unwind();
    let fault = match tokio::time::timeout(timeout, telling).await {
        Ok(Ok(Ok(()))) => return,
        Ok(Ok(Err(error))) => Fault::HookFailed(what(), error.to_string()),
        Ok(Err(_)) => Fault::Panicked(what()),
        Err(_) => Fault::TimedOut(what(), timeout),
    };
    mesh.0.reports.fault(&fault);
}

/// How a guard or a hook is called in a report.
fn what(callback: &'static str, cmd: &Command) -> impl FnOnce() -> Arc<str> + use<> {
    let (name, subject) = (cmd.name.clone(), cmd.subject.clone());
    move || match subject {
        Some(subject) => format!("{callback} of {subject:?}").into(),
        None if name.is_empty() => callback.into(),
        None => format!("{callback} of {name:?}").into(),
    }
}
