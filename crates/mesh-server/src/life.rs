//! The lives of an instance. One that others took for dead, or whose shared memory was emptied, does not go on as it
//! was: it begins another life under a new incarnation, and everything it has is entered anew. Connections notice
//! nothing.

use std::sync::Arc;
use std::time::Duration;

use mesh_backend::{Arrivals, Backend, BackendError, CellQueue, Link, inbox};
use mesh_proto::{Entropy, Incarnation};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::lock::Lock;

/// How long an instance may be silent before others take it for dead.
pub(crate) const LEASE: Duration = Duration::from_secs(6);

/// One life. Whoever does something with what is shared takes the present one and does it with that.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) me: Incarnation,
    pub(crate) link: Arc<dyn Link>,
    pub(crate) cells: CellQueue,
    /// Cancelled when another life took its place: what still arrives for this one arrives for that one too.
    pub(crate) over: CancellationToken,
}

#[derive(Debug)]
pub(crate) struct Lives {
    backend: Arc<dyn Backend>,
    entropy: Arc<Entropy>,
    inbox_bytes_max: usize,
    now: Lock<Arc<Life>>,
    /// Publications were missed, and with them perhaps the word that members were taken out.
    missed: Notify,
    /// Something speaks against the present life: its lease is looked after at once.
    doubt: Notify,
}

impl Lives {
    pub(crate) async fn begin(
        backend: Arc<dyn Backend>,
        entropy: Arc<Entropy>,
        inbox_bytes_max: usize,
        stop: &CancellationToken,
    ) -> Result<(Arc<Self>, Arrivals), BackendError> {
        let (life, arrivals) = Life::begin(&*backend, &entropy, inbox_bytes_max, stop).await?;
        let now = Lock::new(Arc::new(life));
        Ok((
            Arc::new(Self {
                backend,
                entropy,
                inbox_bytes_max,
                now,
                missed: Notify::new(),
                doubt: Notify::new(),
            }),
            arrivals,
        ))
    }

    pub(crate) fn now(&self) -> Arc<Life> {
        self.now.with(|now| now.clone())
    }

    /// Whether a life is still the present one.
    pub(crate) fn is_now(&self, life: &Arc<Life>) -> bool {
        self.now.with(|now| Arc::ptr_eq(now, life))
    }

    /// The next life takes the place of the present one.
    pub(crate) async fn begin_next(&self, stop: &CancellationToken) -> Result<Arrivals, BackendError> {
        let (life, arrivals) = Life::begin(&*self.backend, &self.entropy, self.inbox_bytes_max, stop).await?;
        self.now.with(|now| std::mem::replace(now, Arc::new(life))).over.cancel();
        Ok(arrivals)
    }

    pub(crate) fn doubt(&self) {
        self.doubt.notify_one();
    }

    /// Publications were missed.
    pub(crate) fn missed(&self) {
        self.missed.notify_one();
        // What made us deaf may have forgotten us as well.
        self.doubt();
    }

    pub(crate) async fn have_missed(&self) {
        self.missed.notified().await;
    }

    pub(crate) async fn doubted(&self) {
        self.doubt.notified().await;
    }
}

impl Life {
    async fn begin(
        backend: &dyn Backend,
        entropy: &Entropy,
        inbox_bytes_max: usize,
        stop: &CancellationToken,
    ) -> Result<(Self, Arrivals), BackendError> {
        let me = Incarnation::random(entropy);
        let (hand_in, arrivals) = inbox(inbox_bytes_max);
        let link = backend.attach(me, LEASE, hand_in).await?;
        let cells = CellQueue::new(link.clone());
        let over = stop.child_token();
        Ok((Self { me, link, cells, over }, arrivals))
    }
}
