//! Rooms are joined again, and pushes are read.

mod support;

use mesh_client::{Client, Code, Status};
use serde_json::{Value, json};
use support::{Link, connected, settle};

const JOIN: &str = "mesh/join-room";

fn joined(present: &[&str]) -> Value {
    json!({"success": true, "present": present, "count": present.len(), "truncated": false})
}

async fn join(client: &Client, link: &mut Link, name: &str) {
    let room = client.room(name);
    let server = async {
        let id = link.expect(JOIN, json!({"roomName": name})).await;
        link.answer(id, joined(&["conn-1"])).await;
    };
    let (answer, ()) = tokio::join!(room.join(), server);
    assert_eq!(answer.expect("joined").present, ["conn-1"]);
}

#[tokio::test(start_paused = true)]
async fn rooms_are_joined_again_before_the_client_is_online() {
    let (client, mut server, mut link) = connected().await;
    for name in ["a", "b", "c"] {
        join(&client, &mut link, name).await;
    }
    let room = client.room("b");
    let leaving = async {
        let id = link.expect("mesh/leave-room", json!({"roomName": "b"})).await;
        link.answer(id, json!({"success": true})).await;
    };
    tokio::join!(room.leave(), leaving).0.expect("left");
    let secret = client.room("secret");
    let refusing = async {
        let (id, _) = link.expect_any(JOIN).await;
        link.fail(id, "forbidden", false).await;
    };
    let error = tokio::join!(secret.join(), refusing).0.expect_err("refused");
    assert_eq!(error.code(), &Code::Forbidden);
    drop(link);

    let mut link = server.welcome().await;
    let a = link.expect(JOIN, json!({"roomName": "a"})).await;
    let c = link.expect(JOIN, json!({"roomName": "c"})).await;
    link.nothing().await;
    assert_eq!(client.status(), Status::Reconnecting);
    link.answer(a, joined(&["conn-1"])).await;
    link.fail(c, "unavailable", true).await;
    settle().await;
    assert_eq!(client.status(), Status::Online, "a room that is not to be had now does not hold up the rest");
    let c = link.expect(JOIN, json!({"roomName": "c"})).await;
    link.fail(c, "forbidden", false).await;
    drop(link);

    let mut link = server.welcome().await;
    let a = link.expect(JOIN, json!({"roomName": "a"})).await;
    link.answer(a, joined(&["conn-1"])).await;
    client.connected().await.expect("a connection");
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn metadata_is_read_as_a_type() {
    let (client, _server, mut link) = connected().await;
    let server = async {
        let id = link.expect("mesh/get-room-metadata", json!({"roomName": "a"})).await;
        link.answer(id, json!({"metadata": [1, 2]})).await;
        let id = link.expect("mesh/get-connection-metadata", json!({"connectionId": "conn-1"})).await;
        link.answer(id, json!({"metadata": null})).await;
        let (id, _) = link.expect_any("mesh/get-my-connection-metadata").await;
        link.answer(id, json!({"metadata": "me"})).await;
    };
    let reading = async {
        let room = client.room("a").metadata::<Vec<u32>>().await;
        let other = client.connection_metadata::<Value>(Some("conn-1")).await;
        let mine = client.connection_metadata::<String>(None).await;
        (room.expect("read"), other.expect("read"), mine.expect("read"))
    };
    let read = tokio::join!(reading, server).0;
    assert_eq!(read, (Some(vec![1, 2]), None, Some("me".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_push_reaches_who_listens_to_its_name_and_nobody_else() {
    let (client, _server, mut link) = connected().await;
    let mut cursors = client.on_push::<u32>("cursor");
    let mut closes = client.on_push::<String>("close");
    let mut pings = client.on_push::<Value>("ping");
    link.push("cursor", json!(1)).await;
    link.push("close", json!("the door")).await;
    link.push("cursor", json!("no number")).await;
    link.push("ping", json!({})).await;
    link.push("mesh/unheard-of", json!({})).await;
    link.push("cursor", json!(2)).await;
    assert_eq!(cursors.next().await.expect("a push"), Ok(1));
    let error = cursors.next().await.expect("a push").expect_err("no number");
    assert_eq!(error.code(), &Code::BadPayload);
    assert_eq!(cursors.next().await.expect("a push"), Ok(2));
    assert_eq!(closes.next().await.expect("a push"), Ok("the door".to_owned()));
    client.close().await;
    assert_eq!(pings.next().await.expect("the end").expect_err("the end").code().as_str(), "closed");
    assert!(pings.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn pushes_that_are_not_read_are_dropped_and_that_is_told_in_their_place() {
    let (client, _server, mut link) = connected().await;
    let mut numbers = client.on_push::<u32>("n");
    for number in 0..1100 {
        link.push("n", json!(number)).await;
    }
    settle().await;
    for number in 0..1024 {
        assert_eq!(numbers.next().await.expect("a push"), Ok(number));
    }
    let error = numbers.next().await.expect("a push").expect_err("some were dropped");
    assert_eq!((error.code().as_str(), error.details()), ("lagged", Some(&json!({"missed": 76}))));
    link.push("n", json!(1100)).await;
    assert_eq!(numbers.next().await.expect("a push"), Ok(1100));
}
