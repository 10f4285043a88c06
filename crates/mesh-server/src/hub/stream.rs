//! Topics whose arrivals are numbered: subscribed to without a hole, and made good again after a loss.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use mesh_backend::{Arrival, Key, Kind};
use mesh_proto::{ConnId, Form, Position};
use tokio::time::{Instant, sleep_until};

use super::listener::{Frames, Listener, Sent, Stream, Together, Wants};
use super::{Hub, Outbox, Topic, TopicState};
use crate::error::Result;

/// Bytes of arrivals kept while a topic is made good. Over it, what is kept is dropped and read once more.
const HELD_BYTES_MAX: usize = 1024 * 1024;

/// How far all that listen here have been looked after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Followed {
    /// Nobody is live, or nothing here has a number.
    #[default]
    Unknown,
    At(Position),
}

/// A topic is being made good: what arrives meanwhile is kept for afterwards.
#[derive(Debug, Default)]
pub(super) struct Held {
    arrivals: Vec<Arrival>,
    bytes: usize,
    /// What is read may be too old already.
    again: bool,
}

/// A subscription on its way. Dropped before it is live, it is taken back.
#[must_use]
#[derive(Debug)]
pub(crate) struct Opening {
    hub: Arc<Hub>,
    key: Key,
    id: ConnId,
    token: NonZeroU64,
    live: bool,
}

/// What is next for a topic that is being made good.
pub(crate) enum Repair {
    /// Read on from here; `None`: whatever there is, nobody has anything yet.
    From(Option<Position>),
    /// Somebody is about to subscribe and has not said where it stands.
    Wait,
    /// Nobody is interested any more.
    Over,
}

impl Hub {
    /// Subscribe to a stream. From here on all that arrives is kept until the subscription is live, or dropped. One of
    /// the same connection that was there is replaced.
    pub(crate) async fn open(
        self: &Arc<Self>,
        key: &Key,
        outbox: &Arc<Outbox>,
        wants: Wants,
    ) -> Result<Opening> {
        let token = NonZeroU64::new(self.tokens.fetch_add(1, Ordering::Relaxed)).unwrap_or(NonZeroU64::MIN);
        let opening = Opening { hub: self.clone(), key: key.clone(), id: outbox.id, token, live: false };
        let listener =
            || Listener { outbox: outbox.clone(), stream: Some(Box::new(Stream::new(token, wants.clone()))) };
        self.listen_as(key, listener).await?;
        Ok(opening)
    }

    /// Which subscription a connection has, if any.
    pub(crate) fn subscription(&self, key: &Key, id: ConnId) -> Option<NonZeroU64> {
        let topic = self.find(key)?;
        topic.state.with(|state| Some(state.listeners.get(&id)?.stream.as_ref()?.token))
    }

    /// End a subscription of a connection from this side: `frame` is the last thing it tells its client.
    pub(crate) fn end(self: &Arc<Self>, key: &Key, id: ConnId, token: NonZeroU64, frame: &Bytes) {
        self.unlisten_if(key, id, |Listener { stream, outbox }| {
            let stream = stream.as_mut().filter(|stream| stream.token == token);
            stream.is_some_and(|stream| stream.end(frame, outbox))
        });
    }

    /// Everything may have lost something: from here on what arrives on streams is kept until they were made good. Of
    /// which ones the caller has to see to that.
    pub(crate) fn hold_all(&self) -> Vec<Key> {
        let mut lost = Vec::new();
        for shard in &self.shards {
            let topics: Vec<_> = shard.with(|topics| topics.values().cloned().collect());
            let streams = topics.into_iter().filter(|topic| topic.is_stream());
            lost.extend(
                streams.filter(|topic| topic.state.with(TopicState::hold)).map(|topic| topic.key.clone()),
            );
        }
        // In an order that a run repeats.
        lost.sort_unstable();
        lost
    }

    /// The same for one topic.
    pub(super) fn hold(topic: &Topic) -> bool {
        topic.is_stream() && topic.state.with(TopicState::hold)
    }

    /// Where to read on from, to make a topic good.
    pub(crate) fn repair(&self, key: &Key) -> Repair {
        let Some(topic) = self.find(key) else { return Repair::Over };
        topic.state.with(|state| {
            if state.listeners.is_empty() {
                (state.held, state.followed) = (None, Followed::Unknown);
                return Repair::Over;
            }
            let mut streams = state.listeners.values().filter_map(|listener| listener.stream.as_ref());
            if streams.any(|stream| stream.is_doubted()) {
                return Repair::Wait;
            }
            match state.followed {
                Followed::At(position) => Repair::From(Some(position)),
                Followed::Unknown if state.has_live_streams() => Repair::From(None),
                Followed::Unknown => Repair::Wait,
            }
        })
    }

    /// Hand out what was read, in order.
    pub(crate) fn fill(self: &Arc<Self>, key: &Key, read: &[Arrival]) {
        let Some(topic) = self.find(key) else { return };
        for arrival in read {
            self.pass(&topic, |state| state.followed.is_new(arrival), arrival);
        }
    }

