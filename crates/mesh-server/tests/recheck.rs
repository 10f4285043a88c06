//! Asking again whether a connection may follow what it is subscribed to. On memory, on a paused clock.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh_server::testing::{Client, Cluster};
use mesh_server::{
    Builder, Channel, Command, Conn, ConnId, Mesh, MeshError, Name, Next, Record, Reply, State, prefix,
};
use serde_json::{Value, json};

/// What is refused, by whatever is asked.
type Refused = Arc<Mutex<BTreeSet<String>>>;

async fn may(State(refused): State<Refused>, Name(name): Name) -> bool {
    tokio::time::sleep(Duration::from_millis(10)).await;
    !refused.lock().expect("a set").contains(&*name)
}

/// Middleware that lets nobody read who was locked out.
async fn locked_out(State(refused): State<Refused>, cmd: Command, next: Next) -> Reply {
    let is_out = refused.lock().expect("a set").contains(&cmd.conn().id().to_string());
    if is_out && cmd.name().starts_with("mesh/subscribe") {
        return Err(MeshError::app("locked_out", "come back tomorrow"));
    }
    next.run(cmd).await
}

fn server(refused: &Refused) -> Builder<Refused> {
    Mesh::builder()
        .state(refused.clone())
        .layer(locked_out)
        .command("whoami", async |conn: Conn| conn.id())
        .channel(prefix("chat:"), Channel::open().history(50).guard(may))
        .channel("open", Channel::open())
        .record(prefix("doc:"), Record::open().read(may))
}

async fn cluster() -> (Cluster<Refused>, Refused) {
    let refused = Refused::default();
    let state = refused.clone();
    (Cluster::start(2, move |_| server(&state)).await.expect("a cluster"), refused)
}

async fn greeted(cluster: &Cluster<Refused>, number: usize) -> (Client, ConnId) {
    let mut client = cluster.hello_client(number);
    client.ask("mesh/hello", json!({"protocol": 1})).await;
    let id = client.id().await;
    (client, id)
}

fn refuse(refused: &Refused, name: &str) {
    refused.lock().expect("a set").insert(name.into());
}

async fn channel(client: &mut Client, channel: &str) -> Value {
    client.ask("mesh/subscribe-channel", json!({"channel": channel})).await
}

async fn record(client: &mut Client, record: &str) -> Value {
    client.ask("mesh/subscribe-record", json!({"recordId": record, "mode": "patch"})).await
}

async fn write_to_all(cluster: &Cluster<Refused>, n: u64) {
    for name in ["chat:1", "chat:2", "open"] {
        cluster.mesh(0).channel(name).publish(&n).await.expect("published");
    }
    for name in ["doc:1", "doc:2"] {
        cluster.mesh(0).record(name).set(&n).await.expect("written");
    }
}

/// What comes, by what it is about.
async fn told(client: &mut Client) -> Vec<(String, Value)> {
    let mut told = Vec::new();
    while let Some((command, payload)) = client.push().await {
        let about =
            payload["channel"].as_str().or(payload["recordId"].as_str()).unwrap_or_default().to_owned();
        let what = match &*command {
            "mesh/subscription-message" => payload["message"].clone(),
            "mesh/record-update" => payload["version"].clone(),
            "mesh/subscription-ended" => payload["code"].clone(),
            other => panic!("{other}"),
        };
        told.push((about, what));
    }
    told
}

fn pairs(pairs: &[(&str, Value)]) -> Vec<(String, Value)> {
    pairs.iter().map(|(about, what)| ((*about).to_owned(), what.clone())).collect()
}

