//! A backend with faults: delays, failures whose outcome is unknown, partitions, crashes; and counters of calls.
//!
//! Every fault is per link and chosen by the test, or drawn from a seed; time is tokio's, so on a paused clock a run is
//! a function of the seed.

mod faults;
mod link;
mod pump;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh_proto::Incarnation;

pub use self::faults::{Fault, Faults, Op, Partition};
use self::link::FaultyLink;
use self::pump::pump;
use crate::{Backend, Done, Inbox, Link, inbox};

/// What waits between the backend and the pump that drops, delays or hands on. The bound that a test wants to see is
/// that of its own inbox.
const INNER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A backend with faults in front of another. Clones share them.
#[derive(Clone, Debug)]
pub struct Faulty(Arc<Shared>);

struct Shared {
    inner: Arc<dyn Backend>,
    seed: u64,
    /// What happens to every link from its beginning.
    each: Box<dyn Fn(&Faults) + Send + Sync>,
    links: Mutex<BTreeMap<Incarnation, Faults>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("inner", &self.inner).field("seed", &self.seed).finish_non_exhaustive()
    }
}

impl Faulty {
    /// No faults yet. Those to come are drawn from `seed`.
    pub fn new(inner: Arc<dyn Backend>, seed: u64) -> Self {
        Self::each(inner, seed, |_| ())
    }

    /// With these faults on every link, from its beginning.
    pub fn each(inner: Arc<dyn Backend>, seed: u64, each: impl Fn(&Faults) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared { inner, seed, each: Box::new(each), links: Mutex::default() }))
    }

    /// What can happen to the link of an incarnation; also before it attaches.
    pub fn faults(&self, me: Incarnation) -> Faults {
        let mut links = self.0.links.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let faults = Faults::new(self.0.seed, me);
            (self.0.each)(&faults);
            faults
        };
        links.entry(me).or_insert_with(new).clone()
    }
}

impl Backend for Faulty {
    fn attach(&self, me: Incarnation, lease: Duration, outer: Inbox) -> Done<'_, Arc<dyn Link>> {
        Box::pin(async move {
            let faults = self.faults(me);
            let way = faults.there(Op::Attach).await?;
            let (inner, arrivals) = inbox(INNER_BYTES_MAX);
            let link = self.0.inner.attach(me, lease, inner).await?;
            tokio::spawn(pump(faults.clone(), arrivals, outer.clone()));
            let life = faults.attached(link, outer);
            // From here on dropping lets go of the inner link.
            let link = Arc::new(FaultyLink::new(faults, life));
            link.faults().back(way).await?;
            Ok(link as Arc<dyn Link>)
        })
    }
}
