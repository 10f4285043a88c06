//! Many readers of channels: what they share, what each has for itself, and that none holds up another.

mod support;

use mesh_client::ChannelEvent;
use serde_json::json;
use support::chat::{EPOCH, SUBSCRIBE, UNSUBSCRIBE, after, heard, page, publish, subscribed, tag, text};
use support::{connected, settle};

#[tokio::test(start_paused = true)]
async fn streams_on_one_channel_share_a_subscription_until_the_last_is_dropped() {
    let (client, _server, mut link) = connected().await;
    let mut first = subscribed(&client, &mut link, 0, page([], 7)).await;
    publish(&mut link, 8).await;
    settle().await;
    let mut second = client.channel("chat:1").subscribe::<String>();
    second.ready().await.expect("let in without a question");
    link.nothing().await;
    publish(&mut link, 9).await;
    assert_eq!(heard(&mut second).await, ["m9"]);

    let third = subscribed(&client, &mut link, 3, page([7, 8, 9], 9));
    let mut third = third.await;
    publish(&mut link, 10).await;
    assert_eq!(heard(&mut third).await, ["m7r", "m8r", "m9r", "m10"]);
    assert_eq!(heard(&mut second).await, ["m10"]);
    assert_eq!(heard(&mut first).await, ["m8", "m9", "m10"]);

    drop((first, third));
    link.nothing().await;
    drop(second);
    link.expect(UNSUBSCRIBE, json!({"channel": "chat:1"})).await;
}

