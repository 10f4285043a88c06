//! From bytes to an arrival.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use mesh_backend::{Arrival, Audience, Control, Key, TRANSACTION_MAX};
use mesh_proto::{ConnId, Epoch, Incarnation, Position, Tag};

use super::{Malformed, Part};

/// What arrives of a message on the channel of `topic`, and which part of a transaction it is, if it is one.
pub(crate) fn decode(topic: Key, message: Bytes) -> Result<(Arrival, Option<Part>), Malformed> {
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
    let part = if blob.has_remaining() { Some(part(&mut blob)?) } else { None };
    Ok((Arrival { topic, from, n, position, audience, txn, full, patch, control, group: None }, part))
}

fn part(blob: &mut Bytes) -> Result<Part, Malformed> {
    if sign(blob)? != b'G' {
        return Err(Malformed);
    }
    let id = blob.try_get_u64().map_err(|_| Malformed)?;
    let more = sign(blob)? == 1;
    let mut later = Vec::new();
    while blob.has_remaining() {
        let tail = text(blob)?;
        later.push(Arc::from(std::str::from_utf8(&tail).map_err(|_| Malformed)?));
        if later.len() > TRANSACTION_MAX {
            return Err(Malformed);
        }
    }
    Ok(Part { id, more, later: later.into() })
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
