//! Who is who, and where randomness comes from.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The only source of randomness of a server: a cryptographically strong generator, seeded by the operating
/// system in production and by a number in a simulation, so that a run is a function of its seed.
#[derive(Debug)]
pub struct Entropy(Mutex<StdRng>);

impl Entropy {
    /// Seeded by the operating system.
    pub fn from_os() -> Self {
        Self(Mutex::new(StdRng::from_os_rng()))
    }

    /// The same numbers for the same seed. For tests and simulations only: ids become predictable.
    pub fn from_seed(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }

    /// 64 random bits.
    pub fn u64(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).next_u64()
    }

    /// 128 random bits.
    pub fn u128(&self) -> u128 {
        let mut rng = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (u128::from(rng.next_u64()) << 64) | u128::from(rng.next_u64())
    }
}

/// A text that is no id of the kind that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id of this kind")]
pub struct BadId;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// A new one, unlike all others.
            pub fn random(entropy: &Entropy) -> Self {
                Self(entropy.u128())
            }

            /// The bits, for hashing and sharding.
            pub fn bits(self) -> u128 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "-{:032x}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                let digits = text.strip_prefix(concat!($prefix, "-")).ok_or(BadId)?;
                // One spelling per id: 32 lower-case digits, so that texts can be compared.
                let plain = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
                if digits.len() != 32 || !digits.bytes().all(plain) {
                    return Err(BadId);
                }
                u128::from_str_radix(digits, 16).map(Self).map_err(|_| BadId)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

id! {
    /// A connection: 128 random bits, written `conn-` and 32 hexadecimal digits.
    ConnId, "conn"
}
id! {
    /// One life of one server instance. An instance that was declared dead comes back as another incarnation, so
    /// what its earlier self still had under way is told apart and refused.
    Incarnation, "inst"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id = ConnId::random(&Entropy::from_seed(1));
        let text = id.to_string();
        assert_eq!(text.len(), "conn-".len() + 32);
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text.to_uppercase().parse::<ConnId>(), Err(BadId));
        for bad in [
            "",
            "conn-",
            "conn-1",
            "inst-00000000000000000000000000000000",
            "conn-+0000000000000000000000000000000",
        ] {
            assert_eq!(bad.parse::<ConnId>(), Err(BadId), "{bad}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_ids() {
        let (a, b) = (Entropy::from_seed(7), Entropy::from_seed(7));
        assert_eq!(ConnId::random(&a), ConnId::random(&b));
        assert_ne!(ConnId::random(&a), ConnId::random(&Entropy::from_seed(8)));
    }
}
