//! How a message looks: kept once as a part of a JSON object, from which pushes, pages and lists are put together without
//! encoding it again.

use bytes::{BufMut, Bytes, BytesMut};
use mesh_backend::{Arrival, Key, Logged, Variants, Wire};
use mesh_proto::{ChannelName, Incarnation, Position, Tag, Txn, command, json_string};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::Result;

/// The members of a message: `"message":..,"txn":..,"tag":..`. Without a tag where it has no position.
pub(super) fn members(message: &RawValue, txn: Option<&Txn>, tag: Option<Tag>) -> Bytes {
    let text = message.get();
    let mut members = BytesMut::with_capacity(text.len() + 64);
    members.put_slice(b"\"message\":");
    members.put_slice(text.as_bytes());
    if let Some(txn) = txn {
        members.put_slice(b",\"txn\":");
        members.put_slice(json_string(txn.as_str()).as_bytes());
    }
    if let Some(tag) = tag {
        members.put_slice(format!(",\"tag\":\"{tag}\"").as_bytes());
    }
    members.freeze()
}

fn push_head(channel: &str, members: &[u8]) -> BytesMut {
    let channel = json_string(channel);
    let mut head = BytesMut::with_capacity(members.len() + channel.len() + 128);
    head.put_slice(format!("{{\"command\":\"{}\",", command::SUBSCRIPTION_MESSAGE).as_bytes());
    head.put_slice(b"\"payload\":{\"channel\":");
    head.put_slice(channel.as_bytes());
    head.put_u8(b',');
    head.put_slice(members);
    head
}

/// The push of a message; its position is joined in where it is kept.
pub(super) fn push(channel: &ChannelName, members: &Bytes, is_kept: bool) -> Variants {
    let mut head = push_head(channel.as_str(), members);
    let full = if is_kept {
        head.put_u8(b',');
        Wire::Seam { before: head.freeze(), after: Bytes::from_static(b"}}") }
    } else {
        head.put_slice(b"}}");
        Wire::Final(head.freeze())
    };
    Variants { full: Some(full), patch: None }
}

/// The same push, of a message that was read.
pub(super) fn pushed(topic: &Key, from: Incarnation, position: Position, members: &[u8]) -> Arrival {
    let mut text = push_head(&topic.name, members);
    let place = format!(",\"epoch\":\"{}\",\"offset\":{}}}}}", position.epoch, position.offset);
    text.put_slice(place.as_bytes());
    Arrival::read(topic.clone(), from, position, text.freeze())
}

/// As an item of a list: with its offset.
pub(super) fn item(logged: &Logged) -> Result<Box<RawValue>> {
    let members = std::str::from_utf8(&logged.kept).unwrap_or_default();
    Ok(RawValue::from_string(format!("{{{members},\"offset\":{}}}", logged.offset))?)
}

/// The value alone.
pub(super) fn value(logged: &Logged) -> Result<Box<RawValue>> {
    #[derive(Deserialize)]
    struct Members {
        message: Box<RawValue>,
    }
    let members = std::str::from_utf8(&logged.kept).unwrap_or_default();
    Ok(serde_json::from_str::<Members>(&format!("{{{members}}}"))?.message)
}

/// Why something is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reason {
    Expired,
    EpochChanged,
    Limit,
    NoHistory,
    Lagged,
}

/// That something is missing, and how many messages if that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Gap {
    pub(super) reason: Reason,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) missed: Option<u64>,
}

/// The push that tells of a gap.
pub(super) fn gap_push(channel: &str, gap: Gap) -> Result<Bytes> {
    #[derive(Serialize)]
    struct Payload<'a> {
        channel: &'a str,
        #[serde(flatten)]
        gap: Gap,
    }
    Ok(mesh_proto::encode_push(command::CHANNEL_GAP, &Payload { channel, gap })?)
}

/// The same where messages were dropped because their reader was too slow; the number of them stands between the two.
pub(super) fn lag_push(channel: &ChannelName) -> Result<(Box<str>, Box<str>)> {
    let push = gap_push(channel.as_str(), Gap { reason: Reason::Lagged, missed: Some(0) })?;
    let (push, end) = (std::str::from_utf8(&push).unwrap_or_default(), "}}");
    let before = push.strip_suffix(end).and_then(|push| push.strip_suffix('0')).unwrap_or_default();
    Ok((before.into(), end.into()))
}
