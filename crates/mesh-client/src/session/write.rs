//! What may be written at a rate: a message, a record's value, a command.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_proto::command;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::wire::{self, PublishChannel, WriteOptions, WriteRecord};

/// What is written: of the writes about one thing the newest counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Subject {
    pub(crate) command: Arc<str>,
    /// Of the channel or the record; empty for a command of the application.
    pub(crate) name: Arc<str>,
}

/// One write, before it has a mark.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) subject: Subject,
    pub(crate) content: Content,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// The payload of a command as JSON.
    Payload(Option<String>),
    Message(Box<RawValue>),
    Value(RecordValue),
}

/// A record's value, or a part of it.
#[derive(Clone, Debug)]
pub(crate) struct RecordValue {
    /// As JSON, so that a number goes out as it was written.
    pub(crate) value: Box<RawValue>,
    pub(crate) strategy: Strategy,
    /// At which version alone it takes place.
    pub(crate) if_version: Option<u64>,
}

/// What becomes of the members that a value does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    Replace,
    Merge,
    DeepMerge,
}

impl Strategy {
    /// As it goes out; `None` for what is understood.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Replace => None,
            Self::Merge => Some("merge"),
            Self::DeepMerge => Some("deepMerge"),
        }
    }
}

impl Write {
    pub(crate) fn command(name: &str, payload: Option<String>) -> Self {
        let subject = Subject { command: name.into(), name: "".into() };
        Self { subject, content: Content::Payload(payload) }
    }

    pub(crate) fn message(channel: &Arc<str>, message: Box<RawValue>) -> Self {
        let subject = Subject { command: command::PUBLISH_CHANNEL.into(), name: channel.clone() };
        Self { subject, content: Content::Message(message) }
    }

    pub(crate) fn value(record: &Arc<str>, value: RecordValue) -> Self {
        let subject = Subject { command: command::PUBLISH_RECORD_UPDATE.into(), name: record.clone() };
        Self { subject, content: Content::Value(value) }
    }

    /// The payload as JSON, with that mark.
    pub(crate) fn body(&self, mark: &str) -> Option<String> {
        let name = &self.subject.name;
        match &self.content {
            Content::Payload(payload) => payload.clone(),
            Content::Message(message) => {
                Some(wire::json(&PublishChannel { channel: name, message, txn: mark }))
            }
            Content::Value(RecordValue { value, strategy, if_version }) => Some(wire::json(&WriteRecord {
                new_value: Some(value),
                options: strategy.name().map(|strategy| WriteOptions { strategy }),
                if_version: *if_version,
                ..WriteRecord::of(name, mark)
            })),
        }
    }
}

impl Content {
    /// What says both, if this comes after `older`; `None` if only the two of them do.
    pub(super) fn over(&self, older: &Self) -> Option<Self> {
        match (older, self) {
            (Self::Value(older), Self::Value(newer)) => newer.over(older).map(Self::Value),
            _ => Some(self.clone()),
        }
    }
}

impl RecordValue {
    fn over(&self, older: &Self) -> Option<Self> {
        use Strategy::{DeepMerge, Merge, Replace};
        if self.if_version != older.if_version {
            return None;
        }
        let (old, new) = (&older.value, &self.value);
        let (value, strategy) = match (older.effect(), self.effect()) {
            (_, Replace) => (new.clone(), Replace),
            (Replace, Merge) => (merged(old, new), Replace),
            (Replace, DeepMerge) => (deeply_merged(old, new), Replace),
            (Merge, Merge) => (merged(old, new), Merge),
            (DeepMerge, DeepMerge) if !replaces_inside(old, new) => (deeply_merged(old, new), DeepMerge),
            (Merge | DeepMerge, Merge | DeepMerge) => return None,
        };
        Some(Self { value, strategy, if_version: self.if_version })
    }

    /// Whatever is no object replaces.
    fn effect(&self) -> Strategy {
        if members(&self.value).is_some() { self.strategy } else { Strategy::Replace }
    }
}

/// What an object holds, as it is written.
type Members<'a> = BTreeMap<String, &'a RawValue>;

