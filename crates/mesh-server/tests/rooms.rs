//! Rooms, metadata and broadcasts, as conversations.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mesh_server::{Conn, Memory, Mesh, Name, Room, any, prefix};
use serde_json::{Value, json};
use support::{code_of, dial, open_server, vectors_server};

async fn join(client: &mut support::Client, room: &str) -> Value {
    client.ask("mesh/join-room", json!({"roomName": room})).await
}

#[tokio::test(start_paused = true)]
async fn present_is_who_is_in_the_room_in_order_of_joining() {
    let mesh = open_server().build().await.expect("a server");
    let (mut a, mut b) = (dial(&mesh), dial(&mesh));
    let (id_a, id_b) = (a.id().await, b.id().await);
    assert_eq!(join(&mut b, "r").await["present"], json!([id_b]));
    assert_eq!(
        join(&mut a, "r").await,
        json!({"success": true, "present": [id_b, id_a], "count": 2, "truncated": false})
    );
    assert_eq!(join(&mut a, "r").await["count"], 2, "joining twice is joining once");
    assert_eq!(mesh.room("r").members().await.expect("members").ids, [id_b, id_a]);
    assert!(mesh.room("r").contains(id_a).await.expect("an answer"));
    b.ask("mesh/leave-room", json!({"roomName": "r"})).await;
    assert_eq!(mesh.room("r").members().await.expect("members").ids, [id_a]);
    assert!(!mesh.room("r").contains(id_b).await.expect("an answer"));
}

#[tokio::test(start_paused = true)]
async fn a_closed_connection_is_in_no_room_and_hooks_hear_of_each_join_and_leave_once() {
    let (joins, leaves) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (joined, left) = (joins.clone(), leaves.clone());
    let policy = Room::open()
        .on_join(async move |_: Conn, Name(room): Name| {
            assert_eq!(&*room, "r");
            joined.fetch_add(1, Ordering::Relaxed);
        })
        .on_leave(async move |_: Name| {
            left.fetch_add(1, Ordering::Relaxed);
        });
    let mesh = Mesh::builder().room(any(), policy).build().await.expect("a server");
    let mut client = dial(&mesh);
    join(&mut client, "r").await;
    join(&mut client, "r").await;
    drop(client);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(mesh.room("r").count().await.expect("a count"), 0);
    assert_eq!((joins.load(Ordering::Relaxed), leaves.load(Ordering::Relaxed)), (1, 1));
    assert_eq!(mesh.stats().connections, 0);
}

