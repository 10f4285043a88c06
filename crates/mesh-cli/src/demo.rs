//! Live cursors in one room, and a chat in a channel that keeps what was said.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use axum::Router;
use axum::extract::Request;
use axum::routing::any;
use mesh_redis::Redis;
use mesh_server::{
    Backend, Channel, Claims, Conn, ConnId, Login, Memory, Mesh, MeshError, Meta, Payload, Result, Room,
};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::page;

const ROOM: &str = "room:demo";
const CHAT: &str = "chat:lobby";
/// How much of the chat is there for who comes later, or was away.
const CHAT_KEPT: usize = 50;
const TEXT_CHARS_MAX: usize = 500;
const NAME_CHARS_MAX: usize = 24;
/// How long a browser may take over its last request once everything is closed.
const LINGER: Duration = Duration::from_secs(1);

const FIRST: [&str; 16] = [
    "Amber", "Brave", "Calm", "Clever", "Dapper", "Eager", "Fuzzy", "Gentle", "Happy", "Jolly", "Lucky",
    "Mellow", "Nimble", "Quiet", "Swift", "Witty",
];
const SECOND: [&str; 16] = [
    "Badger", "Crane", "Dolphin", "Falcon", "Fox", "Gecko", "Heron", "Ibex", "Koala", "Lynx", "Marmot",
    "Otter", "Panda", "Raven", "Seal", "Wombat",
];
/// Each is readable under white text.
const COLORS: [&str; 12] = [
    "#d6336c", "#ae3ec9", "#7048e8", "#4263eb", "#1c7ed6", "#0c8599", "#099268", "#2b8a3e", "#5c940d",
    "#c2600a", "#d9480f", "#e03131",
];

/// What others see of somebody: the metadata of a connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Profile {
    name: String,
    color: String,
}

#[derive(Debug, Serialize)]
struct Person {
    id: ConnId,
    #[serde(flatten)]
    profile: Profile,
}

#[derive(Debug, Serialize)]
struct Gone {
    id: ConnId,
}

#[derive(Debug, Deserialize)]
struct Say {
    text: String,
}

#[derive(Debug, Serialize)]
struct Chat {
    from: ConnId,
    /// With what others saw of the author then: whoever reads it later may never have met them.
    #[serde(flatten)]
    profile: Profile,
    text: String,
    /// Milliseconds since 1970.
    at: u64,
}

#[derive(Debug, Deserialize)]
struct Point {
    x: f64,
    y: f64,
}

#[derive(Debug, Serialize)]
struct Cursor {
    from: ConnId,
    x: f64,
    y: f64,
}

#[derive(Debug, Deserialize)]
struct Rename {
    name: String,
}

