//! A world of the conformance suite: a namespace of one server that all tests of a binary share.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mesh_backend::Backend;
use mesh_backend::conformance::World;
use mesh_redis::{Builder, Redis};
use tokio::sync::OnceCell;

/// The server that the tests of a binary share.
pub(crate) trait SharedServer: Sized + Send + Sync + 'static {
    /// There once a test has started it. It ends with this process.
    fn cell() -> &'static OnceCell<Self>;

    /// Start it.
    fn start() -> impl Future<Output = Self> + Send;

    /// How to reach it.
    fn builder(&self) -> Builder;
}

/// A namespace of it.
pub(crate) struct OnServer<S>(Redis, PhantomData<S>);

impl<S: SharedServer> World for OnServer<S> {
    async fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let server = S::cell().get_or_init(S::start).await;
        let namespace = format!("w{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let builder = server.builder().namespace(namespace);
        // A machine that runs all tests at once may be slow.
        let builder = builder.deadline(Duration::from_secs(5));
        Self(builder.build().await.unwrap(), PhantomData)
    }

    fn backend(&self) -> Arc<dyn Backend> {
        Arc::new(self.0.clone())
    }

    /// Time is real here.
    fn lease(&self) -> Duration {
        Duration::from_millis(600)
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn settle(&self) {
        self.0.settle().await;
    }
}