#[tokio::test(start_paused = true)]
async fn trap_w_join_racing_close_and_leave_racing_join_leave_no_ghosts() {
    let mesh = open_server().build().await.expect("a server");
    for n in 0..200 {
        let client = dial(&mesh);
        for _ in 0..n % 7 {
            tokio::task::yield_now().await;
        }
        client.send(json!({"id": 1, "command": "mesh/join-room", "payload": {"roomName": "r"}})).await;
        client.send(json!({"id": 2, "command": "mesh/leave-room", "payload": {"roomName": "r"}})).await;
        client.send(json!({"id": 3, "command": "mesh/join-room", "payload": {"roomName": "r"}})).await;
        for _ in 0..n % 11 {
            tokio::task::yield_now().await;
        }
        drop(client);
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(mesh.room("r").count().await.expect("a count"), 0);
    assert_eq!(mesh.stats().connections, 0);
}

#[tokio::test(start_paused = true)]
async fn trap_w_leave_and_join_sent_at_once_take_effect_in_that_order() {
    let mesh = open_server().build().await.expect("a server");
    let mut client = dial(&mesh);
    let id = client.id().await;
    for _ in 0..50 {
        client.send(json!({"id": 8, "command": "mesh/leave-room", "payload": {"roomName": "r"}})).await;
        client.send(json!({"id": 9, "command": "mesh/join-room", "payload": {"roomName": "r"}})).await;
        while client.recv().await.expect("an answer")["id"] != 9 {}
        mesh.room("r").broadcast("hi", &json!(null)).await.expect("published");
        assert!(client.push().await.is_some(), "it hears what its room is told");
        assert_eq!(mesh.room("r").members().await.expect("members").ids, [id]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_reaches_members_of_every_instance_but_those_left_out_and_is_encoded_once() {
    let backend = Memory::default();
    let one = open_server().backend(backend.clone()).build().await.expect("a server");
    let two = Mesh::builder()
        .backend(backend)
        .room(any(), Room::open())
        .command("whoami", async |conn: Conn| conn.id());
    let two = two.build().await.expect("a server");
    let (mut a, mut b, mut c, mut stranger) = (dial(&one), dial(&one), dial(&two), dial(&two));
    for client in [&mut a, &mut b, &mut c] {
        join(client, "r").await;
    }
    let (id_a, id_c) = (a.id().await, c.id().await);
    one.room("r").broadcast("move", &json!([1])).await.expect("published");
    for client in [&mut a, &mut b, &mut c] {
        assert_eq!(client.push().await, Some(("move".into(), json!([1]))));
    }
    assert_eq!(stranger.push().await, None);
    two.room("r").broadcast_except("move", &json!([2]), &[id_a]).await.expect("published");
    assert_eq!(a.push().await, None);
    assert_eq!(b.push().await, Some(("move".into(), json!([2]))));
    one.broadcast("all", &json!(null)).await.expect("published");
    assert!(stranger.push().await.is_some());
    one.conn(id_c).send("you", &json!(7)).await.expect("sent");
    while let Some((command, _)) = c.push().await {
        assert!(["move", "all", "you"].contains(&&*command));
    }
    assert_eq!(one.stats().encodes, 3, "two broadcasts and one push");
    one.conn(id_c).disconnect().await.expect("told");
    assert_eq!(c.recv().await, Some(json!("close 4201")));
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_to_10_000_members_is_encoded_once() {
    let mesh = open_server().build().await.expect("a server");
    let clients: Vec<_> = (0..10_000).map(|_| dial(&mesh)).collect();
    tokio::time::sleep(Duration::from_millis(10)).await;
    for conn in mesh.local_conns() {
        assert!(mesh.room("r").add(conn.id()).await.expect("added"));
    }
    mesh.room("r").broadcast("all", &json!({"x": 1})).await.expect("published");
    tokio::time::sleep(Duration::from_millis(10)).await;
    let stats = mesh.stats();
    assert_eq!((stats.connections, stats.encodes, stats.delivered), (clients.len(), 1, 10_000));
}

#[tokio::test(start_paused = true)]
async fn trap_cc_forty_merges_at_once_lose_no_field() {
    let mesh = open_server().build().await.expect("a server");
    let merges = (0..40).map(|n| {
        let mesh = mesh.clone();
        tokio::spawn(async move { mesh.room("r").merge_metadata(&json!({format!("f{n}"): n})).await })
    });
    for merge in merges.collect::<Vec<_>>() {
        merge.await.expect("no panic").expect("merged");
    }
    let merged: Value = mesh.room("r").metadata().await.expect("read").expect("there");
    assert_eq!(merged.as_object().map(serde_json::Map::len), Some(40));
    let all: Vec<(_, Value)> = mesh.rooms_metadata("", None).await.expect("listed");
    assert_eq!(all.len(), 1);
    mesh.room("r").clear().await.expect("cleared");
    assert_eq!(mesh.room("r").metadata::<Value>().await.expect("read"), None);
}

#[tokio::test(start_paused = true)]
async fn clearing_a_room_takes_everybody_out() {
    let mesh = open_server().build().await.expect("a server");
    let mut client = dial(&mesh);
    join(&mut client, "r").await;
    mesh.room("r").clear().await.expect("cleared");
    assert_eq!(mesh.room("r").count().await.expect("a count"), 0);
    mesh.room("r").broadcast("hi", &json!(null)).await.expect("published");
    assert_eq!(client.push().await, None);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_open_unless_a_policy_says_so_and_a_guard_that_fails_refuses() {
    let policy = Room::open().guard(async |Name(room): Name| -> bool {
        match &*room {
            "g:panic" => panic!("on purpose"),
            "g:hang" => std::future::pending().await,
            room => room == "g:yes",
        }
    });
    let mesh = Mesh::builder().room(prefix("g:"), policy).build().await.expect("a server");
    let mut client = dial(&mesh);
    for refused in ["x", "g:no", "g:panic", "g:hang"] {
        assert_eq!(code_of(&join(&mut client, refused).await), "EFORBIDDEN", "{refused}");
        assert_eq!(mesh.room(refused).count().await.expect("a count"), 0);
        let metadata = client.ask("mesh/get-room-metadata", json!({"roomName": refused})).await;
        assert_eq!(code_of(&metadata), "EFORBIDDEN", "{refused}");
    }
    assert_eq!(join(&mut client, "g:yes").await["success"], true);
    assert_eq!(code_of(&join(&mut client, "").await), "EBAD_PAYLOAD");
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_in_at_most_50_rooms() {
    let mesh = open_server().build().await.expect("a server");
    let mut client = dial(&mesh);
    for n in 0..50 {
        assert_eq!(join(&mut client, &n.to_string()).await["success"], true);
    }
    assert_eq!(code_of(&join(&mut client, "50").await), "ETOO_LARGE");
}

#[tokio::test(start_paused = true)]
async fn trap_a_metadata_does_not_cut_a_connection_off_and_is_null_before_it_is_set() {
    let mesh = vectors_server().build().await.expect("a server");
    let mut client = dial(&mesh);
    let id = client.id().await;
    assert_eq!(mesh.conn(id).metadata::<Value>().await.expect("read"), None);
    client.ask("set-my-metadata", json!({"metadata": {"name": "Ada"}})).await;
    assert_eq!(mesh.conn(id).metadata::<Value>().await.expect("read"), Some(json!({"name": "Ada"})));
    mesh.broadcast_to(&[id], "hi", &json!(1)).await.expect("published");
    assert_eq!(client.push().await, Some(("hi".into(), json!(1))));
}

#[tokio::test(start_paused = true)]
async fn trap_z_a_rooms_name_reaches_no_other_room() {
    let mesh = open_server().build().await.expect("a server");
    let (mut a, mut b) = (dial(&mesh), dial(&mesh));
    join(&mut a, "a").await;
    join(&mut b, "a:conn:b").await;
    for odd in ["a:conn", "a:", "*", "a*", "{a}", "a:conn:b:"] {
        mesh.room(odd).broadcast("hi", &json!(odd)).await.expect("published");
    }
    assert_eq!((a.push().await, b.push().await), (None, None));
}
