//! Reading replies, as a client does.

use bytes::{Buf, Bytes, BytesMut};

use super::Reply;
use super::line;

/// How deep replies may nest.
const DEPTH_MAX: usize = 256;

/// How many items an array may say it has.
const ITEMS_MAX: usize = 1 << 24;

/// Bytes that are no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadReply;

/// Takes one reply from the front of `buffer`, or nothing while it is not whole.
///
/// ## Errors
///
/// When the bytes are no reply.
pub fn decode(buffer: &mut BytesMut) -> Result<Option<Reply>, BadReply> {
    let mut at = 0;
    let reply = value(buffer, &mut at, DEPTH_MAX)?;
    if reply.is_some() {
        buffer.advance(at);
    }
    Ok(reply)
}

fn value(bytes: &[u8], at: &mut usize, depth: usize) -> Result<Option<Reply>, BadReply> {
    let depth = depth.checked_sub(1).ok_or(BadReply)?;
    let Some((text, next)) = line(bytes, *at) else { return Ok(None) };
    let (kind, text) = text.split_first().ok_or(BadReply)?;
    *at = next;
    let reply = match kind {
        b'+' => Reply::Status(Bytes::copy_from_slice(text)),
        b'-' => Reply::Error(Bytes::copy_from_slice(text)),
        b':' => Reply::Integer(number(text)?),
        b'_' => Reply::Nil,
        b'#' => Reply::Integer(i64::from(text == b"t")),
        b',' => Reply::Double(number(text)?),
        b'$' | b'=' if text == b"-1" => Reply::Nil,
        b'*' if text == b"-1" => Reply::NilArray,
        b'$' | b'=' | b'!' => {
            let length: usize = number(text)?;
            let end = next.checked_add(length).ok_or(BadReply)?;
            let Some(tail) = bytes.get(end..).filter(|tail| tail.len() >= 2) else { return Ok(None) };
            if !tail.starts_with(b"\r\n") {
                return Err(BadReply);
            }
            *at = end + 2;
            let content = &bytes[next..end];
            match kind {
                b'$' => Reply::Bulk(Bytes::copy_from_slice(content)),
                b'!' => Reply::Error(Bytes::copy_from_slice(content)),
                _ => Reply::Verbatim(Bytes::copy_from_slice(content.get(4..).ok_or(BadReply)?)),
            }
        }
        b'*' | b'~' | b'>' | b'%' => {
            let count = number::<usize>(text)?;
            if count > ITEMS_MAX {
                return Err(BadReply);
            }
            let count = if *kind == b'%' { count * 2 } else { count };
            let mut items = Vec::new();
            for _ in 0..count {
                let Some(item) = value(bytes, at, depth)? else { return Ok(None) };
                items.push(item);
            }
            match kind {
                b'*' => Reply::Array(items),
                b'~' => Reply::Set(items),
                b'>' => Reply::Push(items),
                _ => Reply::Map(pairs(items)),
            }
        }
        _ => return Err(BadReply),
    };
    Ok(Some(reply))
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Result<T, BadReply> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(BadReply)
}

fn pairs(items: Vec<Reply>) -> Vec<(Reply, Reply)> {
    let mut items = items.into_iter();
    std::iter::from_fn(|| Some((items.next()?, items.next()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Proto;
    use super::{BadReply, BytesMut, DEPTH_MAX, Reply, decode};

    #[test]
    fn what_is_written_is_read_back_when_it_is_whole() {
        let reply = Reply::Push(vec![
            Reply::Map(vec![(Reply::bulk(&b"a\r\n\0"[..]), Reply::Double(-0.5))]),
            Reply::Set(vec![Reply::Nil, Reply::Integer(-7)]),
            Reply::Verbatim("text".into()),
            Reply::error("ERR no"),
        ]);
        let mut whole = BytesMut::new();
        reply.encode(Proto::Resp3, &mut whole);
        for cut in 0..whole.len() {
            let mut part = BytesMut::from(&whole[..cut]);
            assert_eq!(decode(&mut part), Ok(None));
            assert_eq!(part.len(), cut, "nothing is taken");
        }
        assert_eq!(decode(&mut whole), Ok(Some(reply)));
        assert!(whole.is_empty());
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for bytes in ["?\r\n", "\r\n", ":x\r\n", "$3\r\nabcd\r\n", "*99999999999\r\n", "%99999999\r\n"] {
            assert_eq!(decode(&mut BytesMut::from(bytes)), Err(BadReply), "{bytes:?}");
        }
        let deep = "*1\r\n".repeat(DEPTH_MAX + 1);
        assert_eq!(decode(&mut BytesMut::from(deep.as_str())), Err(BadReply));
    }
}
