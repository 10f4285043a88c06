//! The records that somebody watches.

mod record;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll};

use serde_json::value::RawValue;
use tokio::time::Instant;

use super::frames::is_passing;
use super::inlet::Inlet;
use super::topics::{Topic, Topics};
use super::wants::Want;
use crate::error::{ClientError, Result};
use crate::wire::{self, RecordAnswer, Update};

use record::Record;

pub(crate) use record::Snapshot;

#[derive(Debug)]
pub(crate) struct Records {
    /// What the marks of this client's writes begin with.
    mark: String,
    pub(super) topics: Topics<Record>,
}

impl Records {
    pub(super) fn new(mark: String) -> Self {
        Self { mark, topics: Topics::default() }
    }

    /// Somebody begins to watch, at most so many updates a second. The number is theirs from then on.
    pub(crate) fn add(&mut self, name: &Arc<str>, rate_max: Option<f64>) -> u64 {
        let why = "this client watches this record at another rate already";
        let fit = |record: &Record| if record.rate_max == rate_max { Ok(()) } else { Err(why) };
        self.topics.add(name, Inlet::default(), || Record::new(rate_max), fit)
    }

    /// They do no longer. The last one ends the subscription.
    pub(crate) fn remove(&mut self, name: &Arc<str>, id: u64) {
        self.topics.remove(name, id);
    }

    pub(crate) fn poll_next(
        &mut self,
        name: &str,
        id: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Snapshot>>> {
        match self.topics.listener(name, id) {
            Some(inlet) => inlet.poll_next(cx),
            None => Poll::Ready(None),
        }
    }

    pub(crate) fn poll_open(&mut self, name: &str, id: u64, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match self.topics.listener(name, id) {
            Some(inlet) => inlet.poll_open(cx),
            None => Poll::Ready(Err(ClientError::closed())),
        }
    }

    /// The payload that asks for what a record needs now; `None` if it is gone, or was asked for since.
    pub(super) fn ask(&mut self, name: &str, number: u64) -> Option<String> {
        let record = self.topics.get_mut(name)?;
        let after = record.ask(number)?;
        Some(wire::json(&wire::SubscribeRecord {
            record_id: name,
            mode: "patch",
            after,
            latest: false,
            max_rate: record.rate_max,
        }))
    }

    /// What the server says to that; if it is busy, it is asked once more then.
    pub(super) fn answered(
        &mut self,
        name: &Arc<str>,
        number: u64,
        answer: Result<&RawValue>,
        again: Instant,
    ) {
        let Some(record) = self.topics.get_mut(name) else { return };
        if !record.take_asked(number) {
            return;
        }
        let answer = answer.and_then(|json| {
            let answer: RecordAnswer =
                serde_json::from_str(json.get()).map_err(|error| ClientError::decoding(&error))?;
            // To ask again for what is said to be here would be a loop as fast as the server.
            if answer.unchanged && !record.has_value() { Err(ClientError::nonsense()) } else { Ok(answer) }
        });
        match answer {
            Ok(answer) => record.opened(answer, &self.mark),
            Err(error) if is_passing(&error) => self.topics.retry(name, again),
            Err(error) => return self.topics.refuse(name, &error),
        }
        self.topics.reconsider(name);
    }

    /// `mesh/record-update`.
    pub(super) fn update(&mut self, json: &str) {
        let Ok((name, update)) = Update::parse(json) else { return };
        let Some(name) = self.topics.find(&name) else { return };
        if let Some(record) = self.topics.get_mut(&name) {
            record.update(update, &self.mark);
            self.topics.reconsider(&name);
        }
    }

    /// `mesh/record-updates`: what one transaction wrote.
    pub(super) fn updates(&mut self, json: &str) {
        wire::updates(json).into_iter().for_each(|update| self.update(update.get()));
    }
}

impl Topic for Record {
    type Listener = Inlet<Snapshot>;

    const ASK: fn(Arc<str>, u64) -> Want = Want::Record;
    const LEAVE: fn(Arc<str>) -> Want = Want::LeaveRecord;

    fn listeners(&mut self) -> &mut BTreeMap<u64, Inlet<Snapshot>> {
        &mut self.watchers
    }

    fn add(&mut self, id: u64, inlet: Inlet<Snapshot>) {
        Self::add(self, id, inlet);
    }

    fn end(inlet: &mut Inlet<Snapshot>, error: ClientError) {
        inlet.end(error);
    }

    fn want(&mut self, number: u64) -> bool {
        Self::want(self, number)
    }

    /// A watcher that is slow sees the newest value: nothing has to stop.
    fn pause(&mut self) -> bool {
        false
    }

    fn is_subscribed(&self) -> bool {
        self.is_subscribed
    }

    fn is_granted(&self) -> bool {
        self.is_granted
    }

    fn ended(&mut self) -> bool {
        Self::ended(self)
    }

    fn retry_at(&mut self) -> &mut Option<Instant> {
        &mut self.retry_at
    }

    fn disconnected(&mut self) {
        Self::disconnected(self);
    }
}
