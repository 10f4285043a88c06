//! Why the server ended a connection.

use crate::Class;

/// A close code of Mesh. Codes from 4000 tell their class by their band, so a client need not know them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CloseCode {
    /// The peer is done.
    Normal,
    /// The process ends.
    GoingAway,
    /// An error in the server.
    Internal,
    /// The server drains.
    Restart,
    /// Too busy.
    TryLater,
    /// More than the outbox holds waited to be read.
    SlowReader,
    /// No sign of life for three ping intervals.
    Silent,
    /// The backend is away, and this needs it.
    Unavailable,
    /// The credential is no longer good.
    TokenExpired,
    /// The credential was refused.
    Unauthorized,
    /// The server ended this connection on purpose.
    Disconnected,
    /// Too many bad frames.
    BadFrames,
    /// The protocol number is not spoken here.
    UnsupportedVersion,
    /// The first frame was no `mesh/hello`, or none came in time.
    HelloExpected,
}

impl CloseCode {
    /// Every code.
    pub const ALL: [Self; 14] = [
        Self::Normal,
        Self::GoingAway,
        Self::Internal,
        Self::Restart,
        Self::TryLater,
        Self::SlowReader,
        Self::Silent,
        Self::Unavailable,
        Self::TokenExpired,
        Self::Unauthorized,
        Self::Disconnected,
        Self::BadFrames,
        Self::UnsupportedVersion,
        Self::HelloExpected,
    ];

    /// The number and the reason on the wire.
    pub fn on_the_wire(self) -> (u16, &'static str) {
        match self {
            Self::Normal => (1000, ""),
            Self::GoingAway => (1001, "going_away"),
            Self::Internal => (1011, "internal"),
            Self::Restart => (1012, "restart"),
            Self::TryLater => (1013, "try_later"),
            Self::SlowReader => (4000, "slow_reader"),
            Self::Silent => (4001, "silent"),
            Self::Unavailable => (4002, "unavailable"),
            Self::TokenExpired => (4100, "token_expired"),
            Self::Unauthorized => (4200, "unauthorized"),
            Self::Disconnected => (4201, "disconnected"),
            Self::BadFrames => (4202, "bad_frames"),
            Self::UnsupportedVersion => (4203, "unsupported_version"),
            Self::HelloExpected => (4204, "hello_expected"),
        }
    }

    /// What a client does about a close code, known or unknown.
    pub fn class_of(code: u16) -> Class {
        match code {
            1000 | 1002 | 1007 | 1009 => Class::GiveUp,
            4100..=4199 => Class::Refresh,
            4200..=4999 => Class::GiveUp,
            _ => Class::Retry,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_in_the_band_of_its_class() {
        for code in CloseCode::ALL {
            let (number, _) = code.on_the_wire();
            let class = match code {
                CloseCode::Normal
                | CloseCode::Unauthorized
                | CloseCode::Disconnected
                | CloseCode::BadFrames
                | CloseCode::UnsupportedVersion
                | CloseCode::HelloExpected => Class::GiveUp,
                CloseCode::TokenExpired => Class::Refresh,
                _ => Class::Retry,
            };
            assert_eq!(CloseCode::class_of(number), class, "{code:?}");
        }
    }
}
