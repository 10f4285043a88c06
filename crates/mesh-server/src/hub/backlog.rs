//! Frames that wait for one connection, in order, and which of them give way where there are many.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::Arc;

use bytes::{Buf, Bytes};

/// What a queued frame weighs beside its bytes.
pub(super) const FRAME_OVERHEAD: usize = size_of::<Queued>();

#[derive(Debug, Default)]
pub(super) struct Backlog {
    queue: VecDeque<Queued>,
    /// Of all that waits, with overhead.
    bytes: usize,
    /// The first frame is partly written: it has to end as it began.
    started: bool,
}

#[derive(Debug)]
struct Queued {
    frame: Bytes,
    gives: Gives,
}

/// When a frame gives way.
#[derive(Clone, Debug)]
pub(super) enum Gives {
    Never,
    /// A newer one of this subscription takes its place.
    ToNewer(NonZeroU64),
    /// It is dropped rather than that the connection is closed.
    Up(Arc<Lag>),
    /// It tells that so many of these were.
    Tells(Arc<Lag>, u64),
}

/// A subscription whose messages are dropped where its client is too slow, the oldest first.
#[derive(Debug)]
pub(crate) struct Lag {
    /// A push that tells how many were, in two parts, the number between; `None`: the client sees it by itself.
    push: Option<(Box<str>, Box<str>)>,
}

impl Lag {
    pub(crate) fn new(push: Option<(Box<str>, Box<str>)>) -> Arc<Self> {
        Arc::new(Self { push })
    }

    fn frame(&self, missed: u64) -> Option<Bytes> {
        let (before, after) = self.push.as_ref()?;
        Some(mesh_ws::text(format!("{before}{missed}{after}").as_bytes()))
    }
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn front(&self) -> Option<&Bytes> {
        self.queue.front().map(|queued| &queued.frame)
    }

    pub(super) fn frames(&self) -> impl Iterator<Item = &Bytes> {
        self.queue.iter().map(|queued| &queued.frame)
    }

    pub(super) fn push(&mut self, frame: Bytes, gives: Gives) {
        self.bytes += frame.len() + FRAME_OVERHEAD;
        self.queue.push_back(Queued { frame, gives });
    }

    /// The rest of frames whose beginning is written.
    pub(super) fn push_rest(&mut self, frame: Bytes) {
        self.started = true;
        self.push(frame, Gives::Never);
    }

    /// Whether one more of this length may wait. An empty backlog takes any one frame, else a bound below one message would
    /// close everybody.
    pub(super) fn fits(&self, length: usize, bytes_max: usize) -> bool {
        self.queue.is_empty() || self.bytes + length + FRAME_OVERHEAD <= bytes_max
    }

    /// Drop what may be dropped, the oldest first, until one more of this length fits. How many were.
    pub(super) fn make_room(&mut self, length: usize, bytes_max: usize) -> u64 {
        let mut dropped = 0;
        while !self.fits(length, bytes_max) && self.drop_oldest() {
            dropped += 1;
        }
        dropped
    }

    fn drop_oldest(&mut self) -> bool {
        let from = usize::from(self.started);
        let droppable = |queued: &Queued| matches!(queued.gives, Gives::Up(_));
        let Some(at) = self.queue.iter().skip(from).position(droppable).map(|at| at + from) else {
            return false;
        };
        let Some(Queued { frame, gives: Gives::Up(lag) }) = self.queue.remove(at) else { return false };
        self.bytes -= frame.len() + FRAME_OVERHEAD;
        // What tells of those before it stands where the first of them stood; nothing else of it is left before this.
        let tells = |queued: &Queued| matches!(&queued.gives, Gives::Tells(of, _) if Arc::ptr_eq(of, &lag));
        let told = self.queue.iter().take(at).skip(from).rposition(tells).map(|told| told + from);
        let missed = match told.map(|told| &self.queue[told].gives) {
            Some(Gives::Tells(_, missed)) => missed + 1,
            _ => 1,
        };
        let Some(frame) = lag.frame(missed) else { return true };
        let length = frame.len();
        let telling = Queued { frame, gives: Gives::Tells(lag, missed) };
        match told {
            Some(told) => {
                let before = std::mem::replace(&mut self.queue[told], telling);
                self.bytes = self.bytes + length - before.frame.len();
            }
            None => {
                self.bytes += length + FRAME_OVERHEAD;
                self.queue.insert(at, telling);
            }
        }
        true
    }

    /// Put this where the first frame of a subscription waits, and take out the others. Whether any waited.
    pub(super) fn conflate(&mut self, of: NonZeroU64, whole: &Bytes) -> bool {
        let from = usize::from(self.started);
        let waits = |queued: &Queued| matches!(queued.gives, Gives::ToNewer(it) if it == of);
        let Some(first) = self.queue.iter().skip(from).position(waits).map(|first| first + from) else {
            return false;
        };
        let mut index = 0;
        self.queue.retain(|queued| {
            index += 1;
            index - 1 <= first || !waits(queued)
        });
        self.queue[first].frame = whole.clone();
        self.bytes = self.weight();
        true
    }

