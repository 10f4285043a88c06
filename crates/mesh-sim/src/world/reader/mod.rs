//! What a client knows of channels and records: it follows them as PROTOCOL.md asks, over all its connections, and says
//! what does not fit.

mod channel;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_server::Position;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::ledger::Ledger;
use super::streams::{CHANNELS, Change, Flavour, LIVE, SECRET, Topic};

/// What failed and may work later is tried again after this long.
const AGAIN: Duration = Duration::from_millis(500);

/// What a client says next, and what the answer is about.
pub(super) type Order = (&'static str, Value, Asked);

/// What a request was about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asked {
    Nothing,
    /// With what was given as `after`.
    Subscribe(Topic, Option<Position>),
    Unsubscribe(Topic),
    Publish(u64),
    /// Which record, and at which version.
    Write(usize, Option<u64>),
    /// After which position.
    History(usize, Position),
}

#[derive(Debug)]
pub(super) struct Reader {
    pub(super) is_origin: bool,
    who: usize,
    ledger: Ledger,
    /// Which connection is the present one, if there is one.
    conn: u64,
    is_connected: bool,
    /// Whether it has subscribed to a channel on it.
    pub(super) has_channels: bool,
    /// What is waited for on it.
    asked: BTreeMap<u64, Asked>,
    pub(super) follows: BTreeMap<Topic, Follow>,
}

/// How one topic is followed.
#[derive(Clone, Debug)]
pub(super) struct Follow {
    /// `None`: not any more.
    pub(super) wanted: Option<Flavour>,
    /// As it was asked for last, and as it is followed since the last answer.
    asked: Flavour,
    now: Flavour,
    /// Whether the last answer said that it is subscribed, and since when.
    pub(super) on: Option<Instant>,
    /// Whether an answer is waited for.
    asking: bool,
    /// Whether it is to be asked once more then.
    again: bool,
    retry: Option<Instant>,
    /// Of the last entry that was handed out.
    pub(super) position: Option<Position>,
    pub(super) value: Value,
    /// It was given up, and nothing was answered since: what still comes is of before that.
    deaf: bool,
    /// Something missing was told: the next entry is what it is; with its offset where that was told, too.
    gap: Option<Option<u64>>,
    /// Where nothing has a number: what was heard, and when something missing was told.
    pub(super) heard: BTreeSet<u64>,
    pub(super) gaps: Vec<Instant>,
}

impl Follow {
    fn new() -> Self {
        Self {
            wanted: None,
            asked: Flavour::Whole,
            now: Flavour::Whole,
            on: None,
            asking: false,
            again: false,
            retry: None,
            position: None,
            value: Value::Null,
            deaf: false,
            gap: None,
            heard: BTreeSet::new(),
            gaps: Vec::new(),
        }
    }

    /// Something missing was told, and nothing has come since.
    pub(super) fn awaits(&self) -> bool {
        self.gap.is_some()
    }

    fn skips(&self) -> bool {
        matches!(self.now, Flavour::Latest | Flavour::Rate)
    }
}

fn position(at: &Value, offset: &str) -> Option<Position> {
    let place = json!({"epoch": at["epoch"], "offset": at[offset], "tag": at["tag"]});
    serde_json::from_value(place).ok()
}

impl Reader {
    pub(super) fn new(who: usize, is_origin: bool, ledger: Ledger) -> Self {
        let (asked, follows) = (BTreeMap::new(), BTreeMap::new());
        Self { is_origin, who, ledger, conn: 0, is_connected: false, has_channels: false, asked, follows }
    }

    /// Another connection, whose number this gives.
    pub(super) fn begin(&mut self) -> u64 {
        self.end();
        self.conn
    }

    /// The connection is over, or is as good as that: what is still on its way counts for nothing.
    pub(super) fn end(&mut self) {
        self.conn += 1;
        (self.is_connected, self.has_channels) = (false, false);
        self.asked.clear();
        for follow in self.follows.values_mut() {
            (follow.on, follow.asking, follow.again, follow.retry) = (None, false, false, None);
        }
    }

