//! Where an entry stands in a stream.

use std::fmt;

use serde::{Serialize, Serializer};

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
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// The life of the stream.
    pub epoch: Epoch,
    /// Counts from 1 and grows by one per entry. For a record or a cell this is its version.
    pub offset: u64,
    /// The entry's own mark.
    pub tag: Tag,
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
