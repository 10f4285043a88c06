//! The channels that somebody listens to.

mod channel;
mod listener;
mod page;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::{Context, Poll};

use mesh_proto::Code;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::frames::is_passing;
use super::wants::Want;
use crate::error::{ClientError, Result};
use crate::wire::{self, SubscribedChannel};

use channel::Channel;
use listener::Listener;

pub(crate) use listener::Event;

/// Whether a subscription gets every message, or of many the newest.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Mode {
    pub(crate) latest: bool,
    /// Messages a second.
    pub(crate) rate_max: Option<f64>,
}

impl Mode {
    /// A bound on the rate skips, too.
    fn skips(&self) -> bool {
        self.latest || self.rate_max.is_some()
    }
}

#[derive(Debug)]
pub(crate) struct Channels {
    /// What the marks of this client's writes begin with.
    mark: String,
    is_connected: bool,
    ids: u64,
    /// Of wants: none is used twice, so that what was asked for a channel that is gone is not taken for an answer to the next.
    numbers: u64,
    channels: BTreeMap<Arc<str>, Channel>,
    /// The listeners of channels that were refused, until they are told.
    refused: BTreeMap<u64, Listener>,
    stopped: Option<ClientError>,
    wants: Vec<Want>,
    /// What is asked for once more, and when.
    retries: BTreeSet<(Instant, Arc<str>)>,
}

impl Channels {
    pub(super) fn new(mark: String) -> Self {
        Self {
            mark,
            is_connected: false,
            ids: 0,
            numbers: 0,
            channels: BTreeMap::new(),
            refused: BTreeMap::new(),
            stopped: None,
            wants: Vec::new(),
            retries: BTreeSet::new(),
        }
    }

    /// Somebody begins to listen. The number is theirs from then on.
    pub(crate) fn add(&mut self, name: &Arc<str>, mode: Mode, history: u32) -> u64 {
        self.ids += 1;
        let id = self.ids;
        let mut listener = Listener::new(history);
        if let Some(error) = &self.stopped {
            listener.inlet.end(error.clone());
            self.refused.insert(id, listener);
            return id;
        }
        let channel = self.channels.entry(name.clone()).or_insert_with(|| Channel::new(mode));
        if channel.mode == mode {
            channel.add(id, listener);
            self.reconsider(name);
        } else {
            let why = "this client listens to this channel with another rate already";
            listener.inlet.end(ClientError::give_up(Code::Conflict, why));
            self.refused.insert(id, listener);
        }
        id
    }

    /// They do no longer. The last one ends the subscription.
    pub(crate) fn remove(&mut self, name: &Arc<str>, id: u64) {
        self.refused.remove(&id);
        let Some(channel) = self.channels.get_mut(name) else { return };
        channel.listeners.remove(&id);
        if channel.listeners.is_empty() {
            if channel.is_subscribed {
                self.wants.push(Want::LeaveChannel(name.clone()));
            }
            self.channels.remove(name);
        } else {
            self.reconsider(name);
        }
    }

