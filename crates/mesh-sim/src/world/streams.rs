//! The channels and records of a world, and what is done with them.

use std::time::Duration;

use mesh_server::{Builder, Channel, Mesh, Record};
use serde_json::{Value, json};

/// Kept long, kept short, not kept, and closed to everybody.
pub(super) const CHANNELS: [&str; 4] = ["chat", "tail", "live", "secret"];
/// How many messages each keeps.
pub(super) const KEPT: [usize; 4] = [60, 4, 0, 10];
pub(super) const LIVE: usize = 2;
pub(super) const SECRET: usize = 3;

/// Of the first only numbers are added to its `n`, the next two are written in every way, and the others are accounts.
pub(super) const RECORDS: [&str; 6] = ["count", "doc", "board", "{bank}:a", "{bank}:b", "{bank}:c"];
pub(super) const COUNT: usize = 0;
/// The first account, and how many there are.
pub(super) const ACCOUNT: usize = 3;
pub(super) const ACCOUNTS: usize = RECORDS.len() - ACCOUNT;

/// Clients of these numbers have a socket that holds little, and stop reading now and then.
pub(super) fn is_narrow(client: usize) -> bool {
    client % 4 == 1
}

/// This one follows records alone.
pub(super) const OF_RECORDS: usize = 9;

/// A channel or a record, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// A channel.
    Channel(usize),
    /// A record.
    Record(usize),
}

/// How a topic is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Everything, records in full.
    Whole,
    /// Everything, channels with the last three messages, records by patches.
    Patch,
    /// The newest alone.
    Latest,
    /// Two a second, records by patches where they fit.
    Rate,
}

/// How a record is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// One is added to `n`.
    Increment,
    /// Another value.
    Set,
    /// Some members.
    Merge,
    /// A patch.
    Patch,
    /// It is removed.
    Delete,
    /// Another value, if the version is the one the writer has.
    Compare,
}

impl Topic {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Channel(channel) => CHANNELS[channel],
            Self::Record(record) => RECORDS[record],
        }
    }

    /// Whether what is told on it has positions.
    pub(super) fn is_numbered(self) -> bool {
        self != Self::Channel(LIVE)
    }
}

impl Change {
    /// Of a record that only numbers are added to, anything else leaves the number alone.
    pub(super) fn of(self, record: usize) -> Self {
        match self {
            Self::Increment => self,
            _ if record == COUNT => Self::Merge,
            _ => self,
        }
    }

    /// The value, or the members, or the operations.
    pub(super) fn value(self, number: u64) -> Value {
        let text =
            format!("{number}: long enough for what changed to be shorter than the whole, most of the time");
        match self {
            Self::Patch => json!([
                {"op": "add", "path": "/patched", "value": number},
                {"op": "add", "path": format!("/list{}", number % 3), "value": [number, {"at": number}]},
            ]),
            Self::Merge => json!({format!("text{}", number % 4): text}),
            Self::Set | Self::Compare => {
                json!({"n": number, "text": text, "list": (0..number % 5).collect::<Vec<_>>()})
            }
            Self::Increment | Self::Delete => Value::Null,
        }
    }

    /// As a client says it.
    pub(super) fn command(self, record: usize, number: u64, version: u64) -> (&'static str, Value) {
        let (id, value) = (RECORDS[record], self.value(number));
        match self {
            Self::Increment => ("mesh/increment-record", json!({"recordId": id, "path": "/n"})),
            Self::Set => ("mesh/publish-record-update", json!({"recordId": id, "newValue": value})),
            Self::Merge => {
                let strategy = if number.is_multiple_of(2) { "merge" } else { "deepMerge" };
                let payload = json!({"recordId": id, "newValue": value, "options": {"strategy": strategy}});
                ("mesh/publish-record-update", payload)
            }
            Self::Patch => ("mesh/patch-record", json!({"recordId": id, "patch": value})),
            Self::Delete => ("mesh/delete-record", json!({"recordId": id})),
            Self::Compare => (
                "mesh/publish-record-update",
                json!({"recordId": id, "newValue": value, "ifVersion": version}),
            ),
        }
    }

    /// As the server does it. What it may not do where it is cut off, or to no object, fails.
    pub(super) async fn write(self, mesh: &Mesh, record: usize, number: u64) -> mesh_server::Result<()> {
        let record = mesh.record(RECORDS[record]);
        let value = self.value(number);
        let written = match self {
            Self::Increment => record.increment("/n", 1).await,
            Self::Set => record.set(&value).await,
            Self::Merge => record.deep_merge(&value).await,
            Self::Patch => {
                record.update(move |now| json!({"was": now["n"], "n": number, "list": [number]})).await
            }
            Self::Delete => record.delete().await,
            Self::Compare => {
                let version = record.get_versioned::<Value>().await?.version;
                record.compare_and_set(version, &value).await
            }
        };
        written.map(drop)
    }
}

/// What a server says of them. Its bounds are small, so that they are met.
pub(super) fn serve(builder: Builder<()>) -> Builder<()> {
    let keeps = |channel: usize| Channel::open().history(KEPT[channel]).publish(async || true);
    let builder = builder
        .limits(|limits| {
            limits.history_page_max = 7;
            limits.recover_max = 40;
            limits.outbox_bytes_max = 40 * 1024;
            // Measured by nobody here, and half of all frames.
            limits.latency_interval = Duration::from_secs(86_400);
        })
        .channel(CHANNELS[0], keeps(0))
        .channel(CHANNELS[1], keeps(1))
        .channel(CHANNELS[LIVE], Channel::open().publish(async || true))
        .channel(CHANNELS[SECRET], Channel::open().history(KEPT[SECRET]).guard(async || false));
    let (written, accounts) = RECORDS.split_at(ACCOUNT);
    let builder = written
        .iter()
        .fold(builder, |builder, record| builder.record(*record, Record::open().write(async || true)));
    accounts.iter().fold(builder, |builder, record| builder.record(*record, Record::open()))
}
