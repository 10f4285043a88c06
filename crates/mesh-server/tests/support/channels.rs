//! Servers with channels, and what clients do with them.
#![allow(dead_code, unreachable_pub, reason = "each test file takes what it needs")]

use mesh_server::testing::{Client, Cluster};
use mesh_server::{Builder, Channel, Conn, Mesh, Name, Position, prefix};
use serde_json::{Value, json};

pub fn server() -> Builder<()> {
    Mesh::builder()
        .command("whoami", async |conn: Conn| conn.id())
        .channel("secret:one", Channel::open().guard(async |_: Name| false).publish(async || false))
        .channel("panics", Channel::open().guard(async || -> bool { panic!("on purpose") }))
        .channel("hangs", Channel::open().guard(async || std::future::pending::<bool>().await))
        .channel("live", Channel::open())
        .channel(prefix("chat:"), Channel::open().history(50).publish(async || true))
        .channel(prefix("long:"), Channel::open().history(20_000).history_bytes(64 << 20))
        .channel(prefix("short:"), Channel::open().history(3))
}

pub async fn pair() -> Cluster<()> {
    Cluster::start(2, |_| server()).await.expect("a cluster")
}

pub async fn greeted(cluster: &Cluster<()>, number: usize) -> Client {
    let mut client = cluster.hello_client(number);
    client.ask("mesh/hello", json!({"protocol": 1})).await;
    client
}

pub async fn subscribe(client: &mut Client, mut payload: Value, channel: &str) -> Value {
    payload["channel"] = channel.into();
    client.ask("mesh/subscribe-channel", payload).await
}

/// The messages that have come.
pub async fn heard(client: &mut Client) -> Vec<Value> {
    let mut heard = Vec::new();
    while let Some((command, mut payload)) = client.push().await {
        match &*command {
            "mesh/subscription-message" => heard.push(payload["message"].take()),
            "mesh/channel-gap" => heard.push(json!({"gap": payload["reason"]})),
            other => panic!("{other}"),
        }
    }
    heard
}

pub async fn publish(
    cluster: &Cluster<()>,
    number: usize,
    channel: &str,
    message: Value,
) -> Option<Position> {
    cluster.mesh(number).channel(channel).publish(&message).await.expect("published")
}

pub fn messages(answer: &Value) -> Vec<Value> {
    answer["messages"].as_array().expect("messages").iter().map(|item| item["message"].clone()).collect()
}

pub fn place(answer: &Value) -> Value {
    json!({"epoch": answer["epoch"], "offset": answer["offset"], "tag": answer["tag"]})
}
