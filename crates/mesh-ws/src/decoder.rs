//! Frames out of bytes, wherever the bytes are cut.
//!
//! Whole frames are unmasked where they lie and handed out as slices of the caller's buffer. Only what a read leaves
//! half-done is kept, and it grows as its bytes arrive: a header alone, whatever length it claims, takes no memory
//! for a payload.

use std::ops::Range;

use crate::header::{Header, Opcode};
use crate::partial::{Frame, Message, Partial, Whole};
use crate::{Limits, Role, Violation, close, mask};

/// One thing a peer said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole text message.
    Text(&'a str),
    /// A whole binary message.
    Binary(&'a [u8]),
    /// To be answered with a pong of the same payload, 125 bytes at most.
    Ping(&'a [u8]),
    /// An answer to a ping, or a heartbeat.
    Pong(&'a [u8]),
    /// The last word; nothing comes after it.
    Close {
        /// Why, if the peer says so; a code that may be sent back.
        code: Option<u16>,
        /// The same in words, 123 bytes at most.
        reason: &'a str,
    },
}

/// The state between two reads: 16 bytes, and memory of its own only while a frame or a message is half-done.
#[derive(Debug)]
pub struct Decoder {
    role: Role,
    finished: bool,
    partial: Option<Box<Partial>>,
}

impl Decoder {
    /// A decoder that has seen nothing.
    pub fn new(role: Role) -> Self {
        Self { role, finished: false, partial: None }
    }

    /// Take in the bytes of one read, which are unmasked in place. The limits hold for the headers that are read in
    /// this call, so they may differ from call to call. After a violation or a close, what is fed is ignored.
    pub fn feed<'a>(&'a mut self, input: &'a mut [u8], limits: &Limits) -> Frames<'a> {
        Frames { decoder: self, input, at: 0, limits: *limits, whole: None }
    }

    /// Whether a frame or a message is half-done, so that this decoder owns memory. A stream that ends now was cut.
    pub fn is_partial(&self) -> bool {
        self.partial.is_some()
    }

    /// Whether a close or a violation has come, after which nothing more is heard.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Bytes of memory this decoder owns: none while it is idle; else some 200, and at most twice what has come of the
    /// message that is half-done.
    pub fn heap_bytes(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| partial.heap_bytes())
    }

    fn finish(&mut self) {
        self.finished = true;
        self.partial = None;
    }

    fn drop_partial_if_over(&mut self) {
        if self.partial.as_ref().is_some_and(|partial| partial.is_over()) {
            self.partial = None;
        }
    }
}

/// The frames of one read, one after the other.
///
/// Dropping it early is safe: what is left of the read is decoded all the same, so that the next read finds the
/// decoder in step; its events are lost, and a close or a violation among them is seen by [`Decoder::is_finished`].
#[derive(Debug)]
pub struct Frames<'a> {
    decoder: &'a mut Decoder,
    input: &'a mut [u8],
    /// Where in the input to go on.
    at: usize,
    limits: Limits,
    /// What the last event is a slice of, if not of the input. It goes with the next event, or with `self`.
    whole: Option<Whole>,
}

/// Where the payload of a complete message or control frame lies.
enum Place {
    Input(Range<usize>),
    Whole,
}

impl Frames<'_> {
    /// The next event; `None` when the read is used up, or after a close or a violation.
    #[allow(
        clippy::should_implement_trait,
        reason = "an event borrows from this iterator, which `Iterator` can't say"
    )]
    pub fn next(&mut self) -> Result<Option<Event<'_>>, Violation> {
        let event = match self.step() {
            Ok(None) => return Ok(None),
            Ok(Some((opcode, Place::Input(range)))) => event(opcode, &self.input[range]),
            Ok(Some((opcode, Place::Whole))) => match &self.whole {
                // It was checked as it came.
                Some(Whole::Text(text)) => Ok(Event::Text(text)),
                Some(Whole::Bytes(bytes)) => event(opcode, bytes),
                None => return Ok(None),
            },
            Err(violation) => Err(violation),
        };
        if matches!(event, Ok(Event::Close { .. }) | Err(_)) {
            self.decoder.finish();
        }
        event.map(Some)
    }

    /// Go on until a message or a control frame is complete.
    fn step(&mut self) -> Result<Option<(Opcode, Place)>, Violation> {
        self.whole = None;
        while !self.decoder.finished {
            if self.decoder.partial.as_ref().is_some_and(|partial| partial.frame.is_some()) {
                if let Some(opcode) = self.go_on()? {
                    return Ok(Some((opcode, Place::Whole)));
                }
                if self.at == self.input.len() {
                    break;
                }
                continue;
            }
            let Some(header) = self.header()? else { break };
            let end = self.at.checked_add(header.len).filter(|end| *end <= self.input.len());
            match end {
                // The fast path: a message or a control frame that lies there whole.
                Some(end) if header.fin && header.opcode != Opcode::Continuation => {
                    let range = self.at..end;
                    self.at = end;
                    self.decoder.drop_partial_if_over();
                    mask::apply(header.mask, &mut self.input[range.clone()]);
                    return Ok(Some((header.opcode, Place::Input(range))));
                }
                _ => self.begin(header),
            }
        }
        Ok(None)
    }

    /// The header that begins here, or that began in an earlier read.
    #[inline(always)]
    fn header(&mut self) -> Result<Option<Header>, Violation> {
        let rest = &self.input[self.at..];
        let Some(partial) = self.decoder.partial.as_deref_mut() else {
            if rest.is_empty() {
                return Ok(None);
            }
            let read = Header::read(rest, self.decoder.role, None, &self.limits)?;
            return Ok(match read {
                Some((header, len)) => {
                    self.at += len;
                    Some(header)
                }
                None => {
                    self.decoder.partial.get_or_insert_default().head.fill(rest);
                    self.at = self.input.len();
                    None
                }
            });
        };
        let open = partial.message.as_ref().map(Message::so_far);
        let had = partial.head.fill(rest);
        let read = Header::read(partial.head.bytes(), self.decoder.role, open, &self.limits)?;
        let Some((header, len)) = read else {
            self.at = self.input.len();
            return Ok(None);
        };
        partial.head = Default::default();
        self.at += len - had;
        Ok(Some(header))
    }

    /// Keep what is to come of a frame.
    fn begin(&mut self, header: Header) {
        let partial = self.decoder.partial.get_or_insert_default();
        if !header.opcode.is_control() {
            partial.message.get_or_insert_with(|| Message::new(header.opcode)).begin_fragment();
        }
        partial.frame = Some(Frame { header, control: Vec::new() });
    }

    /// Go on with the frame that is half-done. Gives what is complete with it, if anything is.
    fn go_on(&mut self) -> Result<Option<Opcode>, Violation> {
        let Some(partial) = self.decoder.partial.as_deref_mut() else { return Ok(None) };
        let Some(frame) = &mut partial.frame else { return Ok(None) };
        let take = frame.header.len.min(self.input.len() - self.at);
        // Only the last frame tells where the message ends.
        let expected = if frame.header.fin { frame.header.len } else { usize::MAX };
        let piece = &mut self.input[self.at..self.at + take];
        self.at += take;
        mask::apply(frame.header.mask, piece);
        frame.header.mask = mask::turned(frame.header.mask, take);
        frame.header.len -= take;
        match &mut partial.message {
            Some(message) if !frame.header.opcode.is_control() => {
                message.push(piece, expected).map_err(|_| Violation::NOT_UTF8)?;
            }
            _ => frame.control.extend_from_slice(piece),
        }
        if frame.header.len > 0 {
            return Ok(None);
        }
        let Some(frame) = partial.frame.take() else { return Ok(None) };
        let complete = if frame.header.opcode.is_control() {
            Some((frame.header.opcode, Whole::Bytes(frame.control)))
        } else if frame.header.fin {
            let message = partial.message.take().map(Message::end).transpose();
            message.map_err(|_| Violation::NOT_UTF8)?
        } else {
            None
        };
        self.decoder.drop_partial_if_over();
        Ok(complete.map(|(opcode, whole)| {
            self.whole = Some(whole);
            opcode
        }))
    }
}

impl Drop for Frames<'_> {
    fn drop(&mut self) {
        while self.at < self.input.len() && matches!(self.next(), Ok(Some(_))) {}
    }
}

fn event(opcode: Opcode, payload: &[u8]) -> Result<Event<'_>, Violation> {
    match opcode {
        Opcode::Text => std::str::from_utf8(payload).map(Event::Text).map_err(|_| Violation::NOT_UTF8),
        Opcode::Binary | Opcode::Continuation => Ok(Event::Binary(payload)),
        Opcode::Ping => Ok(Event::Ping(payload)),
        Opcode::Pong => Ok(Event::Pong(payload)),
        Opcode::Close => close::read(payload),
    }
}
