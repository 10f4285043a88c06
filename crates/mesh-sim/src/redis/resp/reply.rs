//! What a server says.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::redis::number;

/// The version of the protocol that a connection speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proto {
    /// What each connection begins with.
    #[default]
    Resp2,
    /// After `HELLO 3`: maps, sets, doubles and pushes are types of their own.
    Resp3,
}

/// A reply, or a push. One value serves both protocols; what RESP2 lacks is written as arrays and bulk strings.
#[derive(Clone, PartialEq)]
pub enum Reply {
    /// `+OK`.
    Status(Bytes),
    /// `-ERR why`, without the dash.
    Error(Bytes),
    /// `:1`.
    Integer(i64),
    /// A string of bytes.
    Bulk(Bytes),
    /// A text for people. A bulk string in RESP2.
    Verbatim(Bytes),
    /// No string.
    Nil,
    /// No array. The same as [`Reply::Nil`] in RESP3.
    NilArray,
    /// Replies in a row.
    Array(Vec<Reply>),
    /// Keys and values. An array of both by turns in RESP2.
    Map(Vec<(Reply, Reply)>),
    /// An array in RESP2.
    Set(Vec<Reply>),
    /// A bulk string in RESP2.
    Double(f64),
    /// Members and their scores: pairs in RESP3, an array of both by turns in RESP2.
    Scored(Vec<(Bytes, f64)>),
    /// What nobody asked for. An array in RESP2.
    Push(Vec<Reply>),
}

impl Reply {
    /// `+OK`.
    pub const OK: Self = Self::Status(Bytes::from_static(b"OK"));

    /// A bulk string.
    pub fn bulk(bytes: impl Into<Bytes>) -> Self {
        Self::Bulk(bytes.into())
    }

    /// An error, which begins with its code.
    pub fn error(text: impl Into<Bytes>) -> Self {
        Self::Error(text.into())
    }

    /// A count of things.
    pub fn count(count: usize) -> Self {
        Self::Integer(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// 1 for yes, 0 for no.
    pub fn flag(flag: bool) -> Self {
        Self::Integer(i64::from(flag))
    }

    /// Writes it.
    pub fn encode(&self, proto: Proto, out: &mut BytesMut) {
        let is_new = proto == Proto::Resp3;
        match self {
            Self::Status(text) => simple(out, b'+', text),
            Self::Error(text) => simple(out, b'-', text),
            Self::Integer(value) => head(out, b':', value),
            Self::Bulk(bytes) => bulk(out, bytes),
            Self::Verbatim(text) if is_new => {
                head(out, b'=', text.len() + 4);
                out.put_slice(b"txt:");
                out.put_slice(text);
                out.put_slice(b"\r\n");
            }
            Self::Verbatim(text) => bulk(out, text),
            Self::Nil | Self::NilArray if is_new => out.put_slice(b"_\r\n"),
            Self::Nil => out.put_slice(b"$-1\r\n"),
            Self::NilArray => out.put_slice(b"*-1\r\n"),
            Self::Array(items) => many(out, b'*', items, proto),
            Self::Set(items) => many(out, if is_new { b'~' } else { b'*' }, items, proto),
            Self::Push(items) => many(out, if is_new { b'>' } else { b'*' }, items, proto),
            Self::Map(pairs) => {
                if is_new {
                    head(out, b'%', pairs.len());
                } else {
                    head(out, b'*', pairs.len() * 2);
                }
                for (key, value) in pairs {
                    key.encode(proto, out);
                    value.encode(proto, out);
                }
            }
            Self::Double(value) if is_new => head(out, b',', number::double(*value)),
            Self::Double(value) => bulk(out, number::double(*value).as_bytes()),
            Self::Scored(pairs) => {
                head(out, b'*', if is_new { pairs.len() } else { pairs.len() * 2 });
                for (member, score) in pairs {
                    if is_new {
                        head(out, b'*', 2);
                    }
                    bulk(out, member);
                    Self::Double(*score).encode(proto, out);
                }
            }
        }
    }
}

/// A line of its own must not hold an end of line.
fn simple(out: &mut BytesMut, kind: u8, text: &[u8]) {
    out.put_u8(kind);
    for byte in text {
        out.put_u8(if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte });
    }
    out.put_slice(b"\r\n");
}

fn head(out: &mut BytesMut, kind: u8, value: impl fmt::Display) {
    out.put_slice(format!("{}{value}\r\n", char::from(kind)).as_bytes());
}

fn bulk(out: &mut BytesMut, bytes: &[u8]) {
    head(out, b'$', bytes.len());
    out.put_slice(bytes);
    out.put_slice(b"\r\n");
}

fn many(out: &mut BytesMut, kind: u8, items: &[Reply], proto: Proto) {
    head(out, kind, items.len());
    for item in items {
        item.encode(proto, out);
    }
}

/// As `redis-cli` would tell it, on one line.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(text) => write!(f, "+{}", text.escape_ascii()),
            Self::Error(text) => write!(f, "-{}", text.escape_ascii()),
            Self::Integer(value) => write!(f, ":{value}"),
            Self::Bulk(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
            Self::Verbatim(text) => write!(f, "txt\"{}\"", text.escape_ascii()),
            Self::Nil => f.write_str("nil"),
            Self::NilArray => f.write_str("nil[]"),
            Self::Array(items) => f.debug_list().entries(items).finish(),
            Self::Set(items) => f.debug_set().entries(items).finish(),
            Self::Map(pairs) => f.debug_map().entries(pairs.iter().map(|(key, value)| (key, value))).finish(),
            Self::Double(value) => write!(f, ",{}", number::double(*value)),
            Self::Scored(pairs) => f.debug_list().entries(pairs).finish(),
            Self::Push(items) => {
                f.write_str(">")?;
                f.debug_list().entries(items).finish()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, BytesMut, Proto, Reply};

    fn check(reply: &Reply, resp2: &str, resp3: &str) {
        for (proto, expected) in [(Proto::Resp2, resp2), (Proto::Resp3, resp3)] {
            let mut out = BytesMut::new();
            reply.encode(proto, &mut out);
            assert_eq!(out, expected.as_bytes(), "{proto:?}");
        }
    }

    #[test]
    fn what_resp2_lacks_is_written_as_arrays_and_strings() {
        check(&Reply::Nil, "$-1\r\n", "_\r\n");
        check(&Reply::NilArray, "*-1\r\n", "_\r\n");
        check(&Reply::Double(1.5), "$3\r\n1.5\r\n", ",1.5\r\n");
        check(&Reply::Push(vec![Reply::OK]), "*1\r\n+OK\r\n", ">1\r\n+OK\r\n");
        check(&Reply::Set(vec![]), "*0\r\n", "~0\r\n");
        check(
            &Reply::Map(vec![(Reply::OK, Reply::Integer(1))]),
            "*2\r\n+OK\r\n:1\r\n",
            "%1\r\n+OK\r\n:1\r\n",
        );
        check(&Reply::Verbatim(Bytes::from_static(b"a")), "$1\r\na\r\n", "=5\r\ntxt:a\r\n");
        let scored = Reply::Scored(vec![(Bytes::from_static(b"a"), 1.0)]);
        check(&scored, "*2\r\n$1\r\na\r\n$1\r\n1\r\n", "*1\r\n*2\r\n$1\r\na\r\n,1\r\n");
    }

    #[test]
    fn an_error_stays_on_its_line() {
        check(&Reply::error("ERR a\r\n+OK"), "-ERR a  +OK\r\n", "-ERR a  +OK\r\n");
    }
}
