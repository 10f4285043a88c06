//! Real processes that are killed, paused and cut off.
//!
//! The in-memory cluster of `mesh_server::testing` shows the same claims in no time and in any order; what only real
//! processes show is what an operating system, a Redis and a network do when something ends in the middle. Each test
//! starts its own servers on free ports, and nothing of them outlives the test, however that ends.
//!
//! * [`Process`]: a program that can be killed and paused.
//! * [`Node`]: a Mesh server of its own process, and what it said of its hooks and faults.
//! * [`redis`]: a Redis with or without data, three Sentinels, a cluster.
//! * [`Client`]: a WebSocket client, small enough for ten thousand of them.
//! * [`Listener`]: one that only listens to a channel, cheaper still.
//! * [`Proxy`]: a link that is slow, dumb, deaf, cut into bytes or torn.

mod client;
mod listener;
mod node;
mod port;
mod process;
pub mod proxy;
pub mod redis;
mod wait;

pub use client::{Client, Failure, connect_many, each};
pub use listener::{Heard, Listener};
pub use node::{Line, Node};
pub use port::{Port, listen};
pub use process::Process;
pub use proxy::Proxy;
pub use wait::{eventually, figure};
