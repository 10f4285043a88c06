//! Real servers for tests: each on a free port of this machine, without persistence, gone when the test is.

#![allow(dead_code, reason = "each test binary uses a part")]

mod server;
mod world;

pub(crate) use server::Server;
pub(crate) use world::{OnServer, SharedServer};
