//! A Redis in the process, for tests: it runs real Lua, speaks RESP over any stream, and can be made to fail in each
//! way a deployment of Redis fails.
//!
//! A run is a function of the seed: time is tokio's clock, which a test pauses, chance is drawn from the seed, and
//! nothing depends on the order of a hash map.
//!
//! ```
//! use mesh_sim::redis::{Client, Data, Redis};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> std::io::Result<()> {
//! let redis = Redis::new(7);
//! let mut client = Client::new(redis.dial()?);
//! client.call(["SET", "key", "value"]).await?;
//! redis.restart(Data::Lost);
//! assert!(client.call(["GET", "key"]).await.is_err(), "connections drop");
//! assert!(redis.keys().is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! A [`Redis`] is a handle: connections come from [`Redis::dial`], and all that goes wrong is a method of it, for
//! connections chosen by [`Whom`]. A [`Client`] is there to look in from outside, [`Redis::snapshot`] from inside.
//!
//! # What it is like, and is not
//!
//! `tests/redis_compare` tells Redis 7.0 and this the same, and cannot tell them apart by what they answer, errors by
//! their codes. Left out on purpose:
//!
//! - transactions, blocking commands, patterns of channels, keyspace events, lists, clusters, `CONFIG`, `CLIENT KILL`;
//! - trimming a stream roughly (`~`), scores in hexadecimal, the sign of a zero score in a large set;
//! - in scripts `cjson` and its like, `load`, RESP3, and iterating over the libraries, which are read-only here too;
//! - a limit on what an argument may hold that is as high as Redis', and the limit on a listener that is slow for long
//!   rather than far behind.
//!
//! Hashes and sets answer in order, where Redis has none. `CLIENT SETINFO`, which is newer, is answered as well.

mod client;
mod clients;
mod commands;
mod connection;
mod faults;
mod keyspace;
mod number;
mod pubsub;
mod replica;
mod resp;
mod rules;
mod script;
mod server;
mod session;
mod settings;
mod stream;
mod trail;
mod world;
mod zset;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::io::DuplexStream;
use tokio::net::TcpListener;

pub use client::Client;
pub use faults::{ClientSeen, Data};
pub use keyspace::{Entry, Hash, Set, Value};
pub use resp::{BadReply, Proto, Reply, decode};
pub use rules::{Direction, Moment, Whom};
pub use stream::{Fields, Stream, StreamId};
pub use zset::Zset;

use clients::Signals;
use script::Scripts;
use server::Server;
use world::World;

/// How many bytes are on their way between a client and the server before whoever writes waits, each way. What a
/// socket holds.
const STREAM_BYTES_MAX: usize = 64 * 1024;

/// A simulated server. All clones are the same one; it lives while one of them or a connection does.
#[derive(Clone, Debug)]
pub struct Redis(Arc<Mutex<Server>>);

impl Redis {
    /// An empty server that runs. All chance in it comes from the seed.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Server { world: World::new(seed), scripts: Scripts::default() })))
    }

    /// Connects. The task of the connection runs on the current runtime.
    ///
    /// ## Errors
    ///
    /// `ConnectionRefused` while the server is down or refuses.
    pub fn dial(&self) -> io::Result<DuplexStream> {
        let (id, signals) = self.accept().ok_or(io::ErrorKind::ConnectionRefused)?;
        let (near, far) = tokio::io::duplex(STREAM_BYTES_MAX);
        tokio::spawn(connection::serve(self.clone(), id, signals, far));
        Ok(near)
    }

    /// Serves what connects over TCP, until the task is dropped.
    ///
    /// ## Errors
    ///
    /// When the listener fails.
    pub async fn listen(&self, listener: TcpListener) -> io::Result<()> {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            if let Some((id, signals)) = self.accept() {
                tokio::spawn(connection::serve(self.clone(), id, signals, stream));
            }
        }
    }

    /// All keys of all databases, in order.
    pub fn keys(&self) -> Vec<Bytes> {
        self.snapshot().into_keys().map(|(_, key)| key).collect()
    }

    /// All that is kept, by database and key.
    pub fn snapshot(&self) -> BTreeMap<(usize, Bytes), Entry> {
        self.with(|server| {
            let now = server.world.clock();
            let keyspace = &mut server.world.keyspace;
            keyspace.sweep(now);
            let indices = 0..keyspace::DATABASES;
            let entries = indices.flat_map(|index| {
                let database = keyspace.database(index).clone();
                database.into_iter().map(move |(key, entry)| ((index, key), entry))
            });
            entries.collect()
        })
    }

    fn accept(&self) -> Option<(u64, Arc<Signals>)> {
        self.with(|server| {
            let world = &mut server.world;
            if world.rules.is_refusing {
                return None;
            }
            world.clients.add(world.settings.password.is_none())
        })
    }

    /// The one lock; nothing is awaited while it is held.
    fn with<R>(&self, act: impl FnOnce(&mut Server) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
