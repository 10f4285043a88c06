//! Channels that also bear what others publish on Redis: whole servers over a simulated one, on the paused clock.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh_backend::Backend;
use mesh_server::testing::{Client, Cluster};
use mesh_server::{Builder, Channel, Entropy, Fault, Mesh, prefix};
use mesh_sim::redis::{Client as Plain, Redis, Whom};
use serde_json::{Value, json};
use tokio::io::DuplexStream;

type Faults = Arc<Mutex<Vec<String>>>;

fn server(faults: &Faults) -> Builder<()> {
    let told = faults.clone();
    Mesh::builder()
        .channel(prefix("notifications:"), Channel::open().bridge())
        .channel(prefix("mesh:"), Channel::open().bridge())
        .channel("plain", Channel::open())
        .on_error(move |fault: &Fault| {
            if let Fault::Backend(why) = fault {
                told.lock().expect("a list").push(why.clone());
            }
        })
}

async fn two_servers(redis: &Redis) -> (Cluster<()>, Faults) {
    let mut backends: Vec<Arc<dyn Backend>> = Vec::new();
    for seed in 0..2 {
        let (dialled, entropy) = (redis.clone(), Arc::new(Entropy::from_seed(seed)));
        let options = mesh_redis::Redis::builder("redis://simulated").entropy(entropy);
        let dial = move |_| std::future::ready(dialled.dial());
        backends.push(Arc::new(mesh_redis::Redis::over(dial, options).await.expect("a Redis")));
    }
    let faults = Faults::default();
    let told = faults.clone();
    (Cluster::over(1, backends, move |_| server(&told)).await.expect("a cluster"), faults)
}

async fn subscribed(cluster: &Cluster<()>, number: usize, hello: bool, channel: &str) -> Client {
    let mut client = if hello { cluster.hello_client(number) } else { cluster.client(number) };
    if hello {
        client.ask("mesh/hello", json!({"protocol": 1})).await;
    }
    let answer = client.ask("mesh/subscribe-channel", json!({"channel": channel})).await;
    assert_eq!(answer["success"], true, "{answer}");
    tokio::time::sleep(Duration::from_millis(50)).await;
    client
}

async fn publish(plain: &mut Plain<DuplexStream>, channel: &[u8], text: &[u8]) -> String {
    format!("{:?}", plain.call([b"PUBLISH", channel, text]).await.expect("a reply"))
}

async fn heard(client: &mut Client) -> Vec<Value> {
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut heard = Vec::new();
    while let Some((command, payload)) = client.push().await {
        match &*command {
            "mesh/subscription-message" => heard.push(payload["message"].clone()),
            "mesh/channel-gap" => heard.push(payload["reason"].clone()),
            other => panic!("{other}"),
        }
    }
    heard
}

#[tokio::test(start_paused = true)]
async fn subscribers_of_all_instances_get_what_others_publish_on_redis() {
    let redis = Redis::new(1);
    let (cluster, _) = two_servers(&redis).await;
    let mut plain = Plain::new(redis.dial().expect("a Redis"));
    let channel = "notifications:global";
    assert_eq!(publish(&mut plain, channel.as_bytes(), b"nobody").await, ":0");
    let mut clients = Vec::new();
    for (number, hello) in [(0, true), (1, true), (1, false)] {
        clients.push(subscribed(&cluster, number, hello, channel).await);
    }
    let mut other = subscribed(&cluster, 0, true, "plain").await;
    for text in [&b"hello"[..], b"{\"a\":1}", b"\"\\\r\n\0", b"\xff\xfe", b""] {
        assert_eq!(publish(&mut plain, channel.as_bytes(), text).await, ":2", "once for each instance");
    }
    cluster.mesh(0).channel(channel).publish(&json!({"ours": true})).await.expect("published");
    let all = [
        json!("hello"),
        json!("{\"a\":1}"),
        json!("\"\\\r\n\0"),
        json!("\u{fffd}\u{fffd}"),
        json!(""),
        json!({"ours": true}),
    ];
    for client in &mut clients {
        assert_eq!(heard(client).await, all);
    }
    assert_eq!(publish(&mut plain, b"plain", b"not bridged").await, ":0");
    assert!(heard(&mut other).await.is_empty());
    // After the last one has left, nothing is left on Redis.
    clients.clear();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(publish(&mut plain, channel.as_bytes(), b"nobody").await, ":0");
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_missed_is_told_of() {
    let redis = Redis::new(2);
    let (cluster, _) = two_servers(&redis).await;
    let mut plain = Plain::new(redis.dial().expect("a Redis"));
    let mut client = subscribed(&cluster, 0, true, "notifications:1").await;
    redis.cut(&Whom::Pubsub);
    publish(&mut plain, b"notifications:1", b"missed").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    publish(&mut plain, b"notifications:1", b"after").await;
    assert_eq!(heard(&mut client).await, [json!("no_history"), json!("after")]);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_dropped_and_reported() {
    let redis = Redis::new(3);
    let (cluster, faults) = two_servers(&redis).await;
    let mut plain = Plain::new(redis.dial().expect("a Redis"));
    let mut client = subscribed(&cluster, 0, true, "notifications:1").await;
    publish(&mut plain, b"notifications:1", &vec![b'x'; 256 * 1024 - 1]).await;
    publish(&mut plain, b"notifications:1", b"after").await;
    assert_eq!(heard(&mut client).await, [json!("after")]);
    assert!(faults.lock().expect("a list").iter().any(|why| why.contains("262145 bytes")), "{faults:?}");
}

#[tokio::test(start_paused = true)]
async fn what_instances_tell_one_another_is_not_for_clients() {
    let redis = Redis::new(4);
    let (cluster, _) = two_servers(&redis).await;
    let mut client = cluster.hello_client(0);
    client.ask("mesh/hello", json!({"protocol": 1})).await;
    let answer = client.ask("mesh/subscribe-channel", json!({"channel": "mesh:1:{0}:tE:"})).await;
    assert_eq!(answer["code"], "bad_payload", "{answer}");
    cluster.mesh(1).broadcast("secret", &1).await.expect("told");
    assert_eq!(heard_commands(&mut client).await, ["secret"], "once, as everybody");
}

async fn heard_commands(client: &mut Client) -> Vec<String> {
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut heard = Vec::new();
    while let Some((command, _)) = client.push().await {
        heard.push(command);
    }
    heard
}

#[tokio::test]
#[should_panic(expected = "a channel that is bridged keeps no history")]
async fn a_bridged_channel_keeps_no_history() {
    let _ = Mesh::builder().channel("news", Channel::open().history(10).bridge());
}
