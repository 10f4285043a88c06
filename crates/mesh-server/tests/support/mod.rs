//! The servers that tests talk to.
#![allow(dead_code, unreachable_pub, reason = "each test file takes what it needs")]

use std::time::Duration;

pub use mesh_server::testing::Client;
use mesh_server::{
    Builder, Channel, Conn, Entropy, Mesh, MeshError, Name, Payload, Record, Result, Room, any, prefix,
};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

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
        .command("recheck", async |mesh: Mesh, conn: Conn| mesh.conn(conn.id()).recheck().await)
        .room(prefix("secret:"), Room::open().guard(async |_: Name| false))
        .room(prefix("room:"), Room::open())
        .channel(prefix("chat:"), Channel::open().history(50).publish(async || true))
        .channel(prefix("live:"), Channel::open().publish(async || true))
        .channel(
            prefix("secret:"),
            Channel::open().guard(async |_: Name| false).publish(async |_: Name| false),
        )
        .channel(prefix("member:"), Channel::open().guard(is_member))
        .record(prefix("doc:"), Record::open().write(async || true))
        .record(prefix("locked:"), Record::open())
        .record(prefix("member:"), Record::open().read(is_member))
        .record(prefix("secret:"), Record::open().read(async |_: Name| false).write(async |_: Name| false))
        .connection_metadata(async || true)
}

async fn is_member(conn: Conn) -> Result<bool> {
    Ok(conn.metadata::<Value>()?.is_none_or(|metadata| metadata["banned"] != true))
}

/// Every room is open.
pub fn open_server() -> Builder<()> {
    Mesh::builder()
        .entropy(Entropy::from_seed(1))
        .room(any(), Room::open())
        .command("whoami", async |conn: Conn| conn.id())
}

pub fn dial(mesh: &Mesh) -> Client {
    Client::dial(mesh)
}

pub fn connect(mesh: &Mesh, hello: bool) -> Client {
    if hello { Client::dial_hello(mesh) } else { Client::dial(mesh) }
}

/// A client whose own end holds one frame: what it does not read stays in its socket and its outbox.
pub fn dial_slow(mesh: &Mesh) -> Client {
    Client::dial_with(mesh, false, 1)
}

pub fn code_of(failure: &Value) -> &str {
    failure["code"].as_str().unwrap_or_default()
}