    /// Where those are who are live on a topic, each place once.
    pub(crate) fn places(&self, key: &Key) -> Vec<Position> {
        let Some(topic) = self.find(key) else { return Vec::new() };
        topic.state.with(|state| {
            let mut places = Vec::new();
            for at in state.live().filter_map(|(stream, _)| stream.at()) {
                if !places.contains(&at) {
                    places.push(at);
                }
            }
            places
        })
    }

    /// What those have who are at one of these places is not what there is, if it `is_over`: what is handed out next they
    /// get whatever its number.
    pub(crate) fn start_over(&self, key: &Key, places: &[Position], is_over: impl Fn(Position) -> bool) {
        let Some(topic) = self.find(key) else { return };
        topic.state.with(|state| {
            let mut any = matches!(state.followed, Followed::At(at) if is_over(at));
            for (stream, _) in state.live() {
                if stream.at().is_some_and(|at| places.contains(&at) && is_over(at)) {
                    stream.jump(None);
                    any = true;
                }
            }
            if any {
                state.followed = Followed::Unknown;
            }
        });
    }

    /// Something is lost. Those who can be told are, before anything that comes later, and go on after `position`. `text`
    /// says what it is to who is at a place; `None`: it misses nothing. Whether anybody does, or this instance itself.
    pub(crate) fn tell_gap(
        &self,
        key: &Key,
        position: Option<Position>,
        itself: bool,
        text: impl Fn(Option<Position>) -> Result<Option<Bytes>>,
    ) -> Result<bool> {
        let Some(topic) = self.find(key) else { return Ok(false) };
        topic.state.with(|state| {
            let (mut any, mut told) = (itself, None);
            for (stream, outbox) in state.live() {
                // Most of them are at one place.
                let at = stream.at();
                let frame = match &told {
                    Some((place, frame)) if *place == at => frame,
                    _ => &told.insert((at, text(at)?.map(|text| mesh_ws::text(&text)))).1,
                };
                let Some(frame) = frame else { continue };
                any = true;
                stream.send_waiting(outbox);
                stream.jump(position);
                if stream.wants.form == Form::Hello {
                    outbox.push_behind(frame, &[stream.token]);
                }
            }
            if any {
                state.followed = position.map_or(Followed::Unknown, Followed::At);
            }
            Ok(any)
        })
    }

    /// All that was missing is handed out: what was kept follows. Whether something is missing again.
    pub(crate) fn made_good(self: &Arc<Self>, key: &Key) -> bool {
        let Some(topic) = self.find(key) else { return false };
        let mut late = Vec::new();
        let again = topic.state.with(|state| {
            let Some(held) = &mut state.held else { return false };
            if std::mem::take(&mut held.again) {
                (held.arrivals, held.bytes) = (Vec::new(), 0);
                return true;
            }
            let Some(held) = state.held.take() else { return false };
            let mut arrivals = held.arrivals.into_iter();
            for arrival in arrivals.by_ref() {
                match state.followed.follow(&arrival) {
                    Next::Duplicate => {}
                    Next::Fits => self.hand(state, &Frames::new(&arrival), &mut late),
                    Next::Gap => {
                        state.held = Some(Held::default());
                        return true;
                    }
                }
            }
            false
        });
        self.come_back(&topic, late);
        again
    }

    /// Hand an arrival to a topic's listeners, if it is the next one. Whether something is missing before it.
    pub(super) fn advance(
        self: &Arc<Self>,
        topic: &Arc<Topic>,
        arrival: &Arrival,
        together: Option<&Together>,
    ) -> bool {
        let mut late = Vec::new();
        let lost = topic.state.with(|state| {
            if let Some(held) = &mut state.held {
                held.keep(arrival);
                return false;
            }
            match state.followed.follow(arrival) {
                Next::Duplicate => false,
                Next::Fits => {
                    self.hand(state, &Frames::new(arrival).put_together(together), &mut late);
                    false
                }
                Next::Gap => state.hold(),
            }
        });
        self.come_back(topic, late);
        lost
    }

    fn pass(
        self: &Arc<Self>,
        topic: &Arc<Topic>,
        wanted: impl FnOnce(&mut TopicState) -> bool,
        arrival: &Arrival,
    ) {
        let mut late = Vec::new();
        topic.state.with(|state| {
            if wanted(state) {
                self.hand(state, &Frames::new(arrival), &mut late);
            }
        });
        self.come_back(topic, late);
    }

    fn hand(
        &self,
        state: &mut TopicState,
        frames: &Frames<'_>,
        late: &mut Vec<(Instant, ConnId, NonZeroU64)>,
    ) {
        let mut count = 0;
        for (id, listener) in &mut state.listeners {
            match listener.take(frames) {
                Sent::Now => count += 1,
                Sent::No => {}
                Sent::At(at) => late.extend(listener.stream.as_ref().map(|stream| (at, *id, stream.token))),
            }
        }
        self.delivered.fetch_add(count, Ordering::Relaxed);
    }

