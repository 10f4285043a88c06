//! A command on its way to a handler, and the traits of those who meet it.

mod extract;
mod handler;
mod middleware;

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

pub use extract::{Claims, Extension, FromCommand, FromRef, Meta, Name, Payload, RawJson, State};
pub use handler::{Guard, Handler, Hook, HookOutcome, IntoVerdict};
pub use middleware::{Layered, Middleware, Next, Reply};

use crate::conn::Conn;
use crate::error::Result;
use crate::lock::Lock;
use crate::mesh::Mesh;

/// A handler with its middleware, types erased.
pub(crate) type Run = Arc<dyn Fn(Command) -> BoxFuture<'static, Reply> + Send + Sync>;
/// A guard, types erased.
pub(crate) type Check = Arc<dyn Fn(Command) -> BoxFuture<'static, Result<()>> + Send + Sync>;
/// A hook, types erased.
pub(crate) type Told = Arc<dyn Fn(Command) -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// A command on its way to a handler. Middleware, guards and hooks get one too.
#[derive(Clone)]
pub struct Command {
    pub(crate) mesh: Mesh,
    pub(crate) conn: Conn,
    pub(crate) name: Arc<str>,
    pub(crate) payload: Bytes,
    /// The room that a guard or a hook is asked about.
    pub(crate) subject: Option<Arc<str>>,
    extensions: Vec<(TypeId, Arc<dyn Any + Send + Sync>)>,
    /// What is done once the answer is on its way, where anything may be.
    then: Option<Then>,
    /// Whether it may be done is all that is asked.
    only_asks: bool,
}

type Followup = Box<dyn FnOnce() + Send>;

/// Set by a handler, and run when its answer was queued; dropped when it failed.
#[derive(Clone, Default)]
pub(crate) struct Then(Arc<Lock<Option<Followup>>>);

impl Then {
    pub(crate) fn is_set(&self) -> bool {
        self.0.with(|slot| slot.is_some())
    }

    pub(crate) fn take(&self) -> Option<Followup> {
        self.0.with(Option::take)
    }
}

impl Command {
    pub(crate) fn new(mesh: Mesh, conn: Conn, name: Arc<str>, payload: Bytes) -> Self {
        let (subject, extensions, then) = (None, Vec::new(), None);
        Self { mesh, conn, name, payload, subject, extensions, then, only_asks: false }
    }

    /// A command of which nothing is done: it only asks whether it may be.
    pub(crate) fn asking(self) -> Self {
        Self { only_asks: true, ..self }
    }

    pub(crate) fn only_asks(&self) -> bool {
        self.only_asks
    }

    /// A command after whose answer something may have to be done.
    pub(crate) fn with_then(mut self, then: Option<Then>) -> Self {
        self.then = then;
        self
    }

    /// Do this once the answer is on its way.
    pub(crate) fn then(&mut self, then: impl FnOnce() + Send + 'static) {
        if let Some(slot) = &self.then {
            slot.0.with(|slot| *slot = Some(Box::new(then)));
        }
    }

    /// The same command, asked about one room or connection.
    pub(crate) fn about(&self, subject: &str) -> Self {
        Self { subject: Some(subject.into()), ..self.clone() }
    }

    /// Which command, for instance `echo` or `mesh/join-room`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who sent it.
    pub fn conn(&self) -> &Conn {
        &self.conn
    }

    /// The server.
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// The payload as JSON text.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Hand a value on to what comes further in, to be taken as [`Extension<T>`]. One per type: a second one replaces
    /// the first.
    pub fn insert<T: Any + Send + Sync>(&mut self, value: T) {
        self.extensions.retain(|(of, _)| *of != TypeId::of::<T>());
        self.extensions.push((TypeId::of::<T>(), Arc::new(value)));
    }

    /// What was inserted before.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<&T> {
        let (_, found) = self.extensions.iter().find(|(of, _)| *of == TypeId::of::<T>())?;
        found.downcast_ref()
    }
}

impl fmt::Debug for Command {
    /// Without the payload, which belongs in no log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command({:?} of {})", self.name, self.conn.id())
    }
}
