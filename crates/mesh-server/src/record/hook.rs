//! Telling the application that a record changed.

use std::sync::Arc;

use mesh_proto::{ConnId, RecordName};
use tokio::sync::OwnedSemaphorePermit;

use crate::mesh::Mesh;
use crate::policy::{RecordChange, RecordHook, finish};

/// Changes of records that hooks are told of at once on one instance. Who writes one that has hooks waits while there are
/// so many.
pub(crate) const AT_ONCE: usize = 1024;

/// The right to have the hooks of one change run, taken before it is written: then nothing stands between a change and
/// its hooks. `None`: the record has none.
pub(super) struct Turn(Option<OwnedSemaphorePermit>);

/// One for each record. All at once: of those who have some and wait for more, all might wait for ever.
pub(super) async fn turns(mesh: &Mesh, records: &[RecordName]) -> Vec<Turn> {
    let is_told = |record: &RecordName| {
        let policy = mesh.0.records.find(record.as_str());
        policy.is_some_and(|policy| !policy.on_update.is_empty() || !policy.on_remove.is_empty())
    };
    let told: Vec<_> = records.iter().map(is_told).collect();
    let count = told.iter().filter(|told| **told).count() as u32;
    let mut all = match count {
        0 => None,
        // It is never closed.
        _ => mesh.0.instance.telling.clone().acquire_many_owned(count).await.ok(),
    };
    told.iter().map(|told| Turn(all.as_mut().filter(|_| *told).and_then(|all| all.split(1)))).collect()
}

/// Run the hooks of a change to their ends, one after the other, without whoever wrote waiting for them.
pub(super) fn tell(
    mesh: &Mesh,
    turn: Turn,
    record: &RecordName,
    version: u64,
    value: Option<bytes::Bytes>,
    by: Option<ConnId>,
) {
    let (Some(permit), Some(policy)) = (turn.0, mesh.0.records.find(record.as_str())) else { return };
    let hooks: Vec<RecordHook> = if value.is_some() { &policy.on_update } else { &policy.on_remove }.clone();
    let change = RecordChange { record: record.clone(), version, by, value };
    let (mesh, tasks) = (mesh.clone(), mesh.0.instance.tasks.clone());
    tasks.spawn(async move {
        for told in hooks {
            let what = || -> Arc<str> {
                let hook = if change.is_removal() { "on_remove" } else { "on_update" };
                format!("{hook} of {:?}", change.record).into()
            };
            let timeout = mesh.0.instance.limits.on_connect_timeout;
            finish(&mesh, what, async { told(change.clone()).await }, timeout).await;
        }
        drop(permit);
    });
}
