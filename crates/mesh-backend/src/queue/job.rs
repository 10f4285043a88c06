//! One edit that waits, whatever its function gives its caller.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use super::{Decision, Outcome, Seen};
use crate::{BackendError, Keep, Result};

pub(super) trait Job: fmt::Debug + Send {
    /// Decide; again, if what was seen was not confirmed. `None` if the function panicked.
    fn run(&mut self, seen: &Seen) -> Option<Decision>;
    fn keep(&self) -> Keep;
    /// Tell the caller, if it still listens.
    fn settle(self: Box<Self>, outcome: Result<Outcome>);
}

pub(super) struct EditJob<R, F> {
    edit: F,
    keep: Keep,
    /// What the last run gave.
    given: Result<R, String>,
    reply: oneshot::Sender<Result<(Outcome, R)>>,
}

impl<R, F> EditJob<R, F> {
    pub(super) fn new(edit: F, keep: Keep, reply: oneshot::Sender<Result<(Outcome, R)>>) -> Self {
        Self { edit, keep, given: Err("it did not run".into()), reply }
    }
}

impl<R, F> Job for EditJob<R, F>
where
    R: Send,
    F: Fn(&Seen) -> (Decision, R) + Send,
{
    fn run(&mut self, seen: &Seen) -> Option<Decision> {
        // What the function shares with others it may leave half changed, as any panic does; the queue shares nothing.
        let (decision, given) = match catch_unwind(AssertUnwindSafe(|| (self.edit)(seen))) {
            Ok((decision, given)) => (Some(decision), Ok(given)),
            Err(panic) => (None, Err(message(&*panic))),
        };
        self.given = given;
        decision
    }

    fn keep(&self) -> Keep {
        self.keep
    }

    fn settle(self: Box<Self>, outcome: Result<Outcome>) {
        let Self { given, reply, .. } = *self;
        let settled = outcome.and_then(|outcome| match given {
            Ok(given) => Ok((outcome, given)),
            Err(message) => Err(BackendError::EditPanicked(message)),
        });
        // A caller that no longer listens has no use for it.
        let _ = reply.send(settled);
    }
}

impl<R, F> fmt::Debug for EditJob<R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EditJob").finish_non_exhaustive()
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref().map(String::as_str));
    text.unwrap_or("no message").into()
}
