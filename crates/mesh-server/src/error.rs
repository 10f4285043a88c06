//! What a client is told when something failed.

use std::fmt;

use mesh_backend::BackendError;
use mesh_proto::{Code, NameError};
use serde::Serialize;
use serde_json::value::RawValue;

/// The result of nearly everything here.
pub type Result<T, E = MeshError> = std::result::Result<T, E>;

/// A code to match on and a message to read. Deliberately not `Serialize`: the wire form is made in one place, and a
/// handler's `Result<T, MeshError>` can only be an answer or a failure, never an answer that holds a failure.
#[derive(Debug)]
pub struct MeshError {
    /// What a client may match on.
    pub code: Code,
    /// What a person may read. A client sees it, so it tells nothing internal.
    pub message: String,
    /// A JSON value that belongs to the code. Hello clients alone see it.
    pub details: Option<Box<RawValue>>,
}

impl MeshError {
    /// An error of any code.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: None }
    }

    /// An error with a code of the application's own.
    pub fn app(code: impl Into<std::borrow::Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(Code::App(code.into()), message)
    }

    /// The payload is not what the command takes.
    pub fn bad_payload(message: impl Into<String>) -> Self {
        Self::new(Code::BadPayload, message)
    }

    /// Refused.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(Code::Forbidden, message)
    }

    /// No identity, or not one that will do.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(Code::Unauthorized, message)
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, message)
    }

    /// With a JSON value that belongs to the code; left out if it cannot be encoded.
    pub fn with_details<T: Serialize>(mut self, details: &T) -> Self {
        self.details = serde_json::value::to_raw_value(details).ok();
        self
    }

    pub(crate) fn gone() -> Self {
        Self::not_found("the connection is closed")
    }
}

impl fmt::Display for MeshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for MeshError {}

impl From<serde_json::Error> for MeshError {
    fn from(error: serde_json::Error) -> Self {
        Self::bad_payload(error.to_string())
    }
}

impl From<NameError> for MeshError {
    fn from(error: NameError) -> Self {
        Self::bad_payload(error.to_string())
    }
}

impl From<BackendError> for MeshError {
    /// What the backend says stays in the log; a client learns that trying again may help.
    fn from(error: BackendError) -> Self {
        // Its trouble as such is told once, by the beat.
        tracing::debug!(%error, "the backend failed");
        match error {
            BackendError::TooLarge(message) => Self::new(Code::TooLarge, message),
            BackendError::Refused(message) => Self::bad_payload(message),
            BackendError::EditPanicked(_) => Self::new(Code::Internal, "internal error"),
            _ => Self::new(Code::Unavailable, "the backend is unavailable"),
        }
    }
}
