//! Frames out of bytes, wherever the bytes are cut.
//!
//! Whole frames are unmasked where they lie and handed out as slices of the caller's buffer. Only what a read leaves
//! half-done is kept, and it grows as its bytes arrive: a header alone, whatever length it claims, allocates nothing.

use crate::close::is_valid;
use crate::utf8::Tail;

/// Bounds of what a peer may send.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one message, fragments together. Over it: 1009, as soon as a header says so.
    pub message_bytes_max: usize,
    /// Frames of one message. Over it: 1009.
    pub fragments_max: usize,
}

/// Which side this decoder is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads a client's frames, which must be masked.
    Server,
    /// Reads a server's frames, which must not be.
    Client,
}

/// One thing a peer said.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole text message.
    Text(&'a str),
    /// A whole binary message.
    Binary(&'a [u8]),
    /// To be answered with a pong of the same payload.
    Ping(&'a [u8]),
    /// An answer to a ping, or a heartbeat.
    Pong(&'a [u8]),
    /// The last word; nothing comes after it.
    Close {
        /// Why, if the peer says so.
        code: Option<u16>,
        /// The same in words.
        reason: &'a str,
    },
}

/// The peer broke the protocol or a bound: close with this code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} ({code})")]
pub struct Violation {
    /// 1002, 1007 or 1009.
    pub code: u16,
    /// In words.
    pub reason: &'static str,
}

const fn broken(reason: &'static str) -> Violation {
    Violation { code: 1002, reason }
}
const NOT_UTF8: Violation = Violation { code: 1007, reason: "not UTF-8" };
const TOO_BIG: Violation = Violation { code: 1009, reason: "message over the limit" };
const CONTROL_MAX: usize = 125;

/// The state between two reads: nothing, most of the time.
#[derive(Debug)]
pub struct Decoder {
    role: Role,
    finished: bool,
    partial: Option<Box<Partial>>,
}

/// What is half-done.
#[derive(Debug, Default)]
struct Partial {
    /// A header that is not complete: 14 bytes at most.
    header: Vec<u8>,
    /// The frame whose payload is not complete, and how much of it is still to come.
    frame: Option<(Header, usize)>,
    /// Payload of a control frame that is not complete.
    control: Vec<u8>,
    /// Payload of the message that is not complete, over all of its fragments.
    message: Vec<u8>,
    /// What the message is: set from its first fragment to its last.
    kind: Option<Kind>,
    fragments: usize,
    utf8: Tail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Binary,
}

#[derive(Clone, Copy, Debug)]
struct Header {
    opcode: u8,
    fin: bool,
    mask: Option<[u8; 4]>,
    len: usize,
    /// How many payload bytes were unmasked already.
    done: usize,
}

impl Header {
    fn is_control(&self) -> bool {
        self.opcode >= 8
    }

    fn unmask(&mut self, bytes: &mut [u8]) {
        if let Some(mut mask) = self.mask {
            mask.rotate_left(self.done % 4);
            unmask(bytes, mask);
        }
        self.done += bytes.len();
    }
}

fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut chunks = bytes.chunks_exact_mut(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        chunk.copy_from_slice(&(u64::from_ne_bytes(word) ^ wide).to_ne_bytes());
    }
    for (byte, mask) in chunks.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

impl Decoder {
    /// A decoder that has seen nothing.
    pub fn new(role: Role) -> Self {
        Self { role, finished: false, partial: None }
    }

    /// Take in the bytes of one read. Bytes that the iterator was not asked for are lost when it is dropped, so ask
    /// until it gives `None`. After a violation or a close nothing more comes.
    pub fn feed<'a>(&'a mut self, input: &'a mut [u8], limits: &'a Limits) -> Frames<'a> {
        Frames { decoder: self, input, at: 0, limits, handed_out: false }
    }

    /// Whether a frame or a message is half-done, so that this decoder owns memory.
    pub fn is_partial(&self) -> bool {
        self.partial.is_some()
    }

    fn message_open(&self) -> Option<&Partial> {
        self.partial.as_deref().filter(|partial| partial.kind.is_some())
    }

    /// Read a header; `None` if its bytes are not all there.
    fn header(&self, bytes: &[u8], limits: &Limits) -> Result<Option<(Header, usize)>, Violation> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        let (opcode, fin, masked) = (first & 0x0f, first & 0x80 != 0, second & 0x80 != 0);
        if first & 0x70 != 0 {
            return Err(broken("a reserved bit is set"));
        }
        if !matches!(opcode, 0..=2 | 8..=10) {
            return Err(broken("a reserved opcode"));
        }
        if masked != (self.role == Role::Server) {
            return Err(broken("a client's frames are masked, a server's are not"));
        }
        let short = usize::from(second & 0x7f);
        if opcode >= 8 && (!fin || short > CONTROL_MAX) {
            return Err(broken("a control frame is whole and has at most 125 bytes"));
        }
        let open = self.message_open();
        if opcode == 0 && open.is_none() {
            return Err(broken("nothing to continue"));
        }
        if matches!(opcode, 1 | 2) && open.is_some() {
            return Err(broken("the last message is not over"));
        }
        let (len, extra) = match short {
            126 => match rest.first_chunk() {
                Some(&len) => (u64::from(u16::from_be_bytes(len)), 2),
                None => return Ok(None),
            },
            127 => match rest.first_chunk() {
                Some(&len) => (u64::from_be_bytes(len), 8),
                None => return Ok(None),
            },
            short => (short as u64, 0),
        };
        if len >> 63 == 1 {
            return Err(broken("a length has 63 bits"));
        }
        if opcode < 8 {
            let (had, fragments) = open.map_or((0, 0), |partial| (partial.message.len(), partial.fragments));
            let over = len > limits.message_bytes_max.saturating_sub(had) as u64;
            if over || fragments >= limits.fragments_max {
                return Err(TOO_BIG);
            }
        }
        let len = usize::try_from(len).map_err(|_| TOO_BIG)?;
        let after = &rest[extra..];
        let mask = match after.first_chunk() {
            _ if !masked => None,
            Some(&mask) => Some(mask),
            None => return Ok(None),
        };
        Ok(Some((Header { opcode, fin, mask, len, done: 0 }, 2 + extra + if masked { 4 } else { 0 })))
    }
}

