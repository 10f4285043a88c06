//! Messages to everybody who subscribed, and what is kept of them.

mod bridge;
mod builtin;
mod history;
mod message;
mod resync;

use std::fmt;

use bytes::Bytes;
use mesh_backend::{Announce, Audience, Entry, Keep, Key, Kind};
use mesh_proto::{ChannelName, Code, Position, Tag, Txn};
use serde::Serialize;
use serde_json::value::RawValue;

pub(crate) use bridge::bridged;
pub(crate) use builtin::{get_history, publish, subscribe, unsubscribe};
pub use history::{HistoryPage, Message};
pub(crate) use resync::read_on;

use crate::error::{MeshError, Result};
use crate::mesh::Mesh;

/// A channel, whether anybody is subscribed to it or not. Made by [`Mesh::channel`].
///
/// Any text can be asked for; one that is no name of a channel fails with `bad_payload` when something is done with it.
#[derive(Clone, Copy, Debug)]
pub struct ChannelRef<'a> {
    mesh: &'a Mesh,
    name: &'a str,
    kept_max: usize,
}

impl Mesh {
    /// A channel by its name.
    pub fn channel<'a>(&'a self, name: &'a str) -> ChannelRef<'a> {
        ChannelRef { mesh: self, name, kept_max: usize::MAX }
    }
}

fn key(channel: &ChannelName) -> Key {
    Key::new(Kind::Channel, channel.shared())
}

impl ChannelRef<'_> {
    /// Keep so many messages at most from the next one on, where the channel's policy keeps more.
    pub fn keep(mut self, count: usize) -> Self {
        self.kept_max = count;
        self
    }

    /// Tell all subscribers, on whichever instance: encoded once. Where the channel has history the message is kept in the
    /// same step, and its position comes back.
    ///
    /// # Errors
    /// `bad_payload` for what is no name of a channel or no JSON, `too_large` over 256 KiB, `unavailable`: then it may have been
    /// published all the same.
    pub async fn publish<T: Serialize + ?Sized>(&self, message: &T) -> Result<Option<Position>> {
        let message = serde_json::value::to_raw_value(message)?;
        publish_raw(self.mesh, &ChannelName::new(self.name)?, &message, None, self.kept_max).await
    }
}

/// What is kept of a channel; `None`: nothing.
fn keep(mesh: &Mesh, channel: &str) -> Option<Keep> {
    mesh.0.channels.find(channel).and_then(|policy| policy.keep)
}

async fn publish_raw(
    mesh: &Mesh,
    channel: &ChannelName,
    message: &RawValue,
    txn: Option<&Txn>,
    kept_max: usize,
) -> Result<Option<Position>> {
    let instance = &mesh.0.instance;
    let max = instance.limits.publish_bytes_max;
    if message.get().len() > max {
        return Err(MeshError::new(Code::TooLarge, format!("a message has at most {max} bytes")));
    }
    let keep =
        keep(mesh, channel.as_str()).map(|keep| Keep { count_max: keep.count_max.min(kept_max), ..keep });
    let key = key(channel);
    crate::instance::Counters::add(&instance.counters.encodes);
    let tag = keep.map(|_| Tag::random(&instance.entropy));
    let members: Bytes = message::members(message, txn, tag);
    let announce = Announce {
        topic: key.clone(),
        audience: Audience::All,
        txn: None,
        variants: Some(message::push(channel, &members, keep.is_some())),
        control: None,
    };
    let life = instance.life();
    match (keep, tag) {
        (Some(keep), Some(tag)) => {
            let entry = Entry { tag, kept: members, announce: Some(announce) };
            Ok(Some(instance.call(life.link.append(&key, entry, keep)).await?))
        }
        _ => instance.call(life.link.publish(announce)).await.map(|()| None),
    }
}

impl fmt::Display for ChannelRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
