//! How a client stands to its server.

/// How a client stands to its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// There is no connection, and no more attempts are made: the client was closed, or has given up.
    Offline,
    /// The first connection is being made.
    Connecting,
    /// A connection was lost, or could not be made, and is made again.
    Reconnecting,
    /// Commands go out at once.
    Online,
}

/// Why a credential is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The first connection.
    Initial,
    /// A connection was lost.
    Reconnect,
    /// The server says that the last one is no longer good.
    Expired,
}
