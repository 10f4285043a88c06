//! Frames as a server sends them: not masked, and whole.

use bytes::Bytes;

use crate::CONTROL_BYTES_MAX;
use crate::close::cut;
use crate::header::{FIN, HEADER_BYTES_MAX, LENGTH_IN_2, LENGTH_IN_8, Opcode};

/// A text frame, header and payload in one buffer, to be shared by all who get it. The payload must be UTF-8.
pub fn text(payload: &[u8]) -> Bytes {
    let mut out = Vec::new();
    append_text(&mut out, &[payload]);
    out.into()
}

/// Append a text frame whose payload is the pieces joined, which must be UTF-8.
pub fn append_text(out: &mut Vec<u8>, pieces: &[&[u8]]) {
    let len = pieces.iter().map(|piece| piece.len()).sum();
    out.reserve(header_bytes(len) + len);
    append_header(out, Opcode::Text, true, 0, len);
    for piece in pieces {
        out.extend_from_slice(piece);
    }
}

/// Append any frame that is not masked.
pub fn append_frame(out: &mut Vec<u8>, opcode: Opcode, fin: bool, payload: &[u8]) {
    out.reserve(header_bytes(payload.len()) + payload.len());
    append_header(out, opcode, fin, 0, payload.len());
    out.extend_from_slice(payload);
}

/// Append the answer to a ping. Bytes after the 125th, which no ping has, are left out.
pub fn append_pong(out: &mut Vec<u8>, payload: &[u8]) {
    append_frame(out, Opcode::Pong, true, &payload[..payload.len().min(CONTROL_BYTES_MAX)]);
}

/// A close frame. A reason over 123 bytes is cut at a character. Whether a peer takes the code is told by
/// [`is_valid_close_code`](crate::is_valid_close_code).
pub fn close(code: u16, reason: &str) -> Bytes {
    let reason = cut(reason);
    let mut out = Vec::with_capacity(4 + reason.len());
    append_header(&mut out, Opcode::Close, true, 0, 2 + reason.len());
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
    out.into()
}

/// Append the header of a frame, without its mask; `masked` is the bit that says one follows.
pub(crate) fn append_header(out: &mut Vec<u8>, opcode: Opcode, fin: bool, masked: u8, len: usize) {
    out.push(opcode as u8 | if fin { FIN } else { 0 });
    if len <= CONTROL_BYTES_MAX {
        out.push(masked | len as u8);
    } else if let Ok(len) = u16::try_from(len) {
        out.push(masked | LENGTH_IN_2);
        out.extend_from_slice(&len.to_be_bytes());
    } else {
        out.push(masked | LENGTH_IN_8);
        out.extend_from_slice(&(len as u64).to_be_bytes());
    }
}

/// Bytes of a header without a mask: exact, so that a frame shared by many holds no byte in vain.
fn header_bytes(len: usize) -> usize {
    match len {
        0..=CONTROL_BYTES_MAX => 2,
        126..=0xffff => 4,
        _ => HEADER_BYTES_MAX - 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_takes_as_few_bytes_as_it_can() {
        let headers: [(usize, &[u8]); 6] = [
            (0, &[0x81, 0]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (65_535, &[0x81, 126, 0xff, 0xff]),
            (65_536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
            (70_000, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]),
        ];
        for (len, header) in headers {
            let frame = text(&vec![b'a'; len]);
            assert_eq!(&frame[..header.len()], header);
            assert_eq!(frame.len(), header.len() + len);
            assert_eq!(header_bytes(len), header.len());
        }
    }

    #[test]
    fn pieces_are_joined_behind_what_is_there() {
        let mut out = b"before".to_vec();
        append_text(&mut out, &[b"{\"id\":", b"7", b"}"]);
        append_pong(&mut out, b"?");
        assert_eq!(out, b"before\x81\x08{\"id\":7}\x8a\x01?");
    }

    #[test]
    fn a_reason_too_long_is_cut_at_a_character() {
        assert_eq!(&close(1000, "bye")[..], b"\x88\x05\x03\xe8bye");
        let frame = close(4000, &"é".repeat(100));
        assert_eq!(frame.len(), 4 + 122);
        assert_eq!(std::str::from_utf8(&frame[4..]), Ok("é".repeat(61).as_str()));
    }
}
