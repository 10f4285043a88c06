//! What a test can do to one link.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh_proto::Incarnation;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::sleep;

use crate::{BackendError, Inbox, Link, Result};

/// An operation, for counting and for choosing which one fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is the method of the same name")]
pub enum Op {
    Attach,
    Subscribe,
    Unsubscribe,
    Publish,
    Append,
    Read,
    Load,
    Write,
    WriteAll,
    Cells,
    Enter,
    Leave,
    Roll,
    Described,
    Find,
    Rosters,
    Mine,
    Beat,
    Orphans,
}

/// How a call fails; with [`Unavailable`](BackendError::Unavailable) in any case, so the caller cannot tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It did not take place.
    Before,
    /// It took place, and the answer was lost.
    After,
}

/// How calls end while a link is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partition {
    /// At once.
    Refuse,
    /// After this time, as of a caller's deadline.
    Hang(Duration),
}

/// What can happen to one link. Clones are handles to the same.
#[derive(Clone)]
pub struct Faults(Arc<Mutex<State>>);

struct State {
    rng: StdRng,
    delay: Range<Duration>,
    arrival_delay: Range<Duration>,
    fail_before: f64,
    fail_after: f64,
    fail_next: VecDeque<(Op, Fault)>,
    partition: Option<Partition>,
    crashed: bool,
    calls: BTreeMap<Op, u64>,
    /// Which attachment is the present one.
    life: u64,
    link: Option<Arc<dyn Link>>,
    inbox: Option<Inbox>,
}

/// What one call has before it on its way back.
#[derive(Debug)]
pub(super) struct Way {
    back: Duration,
    lost: bool,
}

const NONE: Range<Duration> = Duration::ZERO..Duration::ZERO;

impl Faults {
    pub(super) fn new(seed: u64, me: Incarnation) -> Self {
        let bits = me.bits();
        Self(Arc::new(Mutex::new(State {
            rng: StdRng::seed_from_u64(seed ^ bits as u64 ^ (bits >> 64) as u64),
            delay: NONE,
            arrival_delay: NONE,
            fail_before: 0.0,
            fail_after: 0.0,
            fail_next: VecDeque::new(),
            partition: None,
            crashed: false,
            calls: BTreeMap::new(),
            life: 0,
            link: None,
            inbox: None,
        })))
    }

    /// From here on each call takes a time drawn from this range, half of it before it takes place. Calls that are
    /// under way at the same time may overtake one another.
    pub fn delay(&self, range: Range<Duration>) {
        self.with(|state| state.delay = range);
    }

    /// From here on each arrival comes later by a time drawn from this range. They never overtake one another.
    pub fn delay_arrivals(&self, range: Range<Duration>) {
        self.with(|state| state.arrival_delay = range);
    }

    /// From here on calls fail with this probability before they take place.
    pub fn fail_before(&self, probability: f64) {
        assert!((0.0..=1.0).contains(&probability), "a probability is from 0 to 1");
        self.with(|state| state.fail_before = probability);
    }

    /// From here on calls fail with this probability after they took place.
    pub fn fail_after(&self, probability: f64) {
        assert!((0.0..=1.0).contains(&probability), "a probability is from 0 to 1");
        self.with(|state| state.fail_after = probability);
    }

    /// The next call of this operation fails. Said twice, the next two do.
    pub fn fail_next(&self, op: Op, fault: Fault) {
        self.with(|state| state.fail_next.push_back((op, fault)));
    }

    /// No more delays and failures. A partition stays.
    pub fn calm(&self) {
        self.with(|state| {
            (state.delay, state.arrival_delay) = (NONE, NONE);
            (state.fail_before, state.fail_after) = (0.0, 0.0);
            state.fail_next.clear();
        });
    }

    /// From here on no call comes through, and what arrives is lost.
    pub fn partition(&self, partition: Partition) {
        self.with(|state| state.partition = Some(partition));
    }

    /// Calls come through again, and the instance is told that continuity was lost.
    pub fn heal(&self) {
        let inbox = self.with(|state| state.partition.take().and_then(|_| state.inbox.clone()));
        if let Some(inbox) = inbox {
            inbox.lose_continuity();
        }
    }

