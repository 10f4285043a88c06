//! What a channel keeps.

use std::future::IntoFuture;
use std::marker::PhantomData;

use futures_util::future::BoxFuture;
use mesh_proto::{Epoch, Position, command};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::channel::Channel;
use crate::error::{ClientError, Result};
use crate::subscription::ChannelMessage;
use crate::wire;

/// Why messages are lost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GapReason {
    /// What comes next is no longer kept.
    Expired,
    /// The channel's store was lost, and it began anew.
    EpochChanged,
    /// Too many are missing.
    Limit,
    /// The channel keeps nothing, and something may have been missed.
    NoHistory,
    /// The server dropped them, because this client reads too slowly, and the channel keeps nothing.
    Lagged,
    /// One that this version does not know.
    Other(String),
}

impl GapReason {
    pub(crate) fn from_wire(reason: String) -> Self {
        match &*reason {
            "expired" => Self::Expired,
            "epoch_changed" => Self::EpochChanged,
            "limit" => Self::Limit,
            "no_history" => Self::NoHistory,
            "lagged" => Self::Lagged,
            _ => Self::Other(reason),
        }
    }
}

/// A part of a channel's history.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct History<T> {
    /// Oldest first.
    pub messages: Vec<ChannelMessage<T>>,
    /// Whether there are more in the direction that was asked for.
    pub truncated: bool,
    /// The channel's life; `None` if nothing was ever published, or nothing is kept.
    pub epoch: Option<Epoch>,
    /// The offset of the oldest message that is kept.
    pub oldest: Option<u64>,
    /// The offset of the newest.
    pub newest: Option<u64>,
    /// Asked for what comes after a position: that something behind it is lost. Then there are no messages.
    pub gap: Option<(GapReason, Option<u64>)>,
}

/// A question for a channel's history, which is asked when it is awaited.
///
/// ```no_run
/// # async fn run(client: mesh_client::Client) -> mesh_client::Result<()> {
/// let newest = client.channel("chat:1").history::<String>().limit(20).await?;
/// if let Some(position) = newest.messages.first().and_then(|message| message.position) {
///     let older = client.channel("chat:1").history::<String>().before(position.offset).await?;
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "a question is asked when it is awaited"]
pub struct HistoryQuery<T> {
    channel: Channel,
    limit: Option<u32>,
    before: Option<u64>,
    after: Option<After>,
    message: PhantomData<fn() -> T>,
}

impl<T> HistoryQuery<T> {
    pub(crate) fn new(channel: Channel) -> Self {
        Self { channel, limit: None, before: None, after: None, message: PhantomData }
    }

    /// At most so many messages (50); over 1,000 means 1,000.
    pub fn limit(mut self, messages: u32) -> Self {
        self.limit = Some(messages);
        self
    }

    /// The newest before that offset.
    pub fn before(mut self, offset: u64) -> Self {
        self.before = Some(offset);
        self
    }

    /// The oldest after that position.
    pub fn after(mut self, position: Position) -> Self {
        self.after = Some(After::Position(position));
        self
    }

    /// The oldest after that offset, of whatever life of the channel.
    pub fn after_offset(mut self, offset: u64) -> Self {
        self.after = Some(After::Offset(offset));
        self
    }
}

/// Where reading begins.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
enum After {
    Offset(u64),
    Position(Position),
}

#[derive(Serialize)]
struct Query<'a> {
    channel: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<After>,
}

impl<T: DeserializeOwned + 'static> IntoFuture for HistoryQuery<T> {
    type Output = Result<History<T>>;
    type IntoFuture = BoxFuture<'static, Result<History<T>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { channel, limit, before, after, .. } = self;
            let body = wire::json(&Query { channel: &channel.name, limit, before, after });
            let call = channel.client.call::<()>(command::GET_CHANNEL_HISTORY, Ok(Some(body)));
            let answer = call.raw().await?;
            let page = wire::History::parse(answer.get()).map_err(|error| ClientError::decoding(&error))?;
            let own = |txn: &str| channel.client.session(|session| session.is_own(txn));
            let decode = |entry: &wire::Entry| {
                ChannelMessage::decode(entry, true, entry.txn.as_deref().is_some_and(own))
            };
            Ok(History {
                messages: page.messages.iter().map(decode).collect::<Result<_>>()?,
                truncated: page.truncated,
                epoch: page.epoch,
                oldest: page.oldest,
                newest: page.newest,
                gap: page.gap.map(|(reason, missed)| (GapReason::from_wire(reason), missed)),
            })
        })
    }
}
