//! A stream: entries in the order of their ids, which only grow.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;

/// The id of an entry: milliseconds and a number within them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId {
    /// Milliseconds, or whatever the writer counts in.
    pub ms: u64,
    /// Which one within them.
    pub seq: u64,
}

impl StreamId {
    pub(crate) const MIN: Self = Self { ms: 0, seq: 0 };
    pub(crate) const MAX: Self = Self { ms: u64::MAX, seq: u64::MAX };

    /// `5-1`, or `5` with the second number given.
    pub(crate) fn parse(text: &[u8], missing_seq: u64) -> Option<Self> {
        match text.iter().position(|byte| *byte == b'-') {
            Some(at) => Some(Self { ms: unsigned(&text[..at])?, seq: unsigned(&text[at + 1..])? }),
            None => Some(Self { ms: unsigned(text)?, seq: missing_seq }),
        }
    }

    pub(crate) fn next(self) -> Option<Self> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => Some(Self { ms: self.ms.checked_add(1)?, seq: 0 }),
        }
    }

    pub(crate) fn previous(self) -> Option<Self> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => Some(Self { ms: self.ms.checked_sub(1)?, seq: u64::MAX }),
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// Digits. Unlike elsewhere, zeros may lead.
pub(crate) fn unsigned(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The fields of an entry, in the order they were written.
pub type Fields = Vec<(Bytes, Bytes)>;

/// Entries, and what is remembered of those that went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stream {
    pub(crate) entries: BTreeMap<StreamId, Fields>,
    pub(crate) last: StreamId,
    pub(crate) added: u64,
}

impl Stream {
    /// The entries.
    pub fn entries(&self) -> &BTreeMap<StreamId, Fields> {
        &self.entries
    }

    /// The id of the newest entry there ever was.
    pub fn last(&self) -> StreamId {
        self.last
    }

    /// How many entries there ever were.
    pub fn added(&self) -> u64 {
        self.added
    }

    /// Drops the oldest as told; how many went.
    pub(crate) fn trim(&mut self, trim: Trim) -> usize {
        let before = self.entries.len();
        match trim {
            Trim::Length(length) => {
                while self.entries.len() > length {
                    self.entries.pop_first();
                }
            }
            Trim::Before(id) => self.entries = self.entries.split_off(&id),
        }
        before - self.entries.len()
    }
}

/// What is to go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trim {
    /// All but this many.
    Length(usize),
    /// All with a lower id.
    Before(StreamId),
}

#[cfg(test)]
mod tests {
    use super::StreamId;

    #[test]
    fn ids_have_one_spelling() {
        let id = |ms, seq| Some(StreamId { ms, seq });
        assert_eq!(StreamId::parse(b"5", 7), id(5, 7));
        assert_eq!(StreamId::parse(b"18446744073709551615-18446744073709551615", 0), Some(StreamId::MAX));
        for text in ["", "-", "1-", "-1", "1-2-3", "x", "18446744073709551616-0", "1 "] {
            assert_eq!(StreamId::parse(text.as_bytes(), 0), None, "{text:?}");
        }
        assert_eq!(StreamId { ms: 1, seq: u64::MAX }.next(), id(2, 0));
        assert_eq!(StreamId { ms: 1, seq: 0 }.previous(), id(0, u64::MAX));
        assert_eq!((StreamId::MAX.next(), StreamId::MIN.previous()), (None, None));
    }
}