/// The frames of one read, one after the other.
#[derive(Debug)]
pub struct Frames<'a> {
    decoder: &'a mut Decoder,
    input: &'a mut [u8],
    at: usize,
    limits: &'a Limits,
    /// The last event was a slice of the partial state, which the next call lets go.
    handed_out: bool,
}

/// Where the payload of a complete frame or message lies.
enum Payload {
    Input(std::ops::Range<usize>),
    Control,
    Message,
}

impl Frames<'_> {
    /// The next event; `None` when the read is used up.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Event<'_>>, Violation> {
        if self.decoder.finished {
            return Ok(None);
        }
        self.let_go();
        match self.step() {
            Ok(None) => Ok(None),
            Ok(Some((opcode, payload))) => self.event(opcode, payload),
            Err(violation) => {
                self.finish();
                Err(violation)
            }
        }
    }

    fn finish(&mut self) {
        self.decoder.finished = true;
        self.decoder.partial = None;
    }

    /// Drop what the last event was a slice of.
    fn let_go(&mut self) {
        if !std::mem::take(&mut self.handed_out) {
            return;
        }
        if let Some(partial) = &mut self.decoder.partial {
            partial.control = Vec::new();
            if partial.kind.is_none() {
                self.decoder.partial = None;
            }
        }
    }

    /// Go on until a control frame or a message is complete.
    fn step(&mut self) -> Result<Option<(u8, Payload)>, Violation> {
        loop {
            if let Some((header, left)) =
                self.decoder.partial.as_mut().and_then(|partial| partial.frame.take())
            {
                match self.resume(header, left)? {
                    Some(done) => return Ok(Some(done)),
                    None if self.at == self.input.len() => return Ok(None),
                    None => continue,
                }
            }
            let Some((header, start)) = self.next_header()? else { return Ok(None) };
            self.at = start;
            let whole = self.input.len() - start >= header.len;
            let alone = header.fin && header.opcode != 0;
            if whole && alone {
                // The fast path: a whole message or control frame, where it lies.
                let range = start..start + header.len;
                let mut header = header;
                header.unmask(&mut self.input[range.clone()]);
                self.at = range.end;
                return Ok(Some((header.opcode, Payload::Input(range))));
            }
            let partial = self.decoder.partial.get_or_insert_default();
            if !header.is_control() {
                partial.fragments += 1;
                match header.opcode {
                    1 => partial.kind = Some(Kind::Text),
                    2 => partial.kind = Some(Kind::Binary),
                    _ => {}
                }
            }
            partial.frame = Some((header, header.len));
        }
    }

    /// The header at the read's position, or the one that began in an earlier read; and where its payload starts.
    fn next_header(&mut self) -> Result<Option<(Header, usize)>, Violation> {
        let kept = self
            .decoder
            .partial
            .as_mut()
            .map(|partial| std::mem::take(&mut partial.header))
            .unwrap_or_default();
        let rest = &self.input[self.at..];
        if kept.is_empty() {
            if let Some((header, len)) = self.decoder.header(rest, self.limits)? {
                return Ok(Some((header, self.at + len)));
            }
            if !rest.is_empty() {
                self.decoder.partial.get_or_insert_default().header = rest.to_vec();
            }
            self.at = self.input.len();
            return Ok(None);
        }
        let had = kept.len();
        let mut joined = kept;
        joined.extend_from_slice(&rest[..rest.len().min(14 - had.min(14))]);
        if let Some((header, len)) = self.decoder.header(&joined, self.limits)? {
            self.tidy_after_header();
            return Ok(Some((header, self.at + len - had)));
        }
        self.decoder.partial.get_or_insert_default().header = joined;
        self.at = self.input.len();
        Ok(None)
    }

    /// A header is complete: unless a message is open, nothing is half-done any more.
    fn tidy_after_header(&mut self) {
        if self.decoder.message_open().is_none() {
            self.decoder.partial = None;
        }
    }

    /// Go on with a frame whose payload was not complete.
    fn resume(&mut self, mut header: Header, left: usize) -> Result<Option<(u8, Payload)>, Violation> {
        let take = left.min(self.input.len() - self.at);
        let piece = &mut self.input[self.at..self.at + take];
        self.at += take;
        header.unmask(piece);
        let partial = self.decoder.partial.get_or_insert_default();
        if header.is_control() {
            partial.control.extend_from_slice(piece);
        } else {
            if partial.kind == Some(Kind::Text) {
                partial.utf8.push(piece).map_err(|_| NOT_UTF8)?;
            }
            partial.message.extend_from_slice(piece);
        }
        if left > take {
            partial.frame = Some((header, left - take));
            return Ok(None);
        }
        if header.is_control() {
            return Ok(Some((header.opcode, Payload::Control)));
        }
        if !header.fin {
            return Ok(None);
        }
        let kind = partial.kind.take();
        if kind == Some(Kind::Text) && !partial.utf8.is_complete() {
            return Err(NOT_UTF8);
        }
        Ok(Some((if kind == Some(Kind::Text) { 1 } else { 2 }, Payload::Message)))
    }

    fn event(&mut self, opcode: u8, payload: Payload) -> Result<Option<Event<'_>>, Violation> {
        self.handed_out = !matches!(payload, Payload::Input(_));
        // A close and bad text end it; what they are slices of must live on for the event, so only mark it here.
        let bad = {
            let bytes = self.payload(&payload);
            match opcode {
                1 if std::str::from_utf8(bytes).is_err() => Some(NOT_UTF8),
                8 => check_close(bytes).err(),
                _ => None,
            }
        };
        if let Some(violation) = bad {
            self.finish();
            return Err(violation);
        }
        self.decoder.finished = opcode == 8;
        let bytes = self.payload(&payload);
        Ok(Some(match opcode {
            1 => Event::Text(std::str::from_utf8(bytes).map_err(|_| NOT_UTF8)?),
            2 => Event::Binary(bytes),
            9 => Event::Ping(bytes),
            10 => Event::Pong(bytes),
            _ => check_close(bytes)?,
        }))
    }

    fn payload(&self, payload: &Payload) -> &[u8] {
        let partial = self.decoder.partial.as_deref();
        match payload {
            Payload::Input(range) => &self.input[range.clone()],
            Payload::Control => partial.map_or(&[], |partial| &partial.control),
            Payload::Message => partial.map_or(&[], |partial| &partial.message),
        }
    }
}

fn check_close(bytes: &[u8]) -> Result<Event<'_>, Violation> {
    let Some((code, reason)) = bytes.split_first_chunk() else {
        return match bytes {
            [] => Ok(Event::Close { code: None, reason: "" }),
            _ => Err(broken("a close code has two bytes")),
        };
    };
    let code = u16::from_be_bytes(*code);
    if !is_valid(code) {
        return Err(broken("not a close code"));
    }
    let reason = std::str::from_utf8(reason).map_err(|_| NOT_UTF8)?;
    Ok(Event::Close { code: Some(code), reason })
}
