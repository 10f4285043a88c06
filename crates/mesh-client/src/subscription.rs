//! The messages of a channel, as a stream.

use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::{Stream, StreamExt};
use mesh_proto::Position;
use serde::de::DeserializeOwned;

use crate::channel::Channel;
use crate::error::{ClientError, Result};
use crate::history::GapReason;
use crate::session::{Event, Mode};
use crate::wire::Entry;

/// The messages of a channel, as a stream of [`ChannelEvent`]s. It subscribes when it is first read, or by
/// [`ready`](Self::ready); dropping it unsubscribes.
///
/// Each message of a channel with history comes once and in order, over any number of reconnects; where some are lost, one
/// [`Gap`](ChannelEvent::Gap) comes first. A reader that is slow loses nothing either: at most 256 messages and 1 MiB wait for
/// it, or a page of up to 1,000, and the rest is read from the channel once it has room. In a channel without history what
/// comes while there is no connection, or no room, is lost, and told as a gap.
///
/// Streams of one client on the same channel share one subscription, so they must agree on [`latest`](Self::latest) and
/// [`max_rate`](Self::max_rate); else the second one ends with `conflict`. A server that is busy (`unavailable`,
/// `rate_limited`, ..) is asked again, as long as it takes; one that refuses, at once or later, ends the stream.
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is read"]
pub struct Subscription<T> {
    channel: Channel,
    mode: Mode,
    history: u32,
    /// Once it has begun.
    id: Option<u64>,
    message: PhantomData<fn() -> T>,
}

/// What a [`Subscription`] tells.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ChannelEvent<T> {
    /// A message.
    Message(ChannelMessage<T>),
    /// Some messages are lost, between those before and those after this.
    Gap {
        /// Why.
        reason: GapReason,
        /// How many, if that is known.
        missed: Option<u64>,
    },
    /// What came is no `T` (`bad_payload`; the stream goes on), or why the stream ends.
    Error(ClientError),
}

/// A message of a channel.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ChannelMessage<T> {
    /// The message itself.
    pub message: T,
    /// Whether it was read from the channel's history, rather than pushed as it was published.
    pub replayed: bool,
    /// Whether this client has published it.
    pub own: bool,
    /// Where it stands; `None` in a channel that keeps no history.
    pub position: Option<Position>,
    /// The mark of whoever published it.
    pub txn: Option<String>,
}

impl<T: DeserializeOwned> ChannelMessage<T> {
    pub(crate) fn decode(entry: &Entry, replayed: bool, own: bool) -> Result<Self> {
        let message = serde_json::from_str(&entry.json).map_err(|error| ClientError::decoding(&error))?;
        let txn = entry.txn.as_deref().map(str::to_owned);
        Ok(Self { message, replayed, own, position: entry.position, txn })
    }
}

impl<T: DeserializeOwned> Subscription<T> {
    pub(crate) fn new(channel: Channel) -> Self {
        Self { channel, mode: Mode::default(), history: 0, id: None, message: PhantomData }
    }

    /// Begin with the newest `messages` that there are, at most 1,000, oldest first; also after a gap. Has no effect once the
    /// subscription has begun, as the other options.
    pub fn history(mut self, messages: u32) -> Self {
        self.history = messages;
        self
    }

    /// Only the newest message matters: those that wait, here or in the server, give way to it. No gaps are told.
    pub fn latest(mut self) -> Self {
        self.mode.latest = true;
        self
    }

    /// At most so many messages a second, 0.01 to 1,000: the server spaces them, and the last one always comes. This implies
    /// [`latest`](Self::latest).
    pub fn max_rate(mut self, messages_per_second: f64) -> Self {
        self.mode.rate_max = Some(messages_per_second);
        self
    }

    /// Subscribes, and waits until the server has answered: what is published after that is heard.
    ///
    /// # Errors
    /// `forbidden`, `conflict` with another stream of this client, `closed`, ..: why the stream ends.
    pub async fn ready(&mut self) -> Result<()> {
        let (id, name) = (self.begin(), self.channel.name.clone());
        poll_fn(|cx| self.channel.client.peek(|session| (session.channels.poll_open(&name, id, cx), false)))
            .await
    }

    /// The next event.
    pub async fn next(&mut self) -> Option<ChannelEvent<T>> {
        StreamExt::next(self).await
    }

    fn begin(&mut self) -> u64 {
        let (mode, history, name): (_, _, &Arc<str>) = (self.mode, self.history, &self.channel.name);
        let client = &self.channel.client;
        *self.id.get_or_insert_with(|| client.session(|session| session.channels.add(name, mode, history)))
    }
}

impl<T: DeserializeOwned> Stream for Subscription<T> {
    type Item = ChannelEvent<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let id = self.begin();
        let polled = self.channel.client.peek(|session| {
            let polled = session.channels.poll_next(&self.channel.name, id, cx);
            (polled, session.channels.has_wants())
        });
        polled.map(|next| {
            next.map(|item| match item {
                Ok(Event::Message { entry, replayed, own }) => {
                    match ChannelMessage::decode(&entry, replayed, own) {
                        Ok(message) => ChannelEvent::Message(message),
                        Err(error) => ChannelEvent::Error(error),
                    }
                }
                Ok(Event::Gap { reason, missed }) => {
                    ChannelEvent::Gap { reason: GapReason::from_wire(reason), missed }
                }
                Err(error) => ChannelEvent::Error(error),
            })
        })
    }
}

impl<T> Drop for Subscription<T> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.channel.client.session(|session| session.channels.remove(&self.channel.name, id));
        }
    }
}
