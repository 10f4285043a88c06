//! Following a record.

use mesh_proto::PatchLimits;
use mesh_server::Position;
use mesh_server::patch::{Patch, apply};
use serde_json::Value;

use super::{Follow, Order, Reader, position};
use crate::world::streams::{Flavour, Topic};

impl Reader {
    /// The answer of a record.
    pub(super) fn snapshot(
        &self,
        follow: &mut Follow,
        topic: Topic,
        after: Option<Position>,
        payload: &Value,
    ) {
        let version = payload["version"].as_u64();
        let now = position(payload, "version").unwrap_or(Position::START);
        if version != Some(now.offset) {
            self.complain("no version", topic, payload);
        }
        if payload["unchanged"] == true {
            if after != Some(now) {
                self.complain("unchanged since when", topic, payload);
            }
            return;
        }
        let older = follow.position.is_some_and(|last| last.offset > now.offset);
        let lossy = self.ledger.with(|book| {
            book.learn(topic, now, Some(&payload["record"]));
            book.delivered += 1;
            book.lossy
        });
        if older && !lossy {
            self.complain("an older version", topic, payload);
        }
        (follow.position, follow.value) = (Some(now), payload["record"].clone());
    }

    pub(super) fn update(&mut self, record: usize, payload: &Value) -> Option<Order> {
        let topic = Topic::Record(record);
        let mut follow = self.pushed(topic, payload)?;
        let (Some(at), last) = (position(payload, "version"), follow.position.unwrap_or(Position::START))
        else {
            self.complain("no position", topic, payload);
            return None;
        };
        if payload["offset"] != payload["version"] {
            self.complain("two versions", topic, payload);
        }
        let lossy = self.ledger.with(|book| book.lossy);
        let mut fits = true;
        if let Some(patch) = payload.get("patch") {
            let limits = PatchLimits::default();
            let patched = Patch::parse(&patch.to_string(), &limits)
                .and_then(|patch| apply(&follow.value, &patch, &limits));
            let is_next = payload["from"] == last.offset && at.epoch == last.epoch;
            match patched {
                Ok(value) if is_next && at.offset == last.offset + 1 => follow.value = value,
                _ => {
                    self.complain("a patch that does not fit", topic, payload);
                    fits = false;
                }
            }
            if !matches!(follow.now, Flavour::Patch | Flavour::Rate) {
                self.complain("nobody wanted a patch", topic, payload);
            }
        } else {
            if last != Position::START && !lossy && at.offset <= last.offset {
                self.complain("twice, or an older version", topic, payload);
            }
            if (payload["deleted"] == true) && !payload["full"].is_null() {
                self.complain("deleted or not", topic, payload);
            }
            follow.value = payload["full"].clone();
        }
        if fits {
            follow.position = Some(at);
            self.ledger.with(|book| {
                book.learn(topic, at, Some(&follow.value));
                book.delivered += 1;
            });
        }
        self.follows.insert(topic, follow);
        if fits { None } else { self.subscribe(topic) }
    }
}