    /// From here on nothing newer takes the place of what waits of these subscriptions.
    pub(super) fn settle(&mut self, of: &[NonZeroU64]) {
        let waits = |queued: &&mut Queued| matches!(queued.gives, Gives::ToNewer(it) if of.contains(&it));
        self.queue.iter_mut().filter(waits).for_each(|queued| queued.gives = Gives::Never);
    }

    /// Drop all that has not begun to be written.
    pub(super) fn cut(&mut self) {
        self.queue.truncate(usize::from(self.started));
        self.bytes = self.weight();
    }

    /// So many bytes were written.
    pub(super) fn advance(&mut self, mut written: usize) {
        while let Some(Queued { frame: front, .. }) = self.queue.front_mut() {
            if written < front.len() {
                front.advance(written);
                self.bytes -= written;
                self.started = written > 0 || self.started;
                return;
            }
            written -= front.len();
            self.bytes -= front.len() + FRAME_OVERHEAD;
            self.started = false;
            self.queue.pop_front();
        }
        // An idle outbox owns nothing.
        self.queue = VecDeque::new();
    }

    fn weight(&self) -> usize {
        self.frames().map(|frame| frame.len() + FRAME_OVERHEAD).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(backlog: &Backlog) -> Vec<String> {
        let text = |frame: &Bytes| String::from_utf8_lossy(&frame[frame.len().min(2)..]).into_owned();
        backlog.frames().map(text).collect()
    }

    fn frame(text: &str) -> Bytes {
        mesh_ws::text(text.as_bytes())
    }

    fn lag(name: &str) -> Arc<Lag> {
        Lag::new(Some((format!("{name} missed ").into(), ".".into())))
    }

    fn holds(backlog: &Backlog) {
        assert_eq!(backlog.bytes(), backlog.weight());
    }

    #[test]
    fn the_oldest_that_may_be_dropped_go_first_and_what_tells_of_them_stands_in_their_place() {
        let (a, b, silent) = (lag("a"), lag("b"), Lag::new(None));
        let mut backlog = Backlog::default();
        for n in 0..4 {
            backlog.push(frame(&format!("kept {n}")), Gives::Never);
            for (name, lag) in [("a", &a), ("b", &b), ("s", &silent)] {
                backlog.push(frame(&format!("{name}{n}")), Gives::Up(lag.clone()));
            }
        }
        for _ in 0..5 {
            assert!(backlog.drop_oldest());
            holds(&backlog);
        }
        let left = [
            "kept 0",
            "a missed 2.",
            "b missed 2.",
            "kept 1",
            "s1",
            "kept 2",
            "a2",
            "b2",
            "s2",
            "kept 3",
            "a3",
            "b3",
            "s3",
        ];
        assert_eq!(texts(&backlog), left);
        while backlog.drop_oldest() {
            holds(&backlog);
        }
        let left = ["kept 0", "a missed 4.", "b missed 4.", "kept 1", "kept 2", "kept 3"];
        assert_eq!(texts(&backlog), left);
        assert_eq!(backlog.make_room(1, 0), 0, "there is nothing to drop");
    }

    #[test]
    fn what_is_partly_written_ends_as_it_began() {
        let a = lag("a");
        let mut backlog = Backlog::default();
        for n in 0..3 {
            backlog.push(frame(&format!("a{n}")), Gives::Up(a.clone()));
        }
        backlog.advance(1);
        assert!(backlog.drop_oldest() && backlog.drop_oldest() && !backlog.drop_oldest());
        holds(&backlog);
        assert_eq!(texts(&backlog), ["0", "a missed 2."], "the first byte was written");
        backlog.advance(4);
        // What begins to be written once it tells so is not changed any more.
        backlog.push(frame("a3"), Gives::Up(a.clone()));
        assert!(backlog.drop_oldest());
        holds(&backlog);
        assert_eq!(texts(&backlog)[1..], ["a missed 1."]);
    }

    #[test]
    fn as_many_are_dropped_as_it_takes() {
        let a = Lag::new(None);
        let mut backlog = Backlog::default();
        for _ in 0..10 {
            backlog.push(frame("0123456789"), Gives::Up(a.clone()));
        }
        let each = backlog.bytes() / 10;
        assert_eq!(backlog.make_room(12, 10 * each), 1);
        backlog.push(frame("0123456789"), Gives::Up(a));
        assert_eq!((backlog.make_room(12, 5 * each), backlog.len()), (6, 4));
        assert!(backlog.fits(12, 5 * each));
        holds(&backlog);
    }
}
