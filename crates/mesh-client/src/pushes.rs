//! What an application pushes, as a stream.

use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::{Stream, StreamExt};
use serde::de::DeserializeOwned;

use crate::client::Client;
use crate::error::{ClientError, Result};

/// The pushes of one name: a stream of payloads. An item is an error where the payload is not a `T`, or where some were
/// dropped because they were not read (`lagged`); the stream goes on after that. It ends, after why, when the client has
/// given up or was closed.
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is read"]
pub struct Pushes<T> {
    client: Client,
    name: Arc<str>,
    id: u64,
    payload: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Pushes<T> {
    pub(crate) fn new(client: Client, name: &str) -> Self {
        let id = client.session(|session| session.pushes.add(name));
        Self { client, name: name.into(), id, payload: PhantomData }
    }

    /// The next payload.
    pub async fn next(&mut self) -> Option<Result<T>> {
        StreamExt::next(self).await
    }
}

impl<T: DeserializeOwned> Stream for Pushes<T> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.client.peek(|session| (session.pushes.poll_next(&self.name, self.id, cx), false));
        polled.map(|next| {
            next.map(|item| {
                item.and_then(|json| {
                    serde_json::from_str(&json).map_err(|error| ClientError::decoding(&error))
                })
            })
        })
    }
}

impl<T> Drop for Pushes<T> {
    fn drop(&mut self) {
        self.client.peek(|session| (session.pushes.remove(&self.name, self.id), false));
    }
}
