//! A client that answers pings, and writes down everything it was told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh_server::testing::Client;
use mesh_server::{ConnId, Mesh};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::reader::{Asked, Order, Reader};
use super::run::Trace;
use super::streams::is_narrow;

/// What waits to be done. Nothing does on a paused clock.
const WISHES: usize = 1024;

/// How many bytes the socket of a client holds that reads slowly, and how many frames its own end does.
const NARROW: (usize, usize) = (2048, 1);
/// What a slow reader is closed with.
const SLOW: &str = "close 4000";
/// How a connection ended that no close frame came on.
const CUT_OFF: &str = "cut off";

/// What a client is to do.
#[derive(Debug)]
enum Wish {
    Send(Value),
    /// Read nothing for so long.
    Stall(Duration),
}

/// One connection of a client. Dropping it hangs up.
#[derive(Debug)]
pub(super) struct Caller {
    wishes: mpsc::Sender<Wish>,
    line: Line,
    /// Which instance it is connected to.
    pub(super) instance: usize,
}

/// What a connection and its client have in common.
#[derive(Clone, Debug)]
struct Line {
    seen: Arc<Mutex<Seen>>,
    reader: Arc<Mutex<Reader>>,
    /// Which of the client's connections it is.
    conn: u64,
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
    /// Whether it has read nothing for a while.
    stalled: bool,
    /// How it ended, if it did.
    pub(super) ended: Option<String>,
}

fn lock<T, R>(it: &Mutex<T>, f: impl FnOnce(&mut T) -> R) -> R {
    f(&mut it.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Line {
    /// The frame that asks for something.
    fn frame(&self, (command, payload, asked): Order) -> Value {
        let id = lock(&self.seen, |seen| {
            seen.sent += 1;
            seen.sent
        });
        lock(&self.reader, |reader| reader.asks(id, asked));
        json!({"id": id, "command": command, "payload": payload})
    }

    /// Take a frame in. What is asked for next.
    fn hear(&self, frame: &Value) -> Vec<Order> {
        let knows = lock(&self.seen, |seen| note(seen, frame));
        lock(&self.reader, |reader| {
            // What comes on a connection that is over for the client counts for nothing.
            if !reader.is(self.conn) {
                return Vec::new();
            }
            let orders = reader.hear(frame);
            if knows { reader.connected() } else { orders }
        })
    }

    /// When something is to be asked for again.
    fn due(&self) -> Option<Instant> {
        lock(&self.reader, |reader| reader.due().filter(|_| reader.is(self.conn)))
    }
}

impl Caller {
    pub(super) fn dial(
        mesh: &Mesh,
        instance: usize,
        number: usize,
        reader: &Arc<Mutex<Reader>>,
        trace: Trace,
    ) -> Self {
        let (wishes, mut wished) = mpsc::channel::<Wish>(WISHES);
        let (conn, is_origin) = lock(reader, |reader| (reader.begin(), reader.is_origin));
        let line = Line { seen: Arc::default(), reader: reader.clone(), conn };
        let mut client = match is_narrow(number) {
            true => Client::dial_through(mesh, !is_origin, NARROW.1, NARROW.0),
            false if is_origin => Client::dial(mesh),
            false => Client::dial_hello(mesh),
        };
        let there = line.clone();
        tokio::spawn(async move {
            let mut last = String::from(CUT_OFF);
            // It reads nothing before.
            let mut reads = Instant::now();
            loop {
                let due = there.due();
                let orders = tokio::select! {
                    biased;
                    () = sleep_until(reads), if Instant::now() < reads => continue,
                    frame = client.recv(), if Instant::now() >= reads => match frame {
                        None => break,
                        Some(Value::String(close)) => {
                            last = close;
                            Vec::new()
                        }
                        Some(frame) if frame["command"] == "ping" => {
                            client.send(json!({"command": "pong", "payload": {}})).await;
                            Vec::new()
                        }
                        Some(frame) => {
                            // That bears the time of day.
                            if frame["command"] != "mesh/hello" {
                                trace.note(Instant::now(), number, &frame);
                            }
                            there.hear(&frame)
                        }
                    },
                    wish = wished.recv() => {
                        match wish {
                            None => return,
                            Some(Wish::Send(frame)) => client.send(frame).await,
                            Some(Wish::Stall(time)) => reads = reads.max(Instant::now() + time),
                        }
                        Vec::new()
                    }
                    () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                        lock(&there.reader, |reader| reader.try_again(Instant::now()))
                    }
                };
                for order in orders {
                    client.send(there.frame(order)).await;
                }
            }
            lock(&there.seen, |seen| seen.ended = Some(last));
        });
        let caller = Self { wishes, line, instance };
        if !is_origin {
            caller.request("mesh/hello", &json!({"protocol": 1}));
        }
        caller.request("whoami", &Value::Null);
        caller
    }

    /// Ask for something, without waiting for the answer.
    pub(super) fn request(&self, command: &'static str, payload: &Value) {
        self.order((command, payload.clone(), Asked::Nothing));
    }

    /// The same, of what the client follows.
    pub(super) fn order(&self, order: Order) {
        self.wish(Wish::Send(self.line.frame(order)));
    }

    /// Read nothing for a while.
    pub(super) fn stall(&self, time: Duration) {
        lock(&self.line.seen, |seen| seen.stalled = true);
        self.wish(Wish::Stall(time));
    }

    fn wish(&self, wish: Wish) {
        // One that is gone has said so.
        let _ = self.wishes.try_send(wish);
    }

    /// Whether it was closed because it read too slowly. Who reads again only after the server has dropped the connection sees
    /// no word of that.
    pub(super) fn was_slow(&self) -> bool {
        lock(&self.line.seen, |seen| {
            let ended = seen.ended.as_deref();
            ended == Some(SLOW) || ended == Some(CUT_OFF) && seen.stalled && seen.id.is_some()
        })
    }

    /// The client as far as it follows something.
    pub(super) fn reader<R>(&self, f: impl FnOnce(&mut Reader) -> R) -> R {
        lock(&self.line.reader, f)
    }

    /// Hang up.
    pub(super) fn end(self) -> Seen {
        self.reader(Reader::end);
        self.seen()
    }

    pub(super) fn seen(&self) -> Seen {
        lock(&self.line.seen, |seen| seen.clone())
    }
}

/// Whether it says who the client is.
fn note(seen: &mut Seen, frame: &Value) -> bool {
    if let Some(id) = frame["id"].as_u64() {
        *seen.answers.entry(id).or_default() += 1;
        if frame["command"] == "whoami" {
            seen.id = frame["payload"].as_str().and_then(|id| id.parse().ok());
            return seen.id.is_some();
        }
    } else if let Some(number) = frame["payload"]["n"].as_u64() {
        *seen.told.entry(number).or_default() += 1;
    }
    false
}
