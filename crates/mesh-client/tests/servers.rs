//! Real servers over real sockets, behind a balancer.

mod support;

use std::time::Duration;

use mesh_client::{Client, Status};
use mesh_server::testing::Cluster;
use mesh_server::{Mesh, Payload, Room, any};
use support::balancer::Balancer;
use tokio::time::timeout;

/// After that a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Instances that share memory, and what is in front of them.
async fn behind_a_balancer(instances: usize) -> (Cluster<()>, Balancer) {
    let make = move |number| {
        Mesh::builder()
            .room(any(), Room::open())
            .command("echo", async |Payload(number): Payload<u64>| number)
            .command("instance", async move || number)
            .command("hello", async |mesh: Mesh, Payload(text): Payload<String>| {
                mesh.room("lobby").broadcast("hello", &text).await.map(|()| true)
            })
    };
    let cluster = Cluster::start(instances, make).await.expect("a cluster");
    let mut addrs = Vec::new();
    for number in 0..instances {
        addrs.push(cluster.mesh(number).listen("127.0.0.1:0").await.expect("a port").addr());
    }
    (cluster, Balancer::start(addrs).await)
}

/// A client that dials again at once.
async fn client(balancer: &Balancer) -> Client {
    let builder = Client::builder(&balancer.url()).backoff(Duration::ZERO, Duration::from_millis(50));
    builder.connect().await.expect("a connection")
}

async fn until(client: &Client, wanted: Status) {
    let mut status = client.status_changes();
    let reached = timeout(PATIENCE, status.wait_for(|status| *status == wanted)).await;
    reached.expect("that status in time").expect("a client");
}

/// A command that is sent again until it is answered, and how often it was sent.
async fn persistent(client: &Client, number: u64) -> u32 {
    for attempt in 1.. {
        match client.command::<_, u64>("echo", &number).await {
            Ok(answer) => {
                assert_eq!(answer, number);
                return attempt;
            }
            Err(error) => assert!(error.retryable(), "{error}"),
        }
    }
    unreachable!("it ends with an answer")
}

#[tokio::test]
async fn a_client_survives_the_instance_that_it_is_connected_to() {
    let (mut cluster, balancer) = behind_a_balancer(3).await;
    let client = client(&balancer).await;
    let mut hellos = client.on_push::<String>("hello");
    let joined = client.room("lobby").join().await.expect("joined");
    assert_eq!(joined.present, [client.id().expect("an id").to_string()]);

    let mut number = 0;
    for round in 0..2 {
        let instance: usize = client.command("instance", &()).await.expect("an answer");
        let before = client.id();
        for _ in 0..20 {
            assert_eq!(persistent(&client, number).await, 1);
            number += 1;
        }
        balancer.take_away(instance);
        cluster.kill(instance);
        for _ in 0..20 {
            // Once at most it is in flight when the connection breaks.
            assert!(persistent(&client, number).await <= 2);
            number += 1;
        }
        until(&client, Status::Online).await;
        assert_ne!(client.id(), before);
        assert_ne!(client.command::<_, usize>("instance", &()).await, Ok(instance));

        let text = format!("round {round}");
        assert!(client.command::<_, bool>("hello", &text).await.expect("an answer"));
        let heard = timeout(PATIENCE, hellos.next()).await.expect("a push in time");
        assert_eq!(heard, Some(Ok(text)), "it is in its room again");
    }
    client.close().await;
}

#[tokio::test]
async fn a_client_survives_a_restart_and_a_time_without_any_instance() {
    let (cluster, balancer) = behind_a_balancer(2).await;
    let client = client(&balancer).await;
    let instance: usize = client.command("instance", &()).await.expect("an answer");
    balancer.take_away(1 - instance);
    cluster.mesh(instance).close_within(Duration::from_secs(1)).await;
    until(&client, Status::Reconnecting).await;

    // It waits for a connection, and is sent once there is one.
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.command::<_, u64>("echo", &7).timeout(PATIENCE).await }
    });
    balancer.take_away(instance);
    balancer.bring_back(1 - instance);
    assert_eq!(waiting.await.expect("a task"), Ok(7));
    assert_eq!(client.command::<_, usize>("instance", &()).await, Ok(1 - instance));
}

#[tokio::test]
async fn a_cut_connection_is_made_again_on_the_next_instance() {
    let (_cluster, balancer) = behind_a_balancer(2).await;
    let client = client(&balancer).await;
    for given in [[1, 1], [2, 1], [2, 2]] {
        let before = client.id();
        balancer.cut();
        let mut status = client.status_changes();
        let is_back = |status: &Status| *status == Status::Online && client.id() != before;
        timeout(PATIENCE, status.wait_for(is_back)).await.expect("in time").expect("a client");
        assert_eq!(balancer.given(), given);
        assert_eq!(persistent(&client, 1).await, 1);
    }
}

#[tokio::test]
async fn what_does_not_answer_fails_the_first_attempt() {
    let balancer = Balancer::start([]).await;
    let error = Client::connect(&balancer.url()).await.expect_err("nobody is there");
    assert_eq!((error.code().as_str(), error.retryable()), ("unavailable", true));
}
