//! Connecting, commands, losing the connection and getting it back.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mesh_client::{Client, ClientError, Code, Reason, Status};
use serde_json::{Value, json};
use support::{connected, pair, settle, welcome};
use tokio::time::{Instant, sleep, timeout};

fn code(error: &ClientError) -> &str {
    error.code().as_str()
}

#[tokio::test(start_paused = true)]
async fn it_says_hello_then_commands_are_answered_in_whatever_order() {
    let (client, _server, mut link) = connected().await;
    assert_eq!(client.status(), Status::Online);
    assert_eq!(client.id().expect("an id").to_string(), "conn-00000000000000000000000000000001");

    let server = async {
        let first = link.expect("echo", json!("a")).await;
        let second = link.expect("echo", json!("b")).await;
        link.answer(second, json!("echo: b")).await;
        link.answer(first, json!("echo: a")).await;
    };
    let a = async { client.command::<_, String>("echo", "a").await };
    let b = async { client.command::<_, String>("echo", &"b").await };
    let (a, b, ()) = tokio::join!(a, b, server);
    assert_eq!((a.expect("an answer"), b.expect("an answer")), ("echo: a".into(), "echo: b".into()));
}

#[tokio::test(start_paused = true)]
async fn a_failure_has_a_code_to_match_on() {
    let (client, _server, mut link) = connected().await;
    let server = async {
        let (id, _) = link.expect_any("set").await;
        let details = json!({"version": 4, "record": {"n": 1}});
        let error = json!({"code": "conflict", "message": "too late", "retryable": true, "details": details});
        link.send(json!({"id": id, "command": "set", "error": error})).await;
        let (id, _) = link.expect_any("pay").await;
        link.fail(id, "card_declined", false).await;
        let (id, _) = link.expect_any("count").await;
        link.answer(id, json!("many")).await;
    };
    let calls = async {
        let error = client.command::<_, Value>("set", &1).await.expect_err("a conflict");
        assert_eq!((error.code(), error.message(), error.retryable()), (&Code::Conflict, "too late", true));
        let conflict = error.conflict().expect("details");
        assert_eq!((conflict.version, conflict.record), (4, json!({"n": 1})));

        let error = client.command::<_, Value>("pay", &1).await.expect_err("a refusal");
        assert_eq!((code(&error), error.retryable(), error.conflict()), ("card_declined", false, None));

        let error = client.command::<_, u32>("count", &1).await.expect_err("no number");
        assert_eq!(error.code(), &Code::BadPayload);
    };
    tokio::join!(calls, server);
}

#[tokio::test(start_paused = true)]
async fn a_command_without_an_answer_times_out_and_a_late_answer_is_nobodys() {
    let (client, _server, mut link) = connected().await;
    let began = Instant::now();
    let call = client.command::<_, Value>("slow", &1).timeout(Duration::from_secs(3));
    let error = call.await.expect_err("no answer");
    assert_eq!((error.code(), error.sent(), error.retryable()), (&Code::Timeout, true, true));
    assert_eq!(began.elapsed(), Duration::from_secs(3));

    let (late, _) = link.expect_any("slow").await;
    let server = async {
        link.answer(late, json!("late")).await;
        let (id, _) = link.expect_any("quick").await;
        assert_ne!(id, late);
        link.answer(id, json!("in time")).await;
    };
    let call = async { client.command::<_, String>("quick", &1).await };
    assert_eq!(tokio::join!(call, server).0.expect("an answer"), "in time");
}

