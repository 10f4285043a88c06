//! A Redis that may evict any key is warned of. In a binary of its own, because what is logged is of the process.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::io::Write;
use std::sync::{Arc, Mutex};

use mesh_redis::Redis;
use support::Server;

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_redis_that_may_evict_any_key_is_warned_of() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
    let logged = || String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let (safe, unsafe_one) =
        (Server::redis().await, Server::redis_with(&["--maxmemory-policy", "allkeys-lru"]).await);
    Redis::connect(&safe.url()).await.unwrap();
    assert!(!logged().contains("evict"), "{}", logged());
    Redis::connect(&unsafe_one.url()).await.unwrap();
    assert!(logged().contains("maxmemory-policy allkeys-lru"), "{}", logged());
}
