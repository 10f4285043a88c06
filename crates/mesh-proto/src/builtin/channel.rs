//! What clients say about channels.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{ChannelName, Position, Txn};

/// `mesh/subscribe-channel`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscribeChannel {
    /// Which channel.
    pub channel: ChannelName,
    /// Messages of the past, the newest, where there is no `after` or it is lost.
    pub history_limit: Option<u64>,
    /// Only what came after this.
    pub after: Option<Position>,
    /// Only the newest message matters.
    #[serde(default)]
    pub latest: bool,
    /// Messages a second at most.
    pub max_rate: Option<f64>,
}

/// `mesh/unsubscribe-channel`.
#[derive(Debug, Deserialize)]
pub struct UnsubscribeChannel {
    /// Which channel.
    pub channel: ChannelName,
}

/// `mesh/publish-channel`.
#[derive(Debug, Deserialize)]
pub struct PublishChannel {
    /// Which channel.
    pub channel: ChannelName,
    /// Any JSON value.
    pub message: Box<RawValue>,
    /// The publisher's own mark.
    pub txn: Option<Txn>,
}

/// `mesh/get-channel-history`.
#[derive(Debug, Deserialize)]
pub struct ChannelHistory {
    /// Which channel.
    pub channel: ChannelName,
    /// Messages at most.
    pub limit: Option<u64>,
    /// Those before this offset.
    pub before: Option<u64>,
    /// Those after this one.
    pub after: Option<HistoryAfter>,
}

/// Where reading begins.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub enum HistoryAfter {
    /// Behind this offset, of whatever life.
    Offset(u64),
    /// Behind this entry, or nowhere.
    Position(Position),
}
