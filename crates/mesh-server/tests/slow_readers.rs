//! Channels whose slow readers lose messages instead of their connection. On memory, on a paused clock.

use mesh_server::testing::Client;
use mesh_server::{Builder, Channel, Mesh, Room, prefix};
use serde_json::{Value, json};

fn server() -> Builder<()> {
    Mesh::builder()
        .channel(prefix("cursors:"), Channel::open().drop_oldest())
        .channel(prefix("kept:"), Channel::open().history(5000).history_bytes(64 << 20).drop_oldest())
        .channel("events", Channel::open())
        .room("room", Room::open())
}

/// One that holds a frame in its own end.
async fn slow(mesh: &Mesh, hello: bool) -> Client {
    let mut client = Client::dial_with(mesh, hello, 1);
    if hello {
        client.ask("mesh/hello", json!({"protocol": 1})).await;
    }
    client
}

async fn subscribe(client: &mut Client, mut payload: Value, channel: &str) -> Value {
    payload["channel"] = channel.into();
    client.ask("mesh/subscribe-channel", payload).await
}

/// 4 KB and a number.
async fn publish(mesh: &Mesh, channel: &str, n: u64) {
    mesh.channel(channel).publish(&json!({"n": n, "text": "x".repeat(4000)})).await.expect("published");
}

/// What has come of a channel: numbers, or what is told of a gap.
async fn heard(client: &mut Client) -> Vec<Value> {
    let mut heard = Vec::new();
    while let Some((command, payload)) = client.push().await {
        match &*command {
            "mesh/subscription-message" => heard.push(payload["message"]["n"].clone()),
            "mesh/channel-gap" => heard.push(json!([payload["reason"], payload["missed"]])),
            other => heard.push(json!(other)),
        }
    }
    heard
}

fn numbers(from: u64, to: u64) -> Vec<Value> {
    (from..=to).map(|n| json!(n)).collect()
}

#[tokio::test(start_paused = true)]
async fn p5a_a_slow_reader_loses_the_oldest_and_is_told_how_many_where_they_were() {
    let mesh = server().build().await.expect("a server");
    let (mut paused, mut fine) = (slow(&mesh, true).await, slow(&mesh, true).await);
    for client in [&mut paused, &mut fine] {
        assert_eq!(subscribe(client, json!({}), "cursors:1").await["success"], true);
    }
    // 12 MB, of which one can wait at most.
    let mut seen = Vec::new();
    for n in 1..=3000 {
        publish(&mesh, "cursors:1", n).await;
        if n % 10 == 0 {
            seen.extend(heard(&mut fine).await);
        }
    }
    assert_eq!(seen, numbers(1, 3000), "others are given all of it");
    let heard = heard(&mut paused).await;
    let gap = heard.iter().position(Value::is_array).expect("told");
    let before = gap as u64;
    let missed = heard[gap][1].as_u64().expect("a number");
    assert_eq!(heard[gap][0], "lagged");
    assert_eq!(heard[..gap], numbers(1, before), "what was on its way already");
    assert_eq!(heard[gap + 1..], numbers(before + missed + 1, 3000), "exactly so many are missing");
    assert!(missed > 2500 && before < 100, "{before} {missed}");
    assert_eq!(mesh.stats().dropped, missed);
    assert_eq!(mesh.stats().connections, 2);
}

#[tokio::test(start_paused = true)]
async fn what_may_be_dropped_makes_room_for_what_may_not() {
    let mesh = server().build().await.expect("a server");
    let mut client = slow(&mesh, true).await;
    client.ask("mesh/join-room", json!({"roomName": "room"})).await;
    subscribe(&mut client, json!({}), "cursors:1").await;
    for n in 0..200 {
        publish(&mesh, "cursors:1", n).await;
        mesh.room("room").broadcast("event", &"x".repeat(4000)).await.expect("told");
    }
    let heard = heard(&mut client).await;
    assert_eq!(heard.iter().filter(|it| **it == "event").count(), 200, "{}", heard.len());
    assert!(heard.iter().filter(|it| it.is_number()).count() < 100, "{}", heard.len());
    // Without any of it the bound is the bound.
    for _ in 0..400 {
        mesh.room("room").broadcast("event", &"x".repeat(4000)).await.expect("told");
    }
    let close = loop {
        match client.recv().await.expect("a close") {
            Value::String(close) => break close,
            event => assert_eq!(event["command"], "event"),
        }
    };
    assert_eq!(close, "close 4000");
}

#[tokio::test(start_paused = true)]
async fn what_was_dropped_of_a_channel_with_history_can_be_read() {
    let mesh = server().build().await.expect("a server");
    let mut client = slow(&mesh, true).await;
    subscribe(&mut client, json!({}), "kept:1").await;
    for n in 1..=1000 {
        publish(&mesh, "kept:1", n).await;
    }
    // It is told by the offsets alone.
    let (mut last, mut after, mut holes) = (0, Value::Null, 0);
    while let Some((command, payload)) = client.push().await {
        assert_eq!(command, "mesh/subscription-message");
        let offset = payload["offset"].as_u64().expect("an offset");
        assert_eq!(payload["message"]["n"], offset);
        if offset != last + 1 && holes == 0 {
            holes += 1;
            break;
        }
        (last, after) = (offset, json!({"epoch": payload["epoch"], "offset": offset, "tag": payload["tag"]}));
    }
    assert_eq!(holes, 1, "something was dropped");
    let mut numbers_read = Vec::new();
    loop {
        let answer = subscribe(&mut client, json!({"after": after}), "kept:1").await;
        assert_eq!(answer["recovered"], true);
        numbers_read.extend(
            answer["messages"].as_array().expect("messages").iter().map(|it| it["message"]["n"].clone()),
        );
        if answer.get("more").is_none() {
            break;
        }
        after = json!({"epoch": answer["epoch"], "offset": answer["offset"], "tag": answer["tag"]});
    }
    assert_eq!(numbers_read, numbers(last + 1, 1000));
}

#[tokio::test(start_paused = true)]
async fn an_origin_client_stays_and_gets_the_newest() {
    let mesh = server().build().await.expect("a server");
    let mut client = slow(&mesh, false).await;
    subscribe(&mut client, json!({}), "cursors:1").await;
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    for n in 1..=1000 {
        publish(&mesh, "cursors:1", n).await;
    }
    let heard = heard(&mut client).await;
    assert!(heard.iter().all(Value::is_number) && heard.len() < 400, "{}", heard.len());
    assert_eq!(heard.last(), Some(&json!(1000)));
}
