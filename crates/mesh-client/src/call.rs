//! A command before it is sent.

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::client::Client;
use crate::error::{ClientError, Result};
use crate::session::{Ask, Pace, RoomWish, Write};

/// A command that is sent when it is awaited. Dropping it before the answer ends the wait: if it was not sent, it never is;
/// else it may take effect nevertheless.
#[derive(Debug)]
#[must_use = "a command is sent when it is awaited"]
pub struct Call<R> {
    pub(crate) client: Client,
    pub(crate) command: String,
    pub(crate) body: Result<Option<String>>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) room: Option<RoomWish>,
    pub(crate) pace: Pace,
    pub(crate) answer: PhantomData<fn() -> R>,
}

impl<R> Call<R> {
    /// How long to wait for the answer, the wait for a connection included (30 s).
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Commands of this name leave this client at most so many times a second, 0.01 to 1,000, as far as they have a rate. A newer
    /// one takes the place of one that waits for its turn, or for a connection, and the last one always leaves. Each call is
    /// answered with what came of the command that left in its place. All else is as with
    /// [`Channel::max_rate`](crate::Channel::max_rate).
    ///
    /// ```no_run
    /// # async fn run(client: mesh_client::Client) -> mesh_client::Result<()> {
    /// client.command::<_, ()>("typing", &true).max_rate(2.0).volatile().await?;
    /// # Ok(()) }
    /// ```
    pub fn max_rate(mut self, commands_per_second: f64) -> Self {
        self.pace.rate_max = Some(commands_per_second);
        self
    }

    /// It is only worth sending now: without a connection, while more than 64 KiB wait to be sent, or when the server has as
    /// many commands as it takes, it fails with `dropped` and is not sent.
    pub fn volatile(mut self) -> Self {
        self.pace.is_volatile = true;
        self
    }

    /// The answer as JSON.
    pub(crate) async fn raw(self) -> Result<Box<RawValue>> {
        let Self { client, command, body, timeout, room, pace, .. } = self;
        if pace.is_set() {
            let write = Write::command(&command, body?);
            return client.write_at(write, pace, timeout).await.map(|(answer, _)| answer);
        }
        let ask = Ask { command, body: body?, timeout, room };
        let (reply, answer) = oneshot::channel();
        let key = client.session(|session| session.command(ask, reply, Instant::now()));
        let mut waiting = Waiting { client, key: Some(key) };
        let answer = answer.await.unwrap_or_else(|_| Err(ClientError::closed()));
        waiting.key = None;
        answer
    }
}

/// Ends the wait when it is dropped in the middle of it.
struct Waiting {
    client: Client,
    key: Option<u64>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.client.session(|session| session.abort(key));
        }
    }
}

impl<R: DeserializeOwned + 'static> IntoFuture for Call<R> {
    type Output = Result<R>;
    type IntoFuture = BoxFuture<'static, Result<R>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let answer = self.raw().await?;
            serde_json::from_str(answer.get()).map_err(|error| ClientError::decoding(&error))
        })
    }
}
