//! Channels.

use std::sync::Arc;

use mesh_proto::{Epoch, Position, Tag};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client::Client;
use crate::error::{ClientError, Result};
use crate::history::HistoryQuery;
use crate::session::{Pace, Write};
use crate::subscription::Subscription;
use crate::wire;

/// A channel by its name: 1 to 255 bytes without control characters.
#[derive(Clone, Debug)]
pub struct Channel {
    pub(crate) client: Client,
    pub(crate) name: Arc<str>,
    /// How its messages leave.
    pace: Pace,
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

impl Channel {
    pub(crate) fn new(client: Client, name: &str) -> Self {
        Self { client, name: name.into(), pace: Pace::default() }
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
        let message =
            serde_json::value::to_raw_value(message).map_err(|error| ClientError::encoding(&error))?;
        let write = Write::message(&self.name, message);
        let (answer, txn): (Answer, _) = self.client.write(write, self.pace).await?;
        let position = wire::position(answer.epoch, answer.offset, answer.tag);
        Ok(Published { position, txn })
    }

    /// The same channel, on which this client publishes at most so many messages a second, 0.01 to 1,000, over all handles with
    /// a rate. A newer one takes the place of one that waits for its turn, or for a connection, and the last one always
    /// leaves. Each call is answered with what came of the message that left in its place.
    ///
    /// Dropping such a call does not take the message back. Its time begins with its turn. What goes out without a rate
    /// overtakes what waits. With a rate out of bounds it fails with `bad_payload`; of more than 1,000 things that are written at
    /// a rate at once, or more than 1 MiB that wait, with `queue_full`.
    ///
    /// ```no_run
    /// # async fn run(client: mesh_client::Client) -> mesh_client::Result<()> {
    /// # let (x, y) = (1, 2);
    /// let cursors = client.channel("cursors").max_rate(20.0).volatile();
    /// cursors.publish(&(x, y)).await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn max_rate(&self, messages_per_second: f64) -> Self {
        let pace = Pace { rate_max: Some(messages_per_second), ..self.pace };
        Self { pace, ..self.clone() }
    }

    /// The same channel, whose messages are only worth sending now: without a connection, while more than 64 KiB wait to be
    /// sent, or when the server has as many commands as it takes, they fail with `dropped` and are not sent.
    #[must_use]
    pub fn volatile(&self) -> Self {
        let pace = Pace { is_volatile: true, ..self.pace };
        Self { pace, ..self.clone() }
    }

    /// What the channel keeps, without subscribing: by default the newest 50 messages.
    pub fn history<T: DeserializeOwned>(&self) -> HistoryQuery<T> {
        HistoryQuery::new(self.clone())
    }
}
