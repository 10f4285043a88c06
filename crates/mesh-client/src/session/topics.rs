//! What channels and records have in common: who is interested, what is to be asked, and what is asked once more later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mesh_proto::Code;
use tokio::time::Instant;

use super::wants::Want;
use crate::error::ClientError;

/// A channel that somebody listens to, or a record that somebody watches.
pub(super) trait Topic {
    /// One that is interested.
    type Listener;

    /// To subscribe to one of this name; the number tells it from what was asked for an earlier one.
    const ASK: fn(Arc<str>, u64) -> Want;
    /// To end that.
    const LEAVE: fn(Arc<str>) -> Want;

    /// Those that are interested, by their numbers.
    fn listeners(&mut self) -> &mut BTreeMap<u64, Self::Listener>;
    /// One more.
    fn add(&mut self, id: u64, listener: Self::Listener);
    /// One of them hears why nothing comes any more.
    fn end(listener: &mut Self::Listener, error: ClientError);
    /// Whether something is to be asked now, under this number.
    fn want(&mut self, number: u64) -> bool;
    /// Whether the server is to stop what nobody can take.
    fn pause(&mut self) -> bool;
    /// Whether a subscription was asked for or is there.
    fn is_subscribed(&self) -> bool;
    /// Whether it is there, as far as is known.
    fn is_granted(&self) -> bool;
    /// The server has ended the subscription. Whether that is the last word: not where an answer is still to come, or where
    /// the subscription was left.
    fn ended(&mut self) -> bool;
    /// When it is asked for once more.
    fn retry_at(&mut self) -> &mut Option<Instant>;
    fn disconnected(&mut self);
}

#[derive(Debug)]
pub(super) struct Topics<T: Topic> {
    is_connected: bool,
    ids: u64,
    /// Of wants: none is used twice, so that what was asked for a topic that is gone is not taken for an answer to the next.
    numbers: u64,
    all: BTreeMap<Arc<str>, T>,
    /// The listeners of topics that were refused, until they are told.
    refused: BTreeMap<u64, T::Listener>,
    stopped: Option<ClientError>,
    wants: Vec<Want>,
    /// What is asked for once more, and when.
    retries: BTreeSet<(Instant, Arc<str>)>,
}

impl<T: Topic> Default for Topics<T> {
    fn default() -> Self {
        Self {
            is_connected: false,
            ids: 0,
            numbers: 0,
            all: BTreeMap::new(),
            refused: BTreeMap::new(),
            stopped: None,
            wants: Vec::new(),
            retries: BTreeSet::new(),
        }
    }
}

impl<T: Topic> Topics<T> {
    /// Somebody is interested from now on, in a topic as `new` makes it. One that is there and does not `fit` refuses, and
    /// says why. The number is theirs from then on.
    pub(super) fn add(
        &mut self,
        name: &Arc<str>,
        mut listener: T::Listener,
        new: impl FnOnce() -> T,
        fit: impl FnOnce(&T) -> Result<(), &'static str>,
    ) -> u64 {
        self.ids += 1;
        let id = self.ids;
        let refused = match &self.stopped {
            Some(error) => Err(error.clone()),
            None => {
                let topic = self.all.entry(name.clone()).or_insert_with(new);
                fit(topic).map_err(|why| ClientError::give_up(Code::Conflict, why))
            }
        };
        if let Err(error) = refused {
            T::end(&mut listener, error);
            self.refused.insert(id, listener);
        } else if let Some(topic) = self.all.get_mut(name) {
            topic.add(id, listener);
            self.reconsider(name);
        }
        id
    }

    /// They are no longer. The last one ends the subscription.
    pub(super) fn remove(&mut self, name: &Arc<str>, id: u64) {
        self.refused.remove(&id);
        let Some(topic) = self.all.get_mut(name) else { return };
        topic.listeners().remove(&id);
        if topic.listeners().is_empty() {
            if topic.is_subscribed() {
                self.wants.push(T::LEAVE(name.clone()));
            }
            self.all.remove(name);
        } else {
            self.reconsider(name);
        }
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        self.all.get_mut(name)
    }

    /// A topic that a push is about; `None`: nobody is interested any more, and the server did not know.
    pub(super) fn find(&self, name: &str) -> Option<Arc<str>> {
        self.all.get_key_value(name).map(|(name, _)| name.clone())
    }

    /// One that is interested, refused or not.
    pub(super) fn listener(&mut self, name: &str, id: u64) -> Option<&mut T::Listener> {
        let refused = self.refused.get_mut(&id);
        refused.or_else(|| self.all.get_mut(name).and_then(|topic| topic.listeners().get_mut(&id)))
    }

    pub(super) fn has_wants(&self) -> bool {
        !self.wants.is_empty()
    }

    pub(super) fn take_wants(&mut self) -> Vec<Want> {
        std::mem::take(&mut self.wants)
    }

    /// A new connection takes questions.
    pub(super) fn connected(&mut self) {
        self.is_connected = true;
        let names: Vec<_> = self.all.keys().cloned().collect();
        for name in names {
            self.reconsider(&name);
        }
    }

    pub(super) fn disconnected(&mut self) {
        self.is_connected = false;
        self.wants.clear();
        self.retries.clear();
        self.all.values_mut().for_each(T::disconnected);
    }

    pub(super) fn stop(&mut self, error: &ClientError) {
        self.stopped = Some(error.clone());
        let names: Vec<_> = self.all.keys().cloned().collect();
        for name in names {
            self.refuse(&name, error);
        }
        self.wants.clear();
    }

    /// The server is busy: it is asked once more then.
    pub(super) fn retry(&mut self, name: &Arc<str>, at: Instant) {
        if let Some(topic) = self.all.get_mut(name) {
            *topic.retry_at() = Some(at);
            self.retries.insert((at, name.clone()));
        }
    }

    /// When something is asked for once more.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.retries.first().map(|(at, _)| *at)
    }

    pub(super) fn time(&mut self, now: Instant) {
        while self.due_at().is_some_and(|at| at <= now) {
            let Some((at, name)) = self.retries.pop_first() else { return };
            // One of that name that is gone may have left this behind.
            let Some(topic) = self.all.get_mut(&name) else { continue };
            if *topic.retry_at() == Some(at) {
                *topic.retry_at() = None;
                self.reconsider(&name);
            }
        }
    }

    /// The listeners of a topic hear why nothing comes any more.
    pub(super) fn refuse(&mut self, name: &Arc<str>, error: &ClientError) {
        let Some(mut topic) = self.all.remove(name) else { return };
        if topic.is_granted() {
            self.wants.push(T::LEAVE(name.clone()));
        }
        for (id, mut listener) in std::mem::take(topic.listeners()) {
            T::end(&mut listener, error.clone());
            self.refused.insert(id, listener);
        }
    }

    /// The server has ended a subscription that it had let in.
    pub(super) fn ended(&mut self, name: &str, error: &ClientError) {
        let Some(name) = self.find(name) else { return };
        if self.all.get_mut(&name).is_some_and(T::ended) {
            self.refuse(&name, error);
        }
    }

    /// Ask for what a topic needs, or have the server stop what nobody can take.
    pub(super) fn reconsider(&mut self, name: &Arc<str>) {
        let Some(topic) = self.all.get_mut(name).filter(|_| self.is_connected) else { return };
        let number = self.numbers + 1;
        if topic.want(number) {
            self.numbers = number;
            self.wants.push(T::ASK(name.clone(), number));
        } else if topic.pause() {
            self.wants.push(T::LEAVE(name.clone()));
        }
    }
}
