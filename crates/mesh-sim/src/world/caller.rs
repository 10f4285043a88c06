//! A client that answers pings, and writes down everything it was told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use mesh_server::testing::Client;
use mesh_server::{ConnId, Mesh};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::run::Trace;

/// Frames that wait to be sent. None do on a paused clock.
const FRAMES: usize = 1024;

/// One connection of a client. Dropping it hangs up.
#[derive(Debug)]
pub(super) struct Caller {
    frames: mpsc::Sender<Value>,
    seen: Arc<Mutex<Seen>>,
    /// Which instance it is connected to.
    pub(super) instance: usize,
}

/// What it was told.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) id: Option<ConnId>,
    pub(super) sent: u64,
    /// How often each request was answered.
    pub(super) answers: BTreeMap<u64, u32>,
    /// How often each broadcast arrived, by its number.
    pub(super) told: BTreeMap<u64, u32>,
    /// How it ended, if it did.
    pub(super) ended: Option<String>,
}

impl Caller {
    pub(super) fn dial(mesh: &Mesh, instance: usize, number: usize, trace: Trace) -> Self {
        let (frames, mut to_send) = mpsc::channel::<Value>(FRAMES);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (mut client, log) = (Client::dial(mesh), seen.clone());
        tokio::spawn(async move {
            let mut last = String::from("cut off");
            loop {
                tokio::select! {
                    biased;
                    frame = client.recv() => match frame {
                        None => break,
                        Some(Value::String(close)) => last = close,
                        Some(frame) if frame["command"] == "ping" => {
                            client.send(json!({"command": "pong", "payload": {}})).await;
                        }
                        Some(frame) => {
                            trace.note(Instant::now(), number, &frame);
                            note(&mut log.lock().unwrap_or_else(PoisonError::into_inner), &frame);
                        }
                    },
                    frame = to_send.recv() => match frame {
                        None => return,
                        Some(frame) => client.send(frame).await,
                    },
                }
            }
            log.lock().unwrap_or_else(PoisonError::into_inner).ended = Some(last);
        });
        let caller = Self { frames, seen, instance };
        caller.request("whoami", &Value::Null);
        caller
    }

    /// Ask for something, without waiting for the answer.
    pub(super) fn request(&self, command: &str, payload: &Value) {
        let id = self.with(|seen| {
            seen.sent += 1;
            seen.sent
        });
        let frame = json!({"id": id, "command": command, "payload": payload});
        // One that is gone has said so.
        let _ = self.frames.try_send(frame);
    }

    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Seen) -> R) -> R {
        f(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn seen(&self) -> Seen {
        self.with(|seen| seen.clone())
    }
}

fn note(seen: &mut Seen, frame: &Value) {
    if let Some(id) = frame["id"].as_u64() {
        *seen.answers.entry(id).or_default() += 1;
        if frame["command"] == "whoami" {
            seen.id = frame["payload"].as_str().and_then(|id| id.parse().ok());
        }
    } else if let Some(number) = frame["payload"]["n"].as_u64() {
        *seen.told.entry(number).or_default() += 1;
    }
}
