//! What the server keeps: databases of keys, each with a value of one of five types and perhaps a deadline.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::stream::Stream;
use super::zset::Zset;

/// As many as Redis has by default.
pub(crate) const DATABASES: usize = 16;

/// Strings in order: what a set holds.
pub type Set = BTreeSet<Bytes>;

/// Fields and their values.
pub type Hash = BTreeMap<Bytes, Bytes>;

/// The value of a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A string.
    String(Bytes),
    /// A hash.
    Hash(Hash),
    /// A set.
    Set(Set),
    /// A sorted set.
    Zset(Zset),
    /// A stream.
    Stream(Stream),
}

impl Value {
    /// What `TYPE` calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::String(_) => "string",
            Self::Hash(_) => "hash",
            Self::Set(_) => "set",
            Self::Zset(_) => "zset",
            Self::Stream(_) => "stream",
        }
    }
}

/// One of the types of values.
pub(crate) trait Kind: Default + Sized {
    fn of(value: &mut Value) -> Option<&mut Self>;
    fn wrap(self) -> Value;
    /// Whether a key with this value goes away by itself, as all do but strings and streams.
    fn is_nothing(&self) -> bool;
}

macro_rules! kind {
    ($type:ty, $variant:ident, $is_nothing:expr) => {
        impl Kind for $type {
            fn of(value: &mut Value) -> Option<&mut Self> {
                if let Value::$variant(inner) = value { Some(inner) } else { None }
            }

            fn wrap(self) -> Value {
                Value::$variant(self)
            }

            fn is_nothing(&self) -> bool {
                let is_nothing: fn(&$type) -> bool = $is_nothing;
                is_nothing(self)
            }
        }
    };
}

kind!(Bytes, String, |_| false);
kind!(Hash, Hash, BTreeMap::is_empty);
kind!(Set, Set, BTreeSet::is_empty);
kind!(Zset, Zset, Zset::is_empty);
kind!(Stream, Stream, |_| false);

/// A value and its deadline.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The value.
    pub value: Value,
    /// When it expires, in milliseconds since 1970 by the clock of the server.
    pub expires_at: Option<u64>,
}

/// How much later than its deadline a key goes, which is a function of the seed, the key and the deadline and so the
/// same on the replica.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Jitter {
    pub(crate) seed: u64,
    pub(crate) ms_max: u64,
}

impl Jitter {
    fn of(self, key: &[u8], deadline: u64) -> u64 {
        const FNV_PRIME: u64 = 0x0100_0000_01b3;
        if self.ms_max == 0 {
            return 0;
        }
        let numbers = [self.seed.to_le_bytes(), deadline.to_le_bytes()];
        let bytes = numbers.as_flattened().iter().chain(key);
        let hash = bytes
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME));
        (hash >> 16) % (self.ms_max + 1)
    }
}

/// All databases.
#[derive(Clone, Debug)]
pub(crate) struct Keyspace {
    databases: Vec<BTreeMap<Bytes, Entry>>,
    pub(crate) jitter: Jitter,
    /// Counts changes, as Redis' `dirty` does: what did not raise it was no write.
    pub(crate) changes: u64,
}

impl Default for Keyspace {
    fn default() -> Self {
        Self::new(Jitter::default())
    }
}

impl Keyspace {
    pub(crate) fn new(jitter: Jitter) -> Self {
        Self { databases: vec![BTreeMap::new(); DATABASES], jitter, changes: 0 }
    }

    pub(crate) fn database(&mut self, index: usize) -> &mut BTreeMap<Bytes, Entry> {
        &mut self.databases[index]
    }

    /// The entry of a key, unless its time has run out: then it goes.
    pub(crate) fn entry(&mut self, index: usize, key: &[u8], now: u64) -> Option<&mut Entry> {
        let deadline = self.databases[index].get(key)?.expires_at;
        if deadline.is_some_and(|at| is_over(self.jitter, key, at, now)) {
            self.databases[index].remove(key);
            return None;
        }
        self.databases[index].get_mut(key)
    }

    /// Drops all that has expired, which Redis does little by little and nobody can tell from at once. Tells what went,
    /// with its database.
    pub(crate) fn sweep(&mut self, now: u64) -> Vec<(usize, Bytes)> {
        let jitter = self.jitter;
        let mut gone = Vec::new();
        for (index, database) in self.databases.iter_mut().enumerate() {
            database.retain(|key, entry| {
                let is_gone = entry.expires_at.is_some_and(|at| is_over(jitter, key, at, now));
                if is_gone {
                    gone.push((index, key.clone()));
                }
                !is_gone
            });
        }
        gone
    }

    pub(crate) fn clear(&mut self) {
        for index in 0..self.databases.len() {
            self.clear_database(index);
        }
    }

    pub(crate) fn clear_database(&mut self, index: usize) {
        self.changes += self.databases[index].len() as u64;
        self.databases[index].clear();
    }
}

/// A key still lives in the millisecond of its deadline.
fn is_over(jitter: Jitter, key: &[u8], deadline: u64, now: u64) -> bool {
    now > deadline.saturating_add(jitter.of(key, deadline))
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Entry, Jitter, Keyspace, Value};

    fn lives(keyspace: &mut Keyspace, now: u64) -> bool {
        keyspace.entry(0, b"key", now).is_some()
    }

    fn with_deadline(deadline: u64, jitter: Jitter) -> Keyspace {
        let mut keyspace = Keyspace::new(jitter);
        let entry = Entry { value: Value::String(Bytes::new()), expires_at: Some(deadline) };
        keyspace.database(0).insert(Bytes::from_static(b"key"), entry);
        keyspace
    }

    #[test]
    fn a_key_goes_after_its_deadline() {
        let mut keyspace = with_deadline(100, Jitter::default());
        assert!(lives(&mut keyspace, 100));
        assert!(!lives(&mut keyspace, 101));
        assert!(keyspace.database(0).is_empty());
    }

    #[test]
    fn jitter_is_a_function_of_the_seed() {
        let gone = |seed| {
            let jitter = Jitter { seed, ms_max: 1000 };
            (100..=1101).find(|now| !lives(&mut with_deadline(100, jitter), *now))
        };
        assert_eq!(gone(1), gone(1));
        assert_ne!(gone(1), gone(2));
        assert!((1..20).all(|seed| gone(seed).is_some()));
    }
}