fn members(value: &RawValue) -> Option<Members<'_>> {
    serde_json::from_str(value.get()).ok()
}

/// As the server merges.
fn merged(old: &RawValue, new: &RawValue) -> Box<RawValue> {
    let (Some(mut members), Some(new_members)) = (members(old), members(new)) else { return new.to_owned() };
    members.extend(new_members);
    json(&members)
}

/// As the server merges. Recurses no deeper than both values are deep.
fn deeply_merged(old: &RawValue, new: &RawValue) -> Box<RawValue> {
    let (Some(old), Some(new_members)) = (members(old), members(new)) else { return new.to_owned() };
    let mut all: BTreeMap<String, Box<RawValue>> =
        old.iter().map(|(name, old)| (name.clone(), (*old).to_owned())).collect();
    for (name, new) in new_members {
        let value = old.get(&name).map_or_else(|| new.to_owned(), |old| deeply_merged(old, new));
        all.insert(name, value);
    }
    json(&all)
}

/// Whether somewhere an object comes where there was none, so that one merge would keep what two replace.
fn replaces_inside(old: &RawValue, new: &RawValue) -> bool {
    match (members(old), members(new)) {
        (Some(old), Some(new)) => {
            new.iter().any(|(name, new)| old.get(name).is_some_and(|old| replaces_inside(old, new)))
        }
        (None, Some(_)) => true,
        (_, None) => false,
    }
}

fn json<T: Serialize>(value: &T) -> Box<RawValue> {
    to_raw_value(value).expect("texts and JSON always encode")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn write(strategy: Strategy, value: &Value) -> RecordValue {
        RecordValue { value: raw(value), strategy, if_version: None }
    }

    fn raw(value: &Value) -> Box<RawValue> {
        to_raw_value(value).expect("JSON")
    }

    /// What the server makes of it.
    fn after(write: &RecordValue, now: &RawValue) -> Box<RawValue> {
        match write.strategy {
            Strategy::Replace => write.value.clone(),
            Strategy::Merge => merged(now, &write.value),
            Strategy::DeepMerge => deeply_merged(now, &write.value),
        }
    }

    #[test]
    fn one_write_says_what_the_two_would_have_said() {
        let values = [
            json!(null),
            json!(1),
            json!({}),
            json!({"a": 1}),
            json!({"a": {"x": 1}}),
            json!({"a": {"y": 2}, "b": 2}),
            json!({"a": {"x": {"z": 1}}}),
            json!({"a": null, "c": [1]}),
        ];
        let strategies = [Strategy::Replace, Strategy::Merge, Strategy::DeepMerge];
        let writes: Vec<_> = strategies
            .iter()
            .flat_map(|strategy| values.iter().map(|value| write(*strategy, value)))
            .collect();
        let mut united = 0;
        for (older, newer) in writes.iter().flat_map(|older| writes.iter().map(move |newer| (older, newer))) {
            let Some(both) = newer.over(older) else { continue };
            united += 1;
            for now in values.iter().map(raw) {
                let (one, two) = (after(&both, &now), after(newer, &after(older, &now)));
                assert_eq!(one.get(), two.get(), "{older:?} {newer:?} {now}");
            }
        }
        assert!(united > writes.len() * writes.len() / 2, "{united}");
    }

    #[test]
    fn writes_at_other_versions_stay_two() {
        let older = write(Strategy::Replace, &json!(1));
        let newer = RecordValue { if_version: Some(7), ..older.clone() };
        assert!(newer.over(&older).is_none());
    }

    #[test]
    fn numbers_go_out_as_they_were_written() {
        let write = |text: &str| RecordValue {
            value: RawValue::from_string(text.to_owned()).expect("JSON"),
            ..write(Strategy::Merge, &json!(null))
        };
        let both = write(r#"{"b":0.10}"#).over(&write(r#"{"a":123456789012345678901234567890}"#));
        let both = both.expect("one write");
        assert_eq!(both.value.get(), r#"{"a":123456789012345678901234567890,"b":0.10}"#);
    }
}
