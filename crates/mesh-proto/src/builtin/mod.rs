//! The payloads of the commands that belong to the protocol.

mod channel;
mod record;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use channel::{ChannelHistory, HistoryAfter, PublishChannel, SubscribeChannel, UnsubscribeChannel};
pub use record::{
    DeleteRecord, IncrementRecord, MergeOptions, Mode, NamesRecord, PatchRecord, PublishRecord, Strategy,
    SubscribeRecord,
};

use crate::{ConnId, RoomName};

/// The names of the built-in commands and of the frames that keep a connection alive.
pub mod command {
    /// A hello client's first frame.
    pub const HELLO: &str = "mesh/hello";
    /// Asks whether the connection lives.
    pub const NOOP: &str = "mesh/noop";
    /// Enter a room.
    pub const JOIN_ROOM: &str = "mesh/join-room";
    /// Leave a room.
    pub const LEAVE_ROOM: &str = "mesh/leave-room";
    /// Read a room's metadata.
    pub const GET_ROOM_METADATA: &str = "mesh/get-room-metadata";
    /// Read another connection's metadata.
    pub const GET_CONNECTION_METADATA: &str = "mesh/get-connection-metadata";
    /// Read one's own metadata.
    pub const GET_MY_CONNECTION_METADATA: &str = "mesh/get-my-connection-metadata";
    /// Take what comes on a channel.
    pub const SUBSCRIBE_CHANNEL: &str = "mesh/subscribe-channel";
    /// No longer.
    pub const UNSUBSCRIBE_CHANNEL: &str = "mesh/unsubscribe-channel";
    /// Publish on a channel.
    pub const PUBLISH_CHANNEL: &str = "mesh/publish-channel";
    /// Read what a channel keeps.
    pub const GET_CHANNEL_HISTORY: &str = "mesh/get-channel-history";
    /// Server to client: a message of a channel.
    pub const SUBSCRIPTION_MESSAGE: &str = "mesh/subscription-message";
    /// Server to client: messages of a channel are missing.
    pub const CHANNEL_GAP: &str = "mesh/channel-gap";
    /// Server to client: a subscription is over, as its guard would refuse it now.
    pub const SUBSCRIPTION_ENDED: &str = "mesh/subscription-ended";
    /// Follow a record.
    pub const SUBSCRIBE_RECORD: &str = "mesh/subscribe-record";
    /// No longer.
    pub const UNSUBSCRIBE_RECORD: &str = "mesh/unsubscribe-record";
    /// Read a record.
    pub const GET_RECORD: &str = "mesh/get-record";
    /// Write a record, whole or merged.
    pub const PUBLISH_RECORD_UPDATE: &str = "mesh/publish-record-update";
    /// Change a record by a JSON patch.
    pub const PATCH_RECORD: &str = "mesh/patch-record";
    /// Add to a number in a record.
    pub const INCREMENT_RECORD: &str = "mesh/increment-record";
    /// Remove a record.
    pub const DELETE_RECORD: &str = "mesh/delete-record";
    /// Server to client: a new version of a record.
    pub const RECORD_UPDATE: &str = "mesh/record-update";
    /// Server to client: new versions of several records, which one transaction wrote.
    pub const RECORD_UPDATES: &str = "mesh/record-updates";
    /// Watch who is present: answered `success: false` until presence exists.
    pub const SUBSCRIBE_PRESENCE: &str = "mesh/subscribe-presence";
    /// Server to client: say that you live.
    pub const PING: &str = "ping";
    /// Client to server: it lives.
    pub const PONG: &str = "pong";
    /// Server to client: answer this at once.
    pub const LATENCY_REQUEST: &str = "latency:request";
    /// Client to server: the answer.
    pub const LATENCY_RESPONSE: &str = "latency:response";
    /// Server to client: the last round trip in milliseconds.
    pub const LATENCY: &str = "latency";
}

/// `mesh/hello`.
#[derive(Debug, Deserialize)]
pub struct Hello {
    /// The protocol that the client speaks.
    pub protocol: u32,
    /// Whatever the server's authenticator understands.
    pub credential: Option<Box<RawValue>>,
}

/// The answer to `mesh/hello`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Welcome {
    /// The protocol that the server speaks.
    pub protocol: u32,
    /// The client's own id.
    pub connection_id: ConnId,
    /// Milliseconds since 1970.
    pub server_time: u64,
    /// Milliseconds between two pings.
    pub ping_interval: u64,
    /// The limits in force.
    pub limits: HelloLimits,
}

/// The limits that a client can keep to by itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HelloLimits {
    /// Bytes of one message.
    pub message_bytes: usize,
    /// Commands that run at once.
    pub in_flight: usize,
    /// Commands that wait.
    pub waiting: usize,
}

/// A payload that names a room: join, leave, read metadata.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinRoom {
    /// Which room.
    pub room_name: RoomName,
}

/// The answer to `mesh/join-room`.
#[derive(Debug, Serialize)]
pub struct Joined {
    /// Always true; a refusal is an error.
    pub success: bool,
    /// Who is in the room, in order of joining, the joiner included, at most `present_max` of them.
    pub present: Vec<ConnId>,
    /// How many are in the room.
    pub count: u64,
    /// Whether `present` leaves some out.
    pub truncated: bool,
}

/// An answer that is only yes or no.
#[derive(Debug, Serialize)]
pub struct Success {
    /// Yes or no.
    pub success: bool,
}

/// `mesh/get-connection-metadata`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionMetadata {
    /// Whose. A text that is no id of ours is nobody's.
    pub connection_id: String,
}

/// `mesh/get-room-metadata`.
pub type RoomMetadata = JoinRoom;

/// The answer to the commands that read metadata.
#[derive(Debug, Serialize)]
pub struct Metadata<'a> {
    /// `null` if there is none.
    pub metadata: Option<&'a RawValue>,
}