    /// The instance is gone: every call fails, nothing arrives, and its lease is left to run out.
    pub fn crash(&self) {
        let (link, inbox) = self.with(|state| {
            state.crashed = true;
            (state.link.take(), state.inbox.take())
        });
        drop(link);
        if let Some(inbox) = inbox {
            inbox.close();
        }
    }

    /// How many calls of an operation were made, failed ones too.
    pub fn calls(&self, op: Op) -> u64 {
        self.with(|state| state.calls.get(&op).copied().unwrap_or(0))
    }

    /// How many calls were made: round trips, if a backend takes one per call.
    pub fn calls_total(&self) -> u64 {
        self.with(|state| state.calls.values().sum())
    }

    /// Count from 0 again.
    pub fn reset_calls(&self) {
        self.with(|state| state.calls.clear());
    }

    /// The first half of a call.
    pub(super) async fn there(&self, op: Op) -> Result<Way> {
        let (delay, fault) = self.with(|state| state.draw(op));
        self.reach().await?;
        if !delay.is_zero() {
            sleep(delay / 2).await;
            self.reach().await?;
        }
        match fault {
            Some(Fault::Before) => Err(unavailable("the call was lost")),
            _ => Ok(Way { back: delay - delay / 2, lost: fault == Some(Fault::After) }),
        }
    }

    /// The second half of a call.
    pub(super) async fn back(&self, way: Way) -> Result<()> {
        if !way.back.is_zero() {
            sleep(way.back).await;
        }
        self.reach().await?;
        if way.lost { Err(unavailable("the answer was lost")) } else { Ok(()) }
    }

    async fn reach(&self) -> Result<()> {
        match self.with(|state| (state.crashed, state.partition)) {
            (true, _) => Err(unavailable("this instance crashed")),
            (_, None) => Ok(()),
            (_, Some(Partition::Refuse)) => Err(unavailable("cut off")),
            (_, Some(Partition::Hang(time))) => {
                sleep(time).await;
                Err(unavailable("no answer in time"))
            }
        }
    }

    pub(super) fn link(&self, life: u64) -> Result<Arc<dyn Link>> {
        let link = self.with(|state| state.link.clone().filter(|_| state.life == life));
        link.ok_or_else(|| unavailable("this link is closed"))
    }

    pub(super) fn attached(&self, link: Arc<dyn Link>, inbox: Inbox) -> u64 {
        let (life, before) = self.with(|state| {
            state.life += 1;
            state.inbox = Some(inbox);
            (state.life, state.link.replace(link))
        });
        drop(before);
        life
    }

    pub(super) fn detached(&self, life: u64) {
        let link = self.with(|state| {
            let present = state.life == life;
            present.then(|| (state.link.take(), state.inbox.take()))
        });
        drop(link);
    }

    /// Whether what arrives now is lost.
    pub(super) fn deaf(&self) -> bool {
        self.with(|state| state.crashed || state.partition.is_some())
    }

    pub(super) fn arrival_delay(&self) -> Duration {
        self.with(|state| {
            let range = state.arrival_delay.clone();
            draw(&mut state.rng, range)
        })
    }

    /// Nothing is awaited and no link dropped under the lock.
    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn draw(&mut self, op: Op) -> (Duration, Option<Fault>) {
        *self.calls.entry(op).or_default() += 1;
        let delay = draw(&mut self.rng, self.delay.clone());
        let before = self.rng.random_bool(self.fail_before).then_some(Fault::Before);
        let after = self.rng.random_bool(self.fail_after).then_some(Fault::After);
        let next = self.fail_next.iter().position(|(next, _)| *next == op);
        let next = next.and_then(|at| self.fail_next.remove(at)).map(|(_, fault)| fault);
        (delay, next.or(before).or(after))
    }
}

fn draw(rng: &mut StdRng, range: Range<Duration>) -> Duration {
    if range.is_empty() { range.start } else { rng.random_range(range) }
}

fn unavailable(why: &str) -> BackendError {
    BackendError::Unavailable(why.into())
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").finish_non_exhaustive()
    }
}
