//! What goes wrong, in a sentence for an operator. No sentence holds a password.

use mesh_backend::BackendError;
use redis::{ErrorKind, RedisError};

/// Why a server that shares through Redis did not start. Each says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address, or an option, is not one.
    #[error("{0}")]
    BadOption(String),
    /// Nobody answers there.
    #[error("no connection to Redis at {address}: {reason}. Is it running, and is the address right?")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What the system says.
        reason: String,
    },
    /// It does not let this user in.
    #[error(
        "Redis at {0} refuses the user or the password. Put them into the address: redis://user:password@host:port"
    )]
    Refused(String),
    /// It is too old.
    #[error(
        "Redis at {address} has version {version}, and Mesh needs 6.2 (7.0 for a cluster) or any Valkey. Upgrade it"
    )]
    TooOld {
        /// Host and port.
        address: String,
        /// What it says it is.
        version: String,
    },
    /// Another version of Mesh, or one with other shards, left its data there.
    #[error(
        "the data under `{prefix}` at Redis is of another Mesh ({found}; this one writes {expected}). Use another \
         namespace, or empty this one"
    )]
    OtherSchema {
        /// What the keys begin with.
        prefix: String,
        /// What its schema key says.
        found: String,
        /// What it should say.
        expected: String,
    },
    /// The user's ACL does not allow something that is needed.
    #[error(
        "the user at Redis may not do what Mesh needs: {reason}. Its ACL needs `~{prefix}*`, `&{prefix}*`, and \
         `+@all -@dangerous +info` or as little as mesh-redis documents"
    )]
    TooFewRights {
        /// What Redis says.
        reason: String,
        /// What keys and channels begin with.
        prefix: String,
    },
    /// Something else lives under the same prefix.
    #[error(
        "a key under `{prefix}` at Redis is of another type than Mesh's: {reason}. Does another application write there?"
    )]
    ForeignKeys {
        /// What keys begin with.
        prefix: String,
        /// What Redis says.
        reason: String,
    },
    /// It answered something else.
    #[error("Redis at {address} cannot be used: {reason}")]
    Unusable {
        /// Host and port.
        address: String,
        /// What Redis says.
        reason: String,
    },
}

/// An operation that did not take place, or may not have.
pub(crate) fn unavailable(why: impl Into<String>) -> BackendError {
    BackendError::Unavailable(why.into())
}

/// What Redis, or the way to it, says. Redis 6.2 hides what a script met inside of a longer text.
pub(crate) fn said(error: &RedisError) -> String {
    let text = error.to_string();
    let is = |word: &str| error.code() == Some(word) || text.contains(word);
    let detail = error.detail().unwrap_or_default();
    if is("WRONGTYPE") {
        format!("a key of Mesh has another type; does another application write there? ({detail})")
    } else if is("OOM") {
        "Redis is out of memory and refuses to store more".to_owned()
    } else if is("READONLY") {
        "Redis became a replica".to_owned()
    } else if is("NOPERM") {
        format!("the user's ACL does not allow it: {detail}")
    } else if let Some(code) = error.code() {
        format!("{code} {detail}").trim().to_owned()
    } else {
        text
    }
}

/// Whether a connection that says so should be made anew.
pub(crate) fn is_doubtful(error: &RedisError) -> bool {
    let text = error.to_string();
    error.is_unrecoverable_error() || ["READONLY", "MASTERDOWN"].iter().any(|word| text.contains(word))
}

/// Whether it is the user or the password.
pub(crate) fn is_login(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("WRONGPASS" | "NOAUTH"))
        || ["WRONGPASS", "NOAUTH"].iter().any(|word| error.to_string().contains(word))
}
