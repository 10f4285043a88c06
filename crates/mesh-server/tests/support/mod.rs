//! A client at the other end of an in-memory socket: no ports, no sleeping, time passes when everybody waits.
#![allow(dead_code, unreachable_pub, reason = "each test file takes what it needs")]

use std::time::Duration;

use bytes::Bytes;
use futures_util::{sink, stream};
use mesh_server::{Builder, Conn, Entropy, Mesh, MeshError, Name, Payload, Result, Room, any, prefix};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// The server that `protocol/vectors/README.md` describes.
pub fn vectors_server() -> Builder<()> {
    #[derive(Deserialize)]
    struct Fail {
        code: String,
        message: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct SetRoomMetadata {
        room_name: String,
        metadata: Value,
    }
    #[derive(Deserialize)]
    struct SetMyMetadata {
        metadata: Value,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Broadcast {
        room_name: String,
        command: String,
        payload: Value,
    }
    Mesh::builder()
        .entropy(Entropy::from_seed(1))
        .limits(|limits| limits.latency_interval = Duration::from_secs(4))
        .command("echo", async |Payload(payload): Payload<Box<RawValue>>| payload)
        .command("fail", async |Payload(fail): Payload<Fail>| -> Result<()> {
            Err(MeshError::app(fail.code, fail.message))
        })
        .command("panic", async || -> () { panic!("on purpose") })
        .command("whoami", async |conn: Conn| conn.id())
        .command("set-room-metadata", async |mesh: Mesh, Payload(set): Payload<SetRoomMetadata>| {
            mesh.room(&set.room_name).set_metadata(&set.metadata).await.map(|()| true)
        })
        .command("set-my-metadata", async |conn: Conn, Payload(set): Payload<SetMyMetadata>| {
            conn.set_metadata(&set.metadata).await.map(|()| true)
        })
        .command("broadcast", async |mesh: Mesh, Payload(it): Payload<Broadcast>| {
            mesh.room(&it.room_name).broadcast(&it.command, &it.payload).await.map(|()| true)
        })
        .room(prefix("secret:"), Room::open().guard(async |_: Name| false))
        .room(prefix("room:"), Room::open())
        .connection_metadata(async || true)
}

/// Every room is open.
pub fn open_server() -> Builder<()> {
    Mesh::builder()
        .entropy(Entropy::from_seed(1))
        .room(any(), Room::open())
        .command("whoami", async |conn: Conn| conn.id())
}

pub struct Client {
    tx: mpsc::Sender<Bytes>,
    rx: mpsc::Receiver<Bytes>,
}

/// Long enough for everything that takes no time, short against every interval.
const AT_ONCE: Duration = Duration::from_millis(2);

pub fn dial(mesh: &Mesh) -> Client {
    connect(mesh, false)
}

/// A client whose own end holds one frame: what it does not read stays in its socket and its outbox.
pub fn dial_slow(mesh: &Mesh) -> Client {
    connect_with(mesh, false, 1)
}

pub fn connect(mesh: &Mesh, hello: bool) -> Client {
    connect_with(mesh, hello, 4096)
}

fn connect_with(mesh: &Mesh, hello: bool, holds: usize) -> Client {
    let (tx, from_client) = mpsc::channel::<Bytes>(4096);
    let (to_client, rx) = mpsc::channel::<Bytes>(holds);
    let reader =
        Box::pin(stream::unfold(from_client, async |mut from| from.recv().await.map(|frame| (frame, from))));
    let writer = Box::pin(sink::unfold(to_client, async |to, frame: Bytes| match to.send(frame).await {
        Ok(()) => Ok(to),
        Err(_) => Err(()),
    }));
    let mesh = mesh.clone();
    tokio::spawn(async move { mesh.serve(reader, writer, hello).await });
    Client { tx, rx }
}

impl Client {
    pub async fn send_text(&self, text: &str) {
        // A server that has closed takes nothing more, which the next `recv` shows.
        let _ = self.tx.send(Bytes::copy_from_slice(text.as_bytes())).await;
    }

    pub async fn send(&self, value: Value) {
        self.send_text(&value.to_string()).await;
    }

    /// The next frame, a close as `"close 4202"`; `None` if there is none at once.
    pub async fn try_recv(&mut self) -> Option<Value> {
        let frame = tokio::time::timeout(AT_ONCE, self.rx.recv()).await.ok()??;
        let text = std::str::from_utf8(&frame).expect("UTF-8");
        Some(serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.into())))
    }

    /// The next frame, however long it takes; `None` once the connection is over.
    pub async fn recv(&mut self) -> Option<Value> {
        let frame = self.rx.recv().await?;
        let text = std::str::from_utf8(&frame).expect("UTF-8");
        Some(serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.into())))
    }

    /// The same as it came, not parsed.
    pub async fn recv_text(&mut self) -> Option<String> {
        let frame = self.rx.recv().await?;
        Some(std::str::from_utf8(&frame).expect("UTF-8").to_owned())
    }

    /// The answer to a command, with pushes before it left out.
    pub async fn ask(&mut self, command: &str, payload: Value) -> Value {
        self.send(json!({"id": 1, "command": command, "payload": payload})).await;
        loop {
            let frame = self.recv().await.expect("an answer");
            if frame.get("id").is_some() {
                return frame["payload"].clone();
            }
        }
    }

    /// The next push of an application, with pings left out; `None` if there is none at once.
    pub async fn push(&mut self) -> Option<(String, Value)> {
        loop {
            let frame = self.try_recv().await?;
            let command = frame["command"].as_str().unwrap_or_default().to_owned();
            if frame.get("id").is_none() && !matches!(&*command, "ping" | "latency" | "latency:request") {
                return Some((command, frame["payload"].clone()));
            }
        }
    }

    pub async fn id(&mut self) -> mesh_server::ConnId {
        let id = self.ask("whoami", json!(null)).await;
        id.as_str().expect("an id").parse().expect("an id")
    }
}

pub fn code_of(failure: &Value) -> &str {
    failure["code"].as_str().unwrap_or_default()
}
