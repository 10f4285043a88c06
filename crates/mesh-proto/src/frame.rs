//! The envelope: what a client sends, and the three forms of what it gets.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::Code;
use crate::limits::REQUEST_ID_BYTES_MAX;

/// A text that is no JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON object")]
pub struct Malformed;

/// One frame of a client, taken apart but not copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The id exactly as written, a JSON number or string. `None` if there is none that can be echoed.
    pub id: Option<&'a str>,
    /// `None` if it is missing or no string.
    pub command: Option<Cow<'a, str>>,
    /// The payload's JSON text; `"null"` where the frame has none.
    pub payload: &'a str,
}

/// Take a frame apart. Never recurses, so depth is no danger here; a payload must be [scanned](crate::scan()) before
/// it is parsed further. Of a member given twice the last one counts, as in `JSON.parse`.
pub fn parse(text: &str) -> Result<Request<'_>, Malformed> {
    struct Envelope;

    #[derive(Deserialize)]
    #[serde(field_identifier, rename_all = "lowercase")]
    enum Member {
        Id,
        Command,
        Payload,
        #[serde(other)]
        Other,
    }

    impl<'de> Visitor<'de> for Envelope {
        type Value = Request<'de>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object")
        }
        fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
            let mut request = Request { id: None, command: None, payload: "null" };
            while let Some(member) = map.next_key()? {
                match member {
                    Member::Id => request.id = usable_id(map.next_value::<&RawValue>()?.get()),
                    Member::Command => request.command = string(map.next_value::<&RawValue>()?.get()),
                    Member::Payload => request.payload = map.next_value::<&RawValue>()?.get(),
                    Member::Other => drop(map.next_value::<IgnoredAny>()?),
                }
            }
            Ok(request)
        }
    }

    let mut json = serde_json::Deserializer::from_str(text);
    let request = json.deserialize_map(Envelope).map_err(|_| Malformed)?;
    json.end().map_err(|_| Malformed)?;
    Ok(request)
}

fn usable_id(raw: &str) -> Option<&str> {
    let first = *raw.as_bytes().first()?;
    let echoable = first == b'"' || first == b'-' || first.is_ascii_digit();
    (echoable && raw.len() <= REQUEST_ID_BYTES_MAX).then_some(raw)
}

fn string(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str(raw).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

/// How a connection is told that a command failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The failure is the payload: `{error, code, name}`.
    Origin,
    /// The failure stands beside the payload: `error: {code, message, retryable, details?}`.
    Hello,
}

/// An answer, as the pieces of its text. `command` is a JSON string with its quotes (see [`json_string`]), `payload` is
/// JSON.
pub fn reply_parts<'a>(id: &'a str, command: &'a str, payload: &'a [u8]) -> [&'a [u8]; 7] {
    [b"{\"id\":", id.as_bytes(), b",\"command\":", command.as_bytes(), b",\"payload\":", payload, b"}"]
}

/// The name of the member that holds a failure, and its JSON, for [`reply_parts`]-like joining.
pub fn error_parts<'a>(form: Form, id: &'a str, command: &'a str, failure: &'a [u8]) -> [&'a [u8]; 7] {
    let mut parts = reply_parts(id, command, failure);
    if form == Form::Hello {
        parts[4] = b",\"error\":";
    }
    parts
}

impl Form {
    /// A failure as JSON, in the form that this connection takes.
    pub fn failure(self, code: &Code, message: &str, details: Option<&RawValue>) -> Vec<u8> {
        #[derive(Serialize)]
        struct Origin<'a> {
            error: &'a str,
            code: &'a str,
            name: &'a str,
        }
        #[derive(Serialize)]
        struct Hello<'a> {
            code: &'a str,
            message: &'a str,
            retryable: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            details: Option<&'a RawValue>,
        }
        let json = match self {
            Self::Origin => {
                let (code, name) = code.origin();
                serde_json::to_vec(&Origin { error: message, code: &code, name })
            }
            Self::Hello => {
                let retryable = code.class() == crate::Class::Retry;
                serde_json::to_vec(&Hello { code: code.as_str(), message, retryable, details })
            }
        };
        json.expect("strings, a bool and a raw value always encode")
    }
}

