//! Real servers for tests: each on a free port of this machine, without persistence, gone when the test is.

#![allow(clippy::unwrap_used, reason = "these are tests")]
#![allow(dead_code, unused_imports, reason = "each test binary uses a part")]

mod cluster;
mod peer;
mod proxy;
mod server;
mod world;

pub(crate) use cluster::{Cluster, reshard};
pub(crate) use peer::{KEEP, PATIENCE, Peer, conn, entry, eventually, is_unavailable, room};
pub(crate) use proxy::Proxy;
pub(crate) use server::{Server, free_port};
pub(crate) use world::{OnServer, SharedServer};
