//! What waits to be written to one connection. Bounded in bytes; a publisher never waits for it.

use std::io::{self, ErrorKind, IoSlice};
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use mesh_proto::{CloseCode, ConnId};
use tokio::io::AsyncWrite;
use tokio::net::tcp::OwnedWriteHalf;

use super::backlog::{Backlog, Gives, Lag};
use super::flusher::Flushers;
use super::pipe::PipeWriter;
use crate::lock::Lock;

/// Bytes that wait, from which on a frame of a subscription gives way to a newer one of the same.
const CONFLATE_BYTES: usize = 64 * 1024;
/// Small frames up to this many bytes together are copied into one buffer and leave in one plain write, which is
/// cheaper than a vectored one.
const GATHER_BYTES: usize = 32 * 1024;
/// Buffers of one vectored write.
const SLICES: usize = 64;

/// Where frames go. Set once the connection has its socket; until then the queue waits.
#[derive(Debug)]
pub(crate) enum Sink {
    Absent,
    /// Written by whoever flushes.
    Tcp(OwnedWriteHalf),
    /// The same for an in-memory socket.
    Pipe(PipeWriter),
    /// Any other stream: the connection's own task writes, a flush only wakes it.
    Task,
}

#[derive(Debug)]
pub(crate) struct Outbox {
    pub(crate) id: ConnId,
    flushers: Arc<Flushers>,
    bytes_max: usize,
    state: Lock<State>,
    /// The connection's task: woken when the socket is full, or when the connection is to end.
    pub(crate) task: AtomicWaker,
    /// On a flusher's list already.
    dirty: AtomicBool,
    /// The socket is full, or the end has begun: what the connection's task has to look into. Kept beside the state, so
    /// that it need not take the lock after each read to learn that there is nothing.
    attention: AtomicBool,
}

#[derive(Debug)]
struct State {
    sink: Sink,
    queue: Backlog,
    /// The socket took no more; the task goes on when it does.
    blocked: bool,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// A close frame is the last in the queue.
    Closing(u16),
    /// Nothing more can be written.
    Gone,
}

