//! A single Redis does what every backend must.

mod support;

use mesh_redis::{Builder, Redis};
use support::{OnServer, Server, SharedServer};
use tokio::sync::OnceCell;

struct Plain(Server);

impl SharedServer for Plain {
    fn cell() -> &'static OnceCell<Self> {
        static SERVER: OnceCell<Plain> = OnceCell::const_new();
        &SERVER
    }

    async fn start() -> Self {
        Self(Server::redis().await)
    }

    fn builder(&self) -> Builder {
        Redis::builder(&self.0.url())
    }
}

mesh_backend::conformance!(OnServer<Plain>);
