//! The Redis protocol, in both its versions: [`Request`](request::Request)s come in, [`Reply`]s go out, and
//! [`decode`] reads replies on the other end.

pub(crate) mod decode;
pub(crate) mod reply;
pub(crate) mod request;

pub use decode::{BadReply, decode};
pub use reply::{Proto, Reply};

/// Splits off the line at `from`, without its CRLF; `None` while its end has not come. The second is where the
/// next line begins.
fn line(bytes: &[u8], from: usize) -> Option<(&[u8], usize)> {
    let rest = bytes.get(from..)?;
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    Some((&rest[..end], from + end + 2))
}
