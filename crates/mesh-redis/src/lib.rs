//! The Redis backend of Mesh: any number of instances act as one.
//!
//! Every operation is one Lua script, so one atomic step and one round trip. Works with Redis 6.2 and newer and with
//! Valkey; needs no modules, no configuration and no keyspace events, and uses neither KEYS nor SCAN nor CONFIG.
//!
//! ```no_run
//! use mesh_redis::Redis;
//!
//! # async fn start() -> Result<(), mesh_redis::ConnectError> {
//! let backend = Redis::connect("redis://127.0.0.1:6379").await?;
//! # Ok(()) }
//! ```
//!
//! # The rights of its user
//!
//! `ACL SETUSER mesh on resetchannels >password ~mesh:1:* &mesh:1:* +@all -@dangerous +info` is enough, and so is this in
//! place of `+@all -@dangerous +info`:
//!
//! ```text
//! +hello +select +ping +info +eval +evalsha +subscribe +unsubscribe +publish +time +get +set +del +incr +pexpire
//! +persist +hget +hset +hmget +hdel +hincrby +sadd +srem +sismember +smembers +scard +zadd +zrem +zscore +zcard +zrange
//! +zrangebyscore +zrangebylex +zremrangebyscore +xadd +xlen +xrange +xtrim
//! ```
//!
//! and on a cluster `+ssubscribe +sunsubscribe +spublish +cluster|slots`.
//!
//! # Two topics of one roster on a cluster
//!
//! On a Redis Cluster a roster's announcement may go to a topic of another shard. Then it is a second step, after the
//! entry or the departure; if only the first took place, the call fails with `Unavailable`.
//!
//! # Transactions on a cluster
//!
//! What is written in one transaction must be in one shard, else it is refused. Names that have the same text in their first pair of
//! braces are: `{order 7}:items` and `{order 7}:total`.

mod builder;
mod call;
mod check;
mod cluster;
mod connect;
mod dial;
mod ears;
mod error;
mod io;
mod key;
mod link;
mod map;
mod message;
mod node;
mod place;
mod reply;
mod script;
mod sentinel;
#[cfg(feature = "tls")]
mod tls;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mesh_backend::{Backend, Done, Inbox, Link};
use mesh_proto::{Entropy, Incarnation};

pub use builder::Builder;
#[cfg(feature = "testing")]
pub use dial::Stream;
pub use error::ConnectError;

use crate::call::Commands;
use crate::io::{Io, Task};
use crate::link::RedisLink;

/// The Redis backend. Clones share one connection for commands; each link has one of its own for what it hears.
///
/// Connections are made anew, endlessly, whenever they are lost or silent. While there is none, operations fail at once
/// with [`Unavailable`](mesh_backend::BackendError::Unavailable), and none takes longer than its deadline. What was lost
/// with a connection is told: the instance is fenced if Redis does not know it any more, and its inbox says that continuity was lost
/// if anything may be missing.
#[derive(Clone)]
pub struct Redis(Arc<Shared>);

struct Shared {
    commands: Commands,
    entropy: Arc<Entropy>,
    life: Arc<Life>,
    /// For each link, what waits until everything published has arrived at it.
    #[cfg(feature = "testing")]
    settlers: std::sync::Mutex<Vec<ears::Settler>>,
}

/// What runs as long as the backend or a link of it is there.
struct Life {
    /// Follows the cluster, if it is one.
    _follower: Option<Task>,
    io: Io,
}

impl Redis {
    /// Connect to a Redis: `redis://user:password@host:6379/2`, `rediss://` for TLS (feature `tls`), or
    /// `unix:///path/to/socket`.
    ///
    /// # Errors
    /// If it cannot work, with a sentence that says what to do.
    pub async fn connect(url: &str) -> Result<Self, ConnectError> {
        Self::builder(url).build().await
    }

    /// With options.
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), mesh_redis::ConnectError> {
    /// let backend = mesh_redis::Redis::builder("redis://127.0.0.1").namespace("staging").build().await?;
    /// # Ok(()) }
    /// ```
    pub fn builder(url: &str) -> Builder {
        Builder::new(url)
    }

    /// Through streams in place of sockets, on the caller's runtime, whose clock may be paused. `dial` is called with the
    /// address of the options for each connection.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    #[cfg(feature = "testing")]
    pub async fn over<S, F>(
        dial: impl Fn(String) -> F + Send + Sync + 'static,
        options: Builder,
    ) -> Result<Self, ConnectError>
    where
        S: Stream + 'static,
        F: Future<Output = std::io::Result<S>> + Send + 'static,
    {
        let boxed = move |address| {
            let stream = dial(address);
            let boxed = async move { Ok(Box::new(stream.await?) as Box<dyn Stream>) };
            Box::pin(boxed) as std::pin::Pin<Box<dyn Future<Output = _> + Send>>
        };
        options.over(Arc::new(boxed)).await
    }

    pub(crate) fn new(io: Io, commands: Commands, follower: Option<Task>, entropy: Arc<Entropy>) -> Self {
        Self(Arc::new(Shared {
            commands,
            entropy,
            life: Arc::new(Life { _follower: follower, io }),
            #[cfg(feature = "testing")]
            settlers: Default::default(),
        }))
    }

    /// Come back when everything published so far has arrived at every link of this backend, as far as it can.
    #[cfg(feature = "testing")]
    pub async fn settle(&self) {
        static NUMBERS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        let number = NUMBERS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let settlers = self.0.settlers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        for settle in settlers {
            settle(number).await;
        }
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("map", &*self.0.commands.map.borrow()).finish_non_exhaustive()
    }
}

impl Backend for Redis {
    fn attach(&self, me: Incarnation, lease: Duration, inbox: Inbox) -> Done<'_, Arc<dyn Link>> {
        let shared = self.0.clone();
        Box::pin(async move {
            let (commands, life, entropy) =
                (shared.commands.clone(), shared.life.clone(), shared.entropy.clone());
            let link = RedisLink::attach(me, lease, inbox, commands, life, entropy).await?;
            #[cfg(feature = "testing")]
            {
                let mut settlers = shared.settlers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                settlers.push(link.settler());
            }
            Ok(Arc::new(link) as Arc<dyn Link>)
        })
    }
}