    pub(crate) fn poll_next(
        &mut self,
        name: &Arc<str>,
        id: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Event>>> {
        if let Some(listener) = self.refused.get_mut(&id) {
            return listener.poll_next(cx);
        }
        let listener = self.channels.get_mut(name).and_then(|channel| channel.listeners.get_mut(&id));
        let Some(listener) = listener else { return Poll::Ready(None) };
        let polled = listener.poll_next(cx);
        if listener.is_behind() {
            self.reconsider(name);
        }
        polled
    }

    pub(crate) fn poll_open(&mut self, name: &str, id: u64, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if let Some(listener) = self.refused.get_mut(&id) {
            return listener.inlet.poll_open(cx);
        }
        match self.channels.get_mut(name).and_then(|channel| channel.listeners.get_mut(&id)) {
            Some(listener) => listener.inlet.poll_open(cx),
            None => Poll::Ready(Err(ClientError::closed())),
        }
    }

    /// Whether something is to be asked, which only the task does.
    pub(crate) fn has_wants(&self) -> bool {
        !self.wants.is_empty()
    }

    pub(super) fn take_wants(&mut self) -> Vec<Want> {
        std::mem::take(&mut self.wants)
    }

    /// The payload that asks for what a channel needs now; `None` if it is gone, or was asked for since.
    pub(super) fn ask(&mut self, name: &str, number: u64) -> Option<String> {
        let channel = self.channels.get_mut(name)?;
        let (after, history_limit) = channel.ask(number)?;
        Some(wire::json(&wire::SubscribeChannel {
            channel: name,
            history_limit: (history_limit > 0).then_some(history_limit),
            after,
            latest: channel.mode.latest,
            max_rate: channel.mode.rate_max,
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
        let Some(channel) = self.channels.get_mut(name) else { return };
        let Some(asked) = channel.take_asked(number) else { return };
        let answer = answer.and_then(|json| {
            let page = SubscribedChannel::parse(json.get()).map_err(|error| ClientError::decoding(&error))?;
            // To ask again for nothing would be a loop as fast as the server.
            let is_part = asked.after.is_some() && !page.messages.is_empty();
            if page.more && !is_part { Err(ClientError::nonsense()) } else { Ok(page) }
        });
        match answer {
            Ok(page) => channel.opened(&asked, page, &self.mark),
            Err(error) if is_passing(&error) => {
                channel.retry_at = Some(again);
                self.retries.insert((again, name.clone()));
            }
            Err(error) => return self.refuse(name, &error),
        }
        self.reconsider(name);
    }

    /// `mesh/subscription-message`.
    pub(super) fn message(&mut self, json: &str) {
        let Ok(push) = wire::Message::parse(json) else { return };
        // Nobody listens any more, but the server did not know.
        let Some((name, _)) = self.channels.get_key_value(&*push.channel) else { return };
        let name = name.clone();
        if let Some(channel) = self.channels.get_mut(&name) {
            channel.message(push.entry, &self.mark);
            self.reconsider(&name);
        }
    }

    /// `mesh/channel-gap`.
    pub(super) fn gap(&mut self, json: &str) {
        let Ok(push) = serde_json::from_str::<wire::GapPush<'_>>(json) else { return };
        if let Some(channel) = self.channels.get_mut(&*push.channel) {
            channel.gap(&push.reason, push.missed);
        }
    }

    /// A new connection takes questions.
    pub(super) fn connected(&mut self) {
        self.is_connected = true;
        let names: Vec<_> = self.channels.keys().cloned().collect();
        for name in names {
            self.reconsider(&name);
        }
    }

    pub(super) fn disconnected(&mut self) {
        self.is_connected = false;
        self.wants.clear();
        self.retries.clear();
        for channel in self.channels.values_mut() {
            channel.disconnected();
        }
    }

    pub(super) fn stop(&mut self, error: &ClientError) {
        self.stopped = Some(error.clone());
        let names: Vec<_> = self.channels.keys().cloned().collect();
        for name in names {
            self.refuse(&name, error);
        }
        self.wants.clear();
    }

    /// When a channel is asked for once more.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.retries.first().map(|(at, _)| *at)
    }

    pub(super) fn time(&mut self, now: Instant) {
        while self.due_at().is_some_and(|at| at <= now) {
            let Some((at, name)) = self.retries.pop_first() else { return };
            // One of that name that is gone may have left this behind.
            if let Some(channel) = self.channels.get_mut(&name).filter(|channel| channel.retry_at == Some(at))
            {
                channel.retry_at = None;
                self.reconsider(&name);
            }
        }
    }

    /// The listeners of a channel hear why nothing comes any more.
    fn refuse(&mut self, name: &Arc<str>, error: &ClientError) {
        let Some(channel) = self.channels.remove(name) else { return };
        if channel.is_granted {
            self.wants.push(Want::LeaveChannel(name.clone()));
        }
        for (id, mut listener) in channel.listeners {
            listener.inlet.end(error.clone());
            self.refused.insert(id, listener);
        }
    }

    /// Ask for what a channel needs, or have the server stop what nobody can take.
    fn reconsider(&mut self, name: &Arc<str>) {
        let Some(channel) = self.channels.get_mut(name).filter(|_| self.is_connected) else { return };
        let number = self.numbers + 1;
        if channel.want(number) {
            self.numbers = number;
            self.wants.push(Want::Channel(name.clone(), number));
        } else if channel.pause() {
            self.wants.push(Want::LeaveChannel(name.clone()));
        }
    }
}
