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
use crate::session::{Ask, RoomWish};

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
    pub(crate) answer: PhantomData<fn() -> R>,
}

impl<R> Call<R> {
    /// How long to wait for the answer, the wait for a connection included (30 s).
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// The answer as JSON.
    pub(crate) async fn raw(self) -> Result<Box<RawValue>> {
        let Self { client, command, body, timeout, room, .. } = self;
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
