//! A Mesh server for tests that hurt it: `mesh-node <address> <redis> <namespace>`, where the Redis is a URL,
//! `sentinel:<master>@<host:port>,..` or `cluster:<host:port>,..`.
//!
//! It prints `listening <address>` once it does, and a line for each `on_join`, `on_leave`, `on_disconnect` and fault.
//! All rooms are open, and its commands tell and do what an application could.

use std::io::Write;
use std::sync::mpsc::{SyncSender, sync_channel};

use mesh_redis::Redis;
use mesh_server::{
    Builder, Channel, Conn, ConnId, Fault, Mesh, MeshError, Name, Payload, Record, Result, Room, any, prefix,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// Lines that wait to be printed; with more of them whoever has one waits.
const LINES_MAX: usize = 100_000;

#[derive(Deserialize)]
struct InRoom {
    room: String,
}

#[derive(Deserialize)]
struct OfConn {
    id: String,
}

#[derive(Deserialize)]
struct InRoomOfConn {
    room: String,
    id: String,
}

#[derive(Deserialize)]
struct Broadcast {
    room: String,
    command: String,
    payload: Value,
}

#[derive(Deserialize)]
struct SetMetadata {
    metadata: Value,
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [addr, redis, namespace] = &arguments[..] else {
        return Err("usage: mesh-node <address> <redis> <namespace>".into());
    };
    let log = tracing_subscriber::EnvFilter::new("warn");
    tracing_subscriber::fmt().with_env_filter(log).with_ansi(false).init();
    let lines = printer();
    let backend = backend(redis).namespace(namespace.as_str()).build().await?;
    let mesh = server(&lines).backend(backend).build().await?;
    let listening = mesh.listen(addr.as_str()).await?;
    lines.send(format!("listening {}", listening.addr()))?;
    listening.closed().await;
    Ok(())
}

fn backend(redis: &str) -> mesh_redis::Builder {
    if let Some((master, sentinels)) = redis.strip_prefix("sentinel:").and_then(|it| it.split_once('@')) {
        return Redis::builder(&format!("redis://{master}")).sentinel(sentinels.split(','), master);
    }
    match redis.strip_prefix("cluster:") {
        Some(nodes) => {
            let first = nodes.split(',').next().unwrap_or_default();
            Redis::builder(&format!("redis://{first}")).cluster(nodes.split(','))
        }
        None => Redis::builder(redis),
    }
}

fn server(lines: &SyncSender<String>) -> Builder<()> {
    let (join, leave, gone, fault) = (lines.clone(), lines.clone(), lines.clone(), lines.clone());
    let room = Room::open()
        .on_join(async move |conn: Conn, Name(room): Name| say(&join, format!("join {room} {}", conn.id())))
        .on_leave(async move |conn: Conn, Name(room): Name| {
            say(&leave, format!("leave {room} {}", conn.id()));
        });
    Mesh::builder()
        // What waits in the sockets of a paused process arrives at once after it, and its readers share two cores with
        // it: they are not what these tests call slow.
        .limits(|limits| limits.outbox_bytes_max = 32 * 1024 * 1024)
        .room(any(), room)
        .channel(
            prefix("kept:"),
            Channel::open().history(20_000).history_bytes(16 << 20).publish(async || true),
        )
        .channel(prefix("short:"), Channel::open().history(10).publish(async || true))
        .record(prefix("rec:"), Record::open().write(async || true))
        .on_disconnect(async move |conn: Conn| say(&gone, format!("disconnect {}", conn.id())))
        .on_error(move |error: &Fault| say(&fault, format!("fault {error}")))
        .command("whoami", async |conn: Conn| conn.id())
        .command("rooms", async |conn: Conn| conn.rooms())
        .command("instance", async |mesh: Mesh, Payload(it): Payload<OfConn>| {
            Ok::<_, MeshError>(mesh.conn(id(&it.id)?).instance().await?.map(|owner| owner.to_string()))
        })
        .command("members", async |mesh: Mesh, Payload(it): Payload<InRoom>| {
            let members = mesh.room(&it.room).members().await?;
            Ok::<_, MeshError>(json!({"ids": members.ids, "count": members.count}))
        })
        .command("count", async |mesh: Mesh, Payload(it): Payload<InRoom>| mesh.room(&it.room).count().await)
        .command("broadcast", async |mesh: Mesh, Payload(it): Payload<Broadcast>| {
            mesh.room(&it.room).broadcast(&it.command, &it.payload).await.map(|()| true)
        })
        .command("set-metadata", async |conn: Conn, Payload(it): Payload<SetMetadata>| {
            conn.set_metadata(&it.metadata).await.map(|()| true)
        })
        .command("metadata", async |mesh: Mesh, Payload(it): Payload<OfConn>| {
            mesh.conn(id(&it.id)?).metadata::<Value>().await
        })
        .command("add", async |mesh: Mesh, Payload(it): Payload<InRoomOfConn>| {
            mesh.room(&it.room).add(id(&it.id)?).await
        })
        .command("remove", async |mesh: Mesh, Payload(it): Payload<InRoomOfConn>| {
            mesh.room(&it.room).remove(id(&it.id)?).await
        })
        .command("stats", stats)
        .command("readiness", async |mesh: Mesh| {
            let readiness = mesh.readiness();
            json!({"ready": readiness.ready, "trouble": readiness.trouble})
        })
}

async fn stats(mesh: Mesh) -> Value {
    let stats = mesh.stats();
    json!({
        "connections": stats.connections,
        "delivered": stats.delivered,
        "arrivals": stats.arrivals,
        "commands": stats.commands,
        "continuityLost": stats.continuity_lost,
        "revivals": stats.revivals,
        "orphans": stats.orphans,
    })
}

fn id(text: &str) -> Result<ConnId> {
    text.parse().map_err(|_| MeshError::bad_payload("not a connection id"))
}

fn say(lines: &SyncSender<String>, line: String) {
    // Nobody prints any more when this process ends.
    let _ = lines.send(line);
}

/// Prints on a thread of its own, so that a test that reads slowly holds up no hook.
fn printer() -> SyncSender<String> {
    let (tell, told) = sync_channel::<String>(LINES_MAX);
    std::thread::spawn(move || {
        let mut out = std::io::stdout();
        for line in told {
            if writeln!(out, "{line}").is_err() {
                return;
            }
        }
    });
    tell
}
