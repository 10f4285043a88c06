//! One live connection, as handlers and the hub know it.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use mesh_backend::Key;
use mesh_proto::{CloseCode, ConnId, Form, Incarnation, RoomName};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;

use crate::error::{MeshError, Result};
use crate::follow::{Follow, Wish};
use crate::hub::Outbox;
use crate::instance::Instance;
use crate::lock::Lock;

/// What the backend did not take is tried again after this long.
pub(crate) const AGAIN: Duration = Duration::from_secs(1);

/// A cheap handle to one live connection on this instance. Holding it does not keep the socket open.
#[derive(Clone)]
pub struct Conn(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) id: ConnId,
    pub(crate) instance: Arc<Instance>,
    pub(crate) outbox: Arc<Outbox>,
    /// How it is told that a command failed.
    pub(crate) form: Form,
    remote_addr: Option<SocketAddr>,
    /// Milliseconds of the last round trip.
    latency: AtomicU32,
    /// Who it is, by the server's authenticator. Set once, before the first command.
    claims: Lock<Option<Arc<dyn Any + Send + Sync>>>,
    /// Its entry in the roster of connections: `None` is out, `Some(metadata)` is in.
    index: Lock<Follow<Option<Option<Bytes>>>>,
    pub(crate) rooms: Lock<Rooms>,
    pub(crate) subscriptions: Lock<Subscriptions>,
}

/// The rooms a connection is in, in order of joining. At most `rooms_max`, so a list is searched as fast as a map and
/// takes a tenth of the memory.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    /// The connection is closed: nothing enters any more.
    pub(crate) closed: bool,
    pub(crate) entries: Vec<Membership>,
}

/// The channels and records that a connection is subscribed to.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    /// The connection is closed: nothing is added any more.
    pub(crate) closed: bool,
    /// Each with a number of its own, by which it is told from one that takes its place.
    pub(crate) numbers: BTreeMap<Key, u32>,
    /// The last of these.
    pub(crate) number: u32,
    /// How often all of them were asked about anew. What a guard said before the last time counts for nothing.
    pub(crate) rechecks: u32,
}

impl Subscriptions {
    /// Take one away, unless another one took its place. Whether it was there.
    pub(crate) fn forget(&mut self, key: &Key, number: u32) -> bool {
        let is_there = self.numbers.get(key) == Some(&number);
        if is_there {
            self.numbers.remove(key);
        }
        is_there
    }
}

/// One room of one connection.
#[derive(Debug)]
pub(crate) struct Membership {
    pub(crate) room: RoomName,
    pub(crate) inside: Follow<bool>,
    /// It is in, and `on_join` was told.
    pub(crate) is_member: bool,
    /// The life of the instance in which the answer to its departure was lost.
    pub(crate) unsure: Option<Incarnation>,
    /// Its `on_join` hook, which `on_leave` waits for.
    pub(crate) greeting: Option<JoinHandle<()>>,
}

impl Membership {
    pub(crate) fn new(room: RoomName, inside: Follow<bool>) -> Self {
        Self { room, inside, is_member: false, unsure: None, greeting: None }
    }
}

impl Conn {
    pub(crate) fn new(
        id: ConnId,
        instance: Arc<Instance>,
        outbox: Arc<Outbox>,
        form: Form,
        remote_addr: Option<SocketAddr>,
    ) -> Self {
        Self(Arc::new(Inner {
            id,
            instance,
            outbox,
            form,
            remote_addr,
            latency: AtomicU32::new(0),
            claims: Lock::new(None),
            index: Lock::new(Follow::new(None)),
            rooms: Lock::default(),
            subscriptions: Lock::default(),
        }))
    }

    /// A handle to a connection whose instance died, for hooks: closed, and its metadata as it was last known.
    pub(crate) fn departed(id: ConnId, instance: Arc<Instance>, metadata: Option<Bytes>) -> Self {
        let outbox = Outbox::new(id, instance.flushers.clone(), 0);
        outbox.abort();
        let conn = Self::new(id, instance, outbox, Form::Origin, None);
        conn.0.rooms.with(|rooms| rooms.closed = true);
        conn.0.index.with(|index| *index = Follow::new(metadata.map(Some)));
        conn
    }

    /// Its id: 128 random bits.
    pub fn id(&self) -> ConnId {
        self.0.id
    }