impl Outbox {
    pub(crate) fn new(id: ConnId, flushers: Arc<Flushers>, bytes_max: usize) -> Arc<Self> {
        let state =
            State { sink: Sink::Absent, queue: Backlog::default(), blocked: false, phase: Phase::Open };
        Arc::new(Self {
            id,
            flushers,
            bytes_max,
            state: Lock::new(state),
            task: AtomicWaker::new(),
            dirty: AtomicBool::new(false),
            attention: AtomicBool::new(false),
        })
    }

    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        self.state.with(|state| {
            let result = change(state);
            self.attention.store(state.blocked || state.phase != Phase::Open, Ordering::Release);
            result
        })
    }

    /// Whether the connection's task has anything to do but read.
    pub(crate) fn needs_attention(&self) -> bool {
        self.attention.load(Ordering::Acquire)
    }

    /// Whether its end has begun.
    pub(crate) fn is_ending(&self) -> bool {
        self.needs_attention() && self.phase() != Phase::Open
    }

    /// Give it its socket, and send what has waited for it.
    pub(crate) fn open(self: &Arc<Self>, sink: Sink) {
        self.state.with(|state| {
            if state.phase != Phase::Gone {
                state.sink = sink;
            }
        });
        self.mark();
    }

    /// Queue a frame that many share; it leaves at the end of the tick.
    pub(crate) fn push(self: &Arc<Self>, frame: &Bytes) {
        let mark = self.change(|state| state.queue(frame.clone(), Gives::Never, self.bytes_max));
        self.after(mark);
    }

    /// The same for a subscription to something of which only the newest matters: where much waits already, `whole`
    /// takes the place of all of it that waits.
    pub(crate) fn push_newest(self: &Arc<Self>, frame: &Bytes, of: NonZeroU64, whole: &Bytes) {
        let mark = self.change(|state| {
            if state.has_much() && state.queue.conflate(of, whole) {
                return Next::Nothing;
            }
            state.queue(frame.clone(), Gives::ToNewer(of), self.bytes_max)
        });
        self.after(mark);
    }

    /// The same for a subscription whose oldest messages are dropped where there is no room: while the socket is full and
    /// much waits, or at the bound.
    pub(crate) fn push_droppable(self: &Arc<Self>, frame: &Bytes, lag: &Arc<Lag>) {
        let mut dropped = 0;
        let mark = self.change(|state| {
            let bytes_max = if state.blocked { CONFLATE_BYTES.min(self.bytes_max) } else { self.bytes_max };
            if state.phase == Phase::Open {
                dropped = state.queue.make_room(frame.len(), bytes_max);
            }
            state.queue(frame.clone(), Gives::Up(lag.clone()), self.bytes_max)
        });
        if dropped > 0 {
            self.flushers.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
        self.after(mark);
    }

    /// Whether so much waits that newer frames of a subscription take the place of older ones.
    pub(crate) fn has_much(&self) -> bool {
        self.state.with(|state| state.has_much())
    }

    /// The same behind what waits of some subscriptions: from here on nothing newer takes the place of that.
    pub(crate) fn push_behind(self: &Arc<Self>, frame: &Bytes, of: &[NonZeroU64]) {
        let mark = self.change(|state| {
            state.queue.settle(of);
            state.queue(frame.clone(), Gives::Never, self.bytes_max)
        });
        self.after(mark);
    }

    /// Bytes that may wait.
    pub(crate) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Queue frames of one read's answers, contiguous. They join what the tick will flush, if anything; else they are
    /// written at once.
    pub(crate) fn reply(self: &Arc<Self>, frames: &[u8]) {
        let mark = self.change(|state| {
            let direct = state.queue.is_empty() && !state.blocked && state.phase == Phase::Open;
            let written = if direct { state.sink.try_write(frames) } else { Ok(0) };
            match written {
                Ok(n) if n == frames.len() => Next::Nothing,
                Ok(n) if n > 0 => {
                    // The queue is empty, and takes any one frame.
                    state.queue.push_rest(Bytes::copy_from_slice(&frames[n..]));
                    state.next()
                }
                Ok(_) => state.queue(Bytes::copy_from_slice(frames), Gives::Never, self.bytes_max),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    state.queue(Bytes::copy_from_slice(frames), Gives::Never, self.bytes_max)
                }
                Err(_) => state.fail(),
            }
        });
        self.after(mark);
    }

    /// End it: what is queued still leaves, then the close frame. The first close counts.
    pub(crate) fn close(self: &Arc<Self>, code: CloseCode) {
        let (code, reason) = code.on_the_wire();
        self.close_raw(code, reason);
    }

    pub(crate) fn close_raw(self: &Arc<Self>, code: u16, reason: &str) {
        let closed = self.change(|state| state.close(code, reason));
        if closed {
            self.mark();
            self.task.wake();
        }
    }

    /// End it without another byte.
    pub(crate) fn abort(&self) {
        self.change(State::fail);
        self.task.wake();
    }

    pub(crate) fn phase(&self) -> Phase {
        self.state.with(|state| state.phase)
    }

    /// Nothing waits to be written.
    pub(crate) fn is_empty(&self) -> bool {
        self.state.with(|state| state.queue.is_empty())
    }

    fn after(self: &Arc<Self>, next: Next) {
        match next {
            Next::Nothing => {}
            Next::Mark => self.mark(),
            Next::Ended => {
                self.mark();
                self.task.wake();
            }
        }
    }

    fn mark(self: &Arc<Self>) {
        if !self.dirty.swap(true, Ordering::AcqRel) {
            self.flushers.mark(self.clone());
        }
    }

    /// Write what is queued, as far as the socket takes it.
    pub(super) fn flush(&self, scratch: &mut Vec<u8>) {
        // Before flushing: what is pushed from now on marks again.
        self.dirty.store(false, Ordering::Release);
        let wake = self.change(|state| match state.sink {
            Sink::Absent => false,
            Sink::Task => !state.queue.is_empty(),
            Sink::Tcp(_) | Sink::Pipe(_) => {
                state.flush(scratch);
                state.blocked || state.phase == Phase::Gone
            }
        });
        if wake {
            self.task.wake();
        }
    }

    /// The same at once, for a task that waits for it; one that writes by itself has done so.
    pub(crate) fn write_now(&self) {
        self.change(|state| {
            if matches!(state.sink, Sink::Tcp(_) | Sink::Pipe(_)) {
                state.flush(&mut Vec::new());
            }
        });
    }

    /// For the connection's task: if the socket was full, go on once it is not.
    pub(crate) fn poll_unblock(&self, cx: &mut Context<'_>) {
        self.change(|state| {
            while state.blocked {
                match state.sink.poll_write_ready(cx) {
                    Poll::Pending => return,
                    Poll::Ready(Err(_)) => {
                        state.fail();
                    }
                    Poll::Ready(Ok(())) => {
                        state.blocked = false;
                        state.flush(&mut Vec::new());
                    }
                }
            }
        });
    }

    /// For the task of a stream that only its task can write: write all there is.
    pub(crate) fn poll_write_to<W: AsyncWrite + Unpin>(
        &self,
        cx: &mut Context<'_>,
        io: &mut W,
    ) -> Poll<io::Result<()>> {
        self.change(|state| {
            while let Some(front) = state.queue.front() {
                match ready!(Pin::new(&mut *io).poll_write(cx, front)) {
                    Ok(n) if n > 0 => state.queue.advance(n),
                    Ok(_) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                    Err(error) => {
                        state.fail();
                        return Poll::Ready(Err(error));
                    }
                }
            }
            Pin::new(io).poll_flush(cx)
        })
    }
}

