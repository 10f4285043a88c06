//! A record and its changes, as a stream.

use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::{Stream, StreamExt};
use mesh_proto::Position;
use serde::de::DeserializeOwned;

use crate::error::Result;
use crate::record::{Record, decode};

/// A record's value and each one after it, as a stream of [`RecordEvent`]s. It subscribes when it is first read, or by
/// [`ready`](Self::ready); dropping it unsubscribes. The server sends what changed, and this applies it.
///
/// The first event is the value as it is, `None` where there is none. What is missed over a reconnect is made good by the
/// newest value. At most 16 versions wait for a reader; then all of them give way to the newest.
///
/// An item is an error where the value is no `T` (`bad_payload`; the stream goes on), or where it ends: the server has
/// refused, or the client was closed. Streams of one client on the same record share one subscription, so they must agree on
/// [`max_rate`](Self::max_rate); else the second one ends with `conflict`.
///
/// ```no_run
/// # #[derive(serde::Deserialize)] struct Product { stock: i64 }
/// # async fn run(client: mesh_client::Client) -> mesh_client::Result<()> {
/// let mut product = client.record("product:1").watch::<Product>();
/// while let Some(event) = product.next().await {
///     let event = event?;
///     match event.value {
///         Some(Product { stock }) => { /* show it */ }
///         None => { /* it is gone */ }
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is read"]
pub struct Watch<T> {
    record: Record,
    rate_max: Option<f64>,
    /// Once it has begun.
    id: Option<u64>,
    value: PhantomData<fn() -> T>,
}

/// What a [`Watch`] tells: the record at a version.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RecordEvent<T> {
    /// `None` if it was never written, was deleted, or is `null`.
    pub value: Option<T>,
    /// Grows by one with each change; 0 if it was never written.
    pub version: u64,
    /// The version with its life and its mark; `None` if it was never written.
    pub position: Option<Position>,
    /// Whether this client has written it.
    pub own: bool,
    /// Whether it was deleted.
    pub deleted: bool,
}

impl<T: DeserializeOwned> Watch<T> {
    pub(crate) fn new(record: Record) -> Self {
        Self { record, rate_max: None, id: None, value: PhantomData }
    }

    /// At most so many updates a second, 0.01 to 1,000: the server leaves some out, and the last one always comes. Has no
    /// effect once the subscription has begun.
    pub fn max_rate(mut self, updates_per_second: f64) -> Self {
        self.rate_max = Some(updates_per_second);
        self
    }

    /// Subscribes, and waits until the server has answered.
    ///
    /// # Errors
    /// `forbidden`, `conflict` with another stream of this client, `closed`, ..: why the stream ends.
    pub async fn ready(&mut self) -> Result<()> {
        let (id, name) = (self.begin(), self.record.name.clone());
        poll_fn(|cx| self.record.client.peek(|session| (session.records.poll_open(&name, id, cx), false)))
            .await
    }

    /// The next event.
    pub async fn next(&mut self) -> Option<Result<RecordEvent<T>>> {
        StreamExt::next(self).await
    }

    fn begin(&mut self) -> u64 {
        let (Record { client, name, .. }, rate_max) = (&self.record, self.rate_max);
        *self.id.get_or_insert_with(|| client.session(|session| session.records.add(name, rate_max)))
    }
}

impl<T: DeserializeOwned> Stream for Watch<T> {
    type Item = Result<RecordEvent<T>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let id = self.begin();
        let Record { client, name, .. } = &self.record;
        let polled = client.peek(|session| (session.records.poll_next(name, id, cx), false));
        polled.map(|next| {
            next.map(|item| {
                let now = item?;
                let value = if now.deleted { None } else { decode(&now.value)? };
                let (version, position) = (now.version, now.position);
                Ok(RecordEvent { value, version, position, own: now.own, deleted: now.deleted })
            })
        })
    }
}

impl<T> Drop for Watch<T> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.record.client.session(|session| session.records.remove(&self.record.name, id));
        }
    }
}
