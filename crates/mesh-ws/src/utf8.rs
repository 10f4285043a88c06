//! Text that comes in pieces: each byte is checked once, and a bad one is found when it comes, not when the text ends.

use crate::partial::room;

/// The text so far, and the bytes of a character that is not complete yet: at most three.
#[derive(Debug, Default)]
pub(crate) struct Text {
    whole: String,
    open: [u8; 3],
    open_len: u8,
}

/// There is a byte that no UTF-8 has there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invalid;

impl Text {
    /// Take in the next piece; at most `expected` bytes are to come, this piece included.
    pub(crate) fn push(&mut self, mut piece: &[u8], expected: usize) -> Result<(), Invalid> {
        let open = self.open.len();
        let (len, capacity) = (self.whole.len(), self.whole.capacity());
        self.whole.reserve_exact(room(len, capacity, piece.len() + open, expected.saturating_add(open)));
        while self.open_len > 0 {
            let Some((&next, rest)) = piece.split_first() else { return Ok(()) };
            piece = rest;
            let had = usize::from(self.open_len);
            let mut joined = [0; 4];
            joined[..had].copy_from_slice(&self.open[..had]);
            joined[had] = next;
            match std::str::from_utf8(&joined[..=had]) {
                Ok(character) => {
                    self.whole.push_str(character);
                    self.open_len = 0;
                }
                Err(error) if error.error_len().is_some() => return Err(Invalid),
                // Still a beginning, so it has three bytes at most.
                Err(_) => {
                    self.open[had] = next;
                    self.open_len += 1;
                }
            }
        }
        let (whole, open) = piece.split_at(open_at(piece));
        self.whole.push_str(std::str::from_utf8(whole).map_err(|_| Invalid)?);
        if std::str::from_utf8(open).is_err_and(|error| error.error_len().is_some()) {
            return Err(Invalid);
        }
        self.open[..open.len()].copy_from_slice(open);
        self.open_len = open.len() as u8;
        Ok(())
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.whole.len() + usize::from(self.open_len)
    }

    pub(crate) fn capacity(&self) -> usize {
        self.whole.capacity()
    }

    /// The text, if it may end here.
    pub(crate) fn end(self) -> Result<String, Invalid> {
        if self.open_len == 0 { Ok(self.whole) } else { Err(Invalid) }
    }
}

/// Where a last character begins that wants more bytes than are there; the end, if none does.
fn open_at(piece: &[u8]) -> usize {
    for (back, &byte) in (1..=3).zip(piece.iter().rev()) {
        let wants = match byte {
            0x80..0xc0 => continue,
            0xc0..0xe0 => 2,
            0xe0..0xf0 => 3,
            0xf0..0xf8 => 4,
            _ => 1,
        };
        return if wants > back { piece.len() - back } else { piece.len() };
    }
    piece.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(pieces: &[&[u8]]) -> Result<String, Invalid> {
        let mut text = Text::default();
        for piece in pieces {
            text.push(piece, piece.len())?;
        }
        text.end()
    }

    #[test]
    fn a_text_cut_anywhere_is_judged_as_a_whole() {
        let texts: [&[u8]; 10] = [
            "κόσμε 🎈 é".as_bytes(),
            b"plain",
            b"\xed\xa0\x80",      // a surrogate
            b"a\xf4\x90\x80\x80", // above U+10FFFF
            b"\xc0\xaf",          // overlong
            b"\xf8\x88\x80\x80\x80",
            b"\xe2\x82",         // an open end
            b"\xe2\x82\xe2\x82", // two of them
            b"\x80\x80\x80\x80", // only the middles of characters
            b"\xce\xba\xff",
        ];
        for text in texts {
            for cut in 0..=text.len() {
                for second in cut..=text.len() {
                    let whole = std::str::from_utf8(text).map(String::from).map_err(|_| Invalid);
                    let pieces = [&text[..cut], &text[cut..second], &text[second..]];
                    assert_eq!(joined(&pieces), whole, "{text:x?} cut at {cut} and {second}");
                }
            }
        }
    }

    #[test]
    fn a_bad_byte_is_found_at_once() {
        let mut text = Text::default();
        assert_eq!(text.push(b"ok \xf4", 4), Ok(()));
        assert_eq!(text.push(b"\x90", 1), Err(Invalid), "no need to wait for two more");
        for bad in [b"ok \xed\xa0".as_slice(), b"\xc1", b"\xf4\x90", b"\xe0\x80"] {
            assert_eq!(Text::default().push(bad, 100), Err(Invalid), "{bad:x?}");
        }
    }
}