    pub(super) fn is(&self, conn: u64) -> bool {
        self.conn == conn
    }

    /// This was just asked, under this number.
    pub(super) fn asks(&mut self, id: u64, asked: Asked) {
        self.asked.insert(id, asked);
    }

    /// It knows who it is: from here on it asks for what it wants.
    pub(super) fn connected(&mut self) -> Vec<Order> {
        self.is_connected = true;
        let wanted = self.follows.iter().filter(|(_, follow)| follow.wanted.is_some());
        let topics: Vec<_> = wanted.map(|(topic, _)| *topic).collect();
        topics.into_iter().filter_map(|topic| self.subscribe(topic)).collect()
    }

    pub(super) fn follow(&mut self, topic: Topic, flavour: Flavour) -> Option<Order> {
        self.follows.entry(topic).or_insert_with(Follow::new).wanted = Some(flavour);
        self.subscribe(topic)
    }

    pub(super) fn unfollow(&mut self, topic: Topic) -> Option<Order> {
        let follow = self.follows.get_mut(&topic)?;
        (follow.wanted, follow.retry, follow.again) = (None, None, false);
        // Who leaves for good begins anew.
        (follow.position, follow.gap, follow.value) = (None, None, Value::Null);
        follow.deaf = true;
        let (command, payload) = match topic {
            Topic::Channel(_) => ("mesh/unsubscribe-channel", json!({"channel": topic.name()})),
            Topic::Record(_) => ("mesh/unsubscribe-record", json!({"recordId": topic.name()})),
        };
        self.is_connected.then_some((command, payload, Asked::Unsubscribe(topic)))
    }

    fn subscribe(&mut self, topic: Topic) -> Option<Order> {
        let is_origin = self.is_origin;
        let follow = self.follows.get_mut(&topic).filter(|_| self.is_connected)?;
        let flavour = follow.wanted?;
        if std::mem::replace(&mut follow.asking, true) {
            follow.again = true;
            return None;
        }
        (follow.retry, follow.asked) = (None, flavour);
        self.has_channels |= matches!(topic, Topic::Channel(_));
        // Of what has no numbers it says that it was there, to be told that something may be missing.
        let was_there = topic == Topic::Channel(LIVE) && !follow.heard.is_empty();
        let after = follow.position.or(was_there.then_some(Position::START)).filter(|_| !is_origin);
        let (command, mut payload) = match topic {
            Topic::Channel(_) => ("mesh/subscribe-channel", json!({"channel": topic.name()})),
            Topic::Record(_) => ("mesh/subscribe-record", json!({"recordId": topic.name()})),
        };
        if let Some(after) = after {
            payload["after"] = json!(after);
        }
        match (flavour, topic) {
            (Flavour::Patch, Topic::Channel(_)) => payload["historyLimit"] = 3.into(),
            (Flavour::Patch, Topic::Record(_)) => payload["mode"] = "patch".into(),
            (Flavour::Latest, _) => payload["latest"] = true.into(),
            (Flavour::Rate, _) => {
                payload["maxRate"] = 2.into();
                if matches!(topic, Topic::Record(_)) {
                    payload["mode"] = "patch".into();
                }
            }
            (Flavour::Whole, _) => {}
        }
        Some((command, payload, Asked::Subscribe(topic, after)))
    }

    /// What it reads of a channel it follows, from where it is.
    pub(super) fn read(&self, channel: usize) -> Option<Order> {
        let at = self.follows.get(&Topic::Channel(channel))?.position.filter(|_| self.is_connected)?;
        let payload = json!({"channel": CHANNELS[channel], "after": at, "limit": 5});
        Some(("mesh/get-channel-history", payload, Asked::History(channel, at)))
    }

