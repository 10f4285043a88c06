//! What a message on the bus looks like: a line that the script writes, and a blob that the publisher encoded.
//!
//! ```text
//! M1 <n> <epoch> <offset> <tag>\n<blob>     with a position
//! M1 <n> -\n<blob>                          without
//! ```
//!
//! The blob, with lengths as four bytes, big end first: the publisher's 16 bytes; the audience (`A`, or `X` or `O`, a
//! length and 16 bytes each); then the mark, the whole value and the difference, each `-`, `F` with a length and bytes,
//! or `S` with two of them; then the control (`-`, `C` and two bytes, `R`, or `Q` or `A` with eight bytes, a length and
//! bytes). Whoever may write to Redis may write nonsense here, so nothing is believed.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use mesh_backend::{Announce, Arrival, Audience, Control, Key, Variants, Wire};
use mesh_proto::{ConnId, Epoch, Incarnation, Position, Tag};

/// A message that no publisher of ours sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The blob of an announcement. Its topic is the channel's.
pub(crate) fn encode(from: Incarnation, announce: &Announce) -> Bytes {
    let mut out = BytesMut::with_capacity(64 + weight(announce));
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
        Some(Variants { full, patch }) => (Some(full), patch.as_ref()),
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
    out.freeze()
}

fn weight(announce: &Announce) -> usize {
    let wire = |wire: &Wire| match wire {
        Wire::Final(text) => text.len(),
        Wire::Seam { before, after } => before.len() + after.len(),
    };
    announce.variants.as_ref().map_or(0, |v| wire(&v.full) + v.patch.as_ref().map_or(0, wire))
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

/// What arrives of a message on the channel of `topic`.
pub(crate) fn decode(topic: Key, message: Bytes) -> Result<Arrival, Malformed> {
    let line = message.iter().take(LINE_BYTES_MAX).position(|byte| *byte == b'\n').ok_or(Malformed)?;
    let (n, position) = head(&message[..line])?;
    let mut blob = message.slice(line + 1..);
    let from = id::<Incarnation>(&mut blob, "inst")?;
    let audience = match sign(&mut blob)? {
        b'A' => Audience::All,
        b'X' => Audience::Except(ids(&mut blob)?),
        b'O' => Audience::Only(ids(&mut blob)?),
        _ => return Err(Malformed),
    };
    let txn = match sign(&mut blob)? {
        b'-' => None,
        b'F' => {
            let bytes = text(&mut blob)?;
            Some(Arc::from(std::str::from_utf8(&bytes).map_err(|_| Malformed)?))
        }
        _ => return Err(Malformed),
    };
    let full = wire(&mut blob, position)?;
    let patch = wire(&mut blob, position)?;
    let control = match sign(&mut blob)? {
        b'-' => None,
        b'C' => Some(Control::Close(blob.try_get_u16().map_err(|_| Malformed)?)),
        b'R' => Some(Control::ClearRoom),
        b'Q' => {
            let (number, what) = numbered(&mut blob)?;
            Some(Control::Ask(number, what))
        }
        b'A' => {
            let (number, what) = numbered(&mut blob)?;
            Some(Control::Answer(number, what))
        }
        _ => return Err(Malformed),
    };
    if blob.has_remaining() {
        return Err(Malformed);
    }
    Ok(Arrival { topic, from, n, position, audience, txn, full, patch, control })
}

/// The longest line there is, in bytes: three numbers and an epoch.
const LINE_BYTES_MAX: usize = 80;

fn head(line: &[u8]) -> Result<(u64, Option<Position>), Malformed> {
    let line = std::str::from_utf8(line).map_err(|_| Malformed)?;
    let words: Vec<_> = line.split(' ').collect();
    match words[..] {
        ["M1", n, "-"] => Ok((number(n)?, None)),
        ["M1", n, epoch, offset, tag] => {
            let position = Position {
                epoch: Epoch(hex(epoch, 16)?),
                offset: number(offset)?,
                tag: Tag(hex(tag, 8)?.try_into().map_err(|_| Malformed)?),
            };
            Ok((number(n)?, Some(position)))
        }
        _ => Err(Malformed),
    }
}

fn number(digits: &str) -> Result<u64, Malformed> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain).ok_or(Malformed)
}

fn hex(digits: &str, length: usize) -> Result<u64, Malformed> {
    let plain = digits.len() == length && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(digits, 16).ok().filter(|_| plain).ok_or(Malformed)
}

fn sign(blob: &mut Bytes) -> Result<u8, Malformed> {
    blob.try_get_u8().map_err(|_| Malformed)
}

fn text(blob: &mut Bytes) -> Result<Bytes, Malformed> {
    let length = blob.try_get_u32().map_err(|_| Malformed)? as usize;
    if length > blob.len() {
        return Err(Malformed);
    }
    Ok(blob.split_to(length))
}

fn numbered(blob: &mut Bytes) -> Result<(u64, Bytes), Malformed> {
    Ok((blob.try_get_u64().map_err(|_| Malformed)?, text(blob)?))
}

