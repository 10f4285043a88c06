//! Many instances act as one, and nothing stays behind when one dies. On memory, on a paused clock.

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh_backend::Op;
use mesh_server::testing::{Client, Cluster};
use mesh_server::{Builder, Conn, ConnId, Fault, Mesh, Meta, Name, Room, any};
use serde_json::{Value, json};
use support::open_server;

type Log = Arc<Mutex<BTreeMap<String, u32>>>;

fn count(log: &Log, what: String) {
    *log.lock().expect("a log").entry(what).or_default() += 1;
}

/// Writes down how often each hook ran for whom.
fn watched(log: &Log) -> Builder<()> {
    let (join, leave, gone, fault) = (log.clone(), log.clone(), log.clone(), log.clone());
    let room = Room::open()
        .on_join(async move |conn: Conn, Name(room): Name| count(&join, format!("join {room} {}", conn.id())))
        .on_leave(async move |conn: Conn, Name(room): Name| {
            count(&leave, format!("leave {room} {}", conn.id()))
        });
    Mesh::builder()
        .room(any(), room)
        .command("whoami", async |conn: Conn| conn.id())
        .on_disconnect(async move |conn: Conn| {
            let who: Option<Value> = conn.metadata().expect("JSON");
            count(&gone, format!("gone {} {}", conn.id(), who.unwrap_or_default()));
        })
        .on_error(move |error| count(&fault, error.to_string()))
}

fn of(log: &Log, prefix: &str) -> Vec<(String, u32)> {
    let log = log.lock().expect("a log");
    log.iter().filter(|(what, _)| what.starts_with(prefix)).map(|(what, n)| (what.clone(), *n)).collect()
}

async fn join(client: &mut Client, room: &str) {
    let joined = client.command("mesh/join-room", json!({"roomName": room})).await.expect("an open room");
    assert_eq!(joined["success"], true);
}