    pub(super) fn publish(&self, channel: usize, number: u64) -> Option<Order> {
        if !self.is_connected {
            return None;
        }
        self.ledger.with(|book| book.publishes(number, channel));
        let payload =
            json!({"channel": CHANNELS[channel], "message": {"n": number}, "txn": number.to_string()});
        Some(("mesh/publish-channel", payload, Asked::Publish(number)))
    }

    pub(super) fn write(&self, record: usize, change: Change, number: u64) -> Option<Order> {
        if !self.is_connected {
            return None;
        }
        let known = self.follows.get(&Topic::Record(record)).and_then(|follow| follow.position);
        let version = known.map_or(0, |known| known.offset);
        if change == Change::Increment {
            self.ledger.with(|book| book.adds(record));
        }
        let (command, payload) = change.command(record, number, version);
        let at = (change == Change::Compare).then_some(version);
        // Only what adds is counted.
        let counted = if change == Change::Increment { record } else { usize::MAX };
        Some((command, payload, Asked::Write(counted, at)))
    }

    /// When something is to be tried again.
    pub(super) fn due(&self) -> Option<Instant> {
        self.follows.values().filter_map(|follow| follow.retry).min()
    }

    pub(super) fn try_again(&mut self, now: Instant) -> Vec<Order> {
        let due = |follow: &Follow| follow.retry.is_some_and(|retry| retry <= now);
        let topics = self.follows.iter().filter(|(_, follow)| due(follow));
        let topics: Vec<_> = topics.map(|(topic, _)| *topic).collect();
        topics.into_iter().filter_map(|topic| self.subscribe(topic)).collect()
    }

    fn complain(&self, what: &str, topic: Topic, frame: &Value) {
        let follow = self.follows.get(&topic);
        let at = follow.map(|follow| (follow.position, follow.now));
        let (who, name, since) = (self.who, topic.name(), follow.and_then(|follow| follow.on));
        self.ledger.with(|book| {
            book.complain(format!("{what}: client {who}, {name}, at {at:?} since {since:?}: {frame}"));
        });
    }

    /// Take a frame in. What it makes the client ask for next.
    pub(super) fn hear(&mut self, frame: &Value) -> Vec<Order> {
        let payload = &frame["payload"];
        if let Some(id) = frame["id"].as_u64() {
            let Some(asked) = self.asked.remove(&id) else { return Vec::new() };
            return match failure(frame) {
                Some(code) => self.failed(asked, &code),
                None => self.answered(asked, payload),
            };
        }
        let named = |name: &str, names: &[&str]| names.iter().position(|known| *known == payload[name]);
        match frame["command"].as_str() {
            Some("mesh/subscription-message") => {
                if let Some(channel) = named("channel", &CHANNELS) {
                    self.message(channel, payload);
                }
            }
            Some("mesh/channel-gap") => {
                if let Some(channel) = named("channel", &CHANNELS) {
                    self.missing(channel, payload);
                }
            }
            Some("mesh/record-update") => return self.updates(std::slice::from_ref(payload)),
            Some("mesh/record-updates") => {
                let updates = payload["updates"].as_array().map(Vec::as_slice).unwrap_or_default();
                if updates.len() < 2 || self.is_origin {
                    self.ledger
                        .with(|book| book.complain(format!("client {} is told at once: {frame}", self.who)));
                }
                return self.updates(updates);
            }
            _ => {}
        }
        Vec::new()
    }

