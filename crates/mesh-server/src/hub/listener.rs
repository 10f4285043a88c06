//! One connection that listens to a topic, and how it takes what comes.

use std::cell::{OnceCell, RefCell};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mesh_backend::Arrival;
use mesh_proto::{Epoch, Form, Position};
use tokio::time::Instant;

use super::{Lag, Outbox};

#[derive(Debug)]
pub(super) struct Listener {
    pub(super) outbox: Arc<Outbox>,
    /// `None`: it takes every arrival as it comes, as members of a room do.
    pub(super) stream: Option<Box<Stream>>,
}

/// What a subscription asks for.
#[derive(Clone, Debug)]
pub(crate) struct Wants {
    /// Origin clients know nothing of gaps.
    pub(crate) form: Form,
    /// Differences, where there are any.
    pub(crate) patches: bool,
    /// What waits gives way to the newest.
    pub(crate) latest: bool,
    /// Nothing sooner than this after the last.
    pub(crate) every: Option<Duration>,
    /// Of what came while the answer was on its way, the newest alone.
    pub(crate) newest_first: bool,
    /// The oldest that wait are dropped where the reader is too slow.
    pub(crate) lag: Option<Arc<Lag>>,
}

/// A subscription to numbered entries, or to messages without a number.
#[derive(Debug)]
pub(super) struct Stream {
    /// Which subscribing it came from; what waits in the outbox goes by it, too.
    pub(super) token: NonZeroU64,
    pub(super) wants: Wants,
    stage: Stage,
    /// Up to where it has been looked after.
    last: Option<Position>,
    /// What its client has, once all that waits is sent: where `last` is, but for what was left out.
    has: Option<(Epoch, u64)>,
    /// Not before this.
    next: Instant,
    /// What is sent then.
    waits: Option<(Bytes, Option<(Epoch, u64)>)>,
    /// Something was lost since it began to open, which its answer may not tell of: it is made good once it is live.
    doubted: bool,
    /// It was ended before its answer was on its way: what follows that, and nothing more.
    last_word: Option<Bytes>,
}

#[derive(Debug)]
enum Stage {
    /// Its answer is not on its way yet: what comes is kept, for after that. So many bytes of it.
    Opening(Vec<Arrival>, usize),
    Live,
}

/// The frames of one arrival: the header is put before the text once, for all who get it.
pub(super) struct Frames<'a> {
    pub(super) arrival: &'a Arrival,
    full: OnceCell<Option<Bytes>>,
    patch: OnceCell<Option<Bytes>>,
    /// Where texts are put that can go into one frame with those of other arrivals.
    together: Option<&'a Together>,
}

/// Texts of several arrivals, and whom they are for: of which connection which subscription.
pub(super) type Together = RefCell<Vec<(Arc<Outbox>, NonZeroU64, Bytes)>>;

/// What became of an arrival.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Now,
    /// Somebody has to come back then.
    At(Instant),
    /// Kept, left out, or waiting for somebody who comes back already.
    No,
}

impl<'a> Frames<'a> {
    pub(super) fn new(arrival: &'a Arrival) -> Self {
        Self { arrival, full: OnceCell::new(), patch: OnceCell::new(), together: None }
    }

    pub(super) fn put_together(self, together: Option<&'a Together>) -> Self {
        Self { together, ..self }
    }

    pub(super) fn full(&self) -> Option<&Bytes> {
        self.full.get_or_init(|| self.arrival.full.as_ref().map(|text| mesh_ws::text(text))).as_ref()
    }

    fn patch(&self) -> Option<&Bytes> {
        self.patch.get_or_init(|| self.arrival.patch.as_ref().map(|text| mesh_ws::text(text))).as_ref()
    }
}

fn place(position: Position) -> (Epoch, u64) {
    (position.epoch, position.offset)
}

impl Listener {
    pub(super) fn take(&mut self, frames: &Frames<'_>) -> Sent {
        let Some(stream) = &mut self.stream else {
            let Some(frame) = frames.full() else { return Sent::No };
            self.outbox.push(frame);
            return Sent::Now;
        };
        stream.take(frames, &self.outbox)
    }
}

impl Stream {
    pub(super) fn new(token: NonZeroU64, wants: Wants) -> Self {
        let stage = Stage::Opening(Vec::new(), 0);
        let next = Instant::now();
        Self {
            token,
            wants,
            stage,
            last: None,
            has: None,
            next,
            waits: None,
            doubted: false,
            last_word: None,
        }
    }

