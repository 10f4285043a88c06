//! One connection, from its first byte to its last.

mod admission;
mod calls;
mod dispatch;
mod session;
mod wire;

use std::cell::Cell;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use mesh_proto::{CloseCode, command};
use mesh_ws::{Decoder, Event, Role};
use tokio::io::ReadBuf;
use tokio::time::Instant;

pub(crate) use admission::{admit, hello_again, tell_disconnected, unregister};
use calls::Calls;
use session::{Session, Step, plain_command};
pub(crate) use wire::{Half, Whole, Wire};

use crate::conn::Conn;
use crate::fault::{ClientFault, clients_fault};
use crate::hub::{Outbox, Phase};
use crate::instance::Counters;
use crate::lock::Lock;
use crate::login::Login;
use crate::mesh::Mesh;
use crate::schedule::Timed;

/// Bytes of one read. The buffer is one per thread, not per connection.
const READ_BYTES: usize = 64 * 1024;
/// Reads before other connections get a turn. The second one usually finds nothing, and has the task woken for more.
const READS: usize = 2;

thread_local! {
    static INPUT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static OUTPUT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What serves one connection: the half of it that handlers and the hub do not know.
pub(crate) struct Serving {
    mesh: Mesh,
    conn: Conn,
    session: Lock<Session>,
    /// Bytes came since the last look of the schedule: the peer lives.
    heard: AtomicBool,
    /// It needs no hello, or has said it.
    greeted: AtomicBool,
    calls: Lock<Calls>,
    /// What a hello client showed in its request, until it says hello.
    login: Lock<Option<Box<Login>>>,
}

impl Serving {
    /// `login` is that of a hello client, which is yet to be let in.
    pub(crate) fn new(mesh: Mesh, conn: Conn, login: Option<Login>) -> Arc<Self> {
        let session = Session::new(Instant::now(), login.is_some(), &mesh.0.instance.limits);
        let serving = Self {
            mesh,
            conn,
            greeted: AtomicBool::new(!session.awaits_hello()),
            session: Lock::new(session),
            heard: AtomicBool::new(false),
            calls: Lock::default(),
            login: Lock::new(login.map(Box::new)),
        };
        Arc::new(serving)
    }

    pub(crate) fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    pub(crate) fn outbox(&self) -> &Arc<Outbox> {
        &self.conn.0.outbox
    }

    /// Its socket will never come: out of everything again.
    pub(crate) async fn abandon(&self) {
        self.conn.0.outbox.abort();
        unregister(&self.mesh, &self.conn).await;
    }

    /// Serve until the peer or the server ends it. `early` are bytes that came with the handshake.
    pub(crate) async fn run<W: Wire>(self: Arc<Self>, mut wire: W, mut early: Vec<u8>) {
        let this: std::sync::Weak<dyn Timed> = Arc::downgrade(&(self.clone() as Arc<dyn Timed>));
        self.mesh.0.instance.schedule.add(self.session.with(|session| session.next()), this);
        if self.greeted.load(Ordering::Relaxed) {
            self.greet();
        }
        let mut decoder = Decoder::new(Role::Server);
        poll_fn(|cx| {
            if !early.is_empty() {
                let mut bytes = std::mem::take(&mut early);
                let mut out = OUTPUT.take();
                self.on_bytes(&mut decoder, &mut bytes, &mut out, cx);
                self.reply(&mut out);
                OUTPUT.set(out);
            }
            self.poll(cx, &mut wire, &mut decoder)
        })
        .await;
        // Boxed, so that what is needed only at the end takes no memory until then.
        Box::pin(self.finish(wire, decoder)).await;
    }

    fn poll<W: Wire>(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        wire: &mut W,
        decoder: &mut Decoder,
    ) -> Poll<()> {
        let outbox = &self.conn.0.outbox;
        outbox.task.register(cx.waker());
        let mut more = true;
        for _ in 0..READS {
            // Taken out of its slot, not borrowed: a handler that is polled in here may do whatever it likes.
            let mut input = INPUT.take();
            input.resize(READ_BYTES, 0);
            let mut read = ReadBuf::new(&mut input);
            let polled = wire.poll_read(cx, &mut read);
            let n = read.filled().len();
            match polled {
                Poll::Pending => more = false,
                Poll::Ready(Ok(())) if n > 0 => {
                    let begun = Instant::now();
                    let mut out = OUTPUT.take();
                    self.on_bytes(decoder, &mut input[..n], &mut out, cx);
                    self.reply(&mut out);
                    OUTPUT.set(out);
                    // Once for all commands of a read: a look at the clock for each would cost a tenth of their time.
                    self.mesh.0.reports.watch(begun, || format!("a handler called by {}", self.conn.id()));
                }
                Poll::Ready(_) => outbox.abort(),
            }
            INPUT.set(input);
            if !more || outbox.is_ending() {
                break;
            }
        }
        wire.poll_write(cx, outbox);
        if outbox.is_ending() {
            return Poll::Ready(());
        }
        if more {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn reply(&self, out: &mut Vec<u8>) {
        if !out.is_empty() {
            self.conn.0.outbox.reply(out);
            out.clear();
        }
        if out.capacity() > READ_BYTES * 4 {
            *out = Vec::new();
        }
    }

    fn on_bytes(
        self: &Arc<Self>,
        decoder: &mut Decoder,
        bytes: &mut [u8],
        out: &mut Vec<u8>,
        cx: &mut Context<'_>,
    ) {
        let limits = &self.mesh.0.instance.limits;
        self.heard.store(true, Ordering::Relaxed);
        let greeted = self.greeted.load(Ordering::Relaxed);
        let message_bytes_max = if greeted { limits.message_bytes_max } else { limits.hello_bytes_max };
        let bounds = mesh_ws::Limits { message_bytes_max, fragments_max: limits.fragments_max };
        let mut frames = decoder.feed(bytes, &bounds);
        loop {
            let (code, reason) = match frames.next() {
                Ok(None) => return,
                Ok(Some(Event::Text(text))) => match self.on_text(text, greeted, out, cx) {
                    None => continue,
                    Some(code) => code.on_the_wire(),
                },
                Ok(Some(Event::Binary(bytes))) => {
                    match std::str::from_utf8(bytes).map(|text| self.on_text(text, greeted, out, cx)) {
                        Ok(None) => continue,
                        Ok(Some(code)) => code.on_the_wire(),
                        Err(_) => (1007, "not UTF-8"),
                    }
                }
                Ok(Some(Event::Ping(payload))) => {
                    mesh_ws::append_pong(out, payload);
                    continue;
                }
                Ok(Some(Event::Pong(_))) => continue,
                Ok(Some(Event::Close { code, .. })) => (code.unwrap_or(1000), ""),
                Err(violation) => (violation.code, violation.reason),
            };
            self.reply(out);
            self.conn.0.outbox.close_raw(code, reason);
            return;
        }
    }

    fn on_text(
        self: &Arc<Self>,
        text: &str,
        greeted: bool,
        out: &mut Vec<u8>,
        cx: &mut Context<'_>,
    ) -> Option<CloseCode> {
        if let Some((id, command, payload)) = greeted.then(|| plain_command(text)).flatten() {
            self.on_command(id, command.as_deref(), payload, out, cx);
            return None;
        }
        let limits = &self.mesh.0.instance.limits;
        match self.session.with(|session| session.on_text(text, Instant::now, limits)) {
            Step::Run { id, command, payload } => self.on_command(id, command.as_deref(), payload, out, cx),
            Step::Hello { id, payload } => {
                self.greeted.store(true, Ordering::Relaxed);
                return self.on_hello(id, payload);
            }
            Step::Latency(ms) => self.conn.set_latency_ms(ms),
            Step::Bad => {
                Counters::add(&self.mesh.0.instance.counters.bad_frames);
                self.mesh.0.reports.client_fault(&ClientFault::BadFrame(self.conn.clone()));
            }
            Step::Nothing => {}
            Step::Close(code) => return Some(code),
        }
        None
    }

    /// Clean up at once; then let the peer read what it is owed, for a while.
    async fn finish<W: Wire>(self: Arc<Self>, mut wire: W, mut decoder: Decoder) {
        let outbox = self.conn.0.outbox.clone();
        self.calls.with(Calls::clear);
        if let Phase::Closing(code) = outbox.phase()
            && let Some(reason) = clients_fault(code)
        {
            let fault = ClientFault::Closed(self.conn.clone(), code, reason);
            self.mesh.0.reports.client_fault(&fault);
        }
        let instance = &self.mesh.0.instance;
        let (mesh, conn) = (self.mesh.clone(), self.conn.clone());
        let cleanup = instance.tasks.spawn(async move { unregister(&mesh, &conn).await });
        let bounds = mesh_ws::Limits {
            message_bytes_max: instance.limits.message_bytes_max,
            fragments_max: instance.limits.fragments_max,
        };
        let last_words = poll_fn(|cx| {
            outbox.task.register(cx.waker());
            wire.poll_write(cx, &outbox);
            // Not at the end of the tick: this task waits for it.
            outbox.write_now();
            let mut input = [0; 1024];
            loop {
                if outbox.phase() == Phase::Gone || (decoder.is_finished() && outbox.is_empty()) {
                    return Poll::Ready(());
                }
                let mut read = ReadBuf::new(&mut input);
                match wire.poll_read(cx, &mut read) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(())) if !read.filled().is_empty() => {
                        let n = read.filled().len();
                        let mut frames = decoder.feed(&mut input[..n], &bounds);
                        while matches!(frames.next(), Ok(Some(_))) {}
                    }
                    Poll::Ready(_) => return Poll::Ready(()),
                }
            }
        });
        // A peer that does not come to its end is cut off.
        let _ = tokio::time::timeout(instance.limits.linger, last_words).await;
        outbox.abort();
        drop(wire);
        // A panic in a hook was caught; the rest does not panic.
        let _ = cleanup.await;
    }
}

impl Timed for Serving {
    fn on_time(&self, now: Instant) -> Option<Instant> {
        let outbox = &self.conn.0.outbox;
        if outbox.is_ending() {
            return None;
        }
        let limits = &self.mesh.0.instance.limits;
        let (due, next) = self.session.with(|session| {
            if self.heard.swap(false, Ordering::Relaxed) {
                session.on_bytes();
            }
            (session.on_time(now, limits), session.next())
        });
        if let Some(code) = due.close {
            outbox.close(code);
            return None;
        }
        if due.ping {
            outbox.push(&Bytes::from_static(PING));
        }
        if let Some(ms) = due.latency {
            let mut frames = Vec::with_capacity(128);
            let told = format!(r#"{{"command":"{}","payload":{ms}}}"#, command::LATENCY);
            mesh_ws::append_text(&mut frames, &[told.as_bytes()]);
            mesh_ws::append_text(&mut frames, &[br#"{"command":"latency:request","payload":{}}"#]);
            outbox.push(&frames.into());
        }
        Some(next)
    }
}

/// `{"command":"ping","payload":{}}` behind its header: 31 bytes of text.
const PING: &[u8] = b"\x81\x1f{\"command\":\"ping\",\"payload\":{}}";
