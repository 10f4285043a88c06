//! Writes at a rate, and volatile ones: what leaves, when, and who hears of it.

mod support;

use std::future::Future;
use std::time::Duration;

use mesh_client::{Client, ClientError, Code, Result};
use serde_json::{Value, json};
use support::{Link, PING_INTERVAL_MS, connected, pair, settle};
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance};

const PUBLISH: &str = "mesh/publish-channel";
const WRITE: &str = "mesh/publish-record-update";

/// Begins it at once.
async fn begun<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    let work = tokio::spawn(work);
    settle().await;
    work
}

async fn publishing(client: &Client, rate: f64, message: u64) -> JoinHandle<Result<String>> {
    let channel = client.channel("cursors").max_rate(rate);
    begun(async move { channel.publish(&message).await.map(|published| published.txn) }).await
}

async fn is_dropped<T: std::fmt::Debug>(work: impl Future<Output = Result<T>>) {
    let start = Instant::now();
    let error = work.await.expect_err("nothing that is kept");
    assert_eq!((error.code(), error.retryable(), error.sent()), (&Code::App("dropped".into()), true, false));
    assert_eq!(start.elapsed(), Duration::ZERO, "at once");
}

/// The next message that leaves, answered.
async fn left(link: &mut Link) -> Value {
    loop {
        let mut frame = link.recv().await.expect("a frame");
        if frame["command"] != PUBLISH {
            continue;
        }
        let id = frame["id"].as_u64().expect("an id");
        link.answer(id, json!({"success": true})).await;
        return frame["payload"].take();
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_thousand_messages_a_second_ten_leave_and_the_last_is_one_of_them() {
    let (client, _server, mut link) = connected().await;
    let (start, mut last) = (Instant::now(), None);
    let mut times = Vec::new();
    for message in 1..=1000 {
        last = Some(publishing(&client, 10.0, message).await);
        while let Some(frame) = link.try_recv().await {
            let id = frame["id"].as_u64().expect("an id");
            times.push((start.elapsed(), frame["payload"]["message"].as_u64().expect("a number")));
            link.answer(id, json!({"success": true})).await;
        }
    }
    let at_the_end = start.elapsed();
    let message = left(&mut link).await;
    assert_eq!(message["message"], 1000, "the last one");
    assert_eq!(last.expect("one").await.expect("no panic").expect("published"), message["txn"]);
    assert!(times.is_sorted() && times[0].1 == 1, "{times:?}");
    let seconds = at_the_end.as_secs_f64();
    assert!((times.len() as f64 - seconds * 10.0).abs() <= 1.0, "{} in {seconds} s", times.len());
}

#[tokio::test(start_paused = true)]
async fn who_gave_way_is_answered_with_what_came_of_the_newest() {
    let (client, _server, mut link) = connected().await;
    let first = publishing(&client, 1.0, 1).await;
    let others = [publishing(&client, 1.0, 2).await, publishing(&client, 1.0, 3).await];
    let (id, one) = link.expect_any(PUBLISH).await;
    link.answer(id, json!({"success": true})).await;
    assert_eq!(first.await.expect("no panic").expect("published"), one["txn"]);
    link.nothing().await;

    let start = Instant::now();
    let (id, three) = link.expect_any(PUBLISH).await;
    assert!((990..=1000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    assert_eq!(three["message"], 3);
    link.answer(id, json!({"success": true})).await;
    for other in others {
        assert_eq!(other.await.expect("no panic").expect("published"), three["txn"]);
    }

    let refused = [publishing(&client, 1.0, 4).await, publishing(&client, 1.0, 5).await];
    let (id, _) = link.expect_any(PUBLISH).await;
    link.fail(id, "forbidden", false).await;
    for other in refused {
        assert_eq!(other.await.expect("no panic").expect_err("refused").code(), &Code::Forbidden);
    }
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_connection_is_one_message_and_leaves_with_the_next_one() {
    let (client, mut server, link) = connected().await;
    drop(link);
    settle().await;
    let calls = [publishing(&client, 100.0, 1).await, publishing(&client, 100.0, 2).await];
    let mut link = server.welcome().await;
    let message = left(&mut link).await;
    assert_eq!(message["message"], 2);
    link.nothing().await;
    for call in calls {
        assert_eq!(call.await.expect("no panic").expect("published"), message["txn"]);
    }

    // Its interval is over. One that was sent fails with its connection, and one that waits for its turn does not.
    advance(Duration::from_millis(10)).await;
    let sent = publishing(&client, 0.5, 3).await;
    let waits = publishing(&client, 0.5, 4).await;
    drop(link);
    let error = sent.await.expect("no panic").expect_err("no answer");
    assert!(error.sent() && error.code() == &Code::Unavailable);
    let mut link = server.welcome().await;
    assert_eq!(left(&mut link).await["message"], 4);
    waits.await.expect("no panic").expect("published");
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_never_comes_is_given_up_in_time_and_leaves_nothing_behind() {
    let (builder, mut server) = pair();
    let client = builder.timeout(Duration::from_secs(5)).start().expect("an address");
    let start = Instant::now();
    let call = publishing(&client, 100.0, 1).await;
    let error = call.await.expect("no panic").expect_err("nobody there");
    assert_eq!((error.code(), error.sent()), (&Code::Timeout, false));
    assert_eq!(start.elapsed().as_secs(), 5);
    let mut link = server.welcome().await;
    link.nothing().await;

    // The time of one that waits for its turn begins with that.
    let first = publishing(&client, 0.1, 1).await;
    let second = publishing(&client, 0.1, 2).await;
    assert_eq!(left(&mut link).await["message"], 1);
    assert_eq!(left(&mut link).await["message"], 2);
    for call in [first, second] {
        call.await.expect("no panic").expect("published");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_leaves_all_the_same_and_a_closed_client_ends_what_waits() {
    let (client, _server, mut link) = connected().await;
    publishing(&client, 1.0, 1).await.abort();
    publishing(&client, 1.0, 2).await.abort();
    assert_eq!(left(&mut link).await["message"], 1);
    assert_eq!(left(&mut link).await["message"], 2);
    let waits = publishing(&client, 1.0, 3).await;
    client.close().await;
    assert_eq!(waits.await.expect("no panic").expect_err("closed").code().as_str(), "closed");
    let error = client.channel("cursors").max_rate(1.0).publish(&4).await.expect_err("closed");
    assert_eq!(error.code().as_str(), "closed");
}

#[tokio::test(start_paused = true)]
async fn each_channel_record_and_command_has_a_rate_of_its_own() {
    let (client, _server, mut link) = connected().await;
    let mut calls = Vec::new();
    for round in 0..2 {
        for name in ["a", "b"] {
            let (channel, record) = (client.channel(name).max_rate(1.0), client.record(name).max_rate(1.0));
            let command = client.command::<_, Value>(name, &round).max_rate(1.0);
            calls.push(begun(async move { channel.publish(&round).await.map(drop) }).await);
            calls.push(begun(async move { record.set(&round).await.map(drop) }).await);
            calls.push(begun(async move { command.await.map(drop) }).await);
        }
    }
    for round in 0..2 {
        let start = Instant::now();
        for _ in 0..6 {
            let frame = link.recv().await.expect("a frame");
            let payload = &frame["payload"];
            let written = [&payload["message"], &payload["newValue"], payload];
            assert!(written.contains(&&json!(round)), "{frame}");
            link.answer(frame["id"].as_u64().expect("an id"), json!({"success": true, "version": 1})).await;
        }
        assert_eq!(start.elapsed() > Duration::from_millis(500), round == 1);
    }
    for call in calls {
        call.await.expect("no panic").expect("written");
    }
    // What has no rate goes out at once.
    let plain = begun(async move { client.channel("a").publish(&9).await }).await;
    assert_eq!(left(&mut link).await["message"], 9);
    plain.await.expect("no panic").expect("published");
}

#[tokio::test(start_paused = true)]
async fn members_that_wait_to_be_merged_are_joined_and_none_is_lost() {
    let (client, _server, mut link) = connected().await;
    let record = client.record("p:1").max_rate(1.0);
    let merging = |value: Value| {
        let record = record.clone();
        begun(async move { record.merge(&value).await })
    };
    let deeply = |value: Value| {
        let record = record.clone();
        begun(async move { record.deep_merge(&value).await })
    };
    let mut calls =
        vec![merging(json!({"x": 1})).await, merging(json!({"y": 1})).await, merging(json!({"x": 2})).await];
    let mut written = async || {
        let (id, payload) = link.expect_any(WRITE).await;
        link.answer(id, json!({"success": true, "version": 1})).await;
        (payload["newValue"].clone(), payload["options"]["strategy"].clone())
    };
    assert_eq!(written().await, (json!({"x": 1}), json!("merge")));
    assert_eq!(written().await, (json!({"x": 2, "y": 1}), json!("merge")));

    // A merge and a deep merge are two writes, in their order; a value takes the place of both.
    calls.push(merging(json!({"a": {"x": 1}})).await);
    calls.push(deeply(json!({"a": {"y": 1}})).await);
    assert_eq!(written().await, (json!({"a": {"x": 1}}), json!("merge")));
    assert_eq!(written().await, (json!({"a": {"y": 1}}), json!("deepMerge")));
    calls.push(deeply(json!({"z": 1})).await);
    let setting = record.clone();
    calls.push(begun(async move { setting.set(&json!({"n": 1})).await }).await);
    calls.push(merging(json!({"m": 1})).await);
    assert_eq!(written().await, (json!({"m": 1, "n": 1}), Value::Null));
    for call in calls {
        call.await.expect("no panic").expect("written");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_volatile_is_dropped_at_once_without_a_connection() {
    let (client, mut server, mut link) = connected().await;
    let channel = client.channel("cursors").volatile();
    let record = client.record("p:1").volatile();
    let online = begun({
        let channel = channel.clone();
        async move { channel.publish(&1).await }
    });
    let online = online.await;
    assert_eq!(left(&mut link).await["message"], 1);
    online.await.expect("no panic").expect("published");

    // One that waits for its turn is not kept for the next connection.
    let paced = channel.max_rate(0.5);
    let sent = begun({
        let paced = paced.clone();
        async move { paced.publish(&2).await }
    });
    let sent = sent.await;
    let waits = begun(async move { paced.publish(&3).await }).await;
    drop(link);
    settle().await;
    assert_eq!(sent.await.expect("no panic").expect_err("no answer").code(), &Code::Unavailable);
    is_dropped(async { waits.await.expect("no panic") }).await;
    is_dropped(channel.publish(&4)).await;
    is_dropped(channel.max_rate(1.0).publish(&4)).await;
    is_dropped(record.set(&4)).await;
    is_dropped(record.merge(&json!({"x": 4}))).await;
    is_dropped(async { client.command::<_, Value>("move", &4).volatile().await }).await;
    let mut link = server.welcome().await;
    link.nothing().await;
    // The rate is as it was.
    advance(Duration::from_secs(2)).await;
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_volatile_is_dropped_first_while_more_than_64_kib_wait_to_be_sent() {
    let (client, _server, mut link) = connected().await;
    let text = "x".repeat(100_000);
    // More than the stream takes while nobody reads it.
    let mut calls = Vec::new();
    for _ in 0..16 {
        let call = client.command::<_, Value>("big", &text);
        calls.push(begun(async move { call.await }).await);
    }
    is_dropped(client.channel("cursors").volatile().publish(&1)).await;
    // What waits for its turn is dropped when that comes, and what is not volatile is not.
    let kept = publishing(&client, 1.0, 2).await;
    for _ in 0..16 {
        let (id, _) = link.expect_any("big").await;
        link.answer(id, Value::Null).await;
    }
    assert_eq!(left(&mut link).await["message"], 2);
    kept.await.expect("no panic").expect("published");
    for call in calls {
        call.await.expect("no panic").expect("an answer");
    }
    let channel = client.channel("cursors").volatile();
    let after = begun(async move { channel.publish(&3).await }).await;
    assert_eq!(left(&mut link).await["message"], 3);
    after.await.expect("no panic").expect("published");
}

#[tokio::test(start_paused = true)]
async fn what_is_volatile_does_not_wait_for_a_busy_server() {
    let (client, _server, mut link) = connected().await;
    let mut calls = Vec::new();
    // 32 run, and of what waits behind them the server takes 256 KiB.
    for _ in 0..36 {
        let call = client.command::<_, Value>("hang", &"x".repeat(60_000));
        calls.push(begun(async move { call.await }).await);
        while link.try_recv().await.is_some() {}
    }
    let kept = publishing(&client, 1.0, 1).await;
    is_dropped(client.channel("other").volatile().publish(&2)).await;
    link.nothing().await;
    for id in 1..=calls.len() as u64 {
        link.answer(id, Value::Null).await;
    }
    assert_eq!(left(&mut link).await["message"], 1);
    kept.await.expect("no panic").expect("published");
}

#[tokio::test(start_paused = true)]
async fn rates_and_what_waits_have_bounds() {
    let (builder, _server) = pair();
    let client = builder.queue_max(10, 2000).start().expect("an address");
    for rate in [0.0, 0.009, 1000.1, -1.0, f64::NAN, f64::INFINITY] {
        let error = client.channel("a").max_rate(rate).publish(&1).await.expect_err("no rate");
        assert_eq!(error.code(), &Code::BadPayload, "{rate}");
    }
    let text = "x".repeat(1000);
    let one = client.channel("a").max_rate(1.0);
    let kept = begun({
        let text = text.clone();
        async move { one.publish(&text).await }
    });
    let kept = kept.await;
    let error = client.channel("b").max_rate(1.0).publish(&text).await.expect_err("no room");
    assert_eq!(error.code().as_str(), "queue_full");
    let error = client.channel("b").max_rate(1.0).publish(&"x".repeat(300_000)).await.expect_err("large");
    assert_eq!(error.code(), &Code::TooLarge);
    // What takes its place needs no room beside it.
    let newer = client.channel("a").max_rate(1.0);
    let newer = begun(async move { newer.publish(&text).await }).await;
    assert!(!newer.is_finished() && !kept.is_finished());

    let (client, _server, mut link) = connected().await;
    for at in 0..1000 {
        let channel = client.channel(&format!("c:{at}")).max_rate(0.01);
        drop(begun(async move { channel.publish(&at).await }).await);
        left(&mut link).await;
    }
    let error: ClientError = client.channel("one more").max_rate(0.01).publish(&1).await.expect_err("full");
    assert_eq!(error.code().as_str(), "queue_full");
    // A thing that was not written for its interval is none any more.
    let end = Instant::now() + Duration::from_secs(101);
    while Instant::now() < end {
        link.push("ping", json!({})).await;
        advance(Duration::from_millis(PING_INTERVAL_MS)).await;
        while link.try_recv().await.is_some() {}
    }
    let call = publishing(&client, 0.01, 1).await;
    assert_eq!(left(&mut link).await["message"], 1);
    call.await.expect("no panic").expect("published");
}
