//! Where an entry stands in a stream.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Entropy;

/// One unbroken life of a stream. It changes when continuity is lost, so that offsets of two lives are never
/// taken for one another. On the wire: 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// A mark of one entry, chosen at random by its writer: after a failover that lost a tail, the entry that now
/// bears the same offset bears another tag. On the wire: 8 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u32);

/// Where an entry stands: in which life of its stream, as the how-manieth, and which mark it bears.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Position {
    /// The life of the stream.
    pub epoch: Epoch,
    /// Counts from 1 and grows by one per entry. For a record or a cell this is its version.
    pub offset: u64,
    /// The entry's own mark.
    pub tag: Tag,
}

impl Position {
    /// Before the first entry of a stream that has no life yet: all that will ever come is after it.
    pub const START: Self = Self { epoch: Epoch(0), offset: 0, tag: Tag(0) };
}

impl Epoch {
    /// A new life.
    pub fn random(entropy: &Entropy) -> Self {
        Self(entropy.u64())
    }
}

impl Tag {
    /// A new mark.
    pub fn random(entropy: &Entropy) -> Self {
        // The upper half of 64 random bits.
        Self((entropy.u64() >> 32) as u32)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Epoch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Lower-case hexadecimal digits, exactly so many.
fn digits<'de, D: Deserializer<'de>>(deserializer: D, count: usize) -> Result<u64, D::Error> {
    let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
    let plain = text.len() == count && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let number = if plain { u64::from_str_radix(&text, 16).ok() } else { None };
    number.ok_or_else(|| de::Error::custom(format!("expected {count} hexadecimal digits")))
}

impl<'de> Deserialize<'de> for Epoch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        digits(deserializer, 16).map(Self)
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        digits(deserializer, 8).map(|tag| Self(tag as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_comes_back_as_it_was_written() {
        let position = Position { epoch: Epoch(0xab), offset: 7, tag: Tag(0x1f) };
        let text = r#"{"epoch":"00000000000000ab","offset":7,"tag":"0000001f"}"#;
        assert_eq!(serde_json::to_string(&position).expect("JSON"), text);
        assert_eq!(serde_json::from_str::<Position>(text).expect("a position"), position);
        for bad in ["\"ab\"", "\"00000000000000AB\"", "\"+0000000000000ab\"", "7"] {
            assert!(serde_json::from_str::<Epoch>(bad).is_err(), "{bad}");
        }
    }
}