    /// See to it that those who are spaced get what waits for them.
    fn come_back(self: &Arc<Self>, topic: &Arc<Topic>, late: Vec<(Instant, ConnId, NonZeroU64)>) {
        for (at, id, token) in late {
            let (hub, topic) = (self.clone(), topic.clone());
            self.tasks.spawn(async move {
                sleep_until(at).await;
                topic.state.with(|state| {
                    let Some(listener) = state.listeners.get_mut(&id) else { return };
                    let stream = listener.stream.as_mut().filter(|stream| stream.token == token);
                    if stream.is_some_and(|stream| stream.release(&listener.outbox)) {
                        hub.delivered.fetch_add(1, Ordering::Relaxed);
                    }
                });
            });
        }
    }
}

impl Opening {
    /// The answer is on its way: what came meanwhile, and all that comes, follows it.
    pub(crate) fn go_live(mut self, snapshot: Option<Position>) {
        self.live = true;
        let Some(topic) = self.hub.find(&self.key) else { return };
        let mut late = Vec::new();
        topic.state.with(|state| {
            if let (Followed::Unknown, Some(position)) = (state.followed, snapshot) {
                state.followed = Followed::At(position);
            }
            let Some(listener) = state.listeners.get_mut(&self.id) else { return };
            let stream = listener.stream.as_mut().filter(|stream| stream.token == self.token);
            let Some(stream) = stream else { return };
            if let Some(frame) = stream.last_word() {
                listener.outbox.push(&frame);
                self.live = false;
                return;
            }
            let mut count = 0;
            for arrival in stream.go_live(snapshot) {
                match listener.take(&Frames::new(&arrival)) {
                    Sent::Now => count += 1,
                    Sent::No => {}
                    Sent::At(at) => late.push((at, self.id, self.token)),
                }
            }
            self.hub.delivered.fetch_add(count, Ordering::Relaxed);
            // What is made good for the others is made good for it as well.
            let at = listener.stream.as_ref().and_then(|stream| stream.at());
            if let (Some(at), Followed::At(all)) = (at.filter(|_| state.held.is_some()), state.followed)
                && at.epoch == all.epoch
                && at.offset < all.offset
            {
                state.followed = Followed::At(at);
            }
        });
        self.hub.come_back(&topic, late);
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if !self.live {
            self.hub.unlisten_if(&self.key, self.id, |listener| {
                listener.stream.as_ref().is_some_and(|stream| stream.token == self.token)
            });
        }
    }
}

impl Held {
    fn keep(&mut self, arrival: &Arrival) {
        self.bytes += arrival.weight();
        if self.bytes > HELD_BYTES_MAX {
            (self.arrivals, self.bytes, self.again) = (Vec::new(), 0, true);
        } else {
            self.arrivals.push(arrival.clone());
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Next {
    Fits,
    Duplicate,
    Gap,
}

impl Followed {
    /// Whether it comes after all there was; it is the newest from here on.
    fn is_new(&mut self, arrival: &Arrival) -> bool {
        let Some(position) = arrival.position else { return true };
        let new = match *self {
            Self::At(last) => last.epoch != position.epoch || position.offset > last.offset,
            Self::Unknown => true,
        };
        if new {
            *self = Self::At(position);
        }
        new
    }

    fn follow(&mut self, arrival: &Arrival) -> Next {
        let (Some(position), Self::At(last)) = (arrival.position, *self) else {
            self.is_new(arrival);
            return Next::Fits;
        };
        // The first life of a stream begins with its first entry.
        let begins = last == Position::START && position.offset == 1;
        if last.epoch == position.epoch && position.offset <= last.offset {
            Next::Duplicate
        } else if begins || (last.epoch == position.epoch && position.offset == last.offset + 1) {
            *self = Self::At(position);
            Next::Fits
        } else {
            Next::Gap
        }
    }
}

impl Topic {
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.key.kind, Kind::Channel | Kind::Record)
    }
}

impl TopicState {
    /// Those whose answer is on its way.
    fn live(&mut self) -> impl Iterator<Item = (&mut Stream, &Arc<Outbox>)> {
        let streams = self
            .listeners
            .values_mut()
            .filter_map(|Listener { stream, outbox }| Some((stream.as_deref_mut()?, &*outbox)));
        streams.filter(|(stream, _)| stream.is_live())
    }

    /// Whether somebody has to make the topic good, and nobody does yet.
    fn hold(&mut self) -> bool {
        if self.listeners.is_empty() {
            (self.held, self.followed) = (None, Followed::Unknown);
            return false;
        }
        let streams = self.listeners.values_mut().filter_map(|listener| listener.stream.as_mut());
        streams.for_each(|stream| stream.doubt());
        match &mut self.held {
            Some(held) => {
                held.again = true;
                false
            }
            None => {
                self.held = Some(Held::default());
                true
            }
        }
    }
}
