//! What an instance missed: its subscribers are given it in order, or told first. On memory, on a paused clock.

#[path = "support/channels.rs"]
mod support;

use std::time::Duration;

use mesh_server::testing::Client;
use serde_json::{Value, json};
use support::{greeted, heard, pair, publish, subscribe};

#[tokio::test(start_paused = true)]
async fn what_an_instance_missed_while_cut_off_its_subscribers_are_given_in_order() {
    let cluster = pair().await;
    let (mut hello, mut origin) = (greeted(&cluster, 1).await, cluster.client(1));
    for client in [&mut hello, &mut origin] {
        subscribe(client, json!({}), "chat:1").await;
        subscribe(client, json!({}), "short:1").await;
        subscribe(client, json!({}), "live").await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    publish(&cluster, 0, "chat:1", json!(0)).await;
    for client in [&mut hello, &mut origin] {
        assert_eq!(heard(client).await, [json!(0)]);
    }
    cluster.partition(1);
    for n in 1..=9 {
        for channel in ["chat:1", "short:1", "live"] {
            publish(&cluster, 0, channel, json!(n)).await;
        }
    }
    cluster.heal(1);
    tokio::time::sleep(Duration::from_secs(12)).await;
    publish(&cluster, 0, "chat:1", json!(10)).await;
    let (mut chat, mut short, mut live) = (Vec::new(), Vec::new(), Vec::new());
    while let Some((_, payload)) = hello.push().await {
        let to = match payload["channel"].as_str() {
            Some("chat:1") => &mut chat,
            Some("short:1") => &mut short,
            _ => &mut live,
        };
        to.push(payload.get("message").unwrap_or(&payload["reason"]).clone());
    }
    assert_eq!(chat, (1..=10).map(|n| json!(n)).collect::<Vec<_>>());
    assert_eq!(short, [json!("expired"), json!(7), json!(8), json!(9)], "the gap first");
    assert_eq!(live[0], json!("no_history"), "told first, whatever came after all: {live:?}");
    let heard = heard(&mut origin).await;
    assert!(
        heard.len() >= 13 && heard.iter().all(Value::is_number),
        "an origin client is told of no gap: {heard:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn who_came_while_its_instance_was_deaf_is_told_of_no_gap_before_that() {
    let cluster = pair().await;
    let (mut early, mut late) = (greeted(&cluster, 1).await, greeted(&cluster, 1).await);
    subscribe(&mut early, json!({}), "short:1").await;
    let second = Duration::from_secs(1);
    cluster.faults(1).delay_arrivals(second..second);
    for n in 1..=5 {
        publish(&cluster, 0, "short:1", json!(n)).await;
    }
    assert_eq!(subscribe(&mut late, json!({}), "short:1").await["offset"], 5);
    cluster.partition(1);
    publish(&cluster, 0, "short:1", json!(6)).await;
    tokio::time::sleep(2 * second).await;
    cluster.heal(1);
    assert_eq!(heard(&mut early).await, [json!({"gap": "expired"}), json!(4), json!(5), json!(6)]);
    assert_eq!(heard(&mut late).await, [json!(6)], "it has all before that");
}

#[tokio::test(start_paused = true)]
async fn a_gap_comes_behind_what_waits_and_before_what_is_newer() {
    let cluster = pair().await;
    let (mut spaced, mut slow) = (greeted(&cluster, 1).await, Client::dial_with(cluster.mesh(1), true, 1));
    slow.ask("mesh/hello", json!({"protocol": 1})).await;
    subscribe(&mut spaced, json!({"maxRate": 0.2}), "live").await;
    subscribe(&mut slow, json!({"latest": true}), "live").await;
    let long = |n: u32| json!([n, "x".repeat(4000)]);
    for n in 1..=50 {
        publish(&cluster, 0, "live", long(n)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    cluster.partition(1);
    cluster.heal(1);
    tokio::time::sleep(Duration::from_millis(100)).await;
    for n in 51..=60 {
        publish(&cluster, 0, "live", long(n)).await;
    }
    tokio::time::sleep(Duration::from_secs(6)).await;
    let numbers = |it: &Value| if it.is_array() { it[0].clone() } else { it.clone() };
    let spaced: Vec<_> = heard(&mut spaced).await.iter().map(numbers).collect();
    assert_eq!(spaced, [json!(1), json!(50), json!({"gap": "no_history"}), json!(60)]);
    let slow: Vec<_> = heard(&mut slow).await.iter().map(numbers).collect();
    let gap = slow.iter().position(Value::is_object).expect("told");
    assert_eq!(slow[gap - 1], 50, "{slow:?}");
    assert_eq!(slow.last(), Some(&json!(60)));
    assert!(slow[gap + 1..].iter().all(|it| it.as_u64() > Some(50)));
}

#[tokio::test(start_paused = true)]
async fn who_was_about_to_be_live_when_something_was_lost_is_given_it_though_others_are_further_on() {
    let cluster = pair().await;
    publish(&cluster, 0, "chat:1", json!(1)).await;
    // Somebody keeps the instance subscribed, so that nothing here takes time.
    let mut first = cluster.client(1);
    subscribe(&mut first, json!({}), "chat:1").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    first.ask("mesh/unsubscribe-channel", json!({"channel": "chat:1"})).await;
    // An origin client is live 20 ms after its answer.
    let mut early = cluster.client(1);
    subscribe(&mut early, json!({}), "chat:1").await;
    let begun = tokio::time::Instant::now();
    cluster.partition(1);
    publish(&cluster, 0, "chat:1", json!(2)).await;
    cluster.heal(1);
    let mut late = greeted(&cluster, 1).await;
    subscribe(&mut late, json!({}), "chat:1").await;
    assert!(begun.elapsed() < Duration::from_millis(20), "{:?}", begun.elapsed());
    tokio::time::sleep(Duration::from_secs(12)).await;
    publish(&cluster, 0, "chat:1", json!(3)).await;
    assert_eq!(heard(&mut late).await, [json!(3)]);
    assert_eq!(heard(&mut early).await, [json!(2), json!(3)]);
}