fn id<T: std::str::FromStr>(blob: &mut Bytes, word: &str) -> Result<T, Malformed> {
    let bits = blob.try_get_u128().map_err(|_| Malformed)?;
    format!("{word}-{bits:032x}").parse().map_err(|_| Malformed)
}

fn ids(blob: &mut Bytes) -> Result<Arc<[ConnId]>, Malformed> {
    let count = blob.try_get_u32().map_err(|_| Malformed)? as usize;
    // Before anything is reserved for them.
    if count > blob.len() / size_of::<u128>() {
        return Err(Malformed);
    }
    (0..count).map(|_| id(blob, "conn")).collect()
}

/// The position goes in at the seam.
fn wire(blob: &mut Bytes, position: Option<Position>) -> Result<Option<Bytes>, Malformed> {
    let before = match sign(blob)? {
        b'-' => return Ok(None),
        b'F' => return text(blob).map(Some),
        b'S' => text(blob)?,
        _ => return Err(Malformed),
    };
    let after = text(blob)?;
    let seam = position.map_or(String::new(), |p| format!(r#""epoch":"{}","offset":{}"#, p.epoch, p.offset));
    let mut joined = BytesMut::with_capacity(before.len() + seam.len() + after.len());
    joined.put(before);
    joined.put(seam.as_bytes());
    joined.put(after);
    Ok(Some(joined.freeze()))
}

#[cfg(test)]
mod tests {
    use mesh_backend::Kind;
    use mesh_proto::Entropy;

    use super::*;

    fn topic() -> Key {
        Key::new(Kind::Room, "r")
    }

    fn message(line: &str, announce: &Announce) -> Bytes {
        let from = Incarnation::random(&Entropy::from_seed(1));
        [line.as_bytes(), &encode(from, announce)].concat().into()
    }

    fn full_blown() -> Announce {
        let entropy = Entropy::from_seed(2);
        let seam = Wire::Seam { before: Bytes::from_static(b"{"), after: Bytes::from_static(b"}") };
        Announce {
            topic: topic(),
            audience: Audience::Except([ConnId::random(&entropy), ConnId::random(&entropy)].into()),
            txn: Some("mark \u{2028}\n".into()),
            variants: Some(Variants { full: seam.clone(), patch: Some(seam) }),
            control: Some(Control::Close(4000)),
        }
    }

    const LINE: &str = "M1 7 00000000000000ff 12 0000abcd\n";

    #[test]
    fn what_was_encoded_is_decoded() {
        let sent = full_blown();
        let got = decode(topic(), message(LINE, &sent)).unwrap();
        let position = Position { epoch: Epoch(255), offset: 12, tag: Tag(0xabcd) };
        let joined = Some(Bytes::from_static(br#"{"epoch":"00000000000000ff","offset":12}"#));
        assert_eq!((got.n, got.position, got.topic), (7, Some(position), topic()));
        assert_eq!((got.audience, got.txn, got.control), (sent.audience, sent.txn, sent.control));
        assert_eq!((&got.full, &got.patch), (&joined, &joined));

        let plain = Announce::text(topic(), Bytes::from_static(b"hi"));
        let got = decode(topic(), message("M1 1 -\n", &plain)).unwrap();
        assert_eq!((got.n, got.position, got.full), (1, None, Some(Bytes::from_static(b"hi"))));
    }

    #[test]
    fn hostile_bytes_are_refused() {
        let good = message(LINE, &full_blown());
        for cut in 0..good.len() {
            assert_eq!(decode(topic(), good.slice(..cut)), Err(Malformed), "cut at {cut}");
        }
        let more = [&good[..], b"x"].concat();
        assert_eq!(decode(topic(), more.into()), Err(Malformed));
        for line in [
            "\n",
            "M1\n",
            "M2 7 -\n",
            "M1 7\n",
            "M1 -7 -\n",
            "M1 +7 -\n",
            "M1  -\n",
            "M1 18446744073709551616 -\n",
            "M1 7 ff 12 0000abcd\n",
            "M1 7 00000000000000ff 12 0000abcd \n",
            "M1 7 00000000000000ff 12\n",
            "M1 7 +0000000000000ff 12 0000abcd\n",
        ] {
            assert_eq!(decode(topic(), message(line, &full_blown())), Err(Malformed), "{line:?}");
        }
    }

    /// Whatever one byte is changed to, nothing panics, and no length is believed.
    #[test]
    fn any_one_byte_may_be_anything() {
        let good = message(LINE, &full_blown());
        for at in 0..good.len() {
            for byte in [0, 1, b'-', b'F', b'S', b'X', 0x7f, 0x80, 0xff] {
                let mut bytes = good.to_vec();
                bytes[at] = byte;
                let _ = decode(topic(), bytes.into());
            }
        }
    }

    #[test]
    fn random_bytes_are_refused() {
        let entropy = Entropy::from_seed(3);
        for _ in 0..20_000 {
            let length = entropy.u64() % 100;
            let mut bytes = b"M1 1 -\n".to_vec();
            bytes.extend((0..length).map(|_| entropy.u64() as u8));
            assert_eq!(decode(topic(), bytes.into()), Err(Malformed));
        }
    }
}