/// Serve until the process is told to stop.
pub(crate) async fn run(addr: SocketAddr, redis: Option<&str>) -> anyhow::Result<()> {
    let backend: Arc<dyn Backend> = match redis {
        None => Arc::new(Memory::default()),
        Some(url) => Arc::new(Redis::connect(url).await?),
    };
    let listener = TcpListener::bind(addr)
        .await
        .with_context(|| format!("cannot listen on {addr} (--addr takes another address)"))?;
    let addr = listener.local_addr()?;
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mesh = mesh(backend).await?;
    let app = app(&mesh).into_make_service_with_connect_info::<SocketAddr>();

    let mut stdout = std::io::stdout();
    // Nobody has to read it.
    let _ = writeln!(stdout, "mesh demo  http://{addr}  open it in two tabs").and_then(|()| stdout.flush());

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = axum::serve(listener, app).with_graceful_shutdown(async move {
        let _ = stopped.await;
    });
    let serving = tokio::spawn(serving.into_future());
    tokio::select! {
        biased;
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("closing");
    mesh.close().await;
    let _ = stop.send(());
    if let Ok(served) = tokio::time::timeout(LINGER, serving).await {
        served??;
    }
    Ok(())
}

/// One path for both: WebSockets are Mesh's, the rest is the page.
fn app(mesh: &Mesh) -> Router {
    let mesh_or_page = {
        let mesh = mesh.clone();
        any(move |request: Request| async move {
            mesh.or_else(request, async |request: Request| page::file(request.into_parts().0.uri).await).await
        })
    };
    // The route of `router` has a path of its own here; what it brings along is `/livez` and `/readyz`.
    Router::new().route("/", mesh_or_page).merge(mesh.router("/mesh")).fallback(page::file)
}

async fn mesh(backend: Arc<dyn Backend>) -> Result<Mesh> {
    let room = Room::open()
        .on_join(async |mesh: Mesh, conn: Conn, Meta(profile): Meta<Profile>| {
            let person = Person { id: conn.id(), profile };
            report(mesh.room(ROOM).broadcast("joined", &person).await);
        })
        .on_leave(async |mesh: Mesh, conn: Conn| {
            report(mesh.room(ROOM).broadcast("left", &Gone { id: conn.id() }).await);
        });
    Mesh::builder()
        .backend(backend)
        .authenticate(|login, ()| async move { Ok(profile_before(&login)) })
        .on_connect(async |conn: Conn, Claims(before): Claims<Option<Profile>>| {
            let profile = before.unwrap_or_else(|| profile_of(conn.id()));
            report(conn.set_metadata(&profile).await);
        })
        .connection_metadata(async || true)
        .room(ROOM, room)
        // Nobody publishes but by `say`, which looks at the text and signs it.
        .channel(CHAT, Channel::open().history(CHAT_KEPT))
        .command("echo", echo)
        .command("say", say)
        .command("cursor", cursor)
        .command("rename", rename)
        .command("who", who)
        .build()
        .await
}

async fn echo(Payload(text): Payload<String>) -> String {
    format!("echo: {text}")
}

async fn say(
    mesh: Mesh,
    conn: Conn,
    Meta(profile): Meta<Profile>,
    Payload(Say { text }): Payload<Say>,
) -> Result<bool> {
    let text = text_within(&text, TEXT_CHARS_MAX, "text")?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let at = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    mesh.channel(CHAT).publish(&Chat { from: conn.id(), profile, text, at }).await.map(|_| true)
}

async fn cursor(mesh: Mesh, conn: Conn, Payload(Point { x, y }): Payload<Point>) -> Result<bool> {
    let inside = 0.0..=1.0;
    if !(inside.contains(&x) && inside.contains(&y)) {
        return Err(MeshError::bad_payload("x and y are from 0 to 1"));
    }
    let from = conn.id();
    mesh.room(ROOM).broadcast_except("cursor", &Cursor { from, x, y }, &[from]).await.map(|()| true)
}

async fn rename(
    mesh: Mesh,
    conn: Conn,
    Meta(before): Meta<Profile>,
    Payload(Rename { name }): Payload<Rename>,
) -> Result<Profile> {
    let name = text_within(&name, NAME_CHARS_MAX, "name")?;
    let profile = Profile { name, ..before };
    conn.set_metadata(&profile).await?;
    if conn.rooms().iter().any(|room| room.as_ref() == ROOM) {
        let person = Person { id: conn.id(), profile: profile.clone() };
        mesh.room(ROOM).broadcast("renamed", &person).await?;
    }
    Ok(profile)
}

async fn who(mesh: Mesh) -> Result<Vec<Person>> {
    let (members, _) = mesh.room_members_metadata::<Profile>(ROOM, 0).await?;
    Ok(members.into_iter().filter_map(|(id, profile)| Some(Person { id, profile: profile? })).collect())
}

fn text_within(text: &str, chars_max: usize, what: &str) -> Result<String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > chars_max {
        return Err(MeshError::bad_payload(format!("{what} is 1 to {chars_max} characters")));
    }
    Ok(text.to_owned())
}

/// A name and a color that are always the same for the same id.
fn profile_of(id: ConnId) -> Profile {
    let hash =
        id.to_string().bytes().fold(7_usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    let (first, second) = (FIRST[hash % FIRST.len()], SECOND[hash / FIRST.len() % SECOND.len()]);
    let color = COLORS[hash / (FIRST.len() * SECOND.len()) % COLORS.len()];
    Profile { name: format!("{first} {second}"), color: color.into() }
}

/// Who somebody was before a reconnect: the credential of the page. Anybody may be anybody here, so nothing is refused.
fn profile_before(login: &Login) -> Option<Profile> {
    let Profile { name, color } = login.credential().ok()?;
    let name = text_within(&name, NAME_CHARS_MAX, "name").ok()?;
    COLORS.contains(&&*color).then_some(Profile { name, color })
}

fn report(result: Result<()>) {
    if let Err(error) = result {
        tracing::warn!(%error, "the others could not be told");
    }
}
