//! Channels on the wire.

use std::borrow::Cow;
use std::sync::Arc;

use mesh_proto::{Epoch, Position, Tag};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::position;

/// `mesh/subscribe-channel`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SubscribeChannel<'a> {
    pub(crate) channel: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) history_limit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<Position>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) latest: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_rate: Option<f64>,
}

/// `mesh/publish-channel`.
#[derive(Debug, Serialize)]
pub(crate) struct PublishChannel<'a> {
    pub(crate) channel: &'a str,
    pub(crate) message: &'a RawValue,
    pub(crate) txn: &'a str,
}

/// The answer to `mesh/subscribe-channel` and `mesh/get-channel-history`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Page<'a> {
    epoch: Option<Epoch>,
    offset: Option<u64>,
    tag: Option<Tag>,
    #[serde(borrow)]
    messages: Vec<Item<'a>>,
    more: bool,
    #[serde(borrow)]
    gap: Option<WireGap<'a>>,
    truncated: bool,
    oldest: Option<u64>,
    newest: Option<u64>,
}

/// A message in a page, or that of a push.
#[derive(Debug, Deserialize)]
struct Item<'a> {
    /// Of a push alone.
    #[serde(borrow, default)]
    channel: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    epoch: Option<Epoch>,
    offset: Option<u64>,
    tag: Option<Tag>,
    #[serde(borrow, default)]
    txn: Option<Cow<'a, str>>,
}

#[derive(Debug, Deserialize)]
struct WireGap<'a> {
    #[serde(borrow)]
    reason: Cow<'a, str>,
    #[serde(default)]
    missed: Option<u64>,
}

/// A message with its position, if its channel keeps any.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) position: Option<Position>,
    pub(crate) txn: Option<Arc<str>>,
    /// The message as JSON.
    pub(crate) json: Arc<str>,
}

/// What a subscription is answered.
#[derive(Debug)]
pub(crate) struct SubscribedChannel {
    /// Of the newest message that there was.
    pub(crate) position: Option<Position>,
    /// Oldest first.
    pub(crate) messages: Vec<Entry>,
    /// This is the first part, and it is not subscribed yet.
    pub(crate) more: bool,
    /// Why not all behind the position is there, and how much is missing.
    pub(crate) gap: Option<(String, Option<u64>)>,
}

/// A part of a channel's history.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) messages: Vec<Entry>,
    pub(crate) truncated: bool,
    pub(crate) epoch: Option<Epoch>,
    pub(crate) oldest: Option<u64>,
    pub(crate) newest: Option<u64>,
    pub(crate) gap: Option<(String, Option<u64>)>,
}

/// `mesh/subscription-message`.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub(crate) channel: Cow<'a, str>,
    pub(crate) entry: Entry,
}

/// `mesh/channel-gap`.
#[derive(Debug, Deserialize)]
pub(crate) struct GapPush<'a> {
    #[serde(borrow)]
    pub(crate) channel: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) reason: Cow<'a, str>,
    #[serde(default)]
    pub(crate) missed: Option<u64>,
}

impl Item<'_> {
    /// In a page the epoch stands beside the messages.
    fn entry(self, epoch: Option<Epoch>) -> Entry {
        Entry {
            position: position(self.epoch.or(epoch), self.offset, self.tag),
            txn: self.txn.map(|txn| txn.into()),
            json: self.message.unwrap_or(RawValue::NULL).get().into(),
        }
    }
}

fn entries(messages: Vec<Item<'_>>, epoch: Option<Epoch>) -> Vec<Entry> {
    messages.into_iter().map(|item| item.entry(epoch)).collect()
}

impl SubscribedChannel {
    pub(crate) fn parse(json: &str) -> serde_json::Result<Self> {
        let page: Page<'_> = serde_json::from_str(json)?;
        Ok(Self {
            position: position(page.epoch, page.offset, page.tag),
            messages: entries(page.messages, page.epoch),
            more: page.more,
            gap: page.gap.map(|gap| (gap.reason.into_owned(), gap.missed)),
        })
    }
}

impl History {
    pub(crate) fn parse(json: &str) -> serde_json::Result<Self> {
        let page: Page<'_> = serde_json::from_str(json)?;
        Ok(Self {
            messages: entries(page.messages, page.epoch),
            truncated: page.truncated,
            epoch: page.epoch,
            oldest: page.oldest,
            newest: page.newest,
            gap: page.gap.map(|gap| (gap.reason.into_owned(), gap.missed)),
        })
    }
}

impl<'a> Message<'a> {
    pub(crate) fn parse(json: &'a str) -> serde_json::Result<Self> {
        let mut item: Item<'a> = serde_json::from_str(json)?;
        let channel = item.channel.take().unwrap_or_default();
        Ok(Self { channel, entry: item.entry(None) })
    }
}
