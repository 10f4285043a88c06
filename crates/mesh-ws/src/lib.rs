//! The frame layer of WebSocket (RFC 6455) for Mesh: no IO, no clock, no `unsafe`.
//!
//! A [`Decoder`] owns no memory while no frame is partial, so an idle connection costs nothing here; frames for many
//! readers are built once, header and payload in one buffer, by [`text`]. Extensions are not negotiated, so a frame
//! with a reserved bit is refused; who may open a connection, and when to close one, is the server's to say.
//!
//! ```
//! use mesh_ws::{Decoder, Event, Limits, Opcode, Role, append_masked};
//!
//! let mut read = Vec::new();
//! append_masked(&mut read, Opcode::Text, true, [1, 2, 3, 4], b"hello");
//!
//! let mut decoder = Decoder::new(Role::Server);
//! let mut frames = decoder.feed(&mut read, &Limits::default());
//! assert_eq!(frames.next(), Ok(Some(Event::Text("hello"))));
//! assert_eq!(frames.next(), Ok(None));
//! ```

mod client;
mod close;
mod decoder;
mod frame;
mod handshake;
mod header;
mod limits;
mod mask;
mod partial;
mod utf8;
mod violation;

pub use client::{append_masked, append_masked_close};
pub use close::is_valid as is_valid_close_code;
pub use decoder::{Decoder, Event, Frames};
pub use frame::{append_frame, append_pong, append_text, close, text};
pub use handshake::{accept_key, is_valid_key};
pub use header::Opcode;
pub use limits::{Limits, Role};
pub use violation::Violation;

/// Bytes of a control frame's payload (RFC 6455 section 5.5).
const CONTROL_BYTES_MAX: usize = 125;
