//! Channels.

use std::sync::Arc;

use mesh_proto::{Epoch, Position, Tag, command};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::client::Client;
use crate::error::{ClientError, Result};
use crate::history::HistoryQuery;
use crate::subscription::Subscription;
use crate::wire;

/// A channel by its name: 1 to 255 bytes without control characters.
#[derive(Clone, Debug)]
pub struct Channel {
    pub(crate) client: Client,
    pub(crate) name: Arc<str>,
}

/// A message that the server has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// Where it stands; `None` in a channel that keeps no history.
    pub position: Option<Position>,
    /// The mark that it bears when it comes back.
    pub txn: String,
}

#[derive(Serialize)]
struct Publish<'a> {
    channel: &'a str,
    message: &'a RawValue,
    txn: &'a str,
}

impl Channel {
    pub(crate) fn new(client: Client, name: &str) -> Self {
        Self { client, name: name.into() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its messages from now on, as a stream. See [`Subscription`].
    ///
    /// ```no_run
    /// # async fn run(client: mesh_client::Client) -> mesh_client::Result<()> {
    /// let mut chat = client.channel("chat:1").subscribe::<String>().history(50);
    /// chat.ready().await?; // Or read it at once: the first read subscribes.
    /// # Ok(()) }
    /// ```
    pub fn subscribe<T: DeserializeOwned>(&self) -> Subscription<T> {
        Subscription::new(self.clone())
    }

    /// Sends a message to all subscribers, in one order. Subscribers of this client hear it as their own.
    ///
    /// # Errors
    /// `forbidden`, `too_large`, and those of any command.
    ///
    /// ```no_run
    /// # async fn run(client: mesh_client::Client) -> mesh_client::Result<()> {
    /// let published = client.channel("chat:1").publish(&"hi").await?;
    /// # Ok(()) }
    /// ```
    pub async fn publish<M: Serialize + ?Sized>(&self, message: &M) -> Result<Published> {
        #[derive(serde::Deserialize)]
        struct Answer {
            epoch: Option<Epoch>,
            offset: Option<u64>,
            tag: Option<Tag>,
        }
        let txn = self.client.session(|session| session.next_mark());
        let message =
            serde_json::value::to_raw_value(message).map_err(|error| ClientError::encoding(&error))?;
        let body = wire::json(&Publish { channel: &self.name, message: &message, txn: &txn });
        let answer: Answer = self.client.call(command::PUBLISH_CHANNEL, Ok(Some(body))).await?;
        let position = wire::position(answer.epoch, answer.offset, answer.tag);
        Ok(Published { position, txn })
    }

    /// What the channel keeps, without subscribing: by default the newest 50 messages.
    pub fn history<T: DeserializeOwned>(&self) -> HistoryQuery<T> {
        HistoryQuery::new(self.clone())
    }
}
