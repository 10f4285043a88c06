//! Channels: who may do what, bad input, and what is left when somebody goes. On memory, on a paused clock.

#[path = "support/channels.rs"]
mod support;

use std::time::Duration;

use serde_json::json;
use support::{greeted, heard, pair, publish, subscribe};

#[tokio::test(start_paused = true)]
async fn unsubscribing_is_answered_with_whether_one_was_subscribed() {
    let cluster = pair().await;
    let (mut one, mut other) = (greeted(&cluster, 0).await, greeted(&cluster, 0).await);
    subscribe(&mut one, json!({}), "chat:1").await;
    let leave = json!({"channel": "chat:1"});
    assert_eq!(other.ask("mesh/unsubscribe-channel", leave.clone()).await, false, "trap cc");
    assert_eq!(one.ask("mesh/unsubscribe-channel", leave.clone()).await, true);
    assert_eq!(one.ask("mesh/unsubscribe-channel", leave).await, false);
    publish(&cluster, 1, "chat:1", json!(1)).await;
    assert_eq!(heard(&mut one).await, [json!(null); 0]);
}

#[tokio::test(start_paused = true)]
async fn trap_w_unsubscribing_and_subscribing_at_once_ends_as_the_last_wish_says() {
    let cluster = pair().await;
    let mut client = greeted(&cluster, 0).await;
    for round in 0..100 {
        for command in ["subscribe", "unsubscribe", "subscribe"] {
            let command = format!("mesh/{command}-channel");
            client.send(json!({"id": 1, "command": command, "payload": {"channel": "chat:1"}})).await;
        }
        for _ in 0..3 {
            while client.recv().await.expect("a frame").get("id").is_none() {}
        }
        publish(&cluster, 1, "chat:1", json!(round)).await;
        assert_eq!(heard(&mut client).await, [json!(round)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_channel_is_closed_unless_a_policy_opens_it() {
    let cluster = pair().await;
    let mut client = greeted(&cluster, 0).await;
    for channel in
        ["other", "secret:one", "panics", "hangs", "mesh/everybody", "presence:x", "c:chat:1", "chat"]
    {
        for command in ["mesh/subscribe-channel", "mesh/publish-channel", "mesh/get-channel-history"] {
            let refused = client.command(command, json!({"channel": channel, "message": 1})).await;
            assert_eq!(refused.expect_err(channel).code, "forbidden", "{command} {channel}");
        }
        assert!(
            !client
                .command("mesh/unsubscribe-channel", json!({"channel": channel}))
                .await
                .expect("no")
                .as_bool()
                .expect("a bool")
        );
    }
    let refused = client.command("mesh/publish-channel", json!({"channel": "live", "message": 1})).await;
    assert_eq!(refused.expect_err("off unless given").code, "forbidden");
}

#[tokio::test(start_paused = true)]
async fn bad_input_is_answered_and_harms_nobody() {
    let cluster = pair().await;
    let (mut client, mut other) = (greeted(&cluster, 0).await, greeted(&cluster, 0).await);
    subscribe(&mut other, json!({}), "chat:1").await;
    let long = "x".repeat(256);
    for (command, payload) in [
        ("mesh/subscribe-channel", json!({})),
        ("mesh/subscribe-channel", json!(null)),
        ("mesh/subscribe-channel", json!({"channel": ""})),
        ("mesh/subscribe-channel", json!({"channel": long})),
        ("mesh/subscribe-channel", json!({"channel": 7})),
        ("mesh/subscribe-channel", json!({"channel": "chat:1", "historyLimit": -1})),
        ("mesh/subscribe-channel", json!({"channel": "chat:1", "historyLimit": "5"})),
        ("mesh/subscribe-channel", json!({"channel": "chat:1", "historyLimit": 1.5})),
        ("mesh/subscribe-channel", json!({"channel": "chat:1", "after": 5})),
        (
            "mesh/subscribe-channel",
            json!({"channel": "chat:1", "after": {"epoch": "x", "offset": 1, "tag": "y"}}),
        ),
        ("mesh/subscribe-channel", json!({"channel": "chat:1", "maxRate": 0})),
        ("mesh/subscribe-channel", json!({"channel": "chat:1", "maxRate": 1e300})),
        ("mesh/publish-channel", json!({"channel": "chat:1"})),
        ("mesh/publish-channel", json!({"channel": "chat:1", "message": 1, "txn": "x".repeat(65)})),
        ("mesh/get-channel-history", json!({"channel": "chat:1", "limit": -1})),
        ("mesh/get-channel-history", json!({"channel": "chat:1", "before": 1, "after": 1})),
        ("mesh/unsubscribe-channel", json!({"channel": null})),
    ] {
        let refused = client.command(command, payload.clone()).await;
        assert_eq!(refused.expect_err("bad").code, "bad_payload", "{command} {payload}");
    }
    let too_large = "x".repeat(256 * 1024);
    let refused = cluster.mesh(0).channel("chat:1").publish(&too_large).await.expect_err("too large");
    assert_eq!(refused.code.as_str(), "too_large");
    publish(&cluster, 0, "chat:1", json!("fine")).await;
    assert_eq!(heard(&mut other).await, [json!("fine")]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_has_a_thousand_subscriptions_at_most() {
    let cluster = pair().await;
    let mut client = greeted(&cluster, 0).await;
    for n in 0..1000 {
        assert_eq!(subscribe(&mut client, json!({}), &format!("chat:{n}")).await["success"], true);
    }
    assert_eq!(subscribe(&mut client, json!({}), "chat:1000").await["code"], "too_large");
    assert_eq!(subscribe(&mut client, json!({}), "chat:7").await["success"], true, "one it has");
    assert_eq!(client.ask("mesh/unsubscribe-channel", json!({"channel": "chat:7"})).await, true);
    for _ in 0..2000 {
        assert_eq!(subscribe(&mut client, json!({}), "other").await["code"], "forbidden");
    }
    assert_eq!(
        subscribe(&mut client, json!({}), "chat:1000").await["success"],
        true,
        "what was refused counts not"
    );
}

#[tokio::test(start_paused = true)]
async fn a_closed_connection_leaves_nothing_behind() {
    let cluster = pair().await;
    let mut stays = greeted(&cluster, 0).await;
    subscribe(&mut stays, json!({}), "chat:1").await;
    for _ in 0..100 {
        let client = greeted(&cluster, 0).await;
        client
            .send(json!({"id": 1, "command": "mesh/subscribe-channel", "payload": {"channel": "chat:1"}}))
            .await;
        drop(client);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = cluster.mesh(0).stats().delivered;
    publish(&cluster, 1, "chat:1", json!(1)).await;
    assert_eq!(heard(&mut stays).await, [json!(1)]);
    assert_eq!(cluster.mesh(0).stats().delivered, before + 1);
}
