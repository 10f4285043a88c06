//! A client at the other end of an in-memory socket.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{sink, stream};
use mesh_proto::ConnId;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::hub::PIPE_BYTES;
use crate::mesh::Mesh;

/// Long enough for everything that takes no time, short against every interval.
const AT_ONCE: Duration = Duration::from_millis(2);
/// Frames that a client's own end holds, in each direction.
const FRAMES: usize = 4096;

/// A client that speaks the protocol frame by frame: no ports, no sleeping. It answers no ping by itself, so on a paused
/// clock it is closed after three intervals unless it is made to [`answer_pings`](Self::answer_pings).
#[derive(Debug)]
pub struct Client {
    tx: mpsc::Sender<Bytes>,
    rx: mpsc::Receiver<Bytes>,
}

/// Why a command failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    /// The code on the wire: `ENOTFOUND` to a client of the origin, `not_found` to one that said hello.
    pub code: String,
    /// For a person.
    pub message: String,
}

impl Client {
    /// A client of the origin.
    pub fn dial(mesh: &Mesh) -> Self {
        Self::dial_with(mesh, false, FRAMES)
    }

    /// One that offers `mesh.v1`: its first frame has to be `mesh/hello`.
    pub fn dial_hello(mesh: &Mesh) -> Self {
        Self::dial_with(mesh, true, FRAMES)
    }

    /// One whose own end holds so many frames: what it does not read stays in its socket, then in its outbox.
    pub fn dial_with(mesh: &Mesh, hello: bool, holds: usize) -> Self {
        Self::dial_through(mesh, hello, holds, PIPE_BYTES)
    }

    /// The same through a socket that holds so many bytes in each direction.
    pub fn dial_through(mesh: &Mesh, hello: bool, holds: usize, socket_bytes: usize) -> Self {
        let (tx, from_client) = mpsc::channel::<Bytes>(FRAMES);
        let (to_client, rx) = mpsc::channel::<Bytes>(holds);
        let reader = Box::pin(stream::unfold(from_client, async |mut from| {
            from.recv().await.map(|frame| (frame, from))
        }));
        let writer = Box::pin(sink::unfold(to_client, async |to, frame: Bytes| match to.send(frame).await {
            Ok(()) => Ok(to),
            Err(_) => Err(()),
        }));
        let mesh = mesh.clone();
        tokio::spawn(async move { mesh.serve_through(reader, writer, hello, socket_bytes).await });
        Self { tx, rx }
    }

    /// Send a frame as it stands. A server that has closed takes nothing more, which the next [`recv`](Self::recv) shows.
    pub async fn send_text(&self, text: &str) {
        let _ = self.tx.send(Bytes::copy_from_slice(text.as_bytes())).await;
    }

    /// Send a frame.
    pub async fn send(&self, frame: Value) {
        self.send_text(&frame.to_string()).await;
    }

    /// The next frame, however long it takes; `None` once the connection is over. A close is the string `"close 4202"`.
    pub async fn recv(&mut self) -> Option<Value> {
        let text = self.recv_text().await?;
        Some(serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// The same as it came, not parsed.
    pub async fn recv_text(&mut self) -> Option<String> {
        self.rx.recv().await.map(|frame| String::from_utf8_lossy(&frame).into_owned())
    }

    /// The next frame; `None` if there is none at once.
    pub async fn try_recv(&mut self) -> Option<Value> {
        tokio::time::timeout(AT_ONCE, self.recv()).await.ok()?
    }

    /// The answer to a command, with pushes before it left out: its payload, or its `error`.
    ///
    /// # Panics
    /// If the connection ends before the answer.
    pub async fn ask(&mut self, command: &str, payload: Value) -> Value {
        self.send(json!({"id": 1, "command": command, "payload": payload})).await;
        loop {
            let mut frame = self.recv().await.expect("an answer");
            if frame.get("id").is_some() {
                let member = if frame.get("error").is_some() { "error" } else { "payload" };
                return frame[member].take();
            }
        }
    }

    /// The same, as a result.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn command(&mut self, command: &str, payload: Value) -> Result<Value, Failure> {
        let answer = self.ask(command, payload).await;
        let text = |member: &str| answer[member].as_str().map(str::to_owned);
        match (text("code"), text("error").or_else(|| text("message"))) {
            (Some(code), Some(message)) => Err(Failure { code, message }),
            _ => Ok(answer),
        }
    }

    /// The next push of the application, as its command and payload; `None` if there is none at once.
    pub async fn push(&mut self) -> Option<(String, Value)> {
        loop {
            let mut frame = self.try_recv().await?;
            let command = frame["command"].as_str().unwrap_or_default().to_owned();
            if frame.get("id").is_none() && !matches!(&*command, "ping" | "latency" | "latency:request") {
                return Some((command, frame["payload"].take()));
            }
        }
    }

    /// The connection's id, by a command `whoami` that the application has.
    ///
    /// # Panics
    /// If it has none.
    pub async fn id(&mut self) -> ConnId {
        let id = self.ask("whoami", Value::Null).await;
        id.as_str().and_then(|id| id.parse().ok()).expect("`whoami` answers with the id")
    }

    /// Answer pings from now on, in a task, and let everything else that comes go. Ends with the connection.
    pub fn answer_pings(mut self) -> tokio::task::JoinHandle<()> {
        tokio::spawn(async move {
            while let Some(frame) = self.recv().await {
                if frame["command"] == "ping" {
                    self.send(json!({"command": "pong", "payload": {}})).await;
                }
            }
        })
    }
}
