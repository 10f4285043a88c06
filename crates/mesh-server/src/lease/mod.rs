//! Staying alive in the eyes of others: beating, and what happens when that was not enough.

mod audit;
mod orphans;
mod revival;

use std::sync::{Arc, Weak};
use std::time::Duration;

use mesh_backend::{Arrival, Arrivals, BackendError, Control, Key};
use tokio::time::{Instant, sleep_until, timeout};

use crate::fault::Fault;
use crate::hub::{Heard, hand_out};
use crate::instance::Counters;
use crate::life::Life;
use crate::mesh::{Inner, Mesh};
use crate::{answer, channel, resync, room};

/// Between two beats: a third of the lease, so that two may fail.
const BEAT: Duration = Duration::from_secs(2);
/// A beat that failed is tried again after this long.
const BEAT_AGAIN: Duration = Duration::from_millis(250);
/// Between two audits.
const AUDIT: Duration = Duration::from_secs(30);
/// One that failed is tried again after this long.
const AUDIT_AGAIN: Duration = Duration::from_secs(1);
/// Between two looks for what dead instances left behind.
const ORPHANS: Duration = Duration::from_secs(1);

/// Keep an instance alive until it stops. Nothing else is done here: whatever takes long would cost the lease.
pub(crate) async fn keep(mesh: Weak<Inner>) {
    let mut beat_at = Instant::now() + BEAT;
    let mut well = true;
    loop {
        let Some(inner) = mesh.upgrade() else { return };
        let lives = inner.instance.lives.clone();
        drop(inner);
        tokio::select! {
            biased;
            () = lives.doubted() => {}
            () = sleep_until(beat_at) => {}
        }
        let Some(inner) = mesh.upgrade() else { return };
        let held = beat(&Mesh(inner), well).await;
        if held && !well {
            tracing::warn!("the backend is there again");
        }
        well = held;
        beat_at = Instant::now() + if held { BEAT } else { BEAT_AGAIN };
    }
}

/// Bury the dead, and see that the backend lists what there is, until the instance stops.
pub(crate) async fn look_after(mesh: Weak<Inner>) {
    let (mut orphans_at, mut audit_at) = (Instant::now() + ORPHANS, Instant::now() + AUDIT);
    loop {
        let Some(inner) = mesh.upgrade() else { return };
        let lives = inner.instance.lives.clone();
        drop(inner);
        tokio::select! {
            biased;
            () = lives.have_missed() => audit_at = Instant::now(),
            () = sleep_until(orphans_at.min(audit_at)) => {}
        }
        let Some(inner) = mesh.upgrade() else { return };
        let mesh = Mesh(inner);
        if Instant::now() >= orphans_at {
            orphans::bury(&mesh).await;
            orphans_at = Instant::now() + ORPHANS;
        }
        if Instant::now() >= audit_at {
            let audited = audit::audit(&mesh).await;
            audit_at = Instant::now() + if audited.is_ok() { AUDIT } else { AUDIT_AGAIN };
        }
    }
}

/// `well`: the one before succeeded. Of several that fail in a row the first is told.
async fn beat(mesh: &Mesh, well: bool) -> bool {
    let life = mesh.0.instance.life();
    match timeout(BEAT, life.link.beat()).await {
        Ok(Ok(beat)) => {
            if !beat.held {
                tracing::warn!("the lease had run out, and nobody had noticed");
            }
            true
        }
        Ok(Err(BackendError::Fenced)) => {
            mesh.0.reports.fault(&Fault::DeclaredDead);
            Counters::add(&mesh.0.instance.counters.revivals);
            revival::revive(mesh).await;
            true
        }
        Ok(Err(error)) if well => {
            tracing::warn!(%error, "a beat failed");
            false
        }
        Err(_) if well => {
            tracing::warn!("a beat was not answered in time");
            false
        }
        Ok(Err(_)) | Err(_) => false,
    }
}

/// Hand out what arrives in one life, until it is over.
pub(crate) fn hand_out_arrivals(mesh: &Mesh, life: &Life, arrivals: Arrivals) {
    let (hub, over) = (mesh.0.instance.hub.clone(), life.over.clone());
    let heard = Hears(Arc::downgrade(&mesh.0));
    tokio::spawn(async move { over.run_until_cancelled(hand_out(hub, arrivals, heard)).await });
}

/// What the hub hears that is not for connections.
struct Hears(Weak<Inner>);

impl Heard for Hears {
    fn on_control(&self, arrival: Arrival) {
        let Some(mesh) = self.0.upgrade().map(Mesh) else { return };
        let tasks = mesh.0.instance.tasks.clone();
        match arrival.control {
            Some(Control::ClearRoom) => {
                tasks.spawn(room::cleared(mesh, arrival.topic));
            }
            Some(Control::Ask(number, body)) => {
                tasks.spawn(answer::answer(mesh, arrival.from, number, body));
            }
            Some(Control::Answer(number, body)) => mesh.0.instance.asked.answered(number, body),
            _ => {}
        }
    }

    fn on_plain(&self, arrival: Arrival) -> Option<Arrival> {
        channel::bridged(&self.0.upgrade().map(Mesh)?, &arrival)
    }

    fn on_lost(&self) {
        let Some(inner) = self.0.upgrade() else { return };
        Counters::add(&inner.instance.counters.continuity_lost);
        inner.reports.fault(&Fault::ContinuityLost);
        inner.instance.lives.missed();
    }

    fn on_gap(&self, topic: Key) {
        if let Some(mesh) = self.0.upgrade().map(Mesh) {
            resync::begin(&mesh, topic);
        }
    }
}
