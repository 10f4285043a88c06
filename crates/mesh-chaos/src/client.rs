//! A WebSocket client of the origin's protocol, small enough for ten thousand of them in one process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt, stream};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_websockets::{ClientBuilder, MaybeTlsStream, Message, WebSocketStream};

/// How long a handshake and an answer may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(30);
/// Handshakes, or commands, of many clients at once.
const AT_ONCE: usize = 64;
/// Pushes that one client keeps. More of them are a mistake of the test.
const PUSHES_MAX: usize = 100_000;
/// Frames that wait to be sent.
const FRAMES_MAX: usize = 256;

/// A connection that answers pings and keeps what is pushed to it. It is closed when this is dropped.
#[derive(Debug)]
pub struct Client {
    out: mpsc::Sender<Message>,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    numbers: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Value>>,
    pushes: Vec<(String, Value)>,
    closed: Option<String>,
}

/// Why a command failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The code on the wire.
    pub code: String,
    /// For a person.
    pub message: String,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

impl Client {
    /// Connect.
    ///
    /// # Panics
    /// If there is no handshake in time.
    pub async fn connect(addr: SocketAddr) -> Self {
        let url = format!("ws://{addr}/");
        let builder = ClientBuilder::new().uri(&url).expect("a URL");
        let connected = timeout(PATIENCE, builder.connect()).await.expect("a handshake in time");
        let (socket, _) = connected.expect("a handshake");
        let (out, sending) = mpsc::channel(FRAMES_MAX);
        let state = Arc::new(Mutex::new(State::default()));
        let task = tokio::spawn(run(socket, sending, state.clone()));
        Self { out, state, task }
    }

    /// What is answered to a command.
    ///
    /// # Errors
    /// What the server says is wrong; `closed` if the connection is over.
    ///
    /// # Panics
    /// If no answer comes.
    pub async fn ask(&self, command: &str, payload: Value) -> Result<Value, Failure> {
        let (tell, told) = oneshot::channel();
        let number = self.with(|state| {
            state.numbers += 1;
            state.waiting.insert(state.numbers, tell);
            state.numbers
        });
        let closed = || Failure { code: "closed".to_owned(), message: "the connection is over".to_owned() };
        let frame = json!({"id": number, "command": command, "payload": payload}).to_string();
        if self.out.send(Message::text(frame)).await.is_err() || self.closed().is_some() {
            return Err(closed());
        }
        let answer = timeout(PATIENCE, told).await.unwrap_or_else(|_| panic!("no answer to {command}"));
        judge(answer.map_err(|_| closed())?)
    }

    /// Join a room.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn join(&self, room: &str) -> Result<Value, Failure> {
        self.ask("mesh/join-room", json!({"roomName": room})).await
    }

    /// Leave a room.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn leave(&self, room: &str) -> Result<Value, Failure> {
        self.ask("mesh/leave-room", json!({"roomName": room})).await
    }

    /// Who is in a room, by the instance that this is connected to.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn members(&self, room: &str) -> Result<Vec<String>, Failure> {
        let members = self.ask("members", json!({"room": room})).await?;
        let ids = members["ids"].as_array().into_iter().flatten();
        Ok(ids.filter_map(|id| id.as_str().map(str::to_owned)).collect())
    }

    /// Have the instance that this is connected to broadcast to a room.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn broadcast(&self, room: &str, command: &str, payload: Value) -> Result<Value, Failure> {
        self.ask("broadcast", json!({"room": room, "command": command, "payload": payload})).await
    }

    /// Its id.
    ///
    /// # Panics
    /// If the server does not tell.
    pub async fn id(&self) -> String {
        let id = self.ask("whoami", Value::Null).await.expect("an id");
        id.as_str().expect("a string").to_owned()
    }

    /// The incarnation of the instance that it is on, as another instance would look it up.
    ///
    /// # Panics
    /// If it is not known.
    pub async fn incarnation(&self) -> String {
        let id = self.id().await;
        let found = self.ask("instance", json!({"id": id})).await.expect("an answer");
        found.as_str().expect("an incarnation").to_owned()
    }

    /// A counter of the instance that this is connected to.
    ///
    /// # Panics
    /// If there is none of this name.
    pub async fn stat(&self, name: &str) -> u64 {
        let stats = self.ask("stats", Value::Null).await.expect("stats");
        stats[name].as_u64().unwrap_or_else(|| panic!("no {name} in {stats}"))
    }

    /// What was pushed with this command until now.
    pub fn pushes(&self, command: &str) -> Vec<Value> {
        let of = |pushes: &[(String, Value)]| {
            pushes.iter().filter(|(name, _)| name == command).map(|(_, payload)| payload.clone()).collect()
        };
        self.with(|state| of(&state.pushes))
    }

    /// How often something was pushed with this command.
    pub fn pushed(&self, command: &str) -> usize {
        self.with(|state| state.pushes.iter().filter(|(name, _)| name == command).count())
    }

    /// Why the connection is over, if it is.
    pub fn closed(&self) -> Option<String> {
        self.with(|state| state.closed.clone())
    }

    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        with(&self.state, f)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// So many clients of one server.
