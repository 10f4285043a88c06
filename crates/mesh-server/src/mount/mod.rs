//! The ways in: a listener of its own, a route of an axum app, any stream.

#[cfg(feature = "axum")]
mod axum;
mod listen;
mod stream;
mod upgrade;

pub use listen::Listening;
pub use upgrade::{MeshService, PeerAddr};
