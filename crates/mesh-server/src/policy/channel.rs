//! What clients may do with channels, and what is kept of them.

use std::fmt;
use std::time::Duration;

use mesh_backend::Keep;

use super::{CheckWith, bind, guard};
use crate::command::{Check, Guard};

/// Bytes that a channel with history keeps unless told otherwise (1 MiB).
const HISTORY_BYTES: usize = 1024 * 1024;
/// How long it keeps them unless told otherwise (a day).
const HISTORY_AGE: Duration = Duration::from_secs(24 * 3600);

/// Clients may subscribe. They may not publish unless [`publish`](Self::publish) says so; the server always may.
///
/// ```
/// # async fn doc() -> mesh_server::Result<()> {
/// use mesh_server::{Channel, Mesh, prefix};
///
/// Mesh::builder()
///     .channel("news", Channel::open())
///     .channel(prefix("chat:"), Channel::open().history(50).publish(async || true))
///     .build()
///     .await?;
/// # Ok(()) }
/// ```
#[must_use]
pub struct Channel<S> {
    guard: Option<CheckWith<S>>,
    publish: Option<CheckWith<S>>,
    keep: Option<Keep>,
    bridge: bool,
    drop_oldest: bool,
}

impl<S> Channel<S> {
    /// Any client may subscribe. Nothing is kept: a subscriber that is away misses what is published meanwhile.
    pub fn open() -> Self {
        Self { guard: None, publish: None, keep: None, bridge: false, drop_oldest: false }
    }

    /// Only clients that the guard lets: it is asked when one subscribes or reads history. Take [`Name`](crate::Name)
    /// for the channel. A guard that fails, panics or takes longer than 5 s refuses.
    pub fn guard<M, G: Guard<M, S>>(mut self, asked: G) -> Self {
        self.guard = Some(guard(asked));
        self
    }

    /// Clients may publish where this guard lets them: `async || true` lets everybody.
    pub fn publish<M, G: Guard<M, S>>(mut self, asked: G) -> Self {
        self.publish = Some(guard(asked));
        self
    }

    /// Keep the newest `count` messages, of 1 MiB together and for a day at most, so that a subscriber that was away is given
    /// exactly what it missed.
    pub fn history(mut self, count: usize) -> Self {
        self.keep().count_max = count;
        self
    }

    /// Bytes of messages that are kept.
    pub fn history_bytes(mut self, bytes: usize) -> Self {
        self.keep().bytes_max = bytes;
        self
    }

    /// How long a message is kept.
    pub fn history_age(mut self, age: Duration) -> Self {
        self.keep().age_max = age;
        self
    }

    /// A subscriber that reads too slowly loses the oldest messages that wait for it instead of its connection: at most 64 KiB,
    /// with all else that waits for it, while its socket is full, and 1 MiB otherwise. Without history it is told how many it
    /// lost (`lagged`), where they would have been; with history it sees the offsets that are missing and reads
    /// them. For what is of no use when it is late, such as positions of a game.
    pub fn drop_oldest(mut self) -> Self {
        self.drop_oldest = true;
        self
    }

    /// Subscribers also get what others publish on the backend's own channel of this name, who know nothing of Mesh: on Redis
    /// whatever `PUBLISH <name> <text>` says, on a Cluster as well. The embedded backend has no such channels. A message is
    /// the text as a JSON string, what is no UTF-8 in it replaced, at most 256 KiB; a longer one is dropped, and
    /// [`on_error`](crate::Builder::on_error) is told. Names that begin with `mesh:` or `__` cannot be subscribed to then. A
    /// Redis user needs the right to subscribe to the channel.
    ///
    /// Whoever may publish there is believed: no guard is asked.
    ///
    /// # Panics
    /// [`Builder::channel`](crate::Builder::channel) does where there is history as well: what comes this way has no
    /// position, so it could be lost without a word.
    pub fn bridge(mut self) -> Self {
        self.bridge = true;
        self
    }

    fn keep(&mut self) -> &mut Keep {
        let all = Keep { count_max: usize::MAX, bytes_max: HISTORY_BYTES, age_max: HISTORY_AGE };
        self.keep.get_or_insert(all)
    }

    pub(crate) fn bind(self, state: &S) -> ChannelPolicy
    where
        S: Clone + Send + Sync + 'static,
    {
        // Keeping nothing is having no history.
        let keep = self.keep.filter(|keep| keep.count_max > 0 && keep.bytes_max > 0);
        let Self { bridge, drop_oldest, .. } = self;
        assert!(
            !bridge || keep.is_none(),
            "a channel that is bridged keeps no history: what others publish has no position"
        );
        let (guard, publish) = (bind(self.guard, state), bind(self.publish, state));
        ChannelPolicy { guard, publish, keep, bridge, drop_oldest }
    }
}

impl<S> fmt::Debug for Channel<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("keep", &self.keep).finish_non_exhaustive()
    }
}

pub(crate) struct ChannelPolicy {
    pub(crate) guard: Option<Check>,
    pub(crate) publish: Option<Check>,
    pub(crate) keep: Option<Keep>,
    /// Whether what others publish on a channel of this name is for its subscribers.
    pub(crate) bridge: bool,
    /// Whether slow subscribers lose messages instead of their connection.
    pub(crate) drop_oldest: bool,
}
