//! A single Redis does what every backend must.

mod support;

use support::{OnServer, Server, SharedServer};
use tokio::sync::OnceCell;

struct Plain;

impl SharedServer for Plain {
    fn cell() -> &'static OnceCell<Server> {
        static SERVER: OnceCell<Server> = OnceCell::const_new();
        &SERVER
    }

    async fn start() -> Server {
        Server::redis().await
    }
}

mesh_backend::conformance!(OnServer<Plain>);
