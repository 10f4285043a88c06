//! A server that does what a test says, at the other end of a stream in memory.
#![allow(dead_code, unreachable_pub, reason = "each test file takes what it needs")]

pub mod balancer;
pub mod calls;
pub mod chat;
pub mod memory;

use std::io;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use mesh_client::{Builder, Client, Entropy};
use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_websockets::{CloseCode, Message, ServerBuilder, WebSocketStream};

/// Bytes that one direction of a stream holds.
const STREAM_BYTES: usize = 1024 * 1024;
/// Dials that a test has not accepted yet.
const DIALS_MAX: usize = 16;
/// Long enough for everything that takes no time, short against every interval.
const AT_ONCE: Duration = Duration::from_millis(1);
/// After that a test fails. On a paused clock this takes no time either.
const PATIENCE: Duration = Duration::from_secs(600);

pub const PING_INTERVAL_MS: u64 = 10_000;

/// Where the client's dials arrive.
pub struct Server {
    dials: mpsc::Receiver<DuplexStream>,
}

/// One connection, as the server has it.
pub struct Link {
    socket: WebSocketStream<DuplexStream>,
}

/// A client that is not started yet, and the server that it will dial.
pub fn pair() -> (Builder, Server) {
    let (dialled, dials) = mpsc::channel(DIALS_MAX);
    let builder =
        Client::builder("ws://in.memory/mesh").entropy(Entropy::from_seed(1)).connector(move |_| {
            let dialled = dialled.clone();
            async move {
                let (ours, theirs) = tokio::io::duplex(STREAM_BYTES);
                match dialled.send(theirs).await {
                    Ok(()) => Ok(ours),
                    Err(_) => Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
                }
            }
        });
    (builder, Server { dials })
}

/// A client that is connected.
pub async fn connected() -> (Client, Server, Link) {
    let (builder, mut server) = pair();
    let client = builder.start().expect("an address");
    let link = server.welcome().await;
    client.connected().await.expect("a connection");
    (client, server, link)
}

/// Let everything happen that takes no time.
pub async fn settle() {
    sleep(AT_ONCE).await;
}

/// The answer to a hello.
pub fn welcome() -> Value {
    json!({
        "protocol": 1, "connectionId": "conn-00000000000000000000000000000001", "serverTime": 12,
        "pingInterval": PING_INTERVAL_MS, "limits": {"messageBytes": 262_144, "inFlight": 32, "waiting": 1024},
    })
}

impl Server {
    /// The next connection, up to its 101.
    pub async fn accept(&mut self) -> Link {
        let stream = timeout(PATIENCE, self.dials.recv()).await.expect("a dial in time").expect("a dial");
        let (request, socket) = ServerBuilder::new().accept(stream).await.expect("a handshake");
        let protocol = request.headers().get("sec-websocket-protocol").expect("a subprotocol");
        assert_eq!(protocol, "mesh.v1");
        Link { socket }
    }

    /// The next connection, up to the answer to its hello.
    pub async fn welcome(&mut self) -> Link {
        let mut link = self.accept().await;
        let id = link.expect("mesh/hello", json!({"protocol": 1})).await;
        link.answer(id, welcome()).await;
        link
    }

    /// The same, if somebody dials now.
    pub async fn try_welcome(&mut self) -> Option<Link> {
        let stream = timeout(AT_ONCE, self.dials.recv()).await.ok()??;
        let (_, socket) = ServerBuilder::new().accept(stream).await.ok()?;
        let mut link = Link { socket };
        let id = link.expect("mesh/hello", json!({"protocol": 1})).await;
        link.answer(id, welcome()).await;
        Some(link)
    }

    /// The next connection is lost before it is one.
    pub async fn refuse(&mut self) {
        drop(timeout(PATIENCE, self.dials.recv()).await.expect("a dial in time").expect("a dial"));
    }

    /// That nothing dials.
    pub async fn nothing(&mut self) {
        assert!(!matches!(timeout(AT_ONCE, self.dials.recv()).await, Ok(Some(_))), "a dial");
    }
}

impl Link {
    /// The next frame; `None` if the client has closed, `{"close": code}` if it said so.
    pub async fn recv(&mut self) -> Option<Value> {
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await.expect("a frame in time")?.ok()?;
            if let Some((code, _)) = message.as_close() {
                return Some(json!({ "close": u16::from(code) }));
            }
            if let Some(text) = message.as_text() {
                return Some(serde_json::from_str(text).expect("JSON"));
            }
        }
    }

    /// The next frame, if there is one now.
    pub async fn try_recv(&mut self) -> Option<Value> {
        timeout(AT_ONCE, self.recv()).await.ok()?
    }

    /// The next frame is that command; its id.
    pub async fn expect(&mut self, command: &str, payload: Value) -> u64 {
        let frame = self.recv().await.expect("a frame");
        assert_eq!(frame["command"], command, "{frame}");
        assert_eq!(frame["payload"], payload, "{frame}");
        frame["id"].as_u64().expect("an id")
    }

    /// The next frame is that command, whatever its payload.
    pub async fn expect_any(&mut self, command: &str) -> (u64, Value) {
        let mut frame = self.recv().await.expect("a frame");
        assert_eq!(frame["command"], command, "{frame}");
        (frame["id"].as_u64().expect("an id"), frame["payload"].take())
    }

    pub async fn answer(&mut self, id: u64, payload: Value) {
        self.send(json!({"id": id, "command": "", "payload": payload})).await;
    }

    pub async fn fail(&mut self, id: u64, code: &str, retryable: bool) {
        let error = json!({"code": code, "message": "no", "retryable": retryable});
        self.send(json!({"id": id, "command": "", "error": error})).await;
    }

    pub async fn push(&mut self, command: &str, payload: Value) {
        self.send(json!({"command": command, "payload": payload})).await;
    }

    pub async fn send(&mut self, frame: Value) {
        self.socket.send(Message::text(frame.to_string())).await.expect("an open socket");
    }

    /// Bytes past the WebSocket.
    pub async fn write_raw(&mut self, bytes: &[u8]) {
        self.socket.get_mut().write_all(bytes).await.expect("an open stream");
    }

    pub async fn close(mut self, code: u16) {
        let code = CloseCode::try_from(code).expect("a close code");
        self.socket.send(Message::close(Some(code), "")).await.expect("an open socket");
        while self.recv().await.is_some() {}
    }

    /// That the client sends nothing at once.
    pub async fn nothing(&mut self) {
        if let Ok(Some(Ok(message))) = timeout(AT_ONCE, self.socket.next()).await {
            panic!("a frame: {message:?}");
        }
    }
}
