//! Following a record.

use mesh_proto::PatchLimits;
use mesh_server::Position;
use mesh_server::patch::{Patch, apply};
use serde_json::Value;

use super::{Follow, Order, Reader, position};
use crate::world::streams::{Flavour, RECORDS, Topic, is_narrow};

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

    /// What one push tells. What is asked for next.
    pub(super) fn updates(&mut self, updates: &[Value]) -> Vec<Order> {
        let mut orders = Vec::new();
        let mut told = Vec::new();
        for update in updates {
            let record = RECORDS.iter().position(|known| update["recordId"] == *known);
            let Some(record) = record else { continue };
            orders.extend(self.update(record, update));
            told.push(record);
        }
        self.check_together(&told);
        orders
    }

    /// What a transaction wrote of all that is followed is told in one push, where nothing was lost. Only what was followed
    /// before it began: what came while an answer was on its way follows that one by one, and so does what is spaced, or waits
    /// for a slow reader.
    fn check_together(&self, told: &[usize]) {
        if self.is_origin || is_narrow(self.who) {
            return;
        }
        let follows_since = |record: usize, begun| {
            let follow = self.follows.get(&Topic::Record(record)).filter(|follow| follow.wanted.is_some());
            follow.filter(|follow| {
                let is_told = !follow.asking && !follow.deaf && follow.now != Flavour::Rate;
                is_told && follow.on.is_some_and(|on| on < begun)
            })
        };
        self.ledger.with(|book| {
            for record in told {
                let value = self.follows.get(&Topic::Record(*record)).map(|follow| &follow.value);
                let Some((number, begun, all)) = value.and_then(|value| book.transfers.last(value)) else {
                    continue;
                };
                let is_sure = !book.faulted || book.calm.is_some_and(|calm| begun >= calm);
                let follows = all.iter().filter(|of| follows_since(**of, begun).is_some());
                let follows: Vec<_> = follows.copied().collect();
                if is_sure && follows.contains(record) && follows.iter().any(|of| !told.contains(of)) {
                    book.complain(format!(
                        "client {} is told of {told:?} of {all:?} by transfer {number}",
                        self.who
                    ));
                }
            }
        });
    }

    fn update(&mut self, record: usize, payload: &Value) -> Option<Order> {
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
