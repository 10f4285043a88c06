//! A lock that is taken for the length of a closure, so that it cannot be held over an `.await`.

use std::sync::{Mutex, PoisonError};

#[derive(Debug)]
pub(crate) struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Look and change. A panic of an earlier holder is not passed on: no closure here leaves its data half changed where
    /// it can panic.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