    /// End it with this frame, behind its answer. Whether it is over.
    pub(super) fn end(&mut self, frame: &Bytes, outbox: &Arc<Outbox>) -> bool {
        if self.is_live() {
            outbox.push(frame);
        } else {
            self.last_word = Some(frame.clone());
        }
        self.is_live()
    }

    /// What to say instead of going live, if it was ended meanwhile.
    pub(super) fn last_word(&mut self) -> Option<Bytes> {
        self.last_word.take()
    }

    pub(super) fn is_live(&self) -> bool {
        matches!(self.stage, Stage::Live)
    }

    /// Up to where it has been looked after.
    pub(super) fn at(&self) -> Option<Position> {
        self.last
    }

    /// Something was lost on its topic.
    pub(super) fn doubt(&mut self) {
        self.doubted = !self.is_live();
    }

    /// Whether it is to be waited for before what was lost is made good.
    pub(super) fn is_doubted(&self) -> bool {
        self.doubted
    }

    /// Its answer is on its way, which tells of everything up to `snapshot`: what came meanwhile follows.
    pub(super) fn go_live(&mut self, snapshot: Option<Position>) -> Vec<Arrival> {
        self.doubted = false;
        self.last = snapshot;
        self.has = snapshot.map(place);
        let Stage::Opening(mut held, _) = std::mem::replace(&mut self.stage, Stage::Live) else {
            return Vec::new();
        };
        let newest = held.iter().rposition(|arrival| arrival.full.is_some());
        if let Some(newest) = newest.filter(|_| self.wants.newest_first) {
            held.drain(..newest);
        }
        held
    }

    /// From here on it is at `position`, whatever came before.
    pub(super) fn jump(&mut self, position: Option<Position>) {
        self.last = position;
    }

    fn take(&mut self, frames: &Frames<'_>, outbox: &Arc<Outbox>) -> Sent {
        let arrival = frames.arrival;
        if let Stage::Opening(held, bytes) = &mut self.stage {
            *bytes += arrival.weight();
            held.push(arrival.clone());
            if *bytes > outbox.bytes_max() {
                outbox.close(mesh_proto::CloseCode::SlowReader);
                self.stage = Stage::Opening(Vec::new(), 0);
            }
            return Sent::No;
        }
        let at = arrival.position.map(place);
        if let (Some((epoch, offset)), Some(last)) = (at, self.last)
            && epoch == last.epoch
            && offset <= last.offset
        {
            return Sent::No;
        }
        self.last = arrival.position.or(self.last);
        let follows = match (at, self.has) {
            (Some((epoch, offset)), Some((life, has))) => epoch == life && offset == has + 1,
            _ => false,
        };
        let patch = if self.wants.patches && follows { frames.patch() } else { None };
        let Some(every) = self.wants.every else {
            let Some(frame) = patch.or_else(|| frames.full()) else { return Sent::No };
            self.has = at;
            let text = if patch.is_some() { &arrival.patch } else { &arrival.full };
            if let (Some(together), Some(text), Form::Hello) = (frames.together, text, self.wants.form)
                && !outbox.has_much()
            {
                together.borrow_mut().push((outbox.clone(), self.token, text.clone()));
                return Sent::Now;
            }
            match (frames.full(), &self.wants.lag) {
                (Some(full), _) if self.wants.latest => outbox.push_newest(frame, self.token, full),
                (_, Some(lag)) => outbox.push_droppable(frame, lag),
                _ => outbox.push(frame),
            }
            return Sent::Now;
        };
        // What is left out makes a difference useless, so those that are spaced get whole values.
        let Some(full) = frames.full() else { return Sent::No };
        let waited = self.waits.is_some();
        let now = Instant::now();
        if now < self.next {
            self.waits = Some((full.clone(), at));
            return if waited { Sent::No } else { Sent::At(self.next) };
        }
        self.waits = None;
        (self.has, self.next) = (at, now + every);
        outbox.push_newest(patch.unwrap_or(full), self.token, full);
        Sent::Now
    }

    /// The time has come to send what waits.
    pub(super) fn release(&mut self, outbox: &Arc<Outbox>) -> bool {
        let Some(every) = self.wants.every else { return false };
        // Something was sent meanwhile: whoever has to come back after that comes later.
        if Instant::now() < self.next {
            return false;
        }
        if self.waits.is_some() {
            self.next = Instant::now() + every;
        }
        self.send_waiting(outbox)
    }

    /// Send what waits at once: something comes that it must not follow.
    pub(super) fn send_waiting(&mut self, outbox: &Arc<Outbox>) -> bool {
        let Some((frame, at)) = self.waits.take() else { return false };
        self.has = at;
        outbox.push_newest(&frame, self.token, &frame);
        true
    }
}
