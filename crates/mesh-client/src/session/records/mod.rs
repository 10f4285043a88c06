//! The records that somebody watches.

mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::{Context, Poll};

use mesh_proto::Code;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::frames::is_passing;
use super::inlet::Inlet;
use super::wants::Want;
use crate::error::{ClientError, Result};
use crate::wire::{self, RecordAnswer, Update};

use record::Record;

pub(crate) use record::Snapshot;

#[derive(Debug)]
pub(crate) struct Records {
    /// What the marks of this client's writes begin with.
    mark: String,
    is_connected: bool,
    ids: u64,
    /// Of wants: none is used twice, so that what was asked for a record that is gone is not taken for an answer to the next.
    numbers: u64,
    records: BTreeMap<Arc<str>, Record>,
    /// The watchers of records that were refused, until they are told.
    refused: BTreeMap<u64, Inlet<Snapshot>>,
    stopped: Option<ClientError>,
    wants: Vec<Want>,
    /// What is asked for once more, and when.
    retries: BTreeSet<(Instant, Arc<str>)>,
}

impl Records {
    pub(super) fn new(mark: String) -> Self {
        Self {
            mark,
            is_connected: false,
            ids: 0,
            numbers: 0,
            records: BTreeMap::new(),
            refused: BTreeMap::new(),
            stopped: None,
            wants: Vec::new(),
            retries: BTreeSet::new(),
        }
    }

    /// Somebody begins to watch, at most so many updates a second. The number is theirs from then on.
    pub(crate) fn add(&mut self, name: &Arc<str>, rate_max: Option<f64>) -> u64 {
        self.ids += 1;
        let id = self.ids;
        let mut inlet = Inlet::default();
        if let Some(error) = &self.stopped {
            inlet.end(error.clone());
            self.refused.insert(id, inlet);
            return id;
        }
        let record = self.records.entry(name.clone()).or_insert_with(|| Record::new(rate_max));
        if record.rate_max == rate_max {
            record.add(id, inlet);
            self.reconsider(name);
        } else {
            let why = "this client watches this record at another rate already";
            inlet.end(ClientError::give_up(Code::Conflict, why));
            self.refused.insert(id, inlet);
        }
        id
    }

    /// They do no longer. The last one ends the subscription.
    pub(crate) fn remove(&mut self, name: &Arc<str>, id: u64) {
        self.refused.remove(&id);
        let Some(record) = self.records.get_mut(name) else { return };
        record.watchers.remove(&id);
        if record.watchers.is_empty() {
            if record.is_subscribed {
                self.wants.push(Want::LeaveRecord(name.clone()));
            }
            self.records.remove(name);
        }
    }

    pub(crate) fn poll_next(
        &mut self,
        name: &str,
        id: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Snapshot>>> {
        match self.inlet(name, id) {
            Some(inlet) => inlet.poll_next(cx),
            None => Poll::Ready(None),
        }
    }

    pub(crate) fn poll_open(&mut self, name: &str, id: u64, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match self.inlet(name, id) {
            Some(inlet) => inlet.poll_open(cx),
            None => Poll::Ready(Err(ClientError::closed())),
        }
    }

    fn inlet(&mut self, name: &str, id: u64) -> Option<&mut Inlet<Snapshot>> {
        let refused = self.refused.get_mut(&id);
        refused.or_else(|| self.records.get_mut(name).and_then(|record| record.watchers.get_mut(&id)))
    }

    pub(super) fn take_wants(&mut self) -> Vec<Want> {
        std::mem::take(&mut self.wants)
    }

    /// The payload that asks for what a record needs now; `None` if it is gone, or was asked for since.
    pub(super) fn ask(&mut self, name: &str, number: u64) -> Option<String> {
        let record = self.records.get_mut(name)?;
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
        let Some(record) = self.records.get_mut(name) else { return };
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
            Err(error) if is_passing(&error) => {
                record.retry_at = Some(again);
                self.retries.insert((again, name.clone()));
            }
            Err(error) => return self.refuse(name, &error),
        }
        self.reconsider(name);
    }

    /// `mesh/record-update`.
    pub(super) fn update(&mut self, json: &str) {
        let Ok((name, update)) = Update::parse(json) else { return };
        // Nobody watches any more, but the server did not know.
        let Some((name, _)) = self.records.get_key_value(&*name) else { return };
        let name = name.clone();
        if let Some(record) = self.records.get_mut(&name) {
            record.update(update, &self.mark);
            self.reconsider(&name);
        }
    }

    /// `mesh/record-updates`: what one transaction wrote.
    pub(super) fn updates(&mut self, json: &str) {
        wire::updates(json).into_iter().for_each(|update| self.update(update.get()));
    }

    /// A new connection takes questions.
    pub(super) fn connected(&mut self) {
        self.is_connected = true;
        let names: Vec<_> = self.records.keys().cloned().collect();
        for name in names {
            self.reconsider(&name);
        }
    }

    pub(super) fn disconnected(&mut self) {
        self.is_connected = false;
        self.wants.clear();
        self.retries.clear();
        for record in self.records.values_mut() {
            record.disconnected();
        }
    }

    pub(super) fn stop(&mut self, error: &ClientError) {
        self.stopped = Some(error.clone());
        let names: Vec<_> = self.records.keys().cloned().collect();
        for name in names {
            self.refuse(&name, error);
        }
        self.wants.clear();
    }

    /// When a record is asked for once more.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.retries.first().map(|(at, _)| *at)
    }

    pub(super) fn time(&mut self, now: Instant) {
        while self.due_at().is_some_and(|at| at <= now) {
            let Some((at, name)) = self.retries.pop_first() else { return };
            // One of that name that is gone may have left this behind.
            if let Some(record) = self.records.get_mut(&name).filter(|record| record.retry_at == Some(at)) {
                record.retry_at = None;
                self.reconsider(&name);
            }
        }
    }

    /// The watchers of a record hear why nothing comes any more.
    fn refuse(&mut self, name: &Arc<str>, error: &ClientError) {
        let Some(record) = self.records.remove(name) else { return };
        if record.is_granted {
            self.wants.push(Want::LeaveRecord(name.clone()));
        }
        for (id, mut inlet) in record.watchers {
            inlet.end(error.clone());
            self.refused.insert(id, inlet);
        }
    }

    fn reconsider(&mut self, name: &Arc<str>) {
        let Some(record) = self.records.get_mut(name).filter(|_| self.is_connected) else { return };
        let number = self.numbers + 1;
        if record.want(number) {
            self.numbers = number;
            self.wants.push(Want::Record(name.clone(), number));
        }
    }
}
