//! What stands between one instance and what is shared, over all of the instance's lives.

use std::sync::Arc;
use std::time::Duration;

use mesh_backend::{Backend, BackendError, Done, Faults, Faulty, Inbox, Link, Partition};
use mesh_proto::Incarnation;

use crate::lock::Lock;

#[derive(Clone, Debug)]
pub(super) struct Doorway {
    faulty: Faulty,
    state: Arc<Lock<State>>,
}

#[derive(Debug, Default)]
struct State {
    cut: Option<Partition>,
    /// The present life.
    me: Option<Incarnation>,
}

impl Doorway {
    pub(super) fn new(backend: Arc<dyn Backend>, seed: u64) -> Self {
        Self { faulty: Faulty::new(backend, seed), state: Arc::default() }
    }

    /// Of the present life.
    pub(super) fn faults(&self) -> Faults {
        self.faulty.faults(self.state.with(|state| state.me).expect("an instance was started"))
    }

    pub(super) fn cut(&self, how: Partition) {
        self.state.with(|state| state.cut = Some(how));
        self.faults().partition(how);
    }

    pub(super) fn heal(&self) {
        self.state.with(|state| state.cut = None);
        self.faults().heal();
    }

    pub(super) fn crash(&self) {
        self.state.with(|state| state.cut = None);
        self.faults().crash();
    }
}

impl Backend for Doorway {
    fn attach(&self, me: Incarnation, lease: Duration, inbox: Inbox) -> Done<'_, Arc<dyn Link>> {
        Box::pin(async move {
            // Asked again after a hang: it may have been healed meanwhile.
            loop {
                match self.state.with(|state| state.cut) {
                    None => break,
                    Some(Partition::Hang(time)) => tokio::time::sleep(time).await,
                    Some(Partition::Refuse) => return Err(BackendError::Unavailable("cut off".into())),
                }
            }
            let link = self.faulty.attach(me, lease, inbox).await?;
            self.state.with(|state| state.me = Some(me));
            Ok(link)
        })
    }
}
