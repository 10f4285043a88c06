//! Channels: each message once and in order, or one gap first.

mod support;

use mesh_client::GapReason;
use serde_json::json;
use support::chat::{
    EPOCH, NO_EPOCH, OTHER_EPOCH, SUBSCRIBE, UNSUBSCRIBE, after, heard, page, publish, publish_in,
    subscribed, tag, with,
};
use support::{connected, settle};

#[tokio::test(start_paused = true)]
async fn history_comes_first_then_what_is_published_and_dropping_it_unsubscribes() {
    let (client, _server, mut link) = connected().await;
    let mut stream = client.channel("chat:1").subscribe::<String>().history(2);
    link.nothing().await;
    assert!(heard(&mut stream).await.is_empty(), "the first read subscribes");
    let id = link.expect(SUBSCRIBE, json!({"channel": "chat:1", "historyLimit": 2})).await;
    link.answer(id, page([6, 7], 7)).await;
    publish(&mut link, 8).await;
    assert_eq!(heard(&mut stream).await, ["m6r", "m7r", "m8"]);

    drop(stream);
    link.expect(UNSUBSCRIBE, json!({"channel": "chat:1"})).await;
    publish(&mut link, 9).await;
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn what_arrives_around_the_answer_is_neither_lost_nor_doubled() {
    let (client, _server, mut link) = connected().await;
    let mut stream = client.channel("chat:1").subscribe::<String>().history(2);
    assert!(heard(&mut stream).await.is_empty());
    let (id, _) = link.expect_any(SUBSCRIBE).await;
    // Pushes that a faulty server, or an earlier subscription, sends before the answer.
    for offset in 6..=9 {
        publish(&mut link, offset).await;
    }
    link.answer(id, page([6, 7], 7)).await;
    for offset in 8..=11 {
        publish(&mut link, offset).await;
    }
    assert_eq!(heard(&mut stream).await, ["m6r", "m7r", "m8", "m9", "m10", "m11"]);
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn after_a_reconnect_it_goes_on_after_the_last_one_page_by_page() {
    let (client, mut server, mut link) = connected().await;
    let mut stream = subscribed(&client, &mut link, 0, page([], 7)).await;
    publish(&mut link, 8).await;
    drop(link);

    let mut link = server.welcome().await;
    let id = link.expect(SUBSCRIBE, json!({"channel": "chat:1", "after": after(8)})).await;
    let first = with(with(page([9, 10], 12), "more", json!(true)), "recovered", json!(true));
    link.answer(id, first).await;
    let id = link.expect(SUBSCRIBE, json!({"channel": "chat:1", "after": after(10)})).await;
    link.answer(id, with(page([11, 12], 12), "recovered", json!(true))).await;
    publish(&mut link, 13).await;
    assert_eq!(heard(&mut stream).await, ["m8", "m9r", "m10r", "m11r", "m12r", "m13"]);
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_over_a_reconnect_is_one_gap_before_what_comes_later() {
    let (client, mut server, mut link) = connected().await;
    let mut stream = subscribed(&client, &mut link, 2, page([6, 7], 7)).await;
    drop(link);
    let mut link = server.welcome().await;
    let id = link.expect(SUBSCRIBE, json!({"channel": "chat:1", "historyLimit": 2, "after": after(7)})).await;
    let gap = json!({"reason": "expired", "missed": 90});
    link.answer(id, with(page([119, 120], 120), "gap", gap)).await;
    publish(&mut link, 121).await;
    let expected = ["m6r", "m7r", "gap expired 111", "m119r", "m120r", "m121"];
    assert_eq!(heard(&mut stream).await, expected, "8 to 118 were not handed out");

    drop(link);
    let mut link = server.welcome().await;
    let (id, _) = link.expect_any(SUBSCRIBE).await;
    let mut anew = with(page([1], 1), "gap", json!({"reason": "epoch_changed"}));
    anew["epoch"] = json!(OTHER_EPOCH);
    link.answer(id, anew).await;
    assert_eq!(heard(&mut stream).await, ["gap epoch_changed ?", "m1r"]);
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_offset_is_asked_for_once_and_nothing_is_lost() {
    let (client, _server, mut link) = connected().await;
    let mut stream = subscribed(&client, &mut link, 0, page([], 7)).await;
    publish(&mut link, 8).await;
    publish(&mut link, 10).await;
    publish(&mut link, 11).await;
    let id = link.expect(SUBSCRIBE, json!({"channel": "chat:1", "after": after(8)})).await;
    publish(&mut link, 12).await;
    link.nothing().await;
    link.answer(id, page([9, 10, 11, 12], 12)).await;
    publish(&mut link, 13).await;
    assert_eq!(heard(&mut stream).await, ["m8", "m9r", "m10r", "m11r", "m12r", "m13"]);
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn another_life_of_the_channel_is_asked_for_once() {
    let (client, _server, mut link) = connected().await;
    let mut stream = subscribed(&client, &mut link, 0, page([], 7)).await;
    publish_in(&mut link, OTHER_EPOCH, 1).await;
    let id = link.expect(SUBSCRIBE, json!({"channel": "chat:1", "after": after(7)})).await;
    let mut anew = with(page([], 1), "gap", json!({"reason": "epoch_changed"}));
    anew["epoch"] = json!(OTHER_EPOCH);
    link.answer(id, anew).await;
    publish_in(&mut link, OTHER_EPOCH, 2).await;
    assert_eq!(heard(&mut stream).await, ["gap epoch_changed ?", "m2"]);
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_gap_that_the_server_tells_of_is_told_before_what_comes_next() {
    let (client, _server, mut link) = connected().await;
    let mut stream = subscribed(&client, &mut link, 0, page([], 7)).await;
    let gap = json!({"channel": "chat:1", "reason": "expired", "missed": 12});
    link.push("mesh/channel-gap", gap).await;
    publish(&mut link, 20).await;
    publish(&mut link, 21).await;
    assert_eq!(heard(&mut stream).await, ["gap expired 12", "m20", "m21"]);
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn messages_of_a_life_that_is_over_do_not_follow_an_answer_that_knows_of_none() {
    let (client, _server, mut link) = connected().await;
    let mut stream = subscribed(&client, &mut link, 0, page([], 0)).await;
    let mut other = client.channel("chat:1").subscribe::<String>().history(3);
    assert!(heard(&mut other).await.is_empty());
    let (id, _) = link.expect_any(SUBSCRIBE).await;
    for offset in 1..=3 {
        publish(&mut link, offset).await;
    }
    link.push("mesh/channel-gap", json!({"channel": "chat:1", "reason": "epoch_changed"})).await;
    link.answer(id, page([], 0)).await;
    publish_in(&mut link, OTHER_EPOCH, 1).await;
    assert_eq!(heard(&mut stream).await, ["m1", "m2", "m3", "gap epoch_changed ?", "m1"]);
    assert_eq!(heard(&mut other).await, ["m1"]);
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_channel_without_history_tells_a_gap_after_a_reconnect() {
    let (client, mut server, mut link) = connected().await;
    let mut stream = subscribed(&client, &mut link, 0, json!({"success": true, "messages": []})).await;
    let message = json!({"channel": "chat:1", "message": "hi"});
    link.push("mesh/subscription-message", message.clone()).await;
    drop(link);
    let mut link = server.welcome().await;
    let (id, _) = link.expect_any(SUBSCRIBE).await;
    link.answer(id, json!({"success": true, "messages": []})).await;
    link.push("mesh/subscription-message", message).await;
    assert_eq!(heard(&mut stream).await, ["hi", "gap no_history ?", "hi"]);
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_was_empty_is_read_from_its_beginning_after_a_reconnect() {
    let (client, mut server, mut link) = connected().await;
    let mut stream = subscribed(&client, &mut link, 0, page([], 0)).await;
    drop(link);
    let mut link = server.welcome().await;
    let mut start = after(0);
    start["epoch"] = json!(NO_EPOCH);
    let id = link.expect(SUBSCRIBE, json!({"channel": "chat:1", "after": start})).await;
    link.answer(id, page([1, 2], 2)).await;
    publish(&mut link, 3).await;
    assert_eq!(heard(&mut stream).await, ["m1r", "m2r", "m3"]);
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_gap_that_was_told_is_not_told_again_by_what_is_read_behind_it() {
    let (client, mut server, mut link) = connected().await;
    let mut stream = subscribed(&client, &mut link, 0, page([], 7)).await;
    let gap = json!({"channel": "chat:1", "reason": "expired", "missed": 12});
    link.push("mesh/channel-gap", gap).await;
    assert_eq!(heard(&mut stream).await, ["gap expired 12"]);
    let mut other = subscribed(&client, &mut link, 2, page([20, 21], 21)).await;
    assert_eq!(heard(&mut other).await, ["m20r", "m21r"]);
    assert_eq!(heard(&mut stream).await, ["m20r", "m21r"]);

    let gap = json!({"channel": "chat:1", "reason": "expired", "missed": 8});
    link.push("mesh/channel-gap", gap.clone()).await;
    settle().await;
    drop(link);
    let mut link = server.welcome().await;
    let (id, _) = link.expect_any(SUBSCRIBE).await;
    link.answer(id, with(page([], 30), "gap", json!({"reason": "expired", "missed": 8}))).await;
    publish(&mut link, 31).await;
    assert_eq!(heard(&mut stream).await, ["gap expired 8", "m31"]);
    assert_eq!(heard(&mut other).await, ["gap expired 8", "m31"]);
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_published_is_known_again_and_what_is_no_message_is_told() {
    let (client, _server, mut link) = connected().await;
    let mut stream = subscribed(&client, &mut link, 0, page([], 7)).await;
    let publishing = tokio::spawn(async move { client.channel("chat:1").publish("m8").await });
    let (id, payload) = link.expect_any("mesh/publish-channel").await;
    assert_eq!((&payload["channel"], &payload["message"]), (&json!("chat:1"), &json!("m8")));
    let push = json!({
        "channel": "chat:1", "message": "m8", "txn": payload["txn"], "tag": tag(8), "epoch": EPOCH, "offset": 8,
    });
    link.push("mesh/subscription-message", push).await;
    link.answer(id, json!({"success": true, "epoch": EPOCH, "offset": 8, "tag": tag(8)})).await;
    let published = publishing.await.expect("a task").expect("published");
    assert_eq!(json!(published.txn), payload["txn"]);
    assert_eq!(published.position.map(|at| (at.offset, at.epoch.to_string())), Some((8, EPOCH.to_owned())));

    let odd = json!({"channel": "chat:1", "message": 9, "tag": tag(9), "epoch": EPOCH, "offset": 9});
    link.push("mesh/subscription-message", odd).await;
    publish(&mut link, 10).await;
    assert_eq!(heard(&mut stream).await, ["m8!", "error bad_payload", "m10"]);
}

#[tokio::test(start_paused = true)]
async fn history_is_read_page_by_page() {
    let (client, _server, mut link) = connected().await;
    let server = async {
        let id = link.expect("mesh/get-channel-history", json!({"channel": "chat:1", "limit": 2})).await;
        let newest = json!({"truncated": true, "oldest": 1, "newest": 9});
        let mut answer = page([8, 9], 9);
        answer.as_object_mut().expect("an object").extend(newest.as_object().expect("an object").clone());
        link.answer(id, answer).await;
        let id =
            link.expect("mesh/get-channel-history", json!({"channel": "chat:1", "after": after(9)})).await;
        link.answer(id, json!({"success": true, "gap": {"reason": "expired", "missed": 3}})).await;
    };
    let reading = async {
        let newest = client.channel("chat:1").history::<String>().limit(2).await.expect("a page");
        let texts: Vec<_> = newest.messages.iter().map(|message| &*message.message).collect();
        assert_eq!((texts, newest.truncated, newest.oldest), (vec!["m8", "m9"], true, Some(1)));
        let at = newest.messages[1].position.expect("a position");
        let lost = client.channel("chat:1").history::<String>().after(at).await.expect("an answer");
        assert_eq!(lost.gap, Some((GapReason::Expired, Some(3))));
    };
    tokio::join!(reading, server);
}
