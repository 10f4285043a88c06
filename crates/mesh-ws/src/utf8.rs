//! UTF-8 that comes in pieces: bad bytes are found as soon as they are there, not when the message is over.

/// The bytes of a character that is not complete yet: at most three.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tail {
    bytes: [u8; 3],
    len: u8,
}

/// The text holds a byte that no UTF-8 holds there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invalid;

impl Tail {
    /// Check the next piece of a text.
    pub(crate) fn push(&mut self, mut piece: &[u8]) -> Result<(), Invalid> {
        while self.len > 0 {
            let Some((&next, rest)) = piece.split_first() else { return Ok(()) };
            piece = rest;
            let had = usize::from(self.len);
            let mut joined = [0; 4];
            joined[..had].copy_from_slice(&self.bytes[..had]);
            joined[had] = next;
            match std::str::from_utf8(&joined[..=had]) {
                Ok(_) => self.len = 0,
                Err(error) if error.error_len().is_some() => return Err(Invalid),
                // Still a beginning: it fits, since a character has four bytes.
                Err(_) => {
                    self.bytes[had] = next;
                    self.len += 1;
                }
            }
        }
        let Err(error) = std::str::from_utf8(piece) else { return Ok(()) };
        if error.error_len().is_some() {
            return Err(Invalid);
        }
        let open = &piece[error.valid_up_to()..];
        self.bytes[..open.len()].copy_from_slice(open);
        self.len = open.len() as u8;
        Ok(())
    }

    /// Whether the text may end here.
    pub(crate) fn is_complete(self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cut_anywhere_is_judged_as_a_whole() {
        let texts: [&[u8]; 7] = [
            "κόσμε 🎈 é".as_bytes(),
            b"plain",
            b"\xed\xa0\x80",      // a surrogate
            b"a\xf4\x90\x80\x80", // above U+10FFFF
            b"\xc0\xaf",          // overlong
            b"\xe2\x82",          // an open end
            b"\xce\xba\xff",
        ];
        for text in texts {
            for cut in 0..=text.len() {
                for second in cut..=text.len() {
                    let mut tail = Tail::default();
                    let pieces = [&text[..cut], &text[cut..second], &text[second..]];
                    let ok = pieces.iter().all(|piece| tail.push(piece).is_ok()) && tail.is_complete();
                    assert_eq!(ok, std::str::from_utf8(text).is_ok(), "{text:x?} cut at {cut} and {second}");
                }
            }
        }
    }

    #[test]
    fn a_bad_byte_is_found_at_once() {
        let mut tail = Tail::default();
        assert_eq!(tail.push(b"ok \xf4"), Ok(()));
        assert_eq!(tail.push(b"\x90"), Err(Invalid), "no need to wait for two more");
    }
}
