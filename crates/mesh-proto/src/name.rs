//! Names, checked once and turned into types, so that nothing further in has anything left to validate.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::limits::{NAME_BYTES_MAX, TXN_BYTES_MAX};

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing at all.
    #[error("a name must not be empty")]
    Empty,
    /// More than [`NAME_BYTES_MAX`] bytes.
    #[error("a name has at most {NAME_BYTES_MAX} bytes")]
    TooLong,
    /// A control character, which would garble a log or a terminal.
    #[error("a name must not contain control characters")]
    Control,
    /// A command that belongs to the protocol.
    #[error(
        "names that begin with \"mesh/\", and ping, pong, latency, latency:request and latency:response, belong to the protocol"
    )]
    Reserved,
}

fn check(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong);
    }
    if text.chars().any(char::is_control) {
        return Err(NameError::Control);
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Check a text and make it a name.
            pub fn new(text: &str) -> Result<Self, NameError> {
                let check: fn(&str) -> Result<(), NameError> = $check;
                check(text).map(|()| Self(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The name as shared text, without a copy.
            pub fn shared(&self) -> Arc<str> {
                self.0.clone()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = NameError;
            fn try_from(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::new(&text).map_err(de::Error::custom)
            }
        }
    };
}

name! {
    /// A room: 1 to 255 bytes of UTF-8 without control characters.
    RoomName, check
}
name! {
    /// A channel: 1 to 255 bytes of UTF-8 without control characters.
    ChannelName, check
}
name! {
    /// A record: 1 to 255 bytes of UTF-8 without control characters.
    RecordName, check
}
name! {
    /// A command of an application, in either direction: a name that the protocol does not keep for itself.
    CommandName, |text| {
        check(text)?;
        let reserved = matches!(text, "ping" | "pong" | "latency" | "latency:request" | "latency:response");
        if reserved || text.starts_with("mesh/") { Err(NameError::Reserved) } else { Ok(()) }
    }
}

/// A writer's own mark of one write, which comes back in what tells of it: a text of at most 64 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Txn(Arc<str>);

impl Txn {
    /// Check a text and make it a mark; `None` if it is too long.
    pub fn new(text: &str) -> Option<Self> {
        (text.len() <= TXN_BYTES_MAX).then(|| Self(text.into()))
    }

    /// The mark as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Txn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::new(&text).ok_or_else(|| de::Error::custom(format!("a txn has at most {TXN_BYTES_MAX} bytes")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_255_bytes_and_no_control_characters() {
        assert_eq!(RoomName::new(""), Err(NameError::Empty));
        assert!(RoomName::new(&"x".repeat(255)).is_ok());
        assert_eq!(RoomName::new(&"x".repeat(256)), Err(NameError::TooLong));
        assert_eq!(RoomName::new(&"é".repeat(128)), Err(NameError::TooLong), "bytes, not characters");
        for bad in ["a\nb", "a\0", "\u{1b}[31m", "a\u{85}"] {
            assert_eq!(RoomName::new(bad), Err(NameError::Control));
        }
        for odd in ["__proto__", "a:conn:b", "*", "{x}", "mesh/room", "日本"] {
            assert!(RoomName::new(odd).is_ok(), "{odd}");
        }
    }

    #[test]
    fn what_the_protocol_says_itself_is_no_command_of_an_application() {
        for reserved in
            ["mesh/join-room", "mesh/", "ping", "pong", "latency", "latency:request", "latency:response"]
        {
            assert_eq!(CommandName::new(reserved), Err(NameError::Reserved), "{reserved}");
        }
        for fine in ["close", "error", "connect", "constructor", "toString", "mesh", "latency:x"] {
            assert!(CommandName::new(fine).is_ok(), "{fine}");
        }
    }
}
