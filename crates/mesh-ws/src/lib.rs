//! The frame layer of WebSocket (RFC 6455) for Mesh: no IO, no clock.
//!
//! A [`Decoder`] owns no memory while no frame is partial, so an idle connection costs nothing here; frames for many
//! readers are built once, header and payload in one buffer, by [`text`].

mod close;
mod decoder;
mod encode;
mod handshake;
mod utf8;

pub use close::is_valid as is_valid_close_code;
pub use decoder::{Decoder, Event, Frames, Limits, Role, Violation};
pub use encode::{Opcode, append_masked, append_pong, append_text, close, text};
pub use handshake::{accept_key, is_valid_key};
