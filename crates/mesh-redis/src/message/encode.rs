//! From an announcement to bytes.

use bytes::{BufMut, Bytes, BytesMut};
use mesh_backend::{Announce, Audience, Control, Variants, Wire};
use mesh_proto::{ConnId, Incarnation};

use super::Part;

/// The blob of an announcement. Its topic is the channel's.
pub(crate) fn encode(from: Incarnation, announce: &Announce, part: Option<&Part>) -> Bytes {
    let mut out = BytesMut::with_capacity(64 + announce.variants.as_ref().map_or(0, Variants::weight));
    out.put_u128(from.bits());
    match &announce.audience {
        Audience::All => out.put_u8(b'A'),
        Audience::Except(ids) => put_ids(&mut out, b'X', ids),
        Audience::Only(ids) => put_ids(&mut out, b'O', ids),
    }
    match &announce.txn {
        Some(txn) => put_text(&mut out, b'F', txn.as_bytes()),
        None => out.put_u8(b'-'),
    }
    let (full, patch) = match &announce.variants {
        Some(Variants { full, patch }) => (full.as_ref(), patch.as_ref()),
        None => (None, None),
    };
    put_wire(&mut out, full);
    put_wire(&mut out, patch);
    match &announce.control {
        None => out.put_u8(b'-'),
        Some(Control::Close(code)) => {
            out.put_u8(b'C');
            out.put_u16(*code);
        }
        Some(Control::ClearRoom) => out.put_u8(b'R'),
        Some(Control::Ask(number, what)) => put_numbered(&mut out, b'Q', *number, what),
        Some(Control::Answer(number, what)) => put_numbered(&mut out, b'A', *number, what),
        // A word that came later than this crate. The conformance suite publishes every one.
        Some(other) => unreachable!("{other:?} has no letter"),
    }
    if let Some(part) = part {
        out.put_u8(b'G');
        out.put_u64(part.id);
        out.put_u8(u8::from(part.more));
        part.later.iter().for_each(|tail| put_bytes(&mut out, tail.as_bytes()));
    }
    out.freeze()
}

fn put_ids(out: &mut BytesMut, sign: u8, ids: &[ConnId]) {
    out.put_u8(sign);
    out.put_u32(ids.len() as u32);
    ids.iter().for_each(|id| out.put_u128(id.bits()));
}

fn put_text(out: &mut BytesMut, sign: u8, text: &[u8]) {
    out.put_u8(sign);
    put_bytes(out, text);
}

fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u32(bytes.len() as u32);
    out.put_slice(bytes);
}

fn put_numbered(out: &mut BytesMut, sign: u8, number: u64, what: &[u8]) {
    out.put_u8(sign);
    out.put_u64(number);
    put_bytes(out, what);
}

fn put_wire(out: &mut BytesMut, wire: Option<&Wire>) {
    match wire {
        None => out.put_u8(b'-'),
        Some(Wire::Final(text)) => put_text(out, b'F', text),
        Some(Wire::Seam { before, after }) => {
            put_text(out, b'S', before);
            put_bytes(out, after);
        }
    }
}
