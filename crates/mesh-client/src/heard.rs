//! When the last byte came: a message on a slow line takes its time, and is a sign of life all the while.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::connector::Io;
use crate::lock::Lock;

/// A stream that knows when it was heard last.
pub(crate) struct Heard {
    io: Box<dyn Io>,
    last_byte: LastByte,
}

/// When that was.
#[derive(Clone)]
pub(crate) struct LastByte(Arc<Lock<Instant>>);

impl LastByte {
    pub(crate) fn at(&self) -> Instant {
        self.0.with(|at| *at)
    }
}

impl Heard {
    /// The time before the first byte counts from now.
    pub(crate) fn new(io: Box<dyn Io>) -> Self {
        Self { io, last_byte: LastByte(Arc::new(Lock::new(Instant::now()))) }
    }

    pub(crate) fn last_byte(&self) -> LastByte {
        self.last_byte.clone()
    }
}

impl AsyncRead for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.last_byte.0.with(|at| *at = Instant::now());
        }
        polled
    }
}

impl AsyncWrite for Heard {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
