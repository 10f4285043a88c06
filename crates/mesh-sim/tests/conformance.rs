//! The Redis backend over the simulated Redis does what every backend must, on paused time.

use std::sync::Arc;
use std::time::Duration;

use mesh_backend::Backend;
use mesh_backend::conformance::World;
use mesh_proto::Entropy;
use mesh_sim::redis::Redis as Simulated;

struct OverSimulated(mesh_redis::Redis);

impl World for OverSimulated {
    async fn new() -> Self {
        tokio::time::pause();
        let server = Simulated::new(1);
        let dial = move |_| std::future::ready(server.dial());
        let options =
            mesh_redis::Redis::builder("redis://simulated").entropy(Arc::new(Entropy::from_seed(1)));
        Self(mesh_redis::Redis::over(dial, options).await.expect("a simulated Redis that runs"))
    }

    fn backend(&self) -> Arc<dyn Backend> {
        Arc::new(self.0.clone())
    }

    fn lease(&self) -> Duration {
        Duration::from_secs(6)
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn settle(&self) {
        self.0.settle().await;
    }
}

mesh_backend::conformance!(OverSimulated);
