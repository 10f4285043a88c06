//! What a peer may send, and which peer it is.

/// Bounds of what a peer may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one message, all fragments together. Over it: 1009, as soon as a header says so and before anything is
    /// kept of it. Control frames have a bound of their own, 125 bytes.
    pub message_bytes_max: usize,
    /// Frames of one message that comes in fragments, empty ones too. Over it: 1009.
    pub fragments_max: usize,
}

impl Default for Limits {
    /// 256 KiB in at most 1,024 fragments.
    fn default() -> Self {
        Self { message_bytes_max: 256 * 1024, fragments_max: 1024 }
    }
}

/// Which side a decoder is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads a client's frames, which must be masked.
    Server,
    /// Reads a server's frames, which must not be.
    Client,
}
