//! An in-memory socket with a capacity: what the simulator and `mesh.serve` use under the very write path of TCP.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, ReadBuf};

use crate::lock::Lock;

/// Bytes that an in-memory socket holds in each direction, about what a TCP socket's buffers hold.
pub(crate) const PIPE_BYTES: usize = 256 * 1024;

#[derive(Debug)]
struct Shared {
    bytes: VecDeque<u8>,
    capacity: usize,
    closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// The end that bytes go into.
#[derive(Debug)]
pub(crate) struct PipeWriter(Arc<Lock<Shared>>);

/// The end that they come out of.
#[derive(Debug)]
pub(crate) struct PipeReader(Arc<Lock<Shared>>);

/// One direction of an in-memory socket.
pub(crate) fn pipe(capacity: usize) -> (PipeWriter, PipeReader) {
    let shared = Shared { bytes: VecDeque::new(), capacity, closed: false, reader: None, writer: None };
    let shared = Arc::new(Lock::new(shared));
    (PipeWriter(shared.clone()), PipeReader(shared))
}

impl PipeWriter {
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let (written, reader) = self.0.with(|shared| {
            if shared.closed {
                return (Err(ErrorKind::BrokenPipe.into()), None);
            }
            let room = shared.capacity - shared.bytes.len();
            if room == 0 && !bytes.is_empty() {
                return (Err(ErrorKind::WouldBlock.into()), None);
            }
            let n = room.min(bytes.len());
            shared.bytes.extend(&bytes[..n]);
            (Ok(n), shared.reader.take())
        });
        reader.into_iter().for_each(Waker::wake);
        written
    }

    pub(crate) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.with(|shared| {
            if shared.closed || shared.bytes.len() < shared.capacity {
                return Poll::Ready(Ok(()));
            }
            shared.writer = Some(cx.waker().clone());
            Poll::Pending
        })
    }

    /// Write all of it, waiting for room.
    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            std::future::poll_fn(|cx| self.poll_write_ready(cx)).await?;
            match self.try_write(bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl AsyncRead for PipeReader {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let writer = self.0.with(|shared| {
            if shared.bytes.is_empty() && !shared.closed {
                shared.reader = Some(cx.waker().clone());
                return None;
            }
            let n = shared.bytes.len().min(buf.remaining());
            let (front, back) = shared.bytes.as_slices();
            let first = n.min(front.len());
            buf.put_slice(&front[..first]);
            buf.put_slice(&back[..n - first]);
            shared.bytes.drain(..n);
            Some(shared.writer.take())
        });
        let Some(writer) = writer else { return Poll::Pending };
        writer.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(()))
    }
}

fn close(shared: &Lock<Shared>) {
    let wakers = shared.with(|shared| {
        shared.closed = true;
        [shared.reader.take(), shared.writer.take()]
    });
    wakers.into_iter().flatten().for_each(Waker::wake);
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        close(&self.0);
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        close(&self.0);
    }
}
