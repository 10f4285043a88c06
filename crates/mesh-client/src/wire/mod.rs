//! Frames, as texts and as types.

mod channel;
mod frame;
mod record;

pub(crate) use channel::{
    Entry, GapPush, History, Message, PublishChannel, SubscribeChannel, SubscribedChannel,
};
pub(crate) use frame::{Ended, Frame, Welcome, command, command_bytes_max, parse};
pub(crate) use record::{
    Change, RecordAnswer, SubscribeRecord, Update, WriteAnswer, WriteOptions, WriteRecord, updates,
};

use mesh_proto::{Epoch, Position, Tag};
use serde::Serialize;

/// The answer to a ping.
pub(crate) const PONG: &str = r#"{"command":"pong","payload":{}}"#;
/// The answer to a request for latency.
pub(crate) const LATENCY: &str = r#"{"command":"latency:response","payload":{}}"#;

/// A position from its three members; `None` if one is missing.
pub(crate) fn position(epoch: Option<Epoch>, offset: Option<u64>, tag: Option<Tag>) -> Option<Position> {
    Some(Position { epoch: epoch?, offset: offset?, tag: tag? })
}

/// JSON of a value that always encodes.
pub(crate) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("texts, numbers and JSON always encode")
}
