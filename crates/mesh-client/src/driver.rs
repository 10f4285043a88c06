//! The one task of a client: it does what the session wants done, and tells it what comes of that.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use http::{HeaderValue, Uri, header};
use mesh_proto::{Class, Code, SUBPROTOCOL};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_websockets::{ClientBuilder, CloseCode, Config, Limits, Message, WebSocketStream, upgrade};

use crate::connector::Connector;
use crate::error::{ClientError, Result};
use crate::heard::{Heard, LastByte};
use crate::lock::Lock;
use crate::session::{Action, Session};
use crate::{Reason, Status};

/// Bytes of one message from the server (8 MiB): a page of history with one large message, a large record.
const MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Frames that wait to be written. Over it: nothing is read until the server has taken some.
const FRAMES_MAX: usize = 2048;
/// How long a close may take to be said.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// The code of a connection that broke.
const BROKEN: u16 = 1006;

/// Fetches a credential as JSON.
pub(crate) type FetchCredential =
    Arc<dyn Fn(Reason) -> BoxFuture<'static, Result<Option<String>>> + Send + Sync>;

/// What the handles and the task of a client share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) session: Lock<Session>,
    /// The session has something to do that no socket and no clock has told it.
    pub(crate) wake: Notify,
    /// What the session's status is, for who watches it. Only the task says so, and not while it holds the session: who
    /// looks at it may do as he likes.
    pub(crate) status: watch::Sender<Status>,
}

/// What the task is told once.
pub(crate) struct Driver {
    pub(crate) shared: Arc<Shared>,
    pub(crate) url: Uri,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) credential: FetchCredential,
}

type Socket = Box<WebSocketStream<Heard>>;

/// A socket of one generation.
struct Open {
    generation: u64,
    last_byte: LastByte,
    reader: SplitStream<Socket>,
    writer: SplitSink<Socket, Message>,
    frames: Frames,
    /// Whether the sink may hold frames that the socket has not taken.
    is_unwritten: bool,
}

/// What is to be written.
#[derive(Default)]
struct Frames {
    queue: VecDeque<Message>,
    /// Bytes that the sink has taken since the session was told.
    taken: usize,
}

/// Why no socket could be opened.
struct Undialable {
    class: Class,
    error: ClientError,
}

/// What happened.
enum Happened {
    Woken,
    Due,
    Credential(u64, Result<Option<String>>),
    Dialled(u64, std::result::Result<Socket, Undialable>),
    Written(std::result::Result<(), tokio_websockets::Error>),
    Read(Option<std::result::Result<Message, tokio_websockets::Error>>),
}