enum Next {
    Nothing,
    Mark,
    Ended,
}

impl State {
    fn queue(&mut self, frame: Bytes, gives: Gives, bytes_max: usize) -> Next {
        if self.phase != Phase::Open {
            return Next::Nothing;
        }
        if !self.queue.fits(frame.len(), bytes_max) {
            let (code, reason) = CloseCode::SlowReader.on_the_wire();
            // A reader this slow would take long to get to the close frame: it goes next.
            self.queue.cut();
            self.close(code, reason);
            return Next::Ended;
        }
        self.queue.push(frame, gives);
        self.next()
    }

    fn next(&self) -> Next {
        if self.blocked || matches!(self.sink, Sink::Absent) { Next::Nothing } else { Next::Mark }
    }

    fn has_much(&self) -> bool {
        self.blocked || self.queue.bytes() > CONFLATE_BYTES
    }

    fn close(&mut self, code: u16, reason: &str) -> bool {
        if self.phase != Phase::Open {
            return false;
        }
        self.phase = Phase::Closing(code);
        self.queue.push(mesh_ws::close(code, reason), Gives::Never);
        true
    }

    fn fail(&mut self) -> Next {
        *self = Self { sink: Sink::Absent, queue: Backlog::default(), blocked: false, phase: Phase::Gone };
        Next::Ended
    }

    fn flush(&mut self, scratch: &mut Vec<u8>) {
        while !self.queue.is_empty() && !self.blocked {
            let total: usize = self.queue.frames().take(256).map(Bytes::len).sum();
            let written = match self.queue.front() {
                Some(only) if self.queue.len() == 1 => self.sink.try_write(only),
                _ if total <= GATHER_BYTES => {
                    scratch.clear();
                    self.queue.frames().take(256).for_each(|frame| scratch.extend_from_slice(frame));
                    self.sink.try_write(scratch)
                }
                _ => {
                    let mut slices = [IoSlice::new(&[]); SLICES];
                    let count = self.queue.len().min(SLICES);
                    for (slice, frame) in slices.iter_mut().zip(self.queue.frames()) {
                        *slice = IoSlice::new(frame);
                    }
                    self.sink.try_write_vectored(&slices[..count])
                }
            };
            match written {
                Ok(n) => self.queue.advance(n),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.blocked = true,
                Err(_) => {
                    self.fail();
                }
            }
        }
    }
}

impl Sink {
    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.try_write(bytes),
            Self::Pipe(pipe) => pipe.try_write(bytes),
            Self::Absent | Self::Task => Ok(0),
        }
    }

    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.try_write_vectored(slices),
            Self::Pipe(pipe) => pipe.try_write(slices.first().map_or(&[], |slice| slice)),
            Self::Absent | Self::Task => Err(ErrorKind::WouldBlock.into()),
        }
    }

    fn poll_write_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => tcp.as_ref().poll_write_ready(cx),
            Self::Pipe(pipe) => pipe.poll_write_ready(cx),
            Self::Absent | Self::Task => Poll::Pending,
        }
    }
}
