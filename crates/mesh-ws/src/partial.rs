//! What a read left half-done, and the memory it takes.

use crate::header::{HEADER_BYTES_MAX, Header, Opcode, SoFar};
use crate::utf8::{Invalid, Text};

/// The state of a decoder that is not idle. Each part is there only while it is half-done.
#[derive(Debug, Default)]
pub(crate) struct Partial {
    /// The beginning of a header.
    pub(crate) head: Head,
    pub(crate) frame: Option<Frame>,
    pub(crate) message: Option<Message>,
}

impl Partial {
    pub(crate) fn is_over(&self) -> bool {
        self.head.len == 0 && self.frame.is_none() && self.message.is_none()
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let control = self.frame.as_ref().map_or(0, |frame| frame.control.capacity());
        let message = self.message.as_ref().map_or(0, |message| match &message.payload {
            Payload::Text(text) => text.capacity(),
            Payload::Binary(bytes) => bytes.capacity(),
        });
        size_of::<Self>() + control + message
    }
}

/// Bytes of a header that is not all there.
#[derive(Debug, Default)]
pub(crate) struct Head {
    bytes: [u8; HEADER_BYTES_MAX],
    len: usize,
}

impl Head {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Add as many bytes as a header may have; gives how many it had before.
    pub(crate) fn fill(&mut self, input: &[u8]) -> usize {
        let had = self.len;
        let take = input.len().min(HEADER_BYTES_MAX - had);
        self.bytes[had..had + take].copy_from_slice(&input[..take]);
        self.len += take;
        had
    }
}

/// A frame whose payload is not all there.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Its mask is turned to fit the next byte, its length is what is still to come.
    pub(crate) header: Header,
    /// The payload so far of a control frame; other payload goes to the message.
    pub(crate) control: Vec<u8>,
}

/// A message whose last frame is not all there.
#[derive(Debug)]
pub(crate) struct Message {
    payload: Payload,
    fragments: usize,
}

#[derive(Debug)]
enum Payload {
    Text(Text),
    Binary(Vec<u8>),
}

/// A message or a control frame that came in pieces and is complete.
#[derive(Debug)]
pub(crate) enum Whole {
    Text(String),
    Bytes(Vec<u8>),
}

impl Message {
    /// A message of which nothing has come yet.
    pub(crate) fn new(opcode: Opcode) -> Self {
        let payload = match opcode {
            Opcode::Text => Payload::Text(Text::default()),
            _ => Payload::Binary(Vec::new()),
        };
        Self { payload, fragments: 0 }
    }

    /// One more frame begins.
    pub(crate) fn begin_fragment(&mut self) {
        self.fragments += 1;
    }

    pub(crate) fn so_far(&self) -> SoFar {
        let bytes = match &self.payload {
            Payload::Text(text) => text.len(),
            Payload::Binary(bytes) => bytes.len(),
        };
        SoFar { bytes, fragments: self.fragments }
    }

    /// Take in payload; at most `expected` bytes of the message are to come, the piece included.
    pub(crate) fn push(&mut self, piece: &[u8], expected: usize) -> Result<(), Invalid> {
        match &mut self.payload {
            Payload::Text(text) => text.push(piece, expected),
            Payload::Binary(bytes) => {
                bytes.reserve_exact(room(bytes.len(), bytes.capacity(), piece.len(), expected));
                bytes.extend_from_slice(piece);
                Ok(())
            }
        }
    }

    /// The message, and what it is.
    pub(crate) fn end(self) -> Result<(Opcode, Whole), Invalid> {
        Ok(match self.payload {
            Payload::Text(text) => (Opcode::Text, Whole::Text(text.end()?)),
            Payload::Binary(bytes) => (Opcode::Binary, Whole::Bytes(bytes)),
        })
    }
}

/// What to reserve for `piece` more bytes. Room doubles, so that bytes are moved twice on average however small the
/// pieces are; but no further than the message says it goes, and never because of what it says alone.
pub(crate) fn room(len: usize, capacity: usize, piece: usize, expected: usize) -> usize {
    if capacity - len >= piece { 0 } else { expected.min(len.max(64)).max(piece) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_doubles_up_to_what_a_message_says() {
        assert_eq!(room(0, 0, 1, 1 << 30), 64, "a claim alone is not believed");
        assert_eq!(room(1000, 1000, 1, 1 << 30), 1000);
        assert_eq!(room(1000, 1000, 1, 24), 24, "the end is near");
        assert_eq!(room(1000, 1000, 5000, 6000), 5000, "what has come needs room");
        assert_eq!(room(1000, 2000, 900, 1 << 30), 0);
    }
}
