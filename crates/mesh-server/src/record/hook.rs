//! Telling the application that a record changed.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;

use crate::fault::Fault;
use crate::mesh::Mesh;
use crate::policy::{RecordChange, RecordHook};

/// Run a hook to its end, without whoever wrote waiting for it.
pub(super) fn tell(mesh: &Mesh, told: RecordHook, change: RecordChange) {
    let (mesh, timeout) = (mesh.clone(), mesh.0.instance.limits.on_connect_timeout);
    let tasks = mesh.0.instance.tasks.clone();
    tasks.spawn(async move {
        let what = || -> Arc<str> {
            let hook = if change.is_removal() { "on_remove" } else { "on_update" };
            format!("{hook} of {:?}", change.record).into()
        };
        let telling = AssertUnwindSafe(async { told(change.clone()).await }).catch_unwind();
        let fault = match tokio::time::timeout(timeout, telling).await {
            Ok(Ok(Ok(()))) => return,
            Ok(Ok(Err(error))) => Fault::HookFailed(what(), error.to_string()),
            Ok(Err(_)) => Fault::Panicked(what()),
            Err(_) => Fault::TimedOut(what(), timeout),
        };
        mesh.0.reports.fault(&fault);
    });
}
