//! Who is connected, and what is on its way to them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::pubsub::Channel;
use super::resp::Proto;

/// How many may be connected at once, as in Redis.
pub(crate) const CLIENTS_MAX: usize = 10_000;

/// How many bytes of replies may wait for a client that does not read. Redis has no such bound.
pub(crate) const OUTBOX_BYTES_MAX: usize = 256 * 1024 * 1024;

/// How much is written at once.
const WRITE_BYTES_MAX: usize = 64 * 1024;

/// What wakes the task of a connection.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// Something was put into the outbox, or may leave it now.
    pub(crate) writer: Notify,
    /// Requests may be read again.
    pub(crate) reader: Notify,
    /// It is over.
    pub(crate) closed: Notify,
}

/// A client that is connected.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connected {
    pub(crate) name: Bytes,
    pub(crate) proto: Proto,
    pub(crate) database: usize,
    pub(crate) is_authenticated: bool,
    pub(crate) channels: BTreeSet<Channel>,
    pub(crate) signals: Arc<Signals>,
    /// It ends when all is written.
    pub(crate) is_closing: bool,
    outbox: VecDeque<(Instant, Bytes)>,
    outbox_bytes: usize,
}

/// What the writer of a connection has to do.
#[derive(Debug)]
pub(crate) enum Output {
    Write(Bytes),
    Until(Instant),
    Idle,
    Close,
}

impl Connected {
    /// Redis tells its clients apart by this: one with a subscription is a pub/sub client.
    pub(crate) fn is_pubsub(&self) -> bool {
        !self.channels.is_empty()
    }

    /// Puts something into the outbox, where it stays until `due` and until what is before it has gone. Tells how
    /// many bytes are now unread.
    pub(crate) fn push(&mut self, due: Instant, bytes: Bytes) -> usize {
        let due = self.outbox.back().map_or(due, |(last, _)| due.max(*last));
        self.outbox_bytes += bytes.len();
        self.outbox.push_back((due, bytes));
        self.signals.writer.notify_one();
        self.outbox_bytes
    }

    /// Takes what may be written now. It counts as unread until [`Connected::written`].
    pub(crate) fn output(&mut self, now: Instant, is_deaf: bool) -> Output {
        if is_deaf {
            return if self.is_closing { Output::Close } else { Output::Idle };
        }
        let mut batch = BytesMut::new();
        while let Some((due, bytes)) = self.outbox.front() {
            if *due > now {
                return if batch.is_empty() { Output::Until(*due) } else { Output::Write(batch.freeze()) };
            }
            if !batch.is_empty() && batch.len() + bytes.len() > WRITE_BYTES_MAX {
                break;
            }
            batch.extend_from_slice(bytes);
            self.outbox.pop_front();
        }
        match (batch.is_empty(), self.is_closing) {
            (false, _) => Output::Write(batch.freeze()),
            (true, true) => Output::Close,
            (true, false) => Output::Idle,
        }
    }

    pub(crate) fn written(&mut self, bytes: usize) {
        self.outbox_bytes = self.outbox_bytes.saturating_sub(bytes);
    }
}

/// All of them by their ids, which are never given twice.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    connected: BTreeMap<u64, Connected>,
    last_id: u64,
}

impl Clients {
    /// One more, unless there are too many.
    pub(crate) fn add(&mut self, is_authenticated: bool) -> Option<(u64, Arc<Signals>)> {
        if self.connected.len() >= CLIENTS_MAX {
            return None;
        }
        self.last_id += 1;
        let client = Connected { is_authenticated, ..Connected::default() };
        let signals = Arc::clone(&client.signals);
        self.connected.insert(self.last_id, client);
        Some((self.last_id, signals))
    }

    pub(crate) fn find(&mut self, id: u64) -> Option<&mut Connected> {
        self.connected.get_mut(&id)
    }

    /// Forgets one and ends its task.
    pub(crate) fn remove(&mut self, id: u64) -> Option<Connected> {
        let client = self.connected.remove(&id)?;
        client.signals.closed.notify_one();
        Some(client)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Connected)> {
        self.connected.iter().map(|(id, client)| (*id, client))
    }

    /// Lets each look again at what it may do.
    pub(crate) fn wake(&self) {
        for client in self.connected.values() {
            client.signals.writer.notify_one();
            client.signals.reader.notify_one();
        }
    }
}