#[tokio::test(start_paused = true)]
async fn pings_and_measurements_are_answered_at_once() {
    let (client, _server, mut link) = connected().await;
    link.push("ping", json!({})).await;
    assert_eq!(link.recv().await, Some(json!({"command": "pong", "payload": {}})));
    link.push("latency", json!(0)).await;
    link.push("latency:request", json!({})).await;
    assert_eq!(link.recv().await, Some(json!({"command": "latency:response", "payload": {}})));
    assert_eq!(client.latency(), None, "not measured yet");
    link.push("latency", json!(12)).await;
    link.nothing().await;
    assert_eq!(client.latency(), Some(Duration::from_millis(12)));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_silent_for_three_intervals_is_left_and_dialled_again() {
    let (client, mut server, link) = connected().await;
    let mut status = client.status_changes();
    let began = Instant::now();
    status.changed().await.expect("a client");
    assert_eq!(*status.borrow_and_update(), Status::Reconnecting);
    let silent = began.elapsed();
    assert!(silent > Duration::from_secs(29) && silent <= Duration::from_secs(30), "{silent:?}");
    assert_eq!(client.reason().map(|error| code(&error).to_owned()), Some("unavailable".into()));
    drop(link);

    let mut link = server.welcome().await;
    for _ in 0..10 {
        sleep(Duration::from_secs(20)).await;
        link.push("ping", json!({})).await;
        assert_eq!(link.recv().await, Some(json!({"command": "pong", "payload": {}})));
    }
    assert_eq!(client.status(), Status::Online, "one that speaks now and then is kept");
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_fails_with_the_connection_and_what_was_not_waits_for_the_next() {
    let (client, mut server, mut link) = connected().await;
    let sent = tokio::spawn({
        let client = client.clone();
        async move { client.command::<_, Value>("sent", &1).await }
    });
    link.expect("sent", json!(1)).await;
    drop(link);
    let error = sent.await.expect("a task").expect_err("a broken connection");
    assert_eq!((error.code(), error.retryable(), error.sent()), (&Code::Unavailable, true, true));

    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.command::<_, String>("waiting", &2).await }
    });
    let mut link = server.welcome().await;
    let id = link.expect("waiting", json!(2)).await;
    link.answer(id, json!("done")).await;
    assert_eq!(waiting.await.expect("a task").expect("an answer"), "done");
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn the_queue_of_a_client_without_a_connection_is_bounded() {
    let (builder, _server) = pair();
    let client = builder.queue_max(2, 1000).start().expect("an address");
    let call = |size: usize| {
        let call = client.command::<_, Value>("x", &"y".repeat(size)).timeout(Duration::from_secs(1));
        async move { call.await.expect_err("no connection") }
    };
    let (a, b, c, d) = tokio::join!(call(1), call(1000), call(1), call(1));
    assert_eq!((code(&a), a.sent()), ("timeout", false));
    assert_eq!((code(&b), b.retryable()), ("queue_full", true));
    assert_eq!(code(&c), "timeout");
    assert_eq!(code(&d), "queue_full");
    let long = call(300_000).await;
    assert_eq!(code(&long), "too_large", "what the server would close the connection for is not sent");
}

