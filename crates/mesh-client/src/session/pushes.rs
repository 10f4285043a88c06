//! Who listens to an application's pushes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::inlet::Inlet;
use crate::error::{ClientError, Result};

/// Pushes that wait for one reader. Over it: they are dropped, and the reader is told how many.
const PUSHES_MAX: usize = 1024;
/// Bytes of them (1 MiB). An empty queue takes any one.
const PUSHES_BYTES_MAX: usize = 1024 * 1024;

#[derive(Debug, Default)]
pub(crate) struct PushReaders {
    ids: u64,
    readers: BTreeMap<Arc<str>, BTreeMap<u64, Reader>>,
    stopped: Option<ClientError>,
}

#[derive(Debug, Default)]
struct Reader {
    inlet: Inlet<Arc<str>>,
    bytes: usize,
    /// Dropped since the last one that was kept.
    missed: u64,
}

impl PushReaders {
    pub(crate) fn add(&mut self, name: &str) -> u64 {
        self.ids += 1;
        let mut reader = Reader::default();
        if let Some(error) = &self.stopped {
            reader.inlet.end(error.clone());
        }
        self.readers.entry(name.into()).or_default().insert(self.ids, reader);
        self.ids
    }

    pub(crate) fn remove(&mut self, name: &str, id: u64) {
        if let Some(readers) = self.readers.get_mut(name) {
            readers.remove(&id);
            if readers.is_empty() {
                self.readers.remove(name);
            }
        }
    }

    pub(super) fn push(&mut self, name: &str, json: &str) {
        let Some(readers) = self.readers.get_mut(name) else { return };
        let json: Arc<str> = json.into();
        for reader in readers.values_mut() {
            let is_full = reader.inlet.events.len() >= PUSHES_MAX
                || (reader.bytes > 0 && reader.bytes + json.len() > PUSHES_BYTES_MAX);
            // Once some were dropped none is kept before the reader has heard of it, so the loss stands in its place.
            if is_full || reader.missed > 0 {
                reader.missed += 1;
            } else {
                reader.bytes += json.len();
                reader.inlet.push(json.clone());
            }
        }
    }

    pub(super) fn stop(&mut self, error: &ClientError) {
        self.stopped = Some(error.clone());
        for reader in self.readers.values_mut().flat_map(BTreeMap::values_mut) {
            reader.inlet.end(error.clone());
        }
    }

    pub(crate) fn poll_next(
        &mut self,
        name: &str,
        id: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Arc<str>>>> {
        let Some(reader) = self.readers.get_mut(name).and_then(|readers| readers.get_mut(&id)) else {
            return Poll::Ready(None);
        };
        if reader.inlet.events.is_empty() && reader.missed > 0 {
            return Poll::Ready(Some(Err(ClientError::lagged(std::mem::take(&mut reader.missed)))));
        }
        let polled = reader.inlet.poll_next(cx);
        if let Poll::Ready(Some(Ok(json))) = &polled {
            reader.bytes -= json.len();
        }
        polled
    }
}