impl Driver {
    /// Until the session is over.
    pub(crate) async fn run(self) {
        let mut credential: Option<(u64, BoxFuture<'static, Result<Option<String>>>)> = None;
        let mut dial: Option<(u64, BoxFuture<'static, std::result::Result<Socket, Undialable>>)> = None;
        let mut open: Option<Open> = None;
        loop {
            while let Some(action) = self.shared.session.with(Session::take) {
                match action {
                    Action::Credential(generation, reason) => {
                        (dial, open) = (None, None);
                        credential = Some((generation, (self.credential)(reason)));
                    }
                    Action::Dial(generation) => {
                        let dialled = dial_socket(self.connector.clone(), self.url.clone());
                        dial = Some((generation, Box::pin(dialled)));
                    }
                    Action::Send(generation, text) => {
                        if let Some(open) = open.as_mut().filter(|open| open.generation == generation) {
                            open.frames.queue.push_back(Message::text(text));
                            open.is_unwritten = true;
                        }
                    }
                    Action::Hangup { generation, code, is_dead } => {
                        dial = None;
                        if let Some(open) = open.take_if(|open| open.generation == generation)
                            && !is_dead
                        {
                            hangup(open, code).await;
                        }
                    }
                }
            }
            let (status, due) = self.shared.session.with(|session| (session.status(), session.due_at()));
            self.shared.status.send_if_modified(|old| std::mem::replace(old, status) != status);
            if status == Status::Offline {
                return;
            }
            let happened = tokio::select! {
                biased;
                () = self.shared.wake.notified() => Happened::Woken,
                (generation, fetched) = in_turn(&mut credential) => Happened::Credential(generation, fetched),
                (generation, dialled) = in_turn(&mut dial) => Happened::Dialled(generation, dialled),
                happened = serve(&mut open) => happened,
                () = until(due) => Happened::Due,
            };
            let now = Instant::now();
            match happened {
                Happened::Credential(..) => credential = None,
                Happened::Dialled(..) => dial = None,
                _ => {}
            }
            let is_gone = self.shared.session.with(|session| tell(session, &mut open, happened, now));
            if is_gone && let Some(mut open) = open.take() {
                // The library answers a close on the way to the end of the stream.
                let _ = timeout(CLOSE_TIMEOUT, open.reader.next()).await;
            }
        }
    }
}

/// Tell the session; answer whether the socket is gone.
fn tell(session: &mut Session, open: &mut Option<Open>, happened: Happened, now: Instant) -> bool {
    let generation = open.as_ref().map_or(0, |open| open.generation);
    let broken = |session: &mut Session| {
        session.closed(generation, BROKEN, "", now);
        true
    };
    let is_gone = match happened {
        Happened::Woken | Happened::Due => false,
        Happened::Written(Ok(())) => {
            if let Some(open) = open {
                open.is_unwritten = false;
            }
            false
        }
        Happened::Credential(generation, Ok(body)) => {
            session.credential(generation, body, now);
            false
        }
        Happened::Credential(generation, Err(error)) => {
            session.credential_failed(generation, error, now);
            false
        }
        Happened::Dialled(generation, Ok(socket)) => {
            let last_byte = socket.get_ref().last_byte();
            let (writer, reader) = socket.split();
            let frames = Frames::default();
            *open = Some(Open { generation, last_byte, reader, writer, frames, is_unwritten: false });
            session.opened(generation, now);
            false
        }
        Happened::Dialled(generation, Err(Undialable { class, error })) => {
            session.undialable(generation, class, error, now);
            false
        }
        Happened::Written(Err(_)) | Happened::Read(None | Some(Err(_))) => broken(session),
        Happened::Read(Some(Ok(message))) => {
            if let Some((code, reason)) = message.as_close() {
                session.closed(generation, code.into(), reason, now);
                true
            } else {
                if let Some(text) = message.as_text() {
                    session.frame(generation, text, now);
                }
                false
            }
        }
    };
    if let Some(open) = open {
        session.heard(open.generation, open.last_byte.at());
        session.written(open.generation, std::mem::take(&mut open.frames.taken));
    }
    session.time(now);
    is_gone
}

/// What is done first of what is under way; never, if nothing is.
async fn in_turn<T>(work: &mut Option<(u64, BoxFuture<'static, T>)>) -> (u64, T) {
    match work {
        Some((generation, future)) => (*generation, future.await),
        None => pending().await,
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}

/// Write what waits, and read.
async fn serve(open: &mut Option<Open>) -> Happened {
    let Some(Open { reader, writer, frames, is_unwritten, .. }) = open else { return pending().await };
    let may_read = frames.queue.len() < FRAMES_MAX;
    tokio::select! {
        biased;
        written = write(writer, frames), if *is_unwritten => Happened::Written(written),
        read = reader.next(), if may_read => Happened::Read(read),
    }
}

/// A frame leaves the queue once the sink has it, so nothing is lost or doubled if this is dropped halfway.
async fn write(
    writer: &mut SplitSink<Socket, Message>,
    frames: &mut Frames,
) -> std::result::Result<(), tokio_websockets::Error> {
    while let Some(frame) = frames.queue.front() {
        let bytes = frame.as_payload().len();
        writer.feed(frame.clone()).await?;
        frames.queue.pop_front();
        frames.taken += bytes;
    }
    writer.flush().await
}

/// Say goodbye, if the peer takes it in time.
async fn hangup(mut open: Open, code: u16) {
    let code = CloseCode::try_from(code).unwrap_or(CloseCode::NORMAL_CLOSURE);
    open.frames.queue.push_back(Message::close(Some(code), ""));
    let _ = timeout(CLOSE_TIMEOUT, write(&mut open.writer, &mut open.frames)).await;
}

async fn dial_socket(connector: Arc<dyn Connector>, url: Uri) -> std::result::Result<Socket, Undialable> {
    let passing = |why: String| Undialable { class: Class::Retry, error: ClientError::unreachable(why) };
    let stream = connector.connect(url.clone()).await.map_err(|error| passing(error.to_string()))?;
    let stream = Heard::new(stream);
    let protocol = HeaderValue::from_static(SUBPROTOCOL);
    let builder = ClientBuilder::from_uri(url)
        .limits(Limits::default().max_payload_len(Some(MESSAGE_BYTES_MAX)))
        .config(Config::default())
        .add_header(header::SEC_WEBSOCKET_PROTOCOL, protocol)
        .map_err(|error| passing(error.to_string()))?;
    match builder.connect_on(stream).await {
        Ok((socket, _)) => Ok(Box::new(socket)),
        Err(tokio_websockets::Error::Upgrade(upgrade::Error::DidNotSwitchProtocols(status))) => {
            Err(refused(status))
        }
        Err(error) => Err(passing(error.to_string())),
    }
}

/// What an answer other than 101 means.
fn refused(status: u16) -> Undialable {
    let why = format!("the server answered the handshake with {status}");
    match status {
        401 => Undialable { class: Class::Refresh, error: ClientError::give_up(Code::Unauthorized, why) },
        403 => Undialable { class: Class::GiveUp, error: ClientError::give_up(Code::Forbidden, why) },
        _ => Undialable { class: Class::Retry, error: ClientError::unreachable(why) },
    }
}
