//! Writes at a rate, and writes that are dropped rather than kept.

use std::time::Duration;

use tokio::time::Instant;

use super::calls::Calls;
use super::throttle::{Offer, Pace, Turn, Waiting};
use super::write::Write;
use super::{Phase, Session};
use crate::error::{ClientError, Result};

/// Bytes that may wait to be sent before what is volatile is dropped (64 KiB).
const UNSENT_BYTES_MAX: usize = 64 * 1024;

impl Session {
    /// Write in the place of what waits to be written there.
    pub(crate) fn write(
        &mut self,
        write: Write,
        pace: Pace,
        timeout: Option<Duration>,
        now: Instant,
    ) -> Result<Turn> {
        if self.phase == Phase::Stopped {
            return Err(self.refusal());
        }
        let interval = pace.interval()?;
        let is_volatile = pace.is_volatile;
        if is_volatile && (self.phase != Phase::Online || self.is_pressed()) {
            return Err(ClientError::dropped());
        }
        let mark = self.next_mark();
        let offer = Offer { write, is_volatile, interval, timeout, mark };
        let (turn, older) = self.throttle.offer(offer, self.server.message_bytes, now)?;
        if let Some(older) = older {
            self.leave(older);
        }
        self.leave_all(now);
        Ok(turn)
    }

    /// The socket has taken so many bytes.
    pub(crate) fn written(&mut self, generation: u64, bytes: usize) {
        if generation == self.generation {
            self.unsent -= bytes.min(self.unsent);
        }
    }

    /// What may leave does, as far as the server takes it.
    pub(super) fn leave_all(&mut self, now: Instant) {
        if self.phase != Phase::Online {
            return;
        }
        loop {
            let (calls, server, is_pressed) = (&self.calls, &self.server, self.is_pressed());
            // What is volatile never waits for the server.
            let may_leave = |waiting: &Waiting| {
                waiting.is_volatile || (!calls.is_queued() && calls.fits_bytes(waiting.bytes, server))
            };
            let Some(waiting) = self.throttle.next(now, may_leave) else { return };
            if waiting.is_volatile && is_pressed {
                waiting.fail(ClientError::dropped());
            } else {
                self.leave(waiting);
            }
        }
    }

    /// It is sent, or kept until it can be; what is volatile is sent or dropped.
    fn leave(&mut self, waiting: Waiting) {
        let is_volatile = waiting.is_volatile;
        let call = waiting.into_call();
        if Calls::is_too_large(&call, &self.server) {
            self.fail(call, ClientError::too_large(self.server.message_bytes));
        } else if self.phase == Phase::Online
            && !self.calls.is_queued()
            && self.calls.fits(&call, &self.server)
        {
            self.send(call);
        } else if is_volatile {
            self.fail(call, ClientError::dropped());
        } else if let Some(call) = self.calls.enqueue(call) {
            self.fail(call, ClientError::queue_full());
        }
    }

    /// Whether too much waits to be sent already.
    fn is_pressed(&self) -> bool {
        self.unsent > UNSENT_BYTES_MAX
    }
}