pub async fn connect_many(addr: SocketAddr, count: usize) -> Vec<Client> {
    let connecting = stream::iter(0..count).map(|_| Client::connect(addr));
    connecting.buffered(AT_ONCE).collect().await
}

/// Do something with each client, some at once, and give what comes of it, in their order.
pub async fn each<'a, R, F: Future<Output = R>>(
    clients: &'a [Client],
    mut does: impl FnMut(usize, &'a Client) -> F,
) -> Vec<R> {
    let doing = clients.iter().enumerate().map(|(number, client)| does(number, client));
    stream::iter(doing).buffered(AT_ONCE).collect().await
}

/// The payload of an answer, or the error that it is.
fn judge(mut frame: Value) -> Result<Value, Failure> {
    let member = if frame.get("error").is_some() { "error" } else { "payload" };
    let answer = frame[member].take();
    let text = |member: &str| answer[member].as_str().map(str::to_owned);
    match (text("code"), text("error").or_else(|| text("message"))) {
        (Some(code), Some(message)) => Err(Failure { code, message }),
        _ => Ok(answer),
    }
}

fn with<R>(state: &Mutex<State>, f: impl FnOnce(&mut State) -> R) -> R {
    f(&mut state.lock().unwrap_or_else(PoisonError::into_inner))
}

async fn run(mut socket: Socket, mut sending: mpsc::Receiver<Message>, state: Arc<Mutex<State>>) {
    let why = loop {
        let sent = tokio::select! {
            biased;
            message = socket.next() => match message {
                None => break "it ended".to_owned(),
                Some(Err(error)) => break error.to_string(),
                Some(Ok(message)) if message.is_close() => break format!("{:?}", message.as_close()),
                Some(Ok(message)) => match hear(message.as_text().unwrap_or_default(), &state) {
                    None => Ok(()),
                    Some(answer) => socket.send(Message::text(answer)).await,
                },
            },
            frame = sending.recv() => match frame {
                None => break "dropped".to_owned(),
                Some(frame) => socket.send(frame).await,
            },
        };
        if let Err(error) = sent {
            break error.to_string();
        }
    };
    with(&state, |state| {
        state.closed = Some(why);
        state.waiting.clear();
    });
}

/// Take a frame in. Gives what to answer.
fn hear(text: &str, state: &Mutex<State>) -> Option<&'static str> {
    let mut frame: Value = serde_json::from_str(text).ok()?;
    if let Some(id) = frame.get("id").and_then(Value::as_u64) {
        let waiting = with(state, |state| state.waiting.remove(&id))?;
        // Whoever asked may have given up.
        let _ = waiting.send(frame);
        return None;
    }
    let command = frame["command"].as_str()?.to_owned();
    match &*command {
        "ping" => return Some(r#"{"command":"pong","payload":{}}"#),
        "latency:request" => return Some(r#"{"command":"latency:response","payload":{}}"#),
        "latency" => return None,
        _ => {}
    }
    let payload = frame["payload"].take();
    with(state, |state| {
        assert!(state.pushes.len() < PUSHES_MAX, "too many pushes for a test");
        state.pushes.push((command, payload));
    });
    None
}
