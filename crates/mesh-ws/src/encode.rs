//! Frames of a server, and the masked ones of a client.

use bytes::Bytes;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
/// Bytes of a server's longest header.
const HEADER_MAX: usize = 10;
/// Bytes of a control frame's payload (RFC 6455 section 5.5).
const CONTROL_MAX: usize = 125;

fn append_header(out: &mut Vec<u8>, opcode: Opcode, fin: bool, masked: u8, len: usize) {
    out.push(opcode as u8 | if fin { FIN } else { 0 });
    if len <= CONTROL_MAX {
        out.push(masked | len as u8);
    } else if let Ok(len) = u16::try_from(len) {
        out.push(masked | 126);
        out.extend_from_slice(&len.to_be_bytes());
    } else {
        out.push(masked | 127);
        out.extend_from_slice(&(len as u64).to_be_bytes());
    }
}

/// A text frame, header and payload in one buffer, to be shared by all who get it.
pub fn text(payload: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(payload.len() + HEADER_MAX);
    append_text(&mut out, &[payload]);
    out.into()
}

/// Append a text frame whose payload is the pieces joined.
pub fn append_text(out: &mut Vec<u8>, pieces: &[&[u8]]) {
    let len = pieces.iter().map(|piece| piece.len()).sum();
    out.reserve(len + HEADER_MAX);
    append_header(out, Opcode::Text, true, 0, len);
    for piece in pieces {
        out.extend_from_slice(piece);
    }
}

/// Append the answer to a ping; its payload has at most 125 bytes.
pub fn append_pong(out: &mut Vec<u8>, payload: &[u8]) {
    let payload = &payload[..payload.len().min(CONTROL_MAX)];
    append_header(out, Opcode::Pong, true, 0, payload.len());
    out.extend_from_slice(payload);
}

/// A close frame. A reason over 123 bytes is cut at a character.
pub fn close(code: u16, reason: &str) -> Bytes {
    let mut end = reason.len().min(CONTROL_MAX - 2);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let mut out = Vec::with_capacity(4 + end);
    append_header(&mut out, Opcode::Close, true, 0, 2 + end);
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(&reason.as_bytes()[..end]);
    out.into()
}

/// Append a frame of a client. An in-memory client may use a mask of zeros; a socket's must be unpredictable.
pub fn append_masked(out: &mut Vec<u8>, opcode: Opcode, fin: bool, mask: [u8; 4], payload: &[u8]) {
    append_header(out, opcode, fin, MASKED, payload.len());
    out.extend_from_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}
