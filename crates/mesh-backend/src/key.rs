//! Names of what is shared. The kind is apart from the name, so that no name can forge a key of another kind; a
//! backend that flattens the two into one text must escape or prefix with a length.

use std::fmt;
use std::sync::Arc;

use mesh_proto::ConnId;

/// Rosters that all connections together are in.
pub const CONNECTION_SHARDS: u8 = 64;

/// What a key names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Everybody: the topic every instance subscribes to. Its name is empty.
    Everybody,
    /// One instance's own topic; the name is its incarnation.
    Instance,
    /// One of 64 shards of the roster of connections; the name is its number.
    Connections,
    /// A room: its topic and its roster.
    Room,
    /// A room's metadata: a cell.
    RoomMetadata,
    /// A channel: its topic and its log.
    Channel,
    /// A record: its topic, its log and its cell.
    Record,
    /// Presence of a room: its topic and its roster.
    Presence,
    /// A channel of the store's own, of this name byte for byte, on which others publish who know nothing of Mesh. It is
    /// subscribed to alone; what arrives is the text as it is. A store that has no such thing takes the subscription, and
    /// nothing arrives.
    Bridge,
}

/// A topic, log, cell or roster.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What it names.
    pub kind: Kind,
    /// Any text, byte for byte.
    pub name: Arc<str>,
}

impl Key {
    /// A key of a kind.
    pub fn new(kind: Kind, name: impl Into<Arc<str>>) -> Self {
        Self { kind, name: name.into() }
    }

    /// One of the [`CONNECTION_SHARDS`] rosters of connections.
    pub fn connections(shard: u8) -> Self {
        Self::new(Kind::Connections, shard.to_string())
    }

    /// The roster of connections that this one is in.
    pub fn connections_with(id: ConnId) -> Self {
        Self::connections((id.bits() % u128::from(CONNECTION_SHARDS)) as u8)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({:?})", self.kind, self.name)
    }
}
