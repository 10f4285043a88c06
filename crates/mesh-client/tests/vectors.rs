//! The recorded conversations of `protocol/vectors` in which a hello client makes calls.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use mesh_client::{Client, ClientError};
use serde_json::{Value, json};
use support::calls::{Streams, call};
use support::{Link, Server, pair, settle};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// What a call ended in.
type Outcome = Result<Value, ClientError>;

/// The strings that stand for others.
#[derive(Default)]
struct Names(BTreeMap<String, Value>);

impl Names {
    /// A value of the server's as one might have sent it: what is new gets a value of the form that its member has.
    fn say(&mut self, value: Value, member: &str) -> Value {
        match value {
            Value::String(name) if name == "$time" => json!(12),
            Value::String(name) if name.starts_with('$') => {
                let number = self.0.len();
                let form = match member {
                    "epoch" => format!("{number:016x}"),
                    "tag" => format!("{number:08x}"),
                    _ => format!("conn-{number:032x}"),
                };
                self.0.entry(name).or_insert(Value::String(form)).clone()
            }
            Value::Array(items) => items.into_iter().map(|item| self.say(item, member)).collect(),
            Value::Object(members) => {
                let said = |(name, value): (String, Value)| {
                    let value = self.say(value, &name);
                    (name, value)
                };
                members.into_iter().map(said).collect()
            }
            other => other,
        }
    }

    /// What was written down, where a name that is new stands for what the client chose to send.
    fn hear(&mut self, written: Value, sent: &Value) -> Value {
        match (written, sent) {
            (Value::String(name), sent) if name.starts_with('$') => {
                self.0.entry(name).or_insert_with(|| sent.clone()).clone()
            }
            (Value::Array(items), sent) => {
                let heard = |(at, item)| self.hear(item, sent.get(at).unwrap_or(&Value::Null));
                items.into_iter().enumerate().map(heard).collect()
            }
            (Value::Object(members), sent) => {
                let heard = |(name, value): (String, Value)| {
                    let value = self.hear(value, sent.get(&name).unwrap_or(&Value::Null));
                    (name, value)
                };
                members.into_iter().map(heard).collect()
            }
            (other, _) => other,
        }
    }

    fn parse(&mut self, json: &str) -> Value {
        self.say(serde_json::from_str(json).expect("JSON"), "")
    }
}

/// Whether a value has all that was written; of an object only the members that matter were.
fn has(got: &Value, written: &Value) -> bool {
    match (got, written) {
        (Value::Object(got), Value::Object(written)) => {
            written.iter().all(|(name, value)| got.get(name).is_some_and(|got| has(got, value)))
        }
        (got, written) => got == written,
    }
}

struct Replay {
    client: Client,
    server: Server,
    link: Option<Link>,
    names: Names,
    streams: Streams,
    last: Option<JoinHandle<Outcome>>,
}

impl Replay {
    fn link(&mut self) -> &mut Link {
        self.link.as_mut().expect("a connection")
    }

    async fn outcome(&mut self) -> Outcome {
        let last = self.last.take().expect("a call");
        timeout(Duration::from_secs(600), last).await.expect("an outcome in time").expect("a task")
    }

    async fn line(&mut self, line: &str, place: &str) {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        match kind {
            "#" | "server:" => {}
            "call" => {
                let (method, args) = rest.split_once(' ').unwrap_or((rest, "[]"));
                let Value::Array(args) = self.names.parse(args) else { panic!("{place}: an array") };
                self.last = Some(tokio::spawn(call(
                    self.client.clone(),
                    self.streams.clone(),
                    method.to_owned(),
                    args,
                )));
                if self.link.is_none() {
                    self.link = Some(self.server.accept().await);
                }
                settle().await;
            }
            ">" => {
                let sent =
                    self.link().recv().await.unwrap_or_else(|| panic!("{place}: the client has closed"));
                let written = self.names.hear(serde_json::from_str(rest).expect("JSON"), &sent);
                assert_eq!(sent, written, "{place}");
            }
            "<" => {
                let frame = self.names.parse(rest);
                self.link().send(frame).await;
                settle().await;
            }
            "@" => {
                let (number, unit) = rest.split_at(rest.find(['m', 's']).expect("a unit"));
                let number = number.parse().expect("a number");
                sleep(if unit == "ms" { Duration::from_millis(number) } else { Duration::from_secs(number) })
                    .await;
            }
            "=" if rest == "undefined" => assert_eq!(self.outcome().await, Ok(Value::Null), "{place}"),
            "=" => {
                let written = self.names.parse(rest);
                let got = self.outcome().await.unwrap_or_else(|error| panic!("{place}: {error}"));
                assert!(has(&got, &written), "{place}\ngot {got}");
            }
            "!" => {
                let error = self.outcome().await.expect_err(place);
                assert_eq!(error.code().as_str(), rest, "{place}");
            }
            "x" => self.link.take().expect("a connection").close(rest.parse().expect("a code")).await,
            _ => panic!("{place}: no such line"),
        }
        if let Some(link) = self.link.as_mut().filter(|_| !matches!(kind, ">" | "<" | "call" | "@")) {
            link.nothing().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_recorded_conversation_is_held_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../protocol/vectors");
    let mut replayed = 0;
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the vectors")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("a conversation");
        let is_ours = text.lines().any(|line| line == "server: hello")
            && text.lines().any(|line| line.starts_with("call "));
        if !is_ours || path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        replayed += 1;
        let (builder, server) = pair();
        let client = builder.start().expect("an address");
        let mut replay = Replay {
            client,
            server,
            link: None,
            names: Names::default(),
            streams: Streams::default(),
            last: None,
        };
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        for (number, line) in text.lines().enumerate() {
            replay.line(line, &format!("{name}:{}: {line}", number + 1)).await;
        }
    }
    assert!(replayed >= 4, "{replayed} conversations");
}
