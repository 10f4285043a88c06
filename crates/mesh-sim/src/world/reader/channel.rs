//! Following a channel.

use mesh_server::{Position, Tag};
use serde_json::Value;
use tokio::time::Instant;

use super::{Follow, Reader, position};
use crate::world::streams::{KEPT, Topic};

impl Reader {
    /// The answer of a channel with history.
    pub(super) fn caught_up(
        &self,
        follow: &mut Follow,
        channel: usize,
        after: Option<Position>,
        payload: &Value,
    ) {
        let topic = Topic::Channel(channel);
        let Some(now) = position(payload, "offset") else {
            return self.complain("no position", topic, payload);
        };
        let recovered = payload["recovered"] == true;
        let gap = &payload["gap"];
        if after.is_none() && (recovered || !gap.is_null()) || after.is_some() && recovered != gap.is_null() {
            self.complain("recovered or not", topic, payload);
        }
        if self.is_origin {
            for message in payload["history"].as_array().into_iter().flatten() {
                self.ledger.with(|book| book.heard(channel, message["n"].as_u64()));
            }
            follow.position = Some(now);
            return;
        }
        if !gap.is_null() {
            self.check_gap(channel, gap);
            // What is kept is not lost.
            let oldest = after.zip(gap["missed"].as_u64()).map(|(after, missed)| after.offset + missed + 1);
            let lossy = self.ledger.with(|book| book.lossy);
            if gap["reason"] == "expired"
                && !lossy
                && oldest.is_some_and(|oldest| oldest + KEPT[channel] as u64 > now.offset + 1)
            {
                self.complain("a gap that is too large", topic, payload);
            }
        }
        let mut next = None;
        let messages = payload["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        for item in messages {
            let offset = item["offset"].as_u64().unwrap_or_default();
            let at = Position { offset, tag: tag_of(item).unwrap_or(now.tag), epoch: now.epoch };
            if next.is_some_and(|next| next != offset) {
                self.complain("a hole in a page", topic, payload);
            }
            if next.is_none() && recovered && after.is_some_and(|after| after.offset + 1 != offset) {
                self.complain("not from where it was", topic, payload);
            }
            next = Some(offset + 1);
            let is_new = follow.position.is_none_or(|last| last.epoch != at.epoch || last.offset < offset);
            if is_new || !gap.is_null() {
                self.take(channel, at, item);
            }
        }
        if next.is_some_and(|next| next != now.offset + 1) {
            self.complain("a page that ends elsewhere", topic, payload);
        }
        self.ledger.with(|book| book.learn(topic, now, None));
        // What was handed out while this was on its way may be newer.
        let is_older = recovered
            && follow.position.is_some_and(|last| last.epoch == now.epoch && last.offset > now.offset);
        if !is_older {
            follow.position = Some(now);
        }
        follow.gap = None;
    }

    fn check_gap(&self, channel: usize, gap: &Value) {
        let is_known = match gap["reason"].as_str() {
            Some("expired" | "limit") => gap["missed"].as_u64().is_some_and(|missed| missed > 0),
            Some("epoch_changed") => self.ledger.with(|book| book.lossy),
            _ => false,
        };
        if !is_known {
            self.complain("told of a gap that is none", Topic::Channel(channel), gap);
        }
        self.ledger.with(|book| book.gaps += 1);
    }

    /// Hand an entry out.
    fn take(&self, channel: usize, at: Position, item: &Value) {
        let number = item["message"]["n"].as_u64();
        self.ledger.with(|book| {
            book.heard(channel, number);
            book.learn(Topic::Channel(channel), at, item["message"].get("n"));
            let txn = item["txn"].as_str();
            if txn.is_some() && txn != number.map(|number| number.to_string()).as_deref() {
                book.complain(format!("the mark of another: {item}"));
            }
        });
    }

    pub(super) fn message(&mut self, channel: usize, payload: &Value) {
        let topic = Topic::Channel(channel);
        let Some(mut follow) = self.pushed(topic, payload) else { return };
        if topic.is_numbered() {
            match position(payload, "offset") {
                None => self.complain("no position", topic, payload),
                Some(at) => self.next(&mut follow, channel, at, payload),
            }
        } else {
            let number = payload["message"]["n"].as_u64();
            self.ledger.with(|book| book.heard(channel, number));
            if number.is_some_and(|number| !follow.heard.insert(number)) {
                self.complain("twice", topic, payload);
            }
        }
        self.follows.insert(topic, follow);
    }

    /// The next message of a channel with history.
    fn next(&self, follow: &mut Follow, channel: usize, at: Position, payload: &Value) {
        let topic = Topic::Channel(channel);
        let last = follow.position.unwrap_or(Position::START);
        if let Some(expected) = follow.gap {
            if expected.is_some_and(|expected| expected != at.offset) {
                self.complain("not what comes after the gap", topic, payload);
            }
        } else {
            let (faulted, lossy) = self.ledger.with(|book| (book.faulted, book.lossy));
            let begins = last == Position::START && at.offset == 1;
            let follows = last.epoch == at.epoch && at.offset == last.offset + 1;
            let is_newer = last.epoch == at.epoch && at.offset > last.offset;
            let skips = follow.skips() && (is_newer || last == Position::START);
            // An origin client is told of nothing, and goes on.
            let is_told_nothing = self.is_origin && (lossy || faulted && is_newer);
            if !(begins || follows || skips || is_told_nothing) {
                let what =
                    if last.epoch == at.epoch && !is_newer { "twice, or an older one" } else { "a hole" };
                return self.complain(what, topic, payload);
            }
        }
        self.take(channel, at, payload);
        (follow.position, follow.gap) = (Some(at), None);
    }

    pub(super) fn missing(&mut self, channel: usize, payload: &Value) {
        let topic = Topic::Channel(channel);
        let Some(mut follow) = self.pushed(topic, payload) else { return };
        if self.is_origin {
            self.complain("an origin client is told", topic, payload);
        }
        if topic.is_numbered() {
            self.check_gap(channel, payload);
            let missed = payload["missed"].as_u64();
            // One gap after another: of the second it is not known where it begins.
            let from = follow.position.filter(|_| follow.gap.is_none() && !follow.skips());
            follow.gap = Some(from.zip(missed).map(|(from, missed)| from.offset + missed + 1));
        } else {
            follow.gaps.push(Instant::now());
        }
        self.follows.insert(topic, follow);
    }

    /// What reading without subscribing gave.
    pub(super) fn history(&self, channel: usize, after: Position, payload: &Value) {
        let topic = Topic::Channel(channel);
        if !payload["gap"].is_null() {
            return self.check_gap(channel, &payload["gap"]);
        }
        let messages = payload["messages"].as_array().into_iter().flatten();
        for (offset, item) in (after.offset + 1..).zip(messages) {
            if item["offset"] != offset {
                self.complain("a hole in what was read", topic, payload);
            }
            if let (Some(tag), Ok(epoch)) = (tag_of(item), serde_json::from_value(payload["epoch"].clone())) {
                let at = Position { epoch, offset, tag };
                self.ledger.with(|book| book.learn(topic, at, item["message"].get("n")));
            }
        }
    }
}

fn tag_of(item: &Value) -> Option<Tag> {
    serde_json::from_value(item["tag"].clone()).ok()
}
