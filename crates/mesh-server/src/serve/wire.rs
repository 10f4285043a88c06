//! The two kinds of stream that a connection's task reads.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::hub::Outbox;

/// A stream as the connection's task sees it.
pub(crate) trait Wire: Send + Unpin + 'static {
    fn poll_read(&mut self, cx: &mut Context<'_>, read: &mut ReadBuf<'_>) -> Poll<io::Result<()>>;
    /// Write what this task has to write.
    fn poll_write(&mut self, cx: &mut Context<'_>, outbox: &Arc<Outbox>);
}

/// The reading half of a stream whose writing half the outbox has: the task writes only after the socket was full.
pub(crate) struct Half<R>(pub(crate) R);

impl<R: AsyncRead + Send + Unpin + 'static> Wire for Half<R> {
    fn poll_read(&mut self, cx: &mut Context<'_>, read: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, read)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, outbox: &Arc<Outbox>) {
        if outbox.needs_attention() {
            outbox.poll_unblock(cx);
        }
    }
}

/// Any other stream (TLS, say): the task writes everything.
pub(crate) struct Whole<S>(pub(crate) S);

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Wire for Whole<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, read: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, read)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, outbox: &Arc<Outbox>) {
        // An error has ended the outbox, which is where the task looks next.
        let _ = outbox.poll_write_to(cx, &mut self.0);
    }
}
