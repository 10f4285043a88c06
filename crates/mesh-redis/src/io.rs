//! Where connections live: on a thread of their own, so that a handler that blocks the application's workers neither
//! deafens an instance nor lets its lease run out.

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

/// A runtime for connections. Everything on it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Io {
    spawner: Spawner,
    /// Dropping it ends the thread.
    _apart: Option<oneshot::Sender<std::convert::Infallible>>,
}

impl Io {
    /// A thread of its own.
    pub(crate) fn apart() -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        std::thread::Builder::new().name("mesh-redis".to_owned()).spawn(move || {
            // Over as soon as the sender is gone.
            let _ = runtime.block_on(stopped);
            runtime.shutdown_background();
        })?;
        Ok(Self { spawner: Spawner(handle), _apart: Some(stop) })
    }

    /// The caller's runtime, whose clock may be paused.
    #[cfg(feature = "testing")]
    pub(crate) fn here() -> Self {
        Self { spawner: Spawner(Handle::current()), _apart: None }
    }

    /// What a future gives, run here. `None` if the runtime ends before.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        self.spawner.0.spawn(future).await.ok()
    }

    pub(crate) fn spawner(&self) -> &Spawner {
        &self.spawner
    }
}

/// Begins tasks there, as long as it is there.
#[derive(Clone, Debug)]
pub(crate) struct Spawner(Handle);

impl Spawner {
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Task {
        Task(self.0.spawn(task).abort_handle())
    }
}

/// A task that ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
