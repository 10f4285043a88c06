//! Frames as a client sends them: masked.
//!
//! A client on a socket takes four unpredictable bytes for each frame, so that no page can choose what a proxy reads;
//! a client in memory may take any.

use crate::close::cut;
use crate::frame::append_header;
use crate::header::{MASKED, Opcode};
use crate::mask;

/// Append a masked frame.
pub fn append_masked(out: &mut Vec<u8>, opcode: Opcode, fin: bool, mask: [u8; 4], payload: &[u8]) {
    out.reserve(crate::header::HEADER_BYTES_MAX + payload.len());
    append_header(out, opcode, fin, MASKED, payload.len());
    out.extend_from_slice(&mask);
    let start = out.len();
    out.extend_from_slice(payload);
    mask::apply(mask, &mut out[start..]);
}

/// Append a masked close frame. A reason over 123 bytes is cut at a character.
pub fn append_masked_close(out: &mut Vec<u8>, mask: [u8; 4], code: u16, reason: &str) {
    let payload = [&code.to_be_bytes(), cut(reason).as_bytes()].concat();
    append_masked(out, Opcode::Close, true, mask, &payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc_is_written() {
        let mut out = Vec::new();
        append_masked(&mut out, Opcode::Text, true, [0x37, 0xfa, 0x21, 0x3d], b"Hello");
        assert_eq!(out, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn a_close_has_its_code_and_reason_masked() {
        let mut out = Vec::new();
        append_masked_close(&mut out, [0; 4], 1001, "bye");
        assert_eq!(out, b"\x88\x85\0\0\0\0\x03\xe9bye");
    }
}
