//! The envelope.

use std::borrow::Cow;

use mesh_proto::json_string;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Digits of the longest id.
const ID_BYTES_MAX: usize = 20;

/// One frame from the server, taken apart as far as everybody needs it.
#[derive(Debug, Deserialize)]
pub(crate) struct Frame<'a> {
    /// Of an answer: the id of the command. A push has none.
    #[serde(borrow, default)]
    pub(crate) id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) command: Cow<'a, str>,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
    /// Of a failed command.
    #[serde(borrow, default)]
    pub(crate) error: Option<&'a RawValue>,
}

impl Frame<'_> {
    /// The payload as JSON; `null` where there is none.
    pub(crate) fn payload(&self) -> &RawValue {
        self.payload.unwrap_or(RawValue::NULL)
    }
}

/// What is no frame is ignored.
pub(crate) fn parse(text: &str) -> Option<Frame<'_>> {
    serde_json::from_str(text).ok()
}

/// A command as it goes out.
pub(crate) fn command(id: u64, command: &str, body: Option<&str>) -> String {
    let command = json_string(command);
    match body {
        Some(body) => format!(r#"{{"id":{id},"command":{command},"payload":{body}}}"#),
        None => format!(r#"{{"id":{id},"command":{command}}}"#),
    }
}

/// How long [`command`] is at most. Each byte of a name may take six.
pub(crate) fn command_bytes_max(command: &str, body: Option<&str>) -> usize {
    let escapes = command.bytes().filter(|byte| *byte < b' ' || matches!(byte, b'"' | b'\\')).count();
    let body = body.map_or(0, |body| r#","payload":"#.len() + body.len());
    r#"{"id":,"command":""}"#.len() + ID_BYTES_MAX + command.len() + 5 * escapes + body
}

/// `mesh/subscription-ended`: of one of the two, with the members of a failure.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ended<'a> {
    #[serde(borrow, default)]
    pub(crate) channel: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) record_id: Option<Cow<'a, str>>,
}

/// The answer to a hello. What it lacks is as if the server had the usual limits.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Welcome {
    pub(crate) connection_id: Option<String>,
    /// Milliseconds.
    pub(crate) ping_interval: Option<u64>,
    pub(crate) limits: WelcomeLimits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct WelcomeLimits {
    pub(crate) message_bytes: Option<usize>,
    pub(crate) in_flight: Option<usize>,
    pub(crate) waiting: Option<usize>,
}
