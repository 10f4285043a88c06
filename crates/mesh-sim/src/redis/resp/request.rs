//! What a client says: an array of bulk strings, or words on a line of their own.

use bytes::{Buf, Bytes, BytesMut};

use super::line;
use crate::redis::number;

/// How long a line may be.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// How many arguments a request may have.
const ARGUMENTS_MAX: i64 = 1024 * 1024;

/// How long an argument may be. Redis takes 512 MiB; no test needs as much.
const ARGUMENT_BYTES_MAX: i64 = 64 * 1024 * 1024;

/// How long a request may be in all.
const REQUEST_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A command and its arguments; never empty.
pub(crate) type Request = Vec<Bytes>;

/// Why bytes are no request. The connection ends with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadRequest(pub(crate) String);

/// Reads requests from what arrives in pieces, without reading a byte twice: an argument is taken when it is whole.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    buffer: BytesMut,
    /// What has come of a request that is not whole.
    arguments: Request,
    arguments_left: usize,
    /// The length of the argument that comes, once told.
    argument_bytes: Option<usize>,
    request_bytes: usize,
}

impl Requests {
    /// Where what arrives is put.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Takes the next whole request.
    pub(crate) fn next(&mut self) -> Result<Option<Request>, BadRequest> {
        loop {
            if self.arguments_left == 0 {
                match self.begin()? {
                    Begin::Wait => return Ok(None),
                    Begin::Nothing => continue,
                    Begin::Inline(request) => return Ok(Some(request)),
                    Begin::Array => {}
                }
            }
            while self.arguments_left > 0 {
                let Some(argument) = self.argument()? else { return Ok(None) };
                self.arguments.push(argument);
                self.arguments_left -= 1;
            }
            self.request_bytes = 0;
            return Ok(Some(std::mem::take(&mut self.arguments)));
        }
    }

    fn begin(&mut self) -> Result<Begin, BadRequest> {
        let Some(first) = self.buffer.first() else { return Ok(Begin::Wait) };
        if *first != b'*' {
            return self.inline();
        }
        let Some(text) = self.line("too big mbulk count string")? else { return Ok(Begin::Wait) };
        let count = number::integer(&text[1..]).filter(|count| *count <= ARGUMENTS_MAX);
        let count = count.ok_or_else(|| BadRequest("invalid multibulk length".to_owned()))?;
        // An array of nothing is no request, and no mistake either.
        let Some(count) = usize::try_from(count).ok().filter(|count| *count > 0) else {
            return Ok(Begin::Nothing);
        };
        self.arguments_left = count;
        Ok(Begin::Array)
    }

    fn argument(&mut self) -> Result<Option<Bytes>, BadRequest> {
        let length = match self.argument_bytes {
            Some(length) => length,
            None => {
                let Some(text) = self.line("too big bulk count string")? else { return Ok(None) };
                match text.split_first() {
                    Some((b'$', _)) => {}
                    other => {
                        let got = other.map_or('\r', |(byte, _)| char::from(*byte));
                        return Err(BadRequest(format!("expected '$', got '{got}'")));
                    }
                }
                let length = number::integer(&text[1..]).filter(|length| *length <= ARGUMENT_BYTES_MAX);
                let length = length.and_then(|length| usize::try_from(length).ok());
                let length = length.ok_or_else(|| BadRequest("invalid bulk length".to_owned()))?;
                self.request_bytes += length;
                if self.request_bytes > REQUEST_BYTES_MAX {
                    return Err(BadRequest("too big a request".to_owned()));
                }
                self.argument_bytes = Some(length);
                length
            }
        };
        if self.buffer.len() < length + 2 {
            return Ok(None);
        }
        self.argument_bytes = None;
        let argument = self.buffer.split_to(length).freeze();
        // Redis does not look at these two either.
        self.buffer.advance(2);
        Ok(Some(argument))
    }

    fn line(&mut self, too_long: &str) -> Result<Option<Bytes>, BadRequest> {
        let Some((text, next)) = line(&self.buffer, 0) else {
            if self.buffer.len() > LINE_BYTES_MAX {
                return Err(BadRequest(too_long.to_owned()));
            }
            return Ok(None);
        };
        let length = text.len();
        let text = self.buffer.split_to(length).freeze();
        self.buffer.advance(next - length);
        Ok(Some(text))
    }

    /// Words, as somebody types them into telnet. Quotes are not for programs and are not understood.
    fn inline(&mut self) -> Result<Begin, BadRequest> {
        let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') else {
            if self.buffer.len() > LINE_BYTES_MAX {
                return Err(BadRequest("too big inline request".to_owned()));
            }
            return Ok(Begin::Wait);
        };
        let text = self.buffer.split_to(end + 1).freeze();
        if text.iter().any(|byte| matches!(byte, b'"' | b'\'')) {
            return Err(BadRequest("unbalanced quotes in request".to_owned()));
        }
        let words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let request: Request = words.map(|word| text.slice_ref(word)).collect();
        Ok(if request.is_empty() { Begin::Nothing } else { Begin::Inline(request) })
    }
}

enum Begin {
    Wait,
    Nothing,
    Inline(Request),
    Array,
}

#[cfg(test)]
mod tests {
    use super::{BadRequest, Request, Requests};

    fn read(pieces: &[&[u8]]) -> Result<Vec<Request>, BadRequest> {
        let mut requests = Requests::default();
        let mut read = Vec::new();
        for piece in pieces {
            requests.buffer().extend_from_slice(piece);
            while let Some(request) = requests.next()? {
                read.push(request);
            }
        }
        Ok(read)
    }

    #[test]
    fn a_request_may_come_in_any_pieces() {
        let bytes = b"*2\r\n$3\r\nGET\r\n$4\r\n\r\n\0\xff\r\n*0\r\n*-1\r\nPING  a\r\n\r\n*1\r\n$0\r\n\r\n";
        let expected: Vec<Request> = vec![
            vec!["GET".into(), (&b"\r\n\0\xff"[..]).into()],
            vec!["PING".into(), "a".into()],
            vec!["".into()],
        ];
        assert_eq!(read(&[bytes]), Ok(expected.clone()));
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read(&single), Ok(expected));
    }

    #[test]
    fn bytes_that_are_no_request_are_told_why() {
        let check = |bytes: &[u8], why: &str| assert_eq!(read(&[bytes]), Err(BadRequest(why.to_owned())));
        check(b"*x\r\n", "invalid multibulk length");
        check(b"*1048577\r\n", "invalid multibulk length");
        check(b"*1\r\n:1\r\n", "expected '$', got ':'");
        check(b"*1\r\n$-1\r\n", "invalid bulk length");
        check(b"*1\r\n$99999999999\r\n", "invalid bulk length");
        check(&[b'a'; 70_000], "too big inline request");
        check(&[b"*".as_slice(), &[b'1'; 70_000]].concat(), "too big mbulk count string");
        check(b"GET \"a\r\n", "unbalanced quotes in request");
    }
}
