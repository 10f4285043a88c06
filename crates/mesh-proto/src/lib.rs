//! The wire protocol of Mesh: frames, error and close codes, names, ids, positions, JSON patches and limits.
//!
//! Nothing here does IO, waits or reads a clock. `PROTOCOL.md` says the same in prose.

mod builtin;
mod close;
mod code;
mod frame;
mod id;
pub mod limits;
mod name;
pub mod patch;
mod position;
mod scan;

pub use builtin::{
    ChannelHistory, ConnectionMetadata, DeleteRecord, Hello, HelloLimits, HistoryAfter, IncrementRecord,
    JoinRoom, Joined, MergeOptions, Metadata, Mode, NamesRecord, PatchRecord, PublishChannel, PublishRecord,
    RoomMetadata, Strategy, SubscribeChannel, SubscribeRecord, Success, UnsubscribeChannel, Welcome, command,
};
pub use close::CloseCode;
pub use code::{Class, Code};
pub use frame::{Form, Malformed, Request, encode_push, error_parts, json_string, parse, reply_parts};
pub use id::{BadId, ConnId, Entropy, Incarnation};

pub use limits::{Limits, PatchLimits};
pub use name::{ChannelName, CommandName, NameError, RecordName, RoomName, Txn};
pub use position::{Epoch, Position, Tag};
pub use scan::{Excess, scan};

/// The number a client says in `mesh/hello`, and the only one this server speaks.
pub const PROTOCOL_VERSION: u32 = 1;

/// The WebSocket subprotocol that makes a client a hello client.
pub const SUBPROTOCOL: &str = "mesh.v1";
