//! What waits for one reader.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use crate::error::{ClientError, Result};

/// A queue between the session and one stream. Its owner bounds it.
#[derive(Debug)]
pub(super) struct Inlet<E> {
    pub(super) events: VecDeque<E>,
    waker: Option<Waker>,
    /// Whether the server has said yes, or no.
    is_open: bool,
    end: Option<End>,
}

#[derive(Debug)]
struct End {
    /// Told once, after all events.
    failure: Option<ClientError>,
    /// Told to whoever asks whether it is open.
    why: ClientError,
}

impl<E> Default for Inlet<E> {
    fn default() -> Self {
        Self { events: VecDeque::new(), waker: None, is_open: false, end: None }
    }
}

impl<E> Inlet<E> {
    pub(super) fn push(&mut self, event: E) {
        self.events.push_back(event);
        self.wake();
    }

    pub(super) fn open(&mut self) {
        self.is_open = true;
        self.wake();
    }

    /// Nothing more comes.
    pub(super) fn end(&mut self, failure: ClientError) {
        self.end.get_or_insert(End { failure: Some(failure.clone()), why: failure });
        self.wake();
    }

    pub(super) fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// The next event, then why there are no more, then nothing.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<E>>> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(Some(Ok(event)));
        }
        if let Some(end) = &mut self.end {
            return Poll::Ready(end.failure.take().map(Err));
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Whether the server has let the reader in.
    pub(super) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if let Some(end) = &self.end {
            return Poll::Ready(Err(end.why.clone()));
        }
        if self.is_open {
            return Poll::Ready(Ok(()));
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
