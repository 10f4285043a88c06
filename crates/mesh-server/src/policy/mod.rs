//! What clients may do with the names a pattern covers. Nothing is open unless a policy says so.

mod channel;
mod record;
mod room;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::command::{Check, Command, Guard, Hook, Told};
use crate::error::{MeshError, Result};
use crate::fault::Fault;
use crate::mesh::Mesh;

pub use channel::Channel;
pub(crate) use channel::ChannelPolicy;
pub use record::{Record, RecordChange};
pub(crate) use record::{RecordHook, RecordPolicy};
pub use room::Room;
pub(crate) use room::RoomPolicy;

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
    finish(&mesh, what, async { told(cmd).await }, timeout).await;
}

/// Run what an application is told by to its end. What goes wrong with it harms nobody else.
pub(crate) async fn finish(
    mesh: &Mesh,
    what: impl FnOnce() -> Arc<str>,
    telling: impl Future<Output = Result<()>>,
    timeout: Duration,
) {
    if mesh.0.instance.stop.is_cancelled() {
        return;
    }
    let fault = match tokio::time::timeout(timeout, AssertUnwindSafe(telling).catch_unwind()).await {
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