#[tokio::test(start_paused = true)]
async fn who_leaves_and_comes_again_is_subscribed() {
    let (client, _server, mut link) = connected().await;
    let stream = subscribed(&client, &mut link, 0, page([], 7)).await;
    drop(stream);
    let mut stream = client.channel("chat:1").subscribe::<String>();
    assert!(heard(&mut stream).await.is_empty());
    link.expect(UNSUBSCRIBE, json!({"channel": "chat:1"})).await;
    // Of the former subscription, still on its way.
    publish(&mut link, 8).await;
    let (id, _) = link.expect_any(SUBSCRIBE).await;
    link.answer(id, page([], 8)).await;
    publish(&mut link, 9).await;
    assert_eq!(heard(&mut stream).await, ["m9"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_who_has_left_is_not_taken_for_one_to_who_came_after() {
    let (client, _server, mut link) = connected().await;
    let mut gone = client.channel("chat:1").subscribe::<String>();
    assert!(heard(&mut gone).await.is_empty());
    drop(gone);
    let mut stream = client.channel("chat:1").subscribe::<String>().history(2);
    assert!(heard(&mut stream).await.is_empty());
    let (first, _) = link.expect_any(SUBSCRIBE).await;
    let (left, _) = link.expect_any(UNSUBSCRIBE).await;
    let (second, _) = link.expect_any(SUBSCRIBE).await;
    link.answer(first, page([], 7)).await;
    publish(&mut link, 8).await;
    link.answer(left, json!(true)).await;
    assert!(heard(&mut stream).await.is_empty());
    link.answer(second, page([8, 9], 9)).await;
    publish(&mut link, 10).await;
    assert_eq!(heard(&mut stream).await, ["m8r", "m9r", "m10"]);
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn the_newest_only_gives_way_in_the_queue_and_skips_without_a_gap() {
    let (client, mut server, mut link) = connected().await;
    let mut stream = client.channel("chat:1").subscribe::<String>().max_rate(10.0);
    assert!(heard(&mut stream).await.is_empty());
    let id = link.expect(SUBSCRIBE, json!({"channel": "chat:1", "maxRate": 10.0})).await;
    link.answer(id, page([], 7)).await;
    for offset in [8, 12, 30] {
        publish(&mut link, offset).await;
    }
    assert_eq!(heard(&mut stream).await, ["m30"]);
    drop(link);
    let mut link = server.welcome().await;
    let id = link.expect(SUBSCRIBE, json!({"channel": "chat:1", "historyLimit": 1, "maxRate": 10.0})).await;
    link.answer(id, page([40], 40)).await;
    assert_eq!(heard(&mut stream).await, ["m40r"]);

    let mut every = client.channel("chat:1").subscribe::<String>();
    assert_eq!(heard(&mut every).await, ["error conflict", "end"]);
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_loses_nothing_and_the_server_is_not_kept_busy() {
    let (client, _server, mut link) = connected().await;
    let mut stream = subscribed(&client, &mut link, 0, page([], 0)).await;
    for offset in 1..=300 {
        publish(&mut link, offset).await;
    }
    link.expect(UNSUBSCRIBE, json!({"channel": "chat:1"})).await;
    link.nothing().await;
    let mut read = Vec::new();
    for _ in 1..=256 {
        match stream.next().await {
            Some(ChannelEvent::Message(message)) => read.push(message.message),
            other => panic!("{other:?}"),
        }
        if read.len() < 128 {
            link.nothing().await;
        }
    }
    let id = link.expect(SUBSCRIBE, json!({"channel": "chat:1", "after": after(256)})).await;
    link.answer(id, page(257..=301, 301)).await;
    publish(&mut link, 302).await;
    let rest = heard(&mut stream).await;
    read.extend(rest.iter().map(|text| text.trim_end_matches('r').to_owned()));
    assert_eq!(read, (1..=302).map(text).collect::<Vec<_>>());
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn large_messages_that_are_not_read_are_bounded_by_their_bytes() {
    let (client, _server, mut link) = connected().await;
    let mut stream = subscribed(&client, &mut link, 0, page([], 0)).await;
    let large = "x".repeat(300 * 1024);
    let large = |offset: u64| {
        let (channel, tag, epoch) = ("chat:1", tag(offset), EPOCH);
        json!({"channel": channel, "message": large, "tag": tag, "epoch": epoch, "offset": offset})
    };
    for offset in 1..=3 {
        link.push("mesh/subscription-message", large(offset)).await;
    }
    link.nothing().await;
    link.push("mesh/subscription-message", large(4)).await;
    link.expect(UNSUBSCRIBE, json!({"channel": "chat:1"})).await;
    for _ in 0..2 {
        assert!(matches!(stream.next().await, Some(ChannelEvent::Message(_))));
    }
    let id = link.expect(SUBSCRIBE, json!({"channel": "chat:1", "after": after(3)})).await;
    link.answer(id, page([4], 4)).await;
    assert_eq!(heard(&mut stream).await.last().map(String::as_str), Some("m4r"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_more_and_gives_nothing_is_not_asked_without_end() {
    let (client, mut server, mut link) = connected().await;
    let mut stream = subscribed(&client, &mut link, 0, page([], 7)).await;
    drop(link);
    let mut link = server.welcome().await;
    let (id, _) = link.expect_any(SUBSCRIBE).await;
    let mut answer = page([], 9);
    answer["more"] = json!(true);
    link.answer(id, answer).await;
    link.nothing().await;
    let (id, _) = link.expect_any(SUBSCRIBE).await;
    link.answer(id, page([8, 9], 9)).await;
    assert_eq!(heard(&mut stream).await, ["m8r", "m9r"]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_does_not_hold_up_another() {
    let (client, _server, mut link) = connected().await;
    let mut slow = subscribed(&client, &mut link, 0, page([], 0)).await;
    let mut quick = client.channel("chat:1").subscribe::<String>();
    quick.ready().await.expect("let in");
    let mut read = Vec::new();
    for offset in 1..=300 {
        publish(&mut link, offset).await;
        if offset % 50 == 0 {
            read.extend(heard(&mut quick).await);
        }
    }
    assert_eq!(read, (1..=300).map(text).collect::<Vec<_>>());
    link.nothing().await;

    for offset in 1..=256 {
        let Some(ChannelEvent::Message(message)) = slow.next().await else { panic!("a message") };
        assert_eq!(message.message, text(offset));
    }
    let id = link.expect(SUBSCRIBE, json!({"channel": "chat:1", "after": after(256)})).await;
    link.answer(id, page(257..=300, 300)).await;
    publish(&mut link, 301).await;
    assert_eq!(heard(&mut slow).await.len(), 45);
    assert_eq!(heard(&mut quick).await, ["m301"]);
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn no_more_than_64_subscriptions_are_asked_for_at_once() {
    let (client, mut server, mut link) = connected().await;
    let mut streams = Vec::new();
    for number in 0..100 {
        let mut stream = client.channel(&format!("c{number}")).subscribe::<String>();
        let answer = async {
            let (id, _) = link.expect_any(SUBSCRIBE).await;
            link.answer(id, page([], 1)).await;
        };
        tokio::join!(stream.ready(), answer).0.expect("let in");
        streams.push(stream);
    }
    drop(link);
    let mut link = server.welcome().await;
    let mut ids = Vec::new();
    for _ in 0..64 {
        ids.push(link.expect_any(SUBSCRIBE).await.0);
    }
    link.nothing().await;
    for id in ids {
        link.answer(id, page([], 1)).await;
    }
    for _ in 64..100 {
        link.expect_any(SUBSCRIBE).await;
    }
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_ends_the_stream_and_a_busy_server_is_asked_again() {
    let (client, _server, mut link) = connected().await;
    let mut stream = client.channel("chat:1").subscribe::<String>();
    let server = async {
        let (id, _) = link.expect_any(SUBSCRIBE).await;
        link.fail(id, "unavailable", true).await;
        let (id, _) = link.expect_any(SUBSCRIBE).await;
        link.answer(id, page([], 1)).await;
    };
    tokio::join!(stream.ready(), server).0.expect("let in at last");

    // A no leaves the subscription that there was, so that one is ended.
    let mut more = client.channel("chat:1").subscribe::<String>().history(3);
    let server = async {
        let (id, _) = link.expect_any(SUBSCRIBE).await;
        link.fail(id, "forbidden", false).await;
        link.expect_any(UNSUBSCRIBE).await;
    };
    tokio::join!(more.ready(), server).0.expect_err("refused");
    assert_eq!(heard(&mut stream).await, ["error forbidden", "end"]);
    drop((more, stream));
    link.nothing().await;
    let mut stream = subscribed(&client, &mut link, 0, page([], 1)).await;

    let mut other = client.channel("secret").subscribe::<String>();
    let server = async {
        let (id, _) = link.expect_any(SUBSCRIBE).await;
        link.fail(id, "forbidden", false).await;
    };
    let error = tokio::join!(other.ready(), server).0.expect_err("refused");
    assert_eq!(error.code().as_str(), "forbidden");
    assert_eq!(heard(&mut other).await, ["error forbidden", "end"]);
    drop(other);
    link.nothing().await;

    client.close().await;
    assert_eq!(heard(&mut stream).await, ["error closed", "end"]);
}
