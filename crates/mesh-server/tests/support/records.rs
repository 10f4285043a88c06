//! Servers with records, and a subscriber that does what PROTOCOL.md says.
#![allow(dead_code, unreachable_pub, reason = "each test file takes what it needs")]

use std::sync::{Arc, Mutex};

use mesh_server::patch::{self, Patch};
use mesh_server::testing::{Client, Cluster};
use mesh_server::{Builder, Channel, Conn, Mesh, Name, Record, RecordChange, any, prefix};
use serde_json::{Value, json};

pub type Log = Arc<Mutex<Vec<String>>>;

pub fn server(log: &Log) -> Builder<()> {
    let (updates, removals) = (log.clone(), log.clone());
    let watched = Record::open()
        .write(async || true)
        .on_update(async move |change: RecordChange| {
            let value: Option<Value> = change.value().expect("JSON");
            let by = if change.by.is_some() { "client" } else { "server" };
            let line = format!("{} {} {} {by}", change.record, change.version, value.unwrap_or_default());
            updates.lock().expect("a log").push(line);
        })
        .on_remove(async move |change: RecordChange| {
            removals.lock().expect("a log").push(format!("{} {} removed", change.record, change.version));
        });
    Mesh::builder()
        .command("whoami", async |conn: Conn| conn.id())
        .channel(any(), Channel::open())
        .record(prefix("watched:"), watched)
        .record(prefix("doc:"), Record::open().write(async || true))
        .record(prefix("locked:"), Record::open())
        .record("both", Record::open().read(async |_: Name| false).write(async || true))
        .record(
            "panics",
            Record::open()
                .read(async || -> bool { panic!("on purpose") })
                .write(async || -> bool { panic!("on purpose") }),
        )
        .record(
            "hangs",
            Record::open()
                .read(async || std::future::pending::<bool>().await)
                .write(async || std::future::pending::<bool>().await),
        )
}

pub async fn cluster(instances: usize) -> (Cluster<()>, Log) {
    let log = Log::default();
    let to = log.clone();
    (Cluster::start(instances, move |_| server(&to)).await.expect("a cluster"), log)
}

pub async fn greeted(cluster: &Cluster<()>, number: usize) -> Client {
    let mut client = cluster.hello_client(number);
    client.ask("mesh/hello", json!({"protocol": 1})).await;
    client
}

pub async fn subscribe(client: &mut Client, mut payload: Value, record: &str) -> Value {
    payload["recordId"] = record.into();
    client.ask("mesh/subscribe-record", payload).await
}

pub async fn updates(client: &mut Client) -> Vec<Value> {
    let mut updates = Vec::new();
    while let Some((command, payload)) = client.push().await {
        assert_eq!(command, "mesh/record-update");
        updates.push(payload);
    }
    updates
}

/// A subscriber that does what PROTOCOL.md says.
#[derive(Debug, Default, PartialEq)]
pub struct Reader {
    pub value: Value,
    pub version: u64,
    pub patches: usize,
    pub wholes: usize,
}

impl Reader {
    pub fn of(answer: &Value) -> Self {
        let version = answer["version"].as_u64().expect("a version");
        Self { value: answer["record"].clone(), version, ..Self::default() }
    }

    pub fn take(&mut self, update: &Value) {
        let version = update["version"].as_u64().expect("a version");
        if let Some(patch) = update.get("patch") {
            assert_eq!(update["from"], self.version, "it applies to what there is");
            assert_eq!(version, self.version + 1);
            let patch = Patch::parse(&patch.to_string(), &Default::default()).expect("a patch");
            self.value = patch::apply(&self.value, &patch, &Default::default()).expect("it applies");
            self.patches += 1;
        } else {
            assert!(version > self.version, "versions never go back");
            self.value = update["full"].clone();
            self.wholes += 1;
        }
        self.version = version;
    }
}
