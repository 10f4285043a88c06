//! What goes wrong, and for whom, until a test says otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::clients::Connected;

/// What Redis sets by default (`client-output-buffer-limit pubsub`).
const PUBSUB_UNREAD_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Which connections are meant: those there are, and those that come while a rule stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whom {
    /// One, by the id that [`Redis::clients`](super::Redis::clients) tells.
    Id(u64),
    /// Those of this name (`CLIENT SETNAME`).
    Named(Bytes),
    /// Those with a subscription.
    Pubsub,
    /// Those without.
    Normal,
    /// All.
    All,
}

impl Whom {
    pub(crate) fn is_met(&self, id: u64, client: &Connected) -> bool {
        match self {
            Self::Id(wanted) => *wanted == id,
            Self::Named(name) => client.name == name,
            Self::Pubsub => client.is_pubsub(),
            Self::Normal => !client.is_pubsub(),
            Self::All => true,
        }
    }
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// Requests.
    ToServer,
    /// Replies and pushes.
    ToClient,
}

/// On which side of a request a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The request came to nothing.
    BeforeRequest,
    /// It was carried out, and its reply is lost.
    BeforeReply,
}

/// Tells whether this is the request at which a connection is cut.
pub(crate) type Trap = Box<dyn FnMut(&[Bytes]) -> bool + Send>;

/// The rules that stand.
pub(crate) struct Rules {
    pub(crate) holes: BTreeSet<(Whom, Direction)>,
    pub(crate) delays: BTreeMap<(Direction, Whom), RangeInclusive<Duration>>,
    pub(crate) lost: BTreeMap<Whom, u32>,
    /// Nothing is read before; `None` inside means until told.
    pub(crate) pause: Option<Option<Instant>>,
    pub(crate) is_refusing: bool,
    pub(crate) is_read_only: bool,
    pub(crate) is_out_of_memory: bool,
    /// What is answered to every request but those that set up a connection.
    pub(crate) refusal: Option<Bytes>,
    pub(crate) pubsub_unread_bytes_max: usize,
    pub(crate) trap: Option<(Moment, Trap)>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            holes: BTreeSet::new(),
            delays: BTreeMap::new(),
            lost: BTreeMap::new(),
            pause: None,
            is_refusing: false,
            is_read_only: false,
            is_out_of_memory: false,
            refusal: None,
            pubsub_unread_bytes_max: PUBSUB_UNREAD_BYTES_MAX,
            trap: None,
        }
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("holes", &self.holes)
            .field("delays", &self.delays)
            .finish_non_exhaustive()
    }
}

impl Rules {
    pub(crate) fn is_hole(&self, id: u64, client: &Connected, direction: Direction) -> bool {
        self.holes.iter().any(|(whom, through)| *through == direction && whom.is_met(id, client))
    }

    /// The narrowest rule counts: they are in that order.
    pub(crate) fn delay(
        &self,
        id: u64,
        client: &Connected,
        direction: Direction,
    ) -> Option<RangeInclusive<Duration>> {
        let mut rules = self.delays.iter();
        let met = rules.find(|((through, whom), _)| *through == direction && whom.is_met(id, client));
        met.map(|(_, range)| range.clone())
    }

    pub(crate) fn lost_percent(&self, id: u64, client: &Connected) -> u32 {
        let met = self.lost.iter().find(|(whom, _)| whom.is_met(id, client));
        met.map_or(0, |(_, percent)| *percent)
    }

    /// Until when nothing is read, if so.
    pub(crate) fn paused_until(&self, now: Instant) -> Option<Option<Instant>> {
        self.pause.filter(|until| until.is_none_or(|until| until > now))
    }

    /// Whether a connection is to be cut at this request. A trap shuts once.
    pub(crate) fn trapped(&mut self, request: &[Bytes]) -> Option<Moment> {
        let (moment, trap) = self.trap.as_mut()?;
        let moment = *moment;
        if !trap(request) {
            return None;
        }
        self.trap = None;
        Some(moment)
    }
}
