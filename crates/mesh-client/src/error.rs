//! Why something failed.

use mesh_proto::{Class, Code};
use serde_json::Value;
use serde_json::value::RawValue;

/// What a call of this client may end in.
pub type Result<T, E = ClientError> = std::result::Result<T, E>;

/// A failure with a `code` to match on and a message to read. The code is the server's, or one of the client's own:
///
/// | code | when |
/// |---|---|
/// | `unavailable` | the connection broke before the answer came, or there was none in time to connect |
/// | `timeout` | no answer in time |
/// | `too_large` | the message would be larger than the server takes |
/// | `bad_payload` | what was given does not encode, or what came does not decode as the type that was asked for |
/// | `queue_full` | too many commands wait for a connection |
/// | `dropped` | a volatile write found no connection, or too much that waits to be sent |
/// | `bad_url`, `bad_root` | the address is none, or what is to be trusted is no certificate |
/// | `closed` | this client was closed |
/// | `lagged` | pushes came faster than they were read, and some were dropped |
/// | a close reason | the server ended the connection for good: `unauthorized`, `disconnected`, `unsupported_version`, .. |
///
/// ```
/// use mesh_client::{ClientError, Code};
///
/// let error = ClientError::give_up(Code::Forbidden, "not yours");
/// match error.code() {
///     Code::Conflict => { /* read it again, then once more */ }
///     Code::App(code) if code == "card_declined" => {}
///     _ if error.retryable() => { /* later */ }
///     other => assert_eq!(other.as_str(), "forbidden"),
/// }
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ClientError {
    code: Code,
    message: String,
    retryable: bool,
    details: Option<Value>,
    sent: bool,
}

/// What a write found instead of the version it expected.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    /// The version that the record has.
    pub version: u64,
    /// The value that it has; `null` if it has none.
    pub record: Value,
}

impl ClientError {
    /// One that is worth another try later.
    pub fn retry(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retryable: true, details: None, sent: false }
    }

    /// One that would be the same again.
    pub fn give_up(code: Code, message: impl Into<String>) -> Self {
        Self { retryable: false, ..Self::retry(code, message) }
    }

    /// What went wrong, for programs.
    pub fn code(&self) -> &Code {
        &self.code
    }

    /// What went wrong, for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the same call may succeed later. It does not say that the first one had no effect: see
    /// [`sent`](Self::sent).
    pub fn retryable(&self) -> bool {
        self.retryable
    }

    /// What belongs to the code, if anything.
    pub fn details(&self) -> Option<&Value> {
        self.details.as_ref()
    }

    /// Whether the command had gone out when it failed without an answer: then it may have taken effect, else it has not.
    pub fn sent(&self) -> bool {
        self.sent
    }

    /// Of a write that came second: what the record is now.
    pub fn conflict(&self) -> Option<Conflict> {
        let details = self.details.as_ref().filter(|_| self.code == Code::Conflict)?;
        let version = details.get("version")?.as_u64()?;
        Some(Conflict { version, record: details.get("record").cloned().unwrap_or(Value::Null) })
    }

    /// What a client may do about it.
    pub(crate) fn class(&self) -> Class {
        match self.code.class() {
            Class::Refresh => Class::Refresh,
            _ if self.retryable => Class::Retry,
            _ => Class::GiveUp,
        }
    }

    pub(crate) fn with_details(self, details: Value) -> Self {
        Self { details: Some(details), ..self }
    }

    /// The failure in an answer. What it lacks is as if the server had said as little as it may.
    pub(crate) fn from_wire(json: &RawValue) -> Self {
        let mut error: Value = serde_json::from_str(json.get()).unwrap_or_default();
        let text = |member: &str| error.get(member).and_then(Value::as_str).map(str::to_owned);
        let code = Code::from_wire(text("code").unwrap_or_else(|| Code::Internal.as_str().to_owned()));
        let message = text("message").unwrap_or_else(|| code.to_string());
        let retryable = error.get("retryable").and_then(Value::as_bool).unwrap_or(false);
        let details = error.get_mut("details").map(Value::take);
        Self { code, message, retryable, details, sent: true }
    }

    /// The connection broke between a command and its answer.
    pub(crate) fn broken() -> Self {
        Self { sent: true, ..Self::retry(Code::Unavailable, "the connection broke before the answer came") }
    }

    /// There is no connection.
    pub(crate) fn unreachable(why: impl Into<String>) -> Self {
        Self::retry(Code::Unavailable, why)
    }

    /// The server answered what makes no sense. It may be well again later.
    pub(crate) fn nonsense() -> Self {
        Self { sent: true, ..Self::retry(Code::Internal, "the server's answer makes no sense") }
    }

    pub(crate) fn timeout(sent: bool) -> Self {
        Self { sent, ..Self::retry(Code::Timeout, "no answer in time") }
    }

    pub(crate) fn closed() -> Self {
        Self::give_up(Code::App("closed".into()), "this client is closed")
    }

    pub(crate) fn queue_full() -> Self {
        Self::retry(Code::App("queue_full".into()), "too many commands wait to be sent")
    }

    pub(crate) fn dropped() -> Self {
        Self::retry(Code::App("dropped".into()), "a volatile write had to wait, and was dropped")
    }

    pub(crate) fn too_large(bytes_max: usize) -> Self {
        Self::give_up(Code::TooLarge, format!("a message may have at most {bytes_max} bytes"))
    }

    pub(crate) fn encoding(error: &serde_json::Error) -> Self {
        Self::give_up(Code::BadPayload, format!("this does not encode as JSON: {error}"))
    }

    pub(crate) fn decoding(error: &serde_json::Error) -> Self {
        let message = format!("what came is not of the type that was asked for: {error}");
        Self { sent: true, ..Self::give_up(Code::BadPayload, message) }
    }

    pub(crate) fn lagged(missed: u64) -> Self {
        let message = format!("{missed} pushes came faster than they were read, and were dropped");
        Self::give_up(Code::App("lagged".into()), message)
            .with_details(serde_json::json!({ "missed": missed }))
    }
}
