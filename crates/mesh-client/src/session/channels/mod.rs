//! The channels that somebody listens to.

mod channel;
mod listener;
mod page;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll};

use serde_json::value::RawValue;
use tokio::time::Instant;

use super::frames::is_passing;
use super::topics::{Topic, Topics};
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
    pub(super) topics: Topics<Channel>,
}

impl Channels {
    pub(super) fn new(mark: String) -> Self {
        Self { mark, topics: Topics::default() }
    }

    /// Somebody begins to listen. The number is theirs from then on.
    pub(crate) fn add(&mut self, name: &Arc<str>, mode: Mode, history: u32) -> u64 {
        let why = "this client listens to this channel with another rate already";
        let fit = |channel: &Channel| if channel.mode == mode { Ok(()) } else { Err(why) };
        self.topics.add(name, Listener::new(history), || Channel::new(mode), fit)
    }

    /// They do no longer. The last one ends the subscription.
    pub(crate) fn remove(&mut self, name: &Arc<str>, id: u64) {
        self.topics.remove(name, id);
    }

    pub(crate) fn poll_next(
        &mut self,
        name: &Arc<str>,
        id: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Event>>> {
        let Some(listener) = self.topics.listener(name, id) else { return Poll::Ready(None) };
        let polled = listener.poll_next(cx);
        if listener.is_behind() {
            self.topics.reconsider(name);
        }
        polled
    }

    pub(crate) fn poll_open(&mut self, name: &str, id: u64, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match self.topics.listener(name, id) {
            Some(listener) => listener.inlet.poll_open(cx),
            None => Poll::Ready(Err(ClientError::closed())),
        }
    }

    /// Whether something is to be asked, which only the task does.
    pub(crate) fn has_wants(&self) -> bool {
        self.topics.has_wants()
    }

    /// The payload that asks for what a channel needs now; `None` if it is gone, or was asked for since.
    pub(super) fn ask(&mut self, name: &str, number: u64) -> Option<String> {
        let channel = self.topics.get_mut(name)?;
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
        let Some(channel) = self.topics.get_mut(name) else { return };
        let Some(asked) = channel.take_asked(number) else { return };
        let answer = answer.and_then(|json| {
            let page = SubscribedChannel::parse(json.get()).map_err(|error| ClientError::decoding(&error))?;
            // To ask again for nothing would be a loop as fast as the server.
            let is_part = asked.after.is_some() && !page.messages.is_empty();
            if page.more && !is_part { Err(ClientError::nonsense()) } else { Ok(page) }
        });
        match answer {
            Ok(page) => channel.opened(&asked, page, &self.mark),
            Err(error) if is_passing(&error) => self.topics.retry(name, again),
            Err(error) => return self.topics.refuse(name, &error),
        }
        self.topics.reconsider(name);
    }

    /// `mesh/subscription-message`.
    pub(super) fn message(&mut self, json: &str) {
        let Ok(push) = wire::Message::parse(json) else { return };
        let Some(name) = self.topics.find(&push.channel) else { return };
        if let Some(channel) = self.topics.get_mut(&name) {
            channel.message(push.entry, &self.mark);
            self.topics.reconsider(&name);
        }
    }

    /// `mesh/channel-gap`.
    pub(super) fn gap(&mut self, json: &str) {
        let Ok(push) = serde_json::from_str::<wire::GapPush<'_>>(json) else { return };
        if let Some(channel) = self.topics.get_mut(&push.channel) {
            channel.gap(&push.reason, push.missed);
        }
    }
}

impl Topic for Channel {
    type Listener = Listener;

    const ASK: fn(Arc<str>, u64) -> Want = Want::Channel;
    const LEAVE: fn(Arc<str>) -> Want = Want::LeaveChannel;

    fn listeners(&mut self) -> &mut BTreeMap<u64, Listener> {
        &mut self.listeners
    }

    fn add(&mut self, id: u64, listener: Listener) {
        Self::add(self, id, listener);
    }

    fn end(listener: &mut Listener, error: ClientError) {
        listener.inlet.end(error);
    }

    fn want(&mut self, number: u64) -> bool {
        Self::want(self, number)
    }

    fn pause(&mut self) -> bool {
        Self::pause(self)
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