    /// The address of the peer, which may be a proxy's; `None` for a stream that has none.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.0.remote_addr
    }

    /// The last round trip in milliseconds, at first 0.
    pub fn latency_ms(&self) -> u32 {
        self.0.latency.load(Ordering::Relaxed)
    }

    pub(crate) fn set_latency_ms(&self, ms: u32) {
        self.0.latency.store(ms, Ordering::Relaxed);
    }

    /// Whether it is still connected.
    pub fn is_open(&self) -> bool {
        !self.0.rooms.with(|rooms| rooms.closed)
    }

    /// Send a push to this connection alone.
    ///
    /// # Errors
    /// `bad_payload` for a command name of the protocol's own, or a payload that is no JSON. That the client gets it is
    /// not promised: it may be gone before.
    pub fn send<T: Serialize + ?Sized>(&self, command: &str, payload: &T) -> Result<()> {
        let text = self.0.instance.encode(command, payload)?;
        self.0.outbox.push(&mesh_ws::text(&text));
        Ok(())
    }

    /// End the connection on purpose (`disconnected`, 4201): its client does not come back by itself.
    pub fn close(&self) {
        self.0.outbox.close(CloseCode::Disconnected);
    }

    /// Its metadata, from local memory; `None` if it has none.
    ///
    /// # Errors
    /// `bad_payload` if it is not a `T`.
    pub fn metadata<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        Ok(self.raw_metadata().map(|json| serde_json::from_slice(&json)).transpose()?)
    }

    pub(crate) fn raw_metadata(&self) -> Option<Bytes> {
        self.0.index.with(|index| index.wanted().clone().flatten())
    }

    /// Its metadata as the backend ought to have it; `None` while that changes.
    pub(crate) fn settled_metadata(&self) -> Option<Option<Bytes>> {
        self.0.index.with(|index| index.is_settled().then(|| index.wanted().clone().flatten()))
    }

    /// Replace its metadata, here at once and for every instance when this returns.
    ///
    /// # Errors
    /// `too_large` over 64 KiB, `not_found` when the connection is closed, `unavailable` when the backend is.
    pub async fn set_metadata<T: Serialize + ?Sized>(&self, value: &T) -> Result<()> {
        let json = encode_metadata(value, self.0.instance.limits.metadata_bytes_max)?;
        if !self.is_open() {
            return Err(MeshError::gone());
        }
        self.set_index(Some(Some(json)), |now| now.is_some()).await
    }

    /// Put it in the roster of connections.
    pub(crate) async fn enter_index(&self) -> Result<()> {
        self.set_index(Some(None), |now| now.is_none()).await
    }

    /// Take it out again.
    pub(crate) async fn leave_index(&self) -> Result<()> {
        self.set_index(None, |_| true).await
    }

    /// After this instance was taken for dead: once more what it was.
    pub(crate) async fn reenter_index(&self) -> Result<()> {
        let wish = self.0.index.with(|index| index.wanted().is_some().then(|| index.again()));
        match wish {
            Some(wish) => self.carry_out(wish).await,
            None => Ok(()),
        }
    }

    async fn set_index(
        &self,
        want: Option<Option<Bytes>>,
        allowed: impl FnOnce(&Option<Option<Bytes>>) -> bool,
    ) -> Result<()> {
        let wish = self.0.index.with(|index| allowed(index.wanted()).then(|| index.wish(want)));
        self.carry_out(wish.ok_or_else(MeshError::gone)?).await
    }

    async fn carry_out(&self, wish: Wish) -> Result<()> {
        if wish.start {
            let conn = self.clone();
            self.0.instance.tasks.spawn(async move { conn.follow_index().await });
        }
        wish.done.await.unwrap_or_else(|_| Err(MeshError::gone()))
    }

    async fn follow_index(self) {
        let (instance, id) = (&self.0.instance, self.0.id);
        let shard = Key::connections_with(id);
        while let Some((want, version)) = self.0.index.with(Follow::next) {
            let life = instance.life();
            let result = match want {
                Some(metadata) => instance.call(life.link.enter(&shard, id, metadata, None)).await.map(drop),
                None => instance.call(life.link.leave(&shard, id, None)).await.map(drop),
            };
            let failed = result.is_err();
            self.0.index.with(|index| index.done(version, result));
            // Whoever wished is told that it failed; it takes place all the same once the backend is back. After a life
            // that is over all is entered anew, and what it had entered is taken out as an orphan.
            if failed && instance.lives.is_now(&life) && !instance.stop.is_cancelled() {
                tokio::time::sleep(AGAIN).await;
                self.0.index.with(|index| drop(index.again()));
            }
        }
    }

    pub(crate) fn set_claims(&self, claims: Arc<dyn Any + Send + Sync>) {
        self.0.claims.with(|slot| *slot = Some(claims));
    }

    pub(crate) fn claims(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.0.claims.with(|claims| claims.clone())
    }

    /// The rooms it is in, in order of joining.
    pub fn rooms(&self) -> Vec<RoomName> {
        self.0.rooms.with(|rooms| {
            let inside = rooms.entries.iter().filter(|entry| *entry.inside.wanted());
            inside.map(|entry| entry.room.clone()).collect()
        })
    }
}

/// A value as JSON, if it is not too long.
pub(crate) fn encode_metadata<T: Serialize + ?Sized>(value: &T, bytes_max: usize) -> Result<Bytes> {
    let json = serde_json::to_vec(value)?;
    if json.len() > bytes_max {
        let message = format!("metadata has at most {bytes_max} bytes, this has {}", json.len());
        return Err(MeshError::new(mesh_proto::Code::TooLarge, message));
    }
    Ok(json.into())
}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Conn({})", self.0.id)
    }
}
