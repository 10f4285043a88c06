//! What clients may do with rooms.

use std::fmt;

use super::{CheckWith, ToldWith, bind, bind_hook, guard, hook};
use crate::command::{Check, Guard, Hook, Told};

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