async fn members(mesh: &Mesh, room: &str) -> Vec<ConnId> {
    mesh.room(room).members().await.expect("members").ids
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn members_of_a_killed_instance_are_gone_within_8_s_and_each_is_told_of_once() {
    let log = Log::default();
    let for_all = log.clone();
    let mut cluster = Cluster::start(3, move |_| watched(&for_all)).await.expect("a cluster");
    let mut clients = Vec::new();
    for n in 0..2000 {
        let mut client = cluster.client(0);
        join(&mut client, &format!("room-{}", n % 200)).await;
        clients.push(client);
    }
    let mut stays = cluster.client(1);
    join(&mut stays, "room-0").await;
    let (stayer, first) = (stays.id().await, clients[0].id().await);
    cluster.mesh(2).conn(first).set_metadata(&json!({"name": "Ada"})).await.expect("metadata");
    log.lock().expect("a log").clear();

    cluster.kill(0);
    pass(8).await;
    for survivor in [1, 2] {
        assert_eq!(members(cluster.mesh(survivor), "room-0").await, [stayer]);
        for n in 1..200 {
            assert_eq!(members(cluster.mesh(survivor), &format!("room-{n}")).await, []);
        }
    }
    let left = of(&log, "leave");
    assert_eq!(left.len(), 2000);
    assert!(left.iter().all(|(_, times)| *times == 1));
    let gone = of(&log, "gone");
    assert_eq!(gone.len(), 2000);
    assert!(gone.iter().all(|(_, times)| *times == 1));
    assert_eq!(of(&log, &format!("gone {first}")), [(format!("gone {first} {{\"name\":\"Ada\"}}"), 1)]);
    let orphans: u64 = [1, 2].map(|survivor| cluster.mesh(survivor).stats().orphans).iter().sum();
    assert_eq!(orphans, 4000, "a place in a room and one in the list of connections each");
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_was_taken_for_dead_enters_everything_again_and_no_client_notices() {
    let log = Log::default();
    let for_all = log.clone();
    let cluster = Cluster::start(2, move |_| watched(&for_all)).await.expect("a cluster");
    let (mut cut, mut other) = (cluster.client(0), cluster.client(1));
    join(&mut cut, "r").await;
    join(&mut other, "r").await;
    let (id, other_id) = (cut.id().await, other.id().await);
    cluster.mesh(1).conn(id).set_metadata(&"kept").await.expect("metadata");

    cluster.partition(0);
    pass(8).await;
    assert_eq!(members(cluster.mesh(1), "r").await, [other_id], "it is taken for dead");
    assert_eq!(of(&log, "leave").len(), 1);
    cluster.heal(0);
    pass(1).await;
    assert_eq!(members(cluster.mesh(1), "r").await, [other_id, id], "it is in again, last");
    assert_eq!(
        cluster.mesh(1).conn(id).metadata::<String>().await.expect("metadata").as_deref(),
        Some("kept")
    );
    assert_eq!(
        of(&log, &format!("join r {id}")),
        [(format!("join r {id}"), 2)],
        "left for others, and joined again"
    );
    assert_eq!(of(&log, &Fault::DeclaredDead.to_string()).len(), 1);
    assert_eq!(cluster.mesh(0).stats().revivals, 1);

    cluster.mesh(1).room("r").broadcast("news", &1).await.expect("a broadcast");
    cluster.mesh(0).broadcast("all", &2).await.expect("a broadcast");
    cluster.mesh(1).conn(id).send("one", &3).await.expect("a push");
    for (command, payload) in [("news", 1), ("all", 2), ("one", 3)] {
        assert_eq!(cut.push().await, Some((command.into(), json!(payload))));
    }
    assert_eq!(cut.push().await, None, "each once, though it has been subscribed twice");
    assert_eq!(cut.id().await, id);
}

#[tokio::test(start_paused = true)]
async fn a_partition_shorter_than_the_lease_changes_nothing() {
    let log = Log::default();
    let for_all = log.clone();
    let cluster = Cluster::start(2, move |_| watched(&for_all)).await.expect("a cluster");
    let mut client = cluster.client(0);
    join(&mut client, "r").await;
    let id = client.id().await;
    for _ in 0..10 {
        cluster.partition(0);
        pass(3).await;
        cluster.heal(0);
        pass(3).await;
        client.send(json!({"command": "pong"})).await;
    }
    assert_eq!(members(cluster.mesh(1), "r").await, [id]);
    assert_eq!((of(&log, "leave"), cluster.mesh(0).stats().revivals), (vec![], 0));
}

#[tokio::test(start_paused = true)]
async fn while_the_backend_is_away_local_commands_work_the_rest_fails_at_once_and_readiness_says_so() {
    let cluster = Cluster::start(2, |_| open_server()).await.expect("a cluster");
    let (mut client, mut other) = (cluster.client(0), cluster.client(1));
    join(&mut client, "before").await;
    join(&mut other, "before").await;
    let id = client.id().await;
    assert!(cluster.mesh(0).readiness().ready);

    cluster.partition(0);
    let readiness = cluster.mesh(0).readiness();
    assert!(!readiness.ready && readiness.trouble.is_some());
    let began = tokio::time::Instant::now();
    assert_eq!(client.id().await, id);
    for (command, room) in
        [("mesh/join-room", "new"), ("mesh/leave-room", "before"), ("mesh/get-room-metadata", "x")]
    {
        let failed = client.command(command, json!({"roomName": room})).await.expect_err("no backend");
        assert_eq!(failed.code, "EUNAVAILABLE");
    }
    assert!(cluster.mesh(0).room("before").broadcast("x", &1).await.is_err());
    assert_eq!(began.elapsed(), Duration::ZERO, "at once");

    cluster.heal(0);
    pass(2).await;
    assert!(cluster.mesh(0).readiness().ready);
    assert_eq!(members(cluster.mesh(1), "new").await, []);
    assert_eq!(
        members(cluster.mesh(1), "before").await,
        [other.id().await],
        "the departure took place after all"
    );
    join(&mut client, "new").await;
    cluster.mesh(1).room("new").broadcast("after", &1).await.expect("a broadcast");
    assert_eq!(client.push().await, Some(("after".into(), json!(1))));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_closes_while_the_backend_is_away_leaves_no_ghost() {
    let log = Log::default();
    let for_all = log.clone();
    let cluster = Cluster::start(2, move |_| watched(&for_all)).await.expect("a cluster");
    let mut client = cluster.client(0);
    join(&mut client, "r").await;
    cluster.partition(0);
    drop(client);
    pass(2).await;
    cluster.heal(0);
    pass(2).await;
    assert_eq!(members(cluster.mesh(1), "r").await, []);
    assert_eq!(cluster.mesh(1).conns_metadata::<Value>(0).await.expect("connections").0, []);
    assert_eq!(of(&log, "leave").iter().map(|(_, times)| *times).collect::<Vec<_>>(), [1]);
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_before_a_departure_is_known_is_told_of_as_often_as_it_left() {
    let log = Log::default();
    let for_all = log.clone();
    let cluster = Cluster::start(1, move |_| watched(&for_all)).await.expect("a cluster");
    let mut client = cluster.client(0);
    join(&mut client, "r").await;
    // It takes place, and the answer is lost.
    cluster.faults(0).fail_next(Op::Leave, mesh_backend::Fault::After);
    let failed = client.command("mesh/leave-room", json!({"roomName": "r"})).await.expect_err("no answer");
    assert_eq!(failed.code, "EUNAVAILABLE");
    join(&mut client, "r").await;
    pass(2).await;
    let times = |what| of(&log, what).iter().map(|(_, times)| *times).sum::<u32>();
    assert_eq!(times("join"), times("leave") + 1);
    assert_eq!(members(cluster.mesh(0), "r").await, [client.id().await]);
}

#[tokio::test(start_paused = true)]
async fn connections_of_other_instances_are_acted_on_as_if_they_were_here() {
    let cluster = Cluster::start(3, |_| open_server()).await.expect("a cluster");
    let (mut client, mut other) = (cluster.client(0), cluster.client(1));
    let (id, other_id) = (client.id().await, other.id().await);
    let far = cluster.mesh(2);

    assert_eq!(far.room("a").add(id).await.ok(), Some(true));
    assert_eq!(far.room("a").add(id).await.ok(), Some(false), "it is in already");
    assert_eq!(far.room("b").add(id).await.ok(), Some(true));
    assert_eq!(far.room("c").add(id).await.ok(), Some(true));
    cluster.mesh(1).room("a").broadcast("hi", &1).await.expect("a broadcast");
    assert_eq!(client.push().await, Some(("hi".into(), json!(1))));
    assert_eq!(far.room("a").remove(id).await.ok(), Some(true));
    assert_eq!(far.room("a").remove(id).await.ok(), Some(false));
    assert_eq!(members(cluster.mesh(0), "a").await, []);
    far.remove_from_all_rooms(id).await.expect("out of all");
    assert_eq!(far.rooms("", None).await.expect("rooms"), []);

    far.conn(id).set_metadata(&json!({"a": 1})).await.expect("metadata");
    assert_eq!(client.ask("mesh/get-my-connection-metadata", json!({})).await, json!({"metadata": {"a": 1}}));

    far.broadcast_to(&[id, other_id], "both", &2).await.expect("a broadcast");
    assert_eq!(client.push().await, Some(("both".into(), json!(2))));
    assert_eq!(other.push().await, Some(("both".into(), json!(2))));
    far.conn(id).disconnect().await.expect("a disconnect");
    assert_eq!(client.recv().await, Some(json!("close 4201")));
    pass(1).await;
    for failed in [
        far.room("a").add(id).await.map(drop),
        far.room("a").remove(id).await.map(drop),
        far.remove_from_all_rooms(id).await,
        far.conn(id).set_metadata(&1).await,
        far.conn(id).send("x", &1).await,
    ] {
        assert_eq!(failed.expect_err("it is gone").code.as_str(), "not_found");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_of_an_instance_that_does_not_answer_fails_in_time() {
    let cluster = Cluster::start(2, |_| open_server()).await.expect("a cluster");
    let id = cluster.client(0).id().await;
    let _stays = cluster.client(1);
    let mut client = cluster.client(0);
    let id_of_client = client.id().await;
    assert_ne!(id, id_of_client);
    cluster.black_hole(0, Duration::from_secs(5));
    let began = tokio::time::Instant::now();
    let failed = cluster.mesh(1).room("a").add(id_of_client).await.expect_err("no answer");
    assert_eq!(failed.code.as_str(), "unavailable");
    assert!(began.elapsed() <= Duration::from_secs(5) + Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn a_room_is_cleared_on_every_instance_when_clear_returns_and_each_is_told_of_once() {
    let log = Log::default();
    let for_all = log.clone();
    let cluster = Cluster::start(3, move |_| watched(&for_all)).await.expect("a cluster");
    let mut clients: Vec<Client> = (0..30).map(|n| cluster.client(n % 3)).collect();
    for client in &mut clients {
        join(client, "r").await;
    }
    cluster.mesh(1).room("r").set_metadata(&1).await.expect("metadata");
    cluster.mesh(0).room("r").clear().await.expect("a cleared room");
    assert_eq!(members(cluster.mesh(2), "r").await, []);
    assert_eq!(cluster.mesh(2).room("r").metadata::<Value>().await.expect("metadata"), None);
    pass(1).await;
    cluster.mesh(0).room("r").broadcast("x", &1).await.expect("a broadcast");
    for client in &mut clients {
        assert_eq!(client.push().await, None);
    }
    let left = of(&log, "leave");
    assert!(left.len() == 30 && left.iter().all(|(_, times)| *times == 1), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn p11a_a_room_broadcast_reaches_only_instances_with_a_member() {
    let cluster = Cluster::start(10, |_| open_server()).await.expect("a cluster");
    let mut client = cluster.client(3);
    join(&mut client, "r").await;
    let before: Vec<u64> = (0..10).map(|n| cluster.mesh(n).stats().arrivals).collect();
    for n in 0..1000 {
        cluster.mesh(0).room("r").broadcast("x", &n).await.expect("a broadcast");
    }
    for n in 0..1000 {
        assert_eq!(client.push().await, Some(("x".into(), json!(n))));
    }
    let heard: Vec<u64> = (0..10).map(|n| cluster.mesh(n).stats().arrivals - before[n]).collect();
    assert_eq!(heard, [0, 0, 0, 1000, 0, 0, 0, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_starts_again_where_one_was_killed_is_another() {
    let mut cluster = Cluster::start(2, |_| open_server()).await.expect("a cluster");
    let mut client = cluster.client(0);
    join(&mut client, "r").await;
    cluster.kill(0);
    while client.recv().await.is_some() {}
    cluster.start_again(0).await.expect("an instance");
    let mut client = cluster.client(0);
    join(&mut client, "r").await;
    let id = client.id().await;
    pass(8).await;
    assert_eq!(members(cluster.mesh(1), "r").await, [id], "the ghost is gone, the new one is in");
}

#[tokio::test(start_paused = true)]
async fn hooks_that_take_long_do_not_cost_the_lease_of_whoever_buries_the_dead() {
    let slow = |_| {
        let room = Room::open().on_leave(async || tokio::time::sleep(Duration::from_secs(4)).await);
        Mesh::builder().room(any(), room).command("whoami", async |conn: Conn| conn.id())
    };
    let mut cluster = Cluster::start(3, slow).await.expect("a cluster");
    let mut clients = Vec::new();
    for _ in 0..1000 {
        let mut client = cluster.client(0);
        join(&mut client, "r").await;
        clients.push(client);
    }
    cluster.kill(0);
    // As long as a thousand hooks of 4 s take, 128 at once on each of two instances.
    pass(60).await;
    assert_eq!(members(cluster.mesh(1), "r").await, []);
    assert_eq!([1, 2].map(|survivor| cluster.mesh(survivor).stats().revivals), [0, 0]);
}

#[tokio::test(start_paused = true)]
async fn what_a_cleared_member_of_another_instance_said_of_itself_is_there_for_on_leave() {
    let told = Log::default();
    let log = told.clone();
    let cluster = Cluster::start(2, move |_| {
        let log = log.clone();
        let room = Room::open().on_leave(async move |Meta(name): Meta<String>| count(&log, name));
        Mesh::builder().room(any(), room).command("whoami", async |conn: Conn| conn.id())
    });
    let cluster = cluster.await.expect("a cluster");
    let mut client = cluster.client(0);
    join(&mut client, "r").await;
    let id = client.id().await;
    cluster.mesh(0).conn(id).set_metadata("Ada").await.expect("metadata");
    // Deaf for a moment, so that the one that clears takes it out.
    cluster.faults(0).delay_arrivals(Duration::from_secs(1)..Duration::from_secs(2));
    cluster.mesh(1).room("r").clear().await.expect("a cleared room");
    assert_eq!(of(&told, ""), [("Ada".to_owned(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn members_and_their_metadata_come_in_pages_from_every_instance() {
    let cluster = Cluster::start(2, |n| open_server().limits(move |limits| limits.page_max = 3 + n));
    let cluster = cluster.await.expect("a cluster");
    let mut clients: Vec<Client> = (0..7).map(|n| cluster.client(n % 2)).collect();
    let mut expected = Vec::new();
    for (n, client) in clients.iter_mut().enumerate() {
        join(client, "r").await;
        let id = client.id().await;
        let said = (n != 4).then_some(n as u64);
        if let Some(n) = said {
            cluster.mesh(1).conn(id).set_metadata(&n).await.expect("metadata");
        }
        expected.push((id, said));
    }
    let (mut found, mut next) = (Vec::new(), Some(0));
    while let Some(after) = next {
        let page = cluster.mesh(0).room_members_metadata::<u64>("r", after).await.expect("a page");
        assert!(page.0.len() <= 3);
        found.extend(page.0);
        next = page.1;
    }
    assert_eq!(found, expected);
    let refused = cluster.mesh(0).room_members_metadata::<u64>("", 0).await.expect_err("no name of a room");
    assert_eq!(refused.code.as_str(), "bad_payload");
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_more_than_an_outbox_holds_closes_no_reader_that_keeps_up() {
    let cluster = Cluster::start(2, |_| open_server()).await.expect("a cluster");
    let mut reader = cluster.client(1);
    join(&mut reader, "lobby").await;
    let reading = tokio::spawn(async move {
        for expected in 0..40 {
            let (_, payload) = reader.push().await.expect("it stays open");
            assert_eq!(payload[0], expected);
        }
    });
    let text = "x".repeat(100_000);
    // In one go: as after a pause of the reader's instance, when its socket to Redis is full.
    for number in 0..40 {
        cluster.mesh(0).room("lobby").broadcast("news", &json!([number, text])).await.expect("a broadcast");
    }
    reading.await.expect("all of them");
}
