//! Subscriptions that the server ends: a refusal that comes later.

mod support;

use mesh_client::{Client, Code, Watch};
use serde_json::{Value, json};
use support::chat::{SUBSCRIBE, UNSUBSCRIBE, after, heard, page, publish, subscribed};
use support::{Link, connected, settle};

const ENDED: &str = "mesh/subscription-ended";
/// Subscriptions that are asked for at once.
const IN_FLIGHT_MAX: usize = 64;

async fn end(link: &mut Link) {
    link.push(ENDED, json!({"channel": "chat:1", "code": "forbidden", "message": "not any more"})).await;
    settle().await;
}

/// A stream of a record that the server has let in, at its first value.
async fn watched(client: &Client, link: &mut Link) -> Watch<Value> {
    let mut watch = client.record("p:1").watch::<Value>();
    let server = async {
        let (id, _) = link.expect_any("mesh/subscribe-record").await;
        let answer = json!({
            "success": true, "record": 7, "version": 1, "epoch": "9b1f0c52d3a87e64", "tag": "00000001",
        });
        link.answer(id, answer).await;
    };
    let (ready, ()) = tokio::join!(watch.ready(), server);
    ready.expect("let in");
    watch
}

#[tokio::test(start_paused = true)]
async fn streams_of_a_channel_that_the_server_ends_hear_why_and_it_is_not_subscribed_again() {
    let (client, mut server, mut link) = connected().await;
    let mut first = subscribed(&client, &mut link, 0, page([], 7)).await;
    let mut second = client.channel("chat:1").subscribe::<String>();
    second.ready().await.expect("let in without a question");
    publish(&mut link, 8).await;
    end(&mut link).await;
    publish(&mut link, 9).await;
    assert_eq!(heard(&mut first).await, ["m8", "error forbidden", "end"]);
    let error = second.ready().await.expect_err("it has ended");
    assert_eq!((error.code(), error.message()), (&Code::Forbidden, "not any more"));
    drop((first, second));
    link.nothing().await;

    drop(link);
    let mut link = server.welcome().await;
    link.nothing().await;
    drop(subscribed(&client, &mut link, 0, page([], 9)).await);
    link.expect(UNSUBSCRIBE, json!({"channel": "chat:1"})).await;
}

#[tokio::test(start_paused = true)]
async fn a_record_that_the_server_ends_ends_its_streams_and_is_not_subscribed_again() {
    let (client, mut server, mut link) = connected().await;
    let mut watch = watched(&client, &mut link).await;
    // One of another name, and one that says nothing, are none of its business.
    link.push(ENDED, json!({"recordId": "p:2", "code": "forbidden", "message": ""})).await;
    link.push(ENDED, json!({"channel": "p:1", "code": "forbidden", "message": ""})).await;
    link.push(ENDED, json!({})).await;
    settle().await;
    watch.ready().await.expect("it goes on");

    link.push(ENDED, json!({"recordId": "p:1", "code": "not_yours", "message": "gone"})).await;
    let value = watch.next().await.expect("an event").expect("a value").value;
    assert_eq!(value, Some(json!(7)), "what had come is told first");
    let error = watch.next().await.expect("an event").expect_err("it has ended");
    assert_eq!((error.code().as_str(), error.retryable()), ("not_yours", false));
    assert!(watch.next().await.is_none());
    drop(watch);
    link.nothing().await;
    drop(link);
    server.welcome().await.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_was_asked_for_since_is_decided_by_its_answer() {
    let (client, _server, mut link) = connected().await;
    let mut stream = subscribed(&client, &mut link, 0, page([], 7)).await;
    for is_let_in in [true, false] {
        // Something is missing, so it is asked for.
        let next = if is_let_in { 9 } else { 12 };
        publish(&mut link, next).await;
        let id = link.expect(SUBSCRIBE, json!({"channel": "chat:1", "after": after(next - 2)})).await;
        end(&mut link).await;
        assert!(heard(&mut stream).await.is_empty());
        if is_let_in {
            link.answer(id, page([8, 9], 9)).await;
            publish(&mut link, 10).await;
            assert_eq!(heard(&mut stream).await, ["m8r", "m9r", "m10"]);
        } else {
            link.fail(id, "forbidden", false).await;
            assert_eq!(heard(&mut stream).await, ["error forbidden", "end"]);
            link.nothing().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_waits_behind_an_unsubscription_is_not_the_one_that_ended() {
    let (client, _server, mut link) = connected().await;
    let stream = subscribed(&client, &mut link, 0, page([], 7)).await;
    let mut others = Vec::new();
    for at in 0..IN_FLIGHT_MAX {
        let mut other = client.channel(&format!("other:{at}")).subscribe::<String>();
        assert!(heard(&mut other).await.is_empty());
        others.push((other, link.expect_any(SUBSCRIBE).await.0));
    }
    drop(stream);
    let mut stream = client.channel("chat:1").subscribe::<String>();
    assert!(heard(&mut stream).await.is_empty());
    link.nothing().await;

    end(&mut link).await;
    assert!(heard(&mut stream).await.is_empty());
    for (_, id) in &others {
        link.answer(*id, page([], 0)).await;
    }
    link.expect(UNSUBSCRIBE, json!({"channel": "chat:1"})).await;
    let (id, _) = link.expect_any(SUBSCRIBE).await;
    link.answer(id, page([], 7)).await;
    publish(&mut link, 8).await;
    assert_eq!(heard(&mut stream).await, ["m8"]);
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_waits_for_its_slow_reader_is_asked_for_all_the_same() {
    let (client, _server, mut link) = connected().await;
    let mut stream = subscribed(&client, &mut link, 0, page([], 0)).await;
    for offset in 1..=300 {
        publish(&mut link, offset).await;
    }
    link.expect(UNSUBSCRIBE, json!({"channel": "chat:1"})).await;
    end(&mut link).await;
    assert_eq!(heard(&mut stream).await.len(), 256);
    let id = link.expect(SUBSCRIBE, json!({"channel": "chat:1", "after": after(256)})).await;
    link.fail(id, "forbidden", false).await;
    assert_eq!(heard(&mut stream).await, ["error forbidden", "end"]);
}
