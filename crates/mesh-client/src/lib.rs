//! The Rust client of Mesh: commands, channels, records and rooms over one connection that is made again when it
//! breaks.
//!
//! ```no_run
//! use mesh_client::{ChannelEvent, Client};
//!
//! # async fn run() -> mesh_client::Result<()> {
//! let client = Client::connect("ws://localhost:3000/mesh").await?;
//! let answer: String = client.command("echo", &"Hello!").await?;
//!
//! let mut chat = client.channel("chat:1").subscribe::<String>().history(50);
//! while let Some(event) = chat.next().await {
//!     match event {
//!         ChannelEvent::Message(message) => drop(message.message),
//!         ChannelEvent::Gap { reason, missed } => { /* some are lost: say so */ }
//!         ChannelEvent::Error(error) => return Err(error),
//!         _ => {}
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! # How it is built
//!
//! [`Client`] is a handle; one task per client holds the socket. Between them is a state machine that does no IO and reads no
//! clock. Everything here waits on tokio's clock, and all jitter comes from one [`Entropy`], so that a client in a
//! simulation is a function of its seed.

mod builder;
mod call;
mod channel;
mod client;
mod connector;
mod driver;
mod error;
mod heard;
mod history;
mod lock;
mod pushes;
mod record;
mod room;
mod session;
mod status;
mod subscription;
#[cfg(feature = "tls")]
mod tls;
mod watch;
mod wire;

pub use builder::Builder;
pub use call::Call;
pub use channel::{Channel, Published};
pub use client::Client;
pub use connector::{Connector, Io};
pub use error::{ClientError, Conflict, Result};
pub use history::{GapReason, History, HistoryQuery};
pub use pushes::Pushes;
pub use record::{Incremented, Record, Versioned, Written};
pub use room::{Joined, Room};
pub use status::{Reason, Status};
pub use subscription::{ChannelEvent, ChannelMessage, Subscription};
pub use watch::{RecordEvent, Watch};

pub use mesh_proto::patch;
pub use mesh_proto::{Class, Code, ConnId, Entropy, Epoch, Position, Tag};
