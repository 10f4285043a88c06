//! Error codes: what a client may match on, and what it may do about it.

use std::borrow::Cow;
use std::fmt;

/// What a client may do about an error or a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The same again later may succeed.
    Retry,
    /// Fetch a new credential, then once more.
    Refresh,
    /// The same again will fail again.
    GiveUp,
}

/// What went wrong with a command, in a form a client can match on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Code {
    /// The payload is not what the command takes.
    BadPayload,
    /// Somebody else wrote first.
    Conflict,
    /// A guard, or the lack of a policy, refused it.
    Forbidden,
    /// The handler panicked or failed in a way it does not tell.
    Internal,
    /// There is no such command, connection or room.
    NotFound,
    /// Too many in too short a time.
    RateLimited,
    /// The handler did not answer within its deadline.
    Timeout,
    /// A value over its limit.
    TooLarge,
    /// More commands wait on this connection than it may have.
    TooManyInFlight,
    /// No identity, or not one that this command takes.
    Unauthorized,
    /// The backend cannot be reached.
    Unavailable,
    /// A code of the application's own.
    App(Cow<'static, str>),
}

impl Code {
    /// Every code but an application's own.
    pub const ALL: [Self; 11] = [
        Self::BadPayload,
        Self::Conflict,
        Self::Forbidden,
        Self::Internal,
        Self::NotFound,
        Self::RateLimited,
        Self::Timeout,
        Self::TooLarge,
        Self::TooManyInFlight,
        Self::Unauthorized,
        Self::Unavailable,
    ];

    /// The code on the wire of a hello client, in the Rust and in the TypeScript client.
    pub fn as_str(&self) -> &str {
        match self {
            Self::BadPayload => "bad_payload",
            Self::Conflict => "conflict",
            Self::Forbidden => "forbidden",
            Self::Internal => "internal",
            Self::NotFound => "not_found",
            Self::RateLimited => "rate_limited",
            Self::Timeout => "timeout",
            Self::TooLarge => "too_large",
            Self::TooManyInFlight => "too_many_in_flight",
            Self::Unauthorized => "unauthorized",
            Self::Unavailable => "unavailable",
            Self::App(code) => code,
        }
    }

    /// The code that is written so.
    pub fn from_wire(code: String) -> Self {
        let known = Self::ALL.into_iter().find(|known| known.as_str() == code);
        known.unwrap_or(Self::App(Cow::Owned(code)))
    }

    /// What a client may do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::Conflict
            | Self::RateLimited
            | Self::Timeout
            | Self::TooManyInFlight
            | Self::Unavailable => Class::Retry,
            Self::Unauthorized => Class::Refresh,
            Self::BadPayload
            | Self::Forbidden
            | Self::Internal
            | Self::NotFound
            | Self::TooLarge
            | Self::App(_) => Class::GiveUp,
        }
    }

    /// The `code` and `name` that an origin client is told.
    pub fn origin(&self) -> (Cow<'_, str>, &'static str) {
        match self {
            Self::NotFound => ("ENOTFOUND".into(), "CommandError"),
            Self::Timeout => ("ETIMEOUT".into(), "TimeoutError"),
            Self::Internal => ("ESERVER".into(), "Error"),
            Self::App(code) => (code.as_ref().into(), "CodeError"),
            other => (format!("E{}", other.as_str().to_ascii_uppercase()).into(), "CodeError"),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_client_is_told_the_codes_it_knows() {
        let origin = |code: &Code| {
            let (code, name) = code.origin();
            format!("{code} {name}")
        };
        assert_eq!(origin(&Code::NotFound), "ENOTFOUND CommandError");
        assert_eq!(origin(&Code::Timeout), "ETIMEOUT TimeoutError");
        assert_eq!(origin(&Code::Internal), "ESERVER Error");
        assert_eq!(origin(&Code::TooManyInFlight), "ETOO_MANY_IN_FLIGHT CodeError");
        assert_eq!(origin(&Code::App("card_declined".into())), "card_declined CodeError");
    }
}
