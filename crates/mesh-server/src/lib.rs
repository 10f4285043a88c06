//! The Mesh server: commands, rooms and broadcasts over WebSocket.
//!
//! ```
//! use mesh_server::{Mesh, Payload, Room, prefix};
//!
//! async fn echo(Payload(text): Payload<String>) -> String {
//!     format!("echo: {text}")
//! }
//!
//! # async fn server() -> Result<(), Box<dyn std::error::Error>> {
//! let mesh = Mesh::builder()
//!     .command("echo", echo)
//!     .room(prefix("room:"), Room::open())
//!     .build()
//!     .await?;
//! mesh.listen("127.0.0.1:8080").await?;
//! mesh.room("room:lobby").broadcast("hello", &"everybody").await?;
//! # Ok(()) }
//! ```

mod answer;
mod ask;
mod broadcast;
mod builder;
mod channel;
mod command;
mod conn;
mod error;
mod fault;
mod follow;
mod hub;
mod instance;
mod lease;
mod life;
mod lock;
mod login;
mod mesh;
mod metadata;
mod mount;
mod pattern;
mod policy;
mod recheck;
mod record;
mod resync;
mod room;
mod schedule;
mod serve;
mod subscription;
#[cfg(feature = "testing")]
pub mod testing;

pub use builder::Builder;
pub use channel::{ChannelRef, HistoryPage, Message};
pub use command::{
    Claims, Command, Extension, FromCommand, FromRef, Guard, Handler, Hook, HookOutcome, IntoVerdict,
    Layered, Meta, Middleware, Name, Next, Payload, RawJson, Reply, State,
};
pub use conn::Conn;
pub use error::{MeshError, Result};
pub use fault::{ClientFault, Fault};
pub use instance::Stats;
pub use login::{Login, Origins};
pub use mesh::{Mesh, Readiness};
pub use mesh_backend::{Backend, Memory};
pub use mesh_proto::{
    ChannelName, Class, CloseCode, Code, ConnId, Entropy, Epoch, Limits, Position, RecordName, RoomName, Tag,
    patch,
};
pub use metadata::ConnRef;
pub use mount::{Listening, MeshService, PeerAddr};
pub use pattern::{Pattern, any, prefix};
pub use policy::{Channel, Record, RecordChange, Room};
pub use record::{RecordRef, Transaction, Versioned, Written};
pub use room::{Members, RoomRef};