#[tokio::test(start_paused = true)]
async fn trap_o_a_subscription_ends_when_its_guard_would_refuse_it() {
    let (cluster, refused) = cluster().await;
    let ((mut one, id), (mut other, other_id)) = (greeted(&cluster, 1).await, greeted(&cluster, 1).await);
    for client in [&mut one, &mut other] {
        for name in ["chat:1", "chat:2", "open"] {
            assert_eq!(channel(client, name).await["success"], true);
        }
        for name in ["doc:1", "doc:2"] {
            assert_eq!(record(client, name).await["success"], true);
        }
    }
    write_to_all(&cluster, 1).await;
    let all = pairs(&[
        ("chat:1", json!(1)),
        ("chat:2", json!(1)),
        ("open", json!(1)),
        ("doc:1", json!(1)),
        ("doc:2", json!(1)),
    ]);
    assert_eq!(told(&mut one).await, all);
    assert_eq!(told(&mut other).await, all);
    assert!(!cluster.mesh(0).conn(id).recheck().await.expect("asked"), "nothing changed");
    assert_eq!(told(&mut one).await, []);
    refuse(&refused, "chat:1");
    refuse(&refused, "doc:2");
    // From another instance, of one of the two.
    assert!(cluster.mesh(0).conn(id).recheck().await.expect("asked"));
    write_to_all(&cluster, 2).await;
    let left = pairs(&[
        ("chat:1", json!("forbidden")),
        ("doc:2", json!("forbidden")),
        ("chat:2", json!(2)),
        ("open", json!(2)),
        ("doc:1", json!(2)),
    ]);
    assert_eq!(told(&mut one).await, left);
    assert_eq!(told(&mut other).await.len(), 5, "nobody asked about this one");
    assert_eq!(one.ask("mesh/unsubscribe-channel", json!({"channel": "chat:1"})).await, false);
    assert_eq!(channel(&mut one, "chat:1").await["code"], "forbidden");
    assert!(cluster.mesh(1).conn(other_id).recheck().await.expect("asked"), "on its own instance");
    assert!(!cluster.mesh(1).conn(other_id).recheck().await.expect("asked"), "they are gone already");
    refused.lock().expect("a set").clear();
    assert_eq!(channel(&mut one, "chat:1").await["offset"], 2, "it may come back when it may");
    write_to_all(&cluster, 3).await;
    assert_eq!(told(&mut one).await.len(), 4);
    assert_eq!(told(&mut other).await.len(), 2 + 3, "two were ended, three go on");
}

#[tokio::test(start_paused = true)]
async fn an_origin_client_is_told_and_gets_nothing_more() {
    let (cluster, refused) = cluster().await;
    let mut client = cluster.client(1);
    let id = client.id().await;
    channel(&mut client, "chat:1").await;
    refuse(&refused, "chat:1");
    // While what follows its answer is still held.
    assert!(cluster.mesh(1).conn(id).recheck().await.expect("asked"));
    write_to_all(&cluster, 1).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(told(&mut client).await, pairs(&[("chat:1", json!("forbidden"))]));
}

#[tokio::test(start_paused = true)]
async fn middleware_is_asked_as_well() {
    let (cluster, refused) = cluster().await;
    let (mut client, id) = greeted(&cluster, 0).await;
    channel(&mut client, "open").await;
    record(&mut client, "doc:1").await;
    refuse(&refused, &id.to_string());
    assert!(cluster.mesh(0).conn(id).recheck().await.expect("asked"));
    let ended = pairs(&[("open", json!("locked_out")), ("doc:1", json!("locked_out"))]);
    assert_eq!(told(&mut client).await, ended);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_gone_cannot_be_asked_about() {
    let (cluster, _) = cluster().await;
    let (client, id) = greeted(&cluster, 0).await;
    drop(client);
    tokio::time::sleep(Duration::from_secs(1)).await;
    for n in [0, 1] {
        let gone = cluster.mesh(n).conn(id).recheck().await.expect_err("gone");
        assert_eq!(gone.code.as_str(), "not_found");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_on_its_way_when_a_right_is_lost_does_not_slip_through() {
    // The right is lost at any moment of a subscription's coming into being, on a backend that takes its time, and of one
    // that takes the place of another.
    let (mut answered, mut refused_at_once, mut ended) = (0, 0, 0);
    for ms in 0..60 {
        for again in [false, true] {
            let (cluster, refused) = cluster().await;
            let (mut client, id) = greeted(&cluster, 1).await;
            if again {
                channel(&mut client, "chat:1").await;
            }
            cluster.faults(1).delay(Duration::from_millis(5)..Duration::from_millis(15));
            client
                .send(json!({"id": 7, "command": "mesh/subscribe-channel", "payload": {"channel": "chat:1"}}))
                .await;
            tokio::time::sleep(Duration::from_millis(ms)).await;
            refuse(&refused, "chat:1");
            cluster.mesh(1).conn(id).recheck().await.expect("asked");
            tokio::time::sleep(Duration::from_secs(1)).await;
            cluster.mesh(0).channel("chat:1").publish("secret").await.expect("published");
            let (mut is_subscribed, mut seen) = (again, Vec::new());
            while let Some(frame) = client.try_recv().await {
                seen.push(frame.clone());
                if frame["id"] == 7 {
                    let success = frame["payload"]["success"] == true;
                    is_subscribed |= success;
                    answered += usize::from(success);
                    refused_at_once += usize::from(!success);
                } else if frame["command"] == "mesh/subscription-ended" {
                    is_subscribed = false;
                    ended += 1;
                } else {
                    assert_ne!(frame["command"], "mesh/subscription-message", "after {ms} ms: {seen:?}");
                }
            }
            assert!(!is_subscribed, "it is told, after {ms} ms: {seen:?}");
        }
    }
    assert!(answered > 5 && refused_at_once > 5 && ended > 5, "{answered} {refused_at_once} {ended}");
}