/// What the server sends unasked, as the bytes that go on the bus and on the wire: encoded once for all who get it.
pub fn encode_push<T: Serialize + ?Sized>(command: &str, payload: &T) -> serde_json::Result<Bytes> {
    #[derive(Serialize)]
    struct Push<'a, T: ?Sized> {
        command: &'a str,
        payload: &'a T,
    }
    serde_json::to_vec(&Push { command, payload }).map(Bytes::from)
}

/// A text as a JSON string, quotes and escapes included.
pub fn json_string(text: &str) -> String {
    serde_json::to_string(text).expect("a string always encodes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request<'a>(id: Option<&'a str>, command: Option<&'a str>, payload: &'a str) -> Request<'a> {
        Request { id, command: command.map(Cow::Borrowed), payload }
    }

    #[test]
    fn a_request_is_taken_apart_without_a_copy() {
        let text = r#" {"id": 7, "command":"echo","payload": {"a":[1,2]} } "#;
        let parsed = parse(text).expect("an object");
        assert_eq!(parsed, request(Some("7"), Some("echo"), r#"{"a":[1,2]}"#));
        assert!(text.as_bytes().as_ptr_range().contains(&parsed.payload.as_ptr()));
        assert!(matches!(parsed.command, Some(Cow::Borrowed(_))));
    }

    #[test]
    fn members_come_in_any_order_and_the_last_of_two_counts() {
        let parsed = parse(r#"{"payload":1,"x":{"id":9},"command":"a","id":1,"command":"b","payload":2}"#);
        assert_eq!(parsed, Ok(request(Some("1"), Some("b"), "2")));
    }

    #[test]
    fn numbers_and_strings_are_ids_and_nothing_else_is() {
        for id in ["0", "-3", "1.5", "1e3", r#""a""#, r#""\u00e9""#] {
            let text = format!(r#"{{"id":{id},"command":"x"}}"#);
            assert_eq!(parse(&text).expect("an object").id, Some(id));
        }
        for id in ["null", "true", "{}", "[1]"] {
            let text = format!(r#"{{"id":{id},"command":"x"}}"#);
            assert_eq!(parse(&text).expect("an object").id, None, "{id}");
        }
        let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(63));
        assert_eq!(parse(&long).expect("an object").id, None, "65 bytes with its quotes");
    }

    #[test]
    fn a_command_that_is_no_string_is_none() {
        for command in ["1", "null", "{}", "[]", "true"] {
            let text = format!(r#"{{"id":1,"command":{command}}}"#);
            assert_eq!(parse(&text), Ok(request(Some("1"), None, "null")), "{command}");
        }
        let escaped = parse(r#"{"id":1,"command":"a\"\u0062"}"#).expect("an object");
        assert_eq!(escaped.command.as_deref(), Some("a\"b"));
        assert_eq!(
            parse(r#"{"id":1,"command":"\ud800"}"#).expect("an object").command,
            None,
            "a lone surrogate"
        );
    }

    #[test]
    fn what_is_no_object_is_malformed() {
        for text in [
            "",
            "null",
            "[]",
            "1",
            "\"x\"",
            "{",
            "{}x",
            "{} {}",
            r#"{"id":1,}"#,
            r#"{"id":1"#,
            "nul",
            "{\"a\" 1}",
        ] {
            assert_eq!(parse(text), Err(Malformed), "{text}");
        }
        assert_eq!(parse("{}"), Ok(request(None, None, "null")));
    }

    #[test]
    fn a_hundred_thousand_brackets_are_taken_apart_without_recursion() {
        let text =
            format!(r#"{{"id":1,"payload":{}{},"command":"x"}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(parse(&text).expect("an object").command.as_deref(), Some("x"));
    }

    #[test]
    fn a_failure_and_an_answer_are_never_confusable_for_a_hello_client() {
        let failure = Form::Hello.failure(&Code::Unavailable, "away", None);
        let joined = error_parts(Form::Hello, "1", "\"x\"", &failure).concat();
        let text = String::from_utf8(joined).expect("UTF-8");
        assert_eq!(
            text,
            r#"{"id":1,"command":"x","error":{"code":"unavailable","message":"away","retryable":true}}"#
        );
        let failure = Form::Origin.failure(&Code::BadPayload, "no", None);
        let joined = error_parts(Form::Origin, "1", "\"x\"", &failure).concat();
        let text = String::from_utf8(joined).expect("UTF-8");
        assert_eq!(
            text,
            r#"{"id":1,"command":"x","payload":{"error":"no","code":"EBAD_PAYLOAD","name":"CodeError"}}"#
        );
    }
}
