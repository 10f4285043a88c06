//! Channels: what is published arrives once, in order, or a gap is told first. On memory, on a paused clock.

#[path = "support/channels.rs"]
mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{greeted, heard, messages, pair, place, publish, subscribe};

#[tokio::test(start_paused = true)]
async fn a_message_reaches_subscribers_of_all_instances_with_its_position() {
    let cluster = pair().await;
    let (mut here, mut there) = (greeted(&cluster, 0).await, greeted(&cluster, 1).await);
    for client in [&mut here, &mut there] {
        let answer = subscribe(client, json!({}), "chat:1").await;
        let nothing = json!({
            "success": true, "messages": [],
            "epoch": "0000000000000000", "offset": 0, "tag": "00000000"
        });
        assert_eq!(answer, nothing);
    }
    let position = publish(&cluster, 0, "chat:1", json!({"text": "hi"})).await.expect("a position");
    for client in [&mut here, &mut there] {
        let (command, payload) = client.push().await.expect("a push");
        assert_eq!(command, "mesh/subscription-message");
        let expected = json!({
            "channel": "chat:1", "message": {"text": "hi"}, "tag": position.tag,
            "epoch": position.epoch, "offset": 1
        });
        assert_eq!(payload, expected);
        assert_eq!(client.push().await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_publishes_and_knows_its_own_echo() {
    let cluster = pair().await;
    let mut client = greeted(&cluster, 0).await;
    subscribe(&mut client, json!({}), "chat:1").await;
    client
        .send(json!({"id": 5, "command": "mesh/publish-channel",
        "payload": {"channel": "chat:1", "message": "mine", "txn": "t\"1"}}))
        .await;
    let (mut echo, mut answer) = (None, None);
    for _ in 0..2 {
        let frame = client.recv().await.expect("a frame");
        *if frame.get("id").is_some() { &mut answer } else { &mut echo } = Some(frame["payload"].clone());
    }
    let (echo, answer) = (echo.expect("the echo"), answer.expect("the answer"));
    assert_eq!((&echo["txn"], &echo["message"]), (&json!("t\"1"), &json!("mine")));
    assert_eq!(place(&echo), place(&answer));
    let kept = subscribe(&mut client, json!({"historyLimit": 1}), "chat:1").await;
    assert_eq!(kept["messages"][0]["txn"], "t\"1", "also where it is read later");
}

#[tokio::test(start_paused = true)]
async fn history_is_exactly_n_newest_first_for_the_origin_and_oldest_first_for_others() {
    let cluster = pair().await;
    for n in 1..=5 {
        publish(&cluster, 0, "short:1", json!(format!("msg{n}"))).await;
    }
    let mut origin = cluster.client(1);
    let answer = subscribe(&mut origin, json!({"historyLimit": 10}), "short:1").await;
    assert_eq!(answer["history"], json!(["msg5", "msg4", "msg3"]));
    let answer = subscribe(&mut origin, json!({"historyLimit": 2}), "short:1").await;
    assert_eq!(answer["history"], json!(["msg5", "msg4"]));
    let answer = subscribe(&mut origin, json!({}), "short:1").await;
    assert_eq!(answer["history"], json!([]));
    let mut hello = greeted(&cluster, 1).await;
    let answer = subscribe(&mut hello, json!({"historyLimit": 1_000_000_000}), "short:1").await;
    assert_eq!(messages(&answer), ["msg3", "msg4", "msg5"]);
    assert_eq!(answer["offset"], 5);
    cluster.mesh(0).channel("short:1").keep(1).publish("msg6").await.expect("published");
    let page = cluster.mesh(1).channel("short:1").history::<String>(10).await.expect("a page");
    assert_eq!(page.messages.iter().map(|it| &*it.message).collect::<Vec<_>>(), ["msg6"], "a lower bound");
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_is_given_exactly_what_it_missed() {
    let cluster = pair().await;
    let mut client = greeted(&cluster, 0).await;
    let start = place(&subscribe(&mut client, json!({}), "chat:1").await);
    for n in 1..=7 {
        publish(&cluster, 0, "chat:1", json!(n)).await;
    }
    let mut frames = Vec::new();
    while let Some((_, payload)) = client.push().await {
        frames.push(payload);
    }
    drop(client);
    let mut back = greeted(&cluster, 1).await;
    let answer = subscribe(&mut back, json!({"after": place(&frames[2])}), "chat:1").await;
    assert_eq!(
        (messages(&answer), &answer["recovered"]),
        (vec![json!(4), json!(5), json!(6), json!(7)], &json!(true))
    );
    assert_eq!(place(&answer), place(&frames[6]));
    let answer = subscribe(&mut back, json!({"after": start}), "chat:1").await;
    assert_eq!(messages(&answer).len(), 7, "also who had nothing yet");
    let answer = subscribe(&mut back, json!({"after": place(&frames[6])}), "chat:1").await;
    assert_eq!((messages(&answer).len(), &answer["recovered"]), (0, &json!(true)));
    publish(&cluster, 0, "chat:1", json!(8)).await;
    assert_eq!(heard(&mut back).await, [json!(8)], "once, however often it subscribed");
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_is_told_first_and_why() {
    let cluster = pair().await;
    let first = publish(&cluster, 0, "short:1", json!(1)).await.expect("a position");
    for n in 2..=6 {
        publish(&cluster, 0, "short:1", json!(n)).await;
    }
    let mut client = greeted(&cluster, 0).await;
    let answer = subscribe(&mut client, json!({"after": first, "historyLimit": 2}), "short:1").await;
    assert_eq!(answer["gap"], json!({"reason": "expired", "missed": 2}));
    assert_eq!((messages(&answer), answer.get("recovered")), (vec![json!(5), json!(6)], None));
    let other = json!({"epoch": "00000000000000aa", "offset": 1, "tag": first.tag});
    let answer = subscribe(&mut client, json!({"after": other}), "short:1").await;
    assert_eq!(answer["gap"], json!({"reason": "epoch_changed"}));
    let forked = json!({"epoch": first.epoch, "offset": 5, "tag": "00000000"});
    let answer = subscribe(&mut client, json!({"after": forked}), "short:1").await;
    assert_eq!(answer["gap"], json!({"reason": "epoch_changed"}), "the same offset, another entry");
    let answer = subscribe(&mut client, json!({"after": first}), "live").await;
    assert_eq!(answer["gap"], json!({"reason": "no_history"}));
    assert!(answer.get("epoch").is_none());
}

#[tokio::test(start_paused = true)]
async fn much_that_was_missed_comes_in_parts_and_too_much_is_a_gap() {
    let cluster = pair().await;
    let first = publish(&cluster, 0, "long:1", json!(0)).await.expect("a position");
    for n in 1..=2500 {
        publish(&cluster, 0, "long:1", json!(n)).await;
    }
    let mut client = greeted(&cluster, 1).await;
    let (mut after, mut got, mut parts) = (json!(first), Vec::new(), 0);
    loop {
        let answer = subscribe(&mut client, json!({"after": after}), "long:1").await;
        got.extend(messages(&answer));
        (after, parts) = (place(&answer), parts + 1);
        publish(&cluster, 0, "long:1", json!(2500 + parts)).await;
        if answer.get("more").is_none() {
            break;
        }
    }
    got.extend(heard(&mut client).await);
    assert_eq!(parts, 3);
    assert_eq!(got, (1..=2503).map(|n| json!(n)).collect::<Vec<_>>());
    for n in 2504..=10_001 {
        publish(&cluster, 0, "long:1", json!(n)).await;
    }
    let answer = subscribe(&mut client, json!({"after": first}), "long:1").await;
    assert_eq!(answer["gap"], json!({"reason": "limit", "missed": 10_001}));
    let large = "x".repeat(100_000);
    for _ in 0..5 {
        publish(&cluster, 0, "long:2", json!(large)).await;
    }
    let answer = subscribe(&mut client, json!({"historyLimit": 10}), "long:2").await;
    assert_eq!(messages(&answer).len(), 2, "256 KiB at most");
}

#[tokio::test(start_paused = true)]
async fn five_hundred_that_join_a_busy_channel_miss_nothing_and_get_nothing_twice() {
    let cluster = pair().await;
    let (mesh_a, mesh_b) = (cluster.mesh(0).clone(), cluster.mesh(1).clone());
    let publishing = tokio::spawn(async move {
        for n in 0..2500_u64 {
            let mesh = if n % 3 == 0 { &mesh_b } else { &mesh_a };
            mesh.channel("long:busy").publish(&n).await.expect("published");
            tokio::task::yield_now().await;
        }
    });
    let mut joining = Vec::new();
    for n in 0..500_usize {
        let mut client = greeted(&cluster, n % 2).await;
        joining.push(tokio::spawn(async move {
            for _ in 0..n * 3 {
                tokio::task::yield_now().await;
            }
            let limit = if n % 4 == 0 { 5 } else { 0 };
            let answer = subscribe(&mut client, json!({"historyLimit": limit}), "long:busy").await;
            let mut got = messages(&answer);
            let mut next = answer["offset"].as_u64().expect("an offset");
            while next < 2500 {
                let (_, payload) = client.push().await.expect("there is more to come");
                next += 1;
                assert_eq!(payload["offset"], next);
                got.push(payload["message"].clone());
            }
            got
        }));
    }
    publishing.await.expect("published");
    let mut order: Option<Vec<Value>> = None;
    for joined in joining {
        let got = joined.await.expect("no gap, nothing twice");
        let longer = order.take().unwrap_or_default();
        let (short, long) = if got.len() < longer.len() { (got, longer) } else { (longer, got) };
        assert!(long.ends_with(&short), "one order for all");
        order = Some(long);
    }
    assert!(order.expect("somebody").len() > 1000, "while it was busy");
}

#[tokio::test(start_paused = true)]
async fn what_follows_the_answer_is_held_from_an_origin_client_for_20_ms() {
    let cluster = pair().await;
    let mut origin = cluster.client(0);
    subscribe(&mut origin, json!({}), "chat:1").await;
    publish(&cluster, 0, "chat:1", json!("early")).await;
    let begun = tokio::time::Instant::now();
    let frame = origin.recv().await.expect("it is kept, not lost");
    assert_eq!(frame["payload"]["message"], "early");
    assert!(begun.elapsed() >= Duration::from_millis(19), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_messages_a_second_into_a_rate_of_ten_come_at_ten_with_the_last_one() {
    let cluster = pair().await;
    let mut client = greeted(&cluster, 1).await;
    subscribe(&mut client, json!({"maxRate": 10}), "chat:1").await;
    let mesh = cluster.mesh(0).clone();
    let publishing = tokio::spawn(async move {
        for n in 1..=3000 {
            mesh.channel("chat:1").publish(&n).await.expect("published");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    publishing.await.expect("published");
    tokio::time::sleep(Duration::from_millis(200)).await;
    let heard = heard(&mut client).await;
    assert!((29..=32).contains(&heard.len()), "{}", heard.len());
    assert_eq!(heard.last(), Some(&json!(3000)));
}

#[tokio::test(start_paused = true)]
async fn history_is_read_without_subscribing_in_both_directions() {
    let cluster = pair().await;
    let mut first = None;
    for n in 1..=10 {
        let position = publish(&cluster, 0, "chat:1", json!(n)).await;
        first = first.or(position);
    }
    let mut client = greeted(&cluster, 1).await;
    let mut read = async |mut payload: Value| {
        payload["channel"] = "chat:1".into();
        let page = client.ask("mesh/get-channel-history", payload).await;
        (messages(&page), page["truncated"].as_bool().expect("a bool"))
    };
    let numbers = |range: std::ops::RangeInclusive<i32>| range.map(|n| json!(n)).collect::<Vec<_>>();
    assert_eq!(read(json!({})).await, (numbers(1..=10), false));
    assert_eq!(read(json!({"limit": 3})).await, (numbers(8..=10), true));
    assert_eq!(read(json!({"limit": 3, "before": 8})).await, (numbers(5..=7), true));
    assert_eq!(read(json!({"limit": 9, "before": 3})).await, (numbers(1..=2), false));
    assert_eq!(read(json!({"limit": 3, "after": 2})).await, (numbers(3..=5), true));
    assert_eq!(read(json!({"limit": 3, "after": first})).await, (numbers(2..=4), true));
    assert_eq!(read(json!({"after": 9})).await, (numbers(10..=10), false));
    assert_eq!(read(json!({"after": 99})).await, (Vec::new(), false));
    assert_eq!(read(json!({"limit": 0})).await, (Vec::new(), true));
}