#[tokio::test(start_paused = true)]
async fn no_more_is_sent_than_the_server_lets_wait() {
    let (builder, mut server) = pair();
    let client = builder.start().expect("an address");
    let calls: Vec<_> = (0..10)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move { client.command::<_, u32>("n", &number).await })
        })
        .collect();
    let mut link = server.accept().await;
    let (id, _) = link.expect_any("mesh/hello").await;
    let mut hello = welcome();
    hello["limits"] = json!({"messageBytes": 1000, "inFlight": 3, "waiting": 0});
    link.answer(id, hello).await;
    for number in 0_u32..10 {
        if number == 0 {
            for number in 0..3 {
                link.expect("n", json!(number)).await;
            }
        }
        link.nothing().await;
        let id = u64::from(number) + 1;
        link.answer(id, json!(number)).await;
        if number < 7 {
            link.expect("n", json!(number + 3)).await;
        }
    }
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.expect("a task").expect("an answer") as usize, number);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_before_it_was_sent_is_never_sent() {
    let (builder, mut server) = pair();
    let client = builder.start().expect("an address");
    let _ = timeout(Duration::from_millis(1), client.command::<_, Value>("dropped", &1).into_future()).await;
    let mut link = server.welcome().await;
    client.connected().await.expect("a connection");
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_credential_is_fetched_before_each_dial_and_a_fresh_one_when_it_has_expired() {
    let (builder, mut server) = pair();
    let fetched = Arc::new(AtomicUsize::new(0));
    let client = builder
        .credential_with({
            let fetched = fetched.clone();
            move |reason: Reason| {
                let number = fetched.fetch_add(1, Ordering::Relaxed);
                async move { Ok(json!({"number": number, "reason": format!("{reason:?}")})) }
            }
        })
        .start()
        .expect("an address");
    let hello = |number: usize, reason: &str| json!({"protocol": 1, "credential": {"number": number, "reason": reason}});
    let mut link = server.accept().await;
    let id = link.expect("mesh/hello", hello(0, "Initial")).await;
    link.answer(id, welcome()).await;
    client.connected().await.expect("a connection");

    // Expired: at once, with a new one.
    let began = Instant::now();
    link.close(4100).await;
    let mut link = server.accept().await;
    let id = link.expect("mesh/hello", hello(1, "Expired")).await;
    assert!(began.elapsed() < Duration::from_millis(10));
    link.answer(id, welcome()).await;
    client.connected().await.expect("a connection");

    // Broken: after a while.
    link.close(1012).await;
    let mut link = server.accept().await;
    link.expect("mesh/hello", hello(2, "Reconnect")).await;
    link.close(4100).await;
    let mut link = server.accept().await;
    link.expect("mesh/hello", hello(3, "Expired")).await;

    // A fresh one that is no good either ends it.
    link.close(4100).await;
    settle().await;
    assert_eq!(client.status(), Status::Offline);
    assert_eq!(client.reason().map(|error| code(&error).to_owned()), Some("token_expired".into()));
    server.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_credential_ends_it_with_one_dial() {
    let (builder, mut server) = pair();
    let connecting = tokio::spawn(builder.credential("wrong").connect());
    let mut link = server.accept().await;
    link.expect("mesh/hello", json!({"protocol": 1, "credential": "wrong"})).await;
    link.close(4200).await;
    let error = connecting.await.expect("a task").expect_err("refused");
    assert_eq!((error.code(), error.retryable()), (&Code::Unauthorized, false));
    sleep(Duration::from_secs(600)).await;
    server.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_credential_over_what_the_server_takes_is_told_before_it_is_sent() {
    let (builder, mut server) = pair();
    let connecting = tokio::spawn(builder.credential("x".repeat(5000)).connect());
    let mut link = server.accept().await;
    let error = connecting.await.expect("a task").expect_err("too large");
    assert_eq!((error.code(), error.retryable()), (&Code::TooLarge, false));
    assert_eq!(link.recv().await, Some(json!({"close": 1000})));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_takes_its_time_is_a_sign_of_life() {
    let (client, _server, mut link) = connected().await;
    // The server's end of the stream, past its WebSocket: a text frame of 60 bytes, one every second.
    let text = r#"{"command":"slow","payload":"0123456789012345678901234567"}"#;
    assert_eq!(text.len(), 59);
    let mut pushes = client.on_push::<String>("slow");
    let bytes = [&[0x81, text.len() as u8], text.as_bytes()].concat();
    for byte in bytes {
        link.write_raw(&[byte]).await;
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(pushes.next().await.expect("a push"), Ok("0123456789012345678901234567".into()));
    assert_eq!(client.status(), Status::Online);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_given_up_refuses_with_why() {
    let (client, mut server, link) = connected().await;
    link.close(4201).await;
    settle().await;
    let error = client.command::<_, Value>("x", &1).await.expect_err("no connection");
    assert_eq!((code(&error), error.sent()), ("disconnected", false));
    assert_eq!(client.status(), Status::Offline);
    server.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn attempts_are_jittered_bounded_and_end_at_their_number() {
    let (builder, mut server) = pair();
    let client = builder
        .backoff(Duration::from_secs(2), Duration::from_secs(30))
        .attempts_max(20)
        .start()
        .expect("an address");
    let mut dials = Vec::new();
    for _ in 0..21 {
        server.refuse().await;
        dials.push(Instant::now());
    }
    settle().await;
    assert_eq!(client.status(), Status::Offline);
    sleep(Duration::from_secs(600)).await;
    server.nothing().await;

    let waits: Vec<_> = dials.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits[0] < Duration::from_secs(2), "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= Duration::from_secs(30)), "{waits:?}");
    assert!(waits.iter().any(|wait| *wait < Duration::from_secs(8)), "{waits:?}");
    assert!(waits.iter().any(|wait| *wait > Duration::from_secs(16)), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn closing_is_final_and_says_goodbye() {
    let (client, mut server, mut link) = connected().await;
    let other: Client = client.clone();
    let closing = tokio::spawn(async move { client.close().await });
    assert_eq!(link.recv().await, Some(json!({"close": 1000})));
    closing.await.expect("a task");
    let error = other.command::<_, Value>("x", &1).await.expect_err("closed");
    assert_eq!(code(&error), "closed");
    assert_eq!(other.status(), Status::Offline);
    server.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_ends_the_connection() {
    let (client, mut server, mut link) = connected().await;
    let other = client.clone();
    drop(client);
    link.nothing().await;
    drop(other);
    assert_eq!(link.recv().await, Some(json!({"close": 1000})));
    server.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_address_is_told_at_once() {
    for bad in ["", "http://x/", "ws://", "localhost:1", "ws:// /"] {
        let error = Client::builder(bad).start().expect_err("no address");
        assert_eq!(code(&error), "bad_url", "{bad}");
    }
}
