//! After a loss: streams are read on from where their subscribers are, until nothing is missing any more.

use std::sync::Weak;
use std::time::Duration;

use mesh_backend::{Key, Kind};

use crate::conn::AGAIN;
use crate::error::Result;
use crate::hub::Repair;
use crate::mesh::{Inner, Mesh};
use crate::{channel, record};

/// Streams that are read on at once: after a loss there may be as many as there are subscriptions.
pub(crate) const AT_ONCE: usize = 256;
/// Somebody is about to subscribe: until it has said where it stands, this long between two looks.
const SOON: Duration = Duration::from_millis(20);

/// A stream is to be made good; its arrivals are kept already.
pub(crate) fn begin(mesh: &Mesh, topic: Key) {
    let (inner, stop) = (std::sync::Arc::downgrade(&mesh.0), mesh.0.instance.stop.clone());
    tokio::spawn(async move { stop.run_until_cancelled(make_good(inner, topic)).await });
}

/// The same for all there are.
pub(crate) fn begin_all(mesh: &Mesh) {
    mesh.0.instance.hub.hold_all().into_iter().for_each(|topic| begin(mesh, topic));
}

async fn make_good(inner: Weak<Inner>, topic: Key) {
    while let Some(mesh) = inner.upgrade().map(Mesh) {
        match read_on(&mesh, &topic).await {
            Ok(true) if !mesh.0.instance.hub.made_good(&topic) => return,
            Ok(true) => {}
            Ok(false) => {
                drop(mesh);
                tokio::time::sleep(SOON).await;
            }
            // The backend is away.
            Err(_) => {
                drop(mesh);
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// Whether there is nothing more to read; `false`: not yet known.
async fn read_on(mesh: &Mesh, topic: &Key) -> Result<bool> {
    let Ok(_turn) = mesh.0.instance.resyncing.acquire().await else { return Ok(true) };
    loop {
        let from = match mesh.0.instance.hub.repair(topic) {
            Repair::From(position) => position,
            Repair::Wait => return Ok(false),
            Repair::Over => return Ok(true),
        };
        let all = match topic.kind {
            Kind::Channel => channel::read_on(mesh, topic, from).await?,
            Kind::Record => record::read_on(mesh, topic, from).await?,
            _ => true,
        };
        if all {
            return Ok(true);
        }
    }
}