    fn failed(&mut self, asked: Asked, code: &str) -> Vec<Order> {
        match asked {
            Asked::Subscribe(topic, _) => {
                let Some(follow) = self.follows.get_mut(&topic) else { return Vec::new() };
                (follow.asking, follow.on) = (false, None);
                let again = std::mem::take(&mut follow.again);
                let is_secret = topic == Topic::Channel(SECRET);
                follow.retry = follow.wanted.filter(|_| !again && !is_secret).map(|_| Instant::now() + AGAIN);
                let expected: &[&str] = if is_secret { &["forbidden"] } else { &["unavailable", "timeout"] };
                if !expected.contains(&code) {
                    self.complain(code, topic, &Value::Null);
                }
                if again {
                    return self.subscribe(topic).into_iter().collect();
                }
            }
            Asked::Publish(number) => self.ledger.with(|book| book.was_published(number, Err(code))),
            Asked::Write(record, _) => self.ledger.with(|book| book.was_added(record, Err(code))),
            Asked::Unsubscribe(topic) => self.complain(code, topic, &Value::Null),
            Asked::History(..) | Asked::Nothing => {}
        }
        Vec::new()
    }

    fn answered(&mut self, asked: Asked, payload: &Value) -> Vec<Order> {
        match asked {
            Asked::Subscribe(topic, after) => return self.subscribed(topic, after, payload),
            Asked::Unsubscribe(topic) => {
                if let Some(follow) = self.follows.get_mut(&topic) {
                    follow.on = None;
                }
            }
            Asked::Publish(number) => {
                let at = position(payload, "offset");
                self.ledger.with(|book| book.was_published(number, Ok(at)));
            }
            Asked::Write(record, version) => {
                let now = payload["version"].as_u64();
                self.ledger.with(|book| {
                    book.was_added(record, Ok(()));
                    if let Some(version) = version
                        && now != Some(version + 1)
                        && now != Some(version)
                    {
                        book.complain(format!("written at {version}, it says: {payload}"));
                    }
                });
            }
            Asked::History(channel, after) => self.history(channel, after, payload),
            Asked::Nothing => {}
        }
        Vec::new()
    }

    fn subscribed(&mut self, topic: Topic, after: Option<Position>, payload: &Value) -> Vec<Order> {
        let Some(mut follow) = self.follows.get(&topic).cloned() else { return Vec::new() };
        follow.asking = false;
        let again = std::mem::take(&mut follow.again);
        follow.on = Some(Instant::now());
        if follow.wanted.is_none() {
            // Given up meanwhile: the answer to that follows this one.
            self.follows.insert(topic, follow);
            return Vec::new();
        }
        (follow.deaf, follow.now) = (false, follow.asked);
        match topic {
            Topic::Channel(SECRET) => self.complain("let in", topic, payload),
            Topic::Channel(LIVE) => {
                let told = payload["gap"]["reason"] == "no_history";
                if told != after.is_some() {
                    self.complain("what may be missing", topic, payload);
                }
                follow.gaps.extend(told.then(Instant::now));
            }
            Topic::Channel(channel) => self.caught_up(&mut follow, channel, after, payload),
            Topic::Record(_) => self.snapshot(&mut follow, topic, after, payload),
        }
        let more = payload["more"] == true;
        if more {
            follow.on = None;
            // What was pushed while it was on its way may be further on than this part.
            if payload["messages"].as_array().is_none_or(Vec::is_empty) {
                self.complain("no more of more", topic, payload);
            }
        }
        self.follows.insert(topic, follow);
        if more || again { self.subscribe(topic).into_iter().collect() } else { Vec::new() }
    }

    /// What it has of a topic that a push is of, unless it gave that up.
    fn pushed(&self, topic: Topic, payload: &Value) -> Option<Follow> {
        let follow = self.follows.get(&topic).filter(|follow| follow.on.is_some());
        if follow.is_none() {
            self.complain("not subscribed", topic, payload);
        }
        follow.filter(|follow| !follow.deaf).cloned()
    }
}

/// The code with which a request failed, as hello clients get it.
fn failure(frame: &Value) -> Option<String> {
    let code = match &frame["error"]["code"] {
        Value::Null => frame["payload"].get("error").and(frame["payload"]["code"].as_str())?,
        code => code.as_str()?,
    };
    Some(code.strip_prefix('E').unwrap_or(code).to_ascii_lowercase())
}
