//! Channels and records of real instances, which are killed under the client. In memory, on a paused clock.

mod support;

use std::time::Duration;

use mesh_client::patch::{Op, Patch, Pointer};
use mesh_client::{ChannelEvent, Client, Code, GapReason, Subscription, Watch};
use mesh_server::testing::Cluster;
use mesh_server::{Channel, Mesh, Record, prefix};
use serde_json::{Value, json};
use support::memory::Doors;
use tokio::time::{Instant, sleep, timeout};

async fn cluster(instances: usize) -> (Cluster<()>, Doors) {
    let make = |_| {
        Mesh::builder()
            .channel("live", Channel::open())
            .channel(prefix("chat:"), Channel::open().history(10_000).publish(async || true))
            .channel(prefix("short:"), Channel::open().history(5))
            .record(prefix("doc:"), Record::open().write(async || true))
    };
    let cluster = Cluster::start(instances, make).await.expect("a cluster");
    let doors = Doors::to(&cluster);
    (cluster, doors)
}

async fn client(doors: &Doors, seed: u64) -> Client {
    let builder = doors.client(seed).backoff(Duration::ZERO, Duration::from_millis(200));
    builder.connect().await.expect("a connection")
}

/// The next message.
async fn message(stream: &mut Subscription<u64>) -> u64 {
    match timeout(Duration::from_secs(60), stream.next()).await.expect("a message in time") {
        Some(ChannelEvent::Message(message)) => message.message,
        other => panic!("{other:?}"),
    }
}

/// The next version with that value.
async fn until(watch: &mut Watch<Value>, value: &Value) -> u64 {
    loop {
        let event = timeout(Duration::from_secs(60), watch.next()).await.expect("a version in time");
        let event = event.expect("no end").expect("no error");
        if event.value.as_ref() == Some(value) {
            return event.version;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p1b_every_message_comes_once_and_in_order_while_instances_die() {
    let (mut cluster, doors) = cluster(3).await;
    let client = client(&doors, 1).await;
    let mut stream = client.channel("chat:1").subscribe::<u64>();
    stream.ready().await.expect("let in");
    let mut published = 0;
    for round in 0..12 {
        for _ in 0..50 {
            let publisher = cluster.mesh(cluster.alive()[0]);
            publisher.channel("chat:1").publish(&published).await.expect("published");
            published += 1;
            if published % 7 == 0 {
                sleep(Duration::from_millis(3)).await;
            }
        }
        let victim = round % 3;
        cluster.kill(victim);
        doors.open(&cluster);
        let publisher = cluster.mesh(cluster.alive()[0]);
        for _ in 0..50 {
            publisher.channel("chat:1").publish(&published).await.expect("published");
            published += 1;
        }
        cluster.start_again(victim).await.expect("an instance");
        doors.open(&cluster);
    }
    for number in 0..published {
        assert_eq!(message(&mut stream).await, number);
    }
    assert_eq!(published, 1200);
}

#[tokio::test(start_paused = true)]
async fn what_was_published_before_the_first_message_was_heard_comes_after_a_reconnect() {
    let (mut cluster, doors) = cluster(2).await;
    let client = client(&doors, 1).await;
    let mut stream = client.channel("chat:1").subscribe::<u64>();
    stream.ready().await.expect("let in");
    doors.open(&cluster);
    // One of both has the client.
    for victim in 0..2 {
        cluster.kill(victim);
        let publisher = cluster.mesh(1 - victim);
        publisher.channel("chat:1").publish(&(victim as u64)).await.expect("published");
        cluster.start_again(victim).await.expect("an instance");
        doors.open(&cluster);
        assert_eq!(message(&mut stream).await, victim as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_longer_kept_is_one_gap_of_its_length() {
    let (mut cluster, doors) = cluster(2).await;
    let client = client(&doors, 1).await;
    let mut stream = client.channel("short:1").subscribe::<u64>().history(3);
    stream.ready().await.expect("let in");
    cluster.mesh(0).channel("short:1").publish(&0).await.expect("published");
    assert_eq!(message(&mut stream).await, 0);
    for victim in 0..2 {
        cluster.kill(victim);
        for number in 1..=20 {
            cluster.mesh(1 - victim).channel("short:1").publish(&number).await.expect("published");
        }
        cluster.start_again(victim).await.expect("an instance");
        doors.open(&cluster);
        let Some(event) = stream.next().await else { panic!("the end") };
        let was_connected_here = matches!(event, ChannelEvent::Gap { .. });
        if was_connected_here {
            assert_eq!(event, ChannelEvent::Gap { reason: GapReason::Expired, missed: Some(17) });
            for number in 18..=20 {
                assert_eq!(message(&mut stream).await, number);
            }
        } else {
            for number in 2..=20 {
                assert_eq!(message(&mut stream).await, number);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_pauses_has_everything_in_the_end() {
    let (cluster, doors) = cluster(2).await;
    let client = client(&doors, 1).await;
    let mut slow = client.channel("chat:1").subscribe::<u64>();
    let mut quick = client.channel("chat:1").subscribe::<u64>();
    slow.ready().await.expect("let in");
    quick.ready().await.expect("let in");
    for number in 0..5000 {
        cluster.mesh(1).channel("chat:1").publish(&number).await.expect("published");
        assert_eq!(message(&mut quick).await, number);
    }
    drop(quick);
    for number in 0..5000 {
        assert_eq!(message(&mut slow).await, number);
    }
}

#[tokio::test(start_paused = true)]
async fn a_published_message_is_known_again_and_history_is_read() {
    let (_cluster, doors) = cluster(2).await;
    let (ours, theirs) = (client(&doors, 1).await, client(&doors, 2).await);
    let mut heard = Vec::new();
    for client in [&ours, &theirs] {
        let mut stream = client.channel("chat:1").subscribe::<String>();
        stream.ready().await.expect("let in");
        heard.push(stream);
    }
    let published = ours.channel("chat:1").publish("hi").await.expect("published");
    for (stream, own) in heard.iter_mut().zip([true, false]) {
        let Some(ChannelEvent::Message(message)) = stream.next().await else { panic!("a message") };
        assert_eq!((&*message.message, message.own, message.replayed), ("hi", own, false));
        assert_eq!((message.position, message.txn), (published.position, Some(published.txn.clone())));
    }
    let history = theirs.channel("chat:1").history::<String>().limit(5).await.expect("a page");
    assert_eq!((history.messages.len(), history.truncated, history.newest), (1, false, Some(1)));
    assert!(!history.messages[0].own && history.messages[0].replayed);
    let history = ours.channel("chat:1").history::<String>().await.expect("a page");
    assert!(history.messages[0].own);

    let error = ours.channel("short:1").publish("no").await.expect_err("closed to clients");
    assert_eq!(error.code(), &Code::Forbidden);
    let mut closed = ours.channel("unheard of").subscribe::<Value>();
    assert_eq!(closed.ready().await.expect_err("closed").code(), &Code::Forbidden);
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_keeps_nothing_tells_that_something_may_be_lost() {
    let (mut cluster, doors) = cluster(2).await;
    let client = client(&doors, 1).await;
    let mut stream = client.channel("live").subscribe::<u64>();
    stream.ready().await.expect("let in");
    cluster.mesh(0).channel("live").publish(&1).await.expect("published");
    assert_eq!(message(&mut stream).await, 1);
    for victim in 0..2 {
        cluster.kill(victim);
        cluster.start_again(victim).await.expect("an instance");
        doors.open(&cluster);
    }
    let gap = ChannelEvent::Gap { reason: GapReason::NoHistory, missed: None };
    assert_eq!(timeout(Duration::from_secs(60), stream.next()).await.expect("in time"), Some(gap));
    stream.ready().await.expect("let in");
    cluster.mesh(0).channel("live").publish(&2).await.expect("published");
    assert_eq!(message(&mut stream).await, 2);
}

#[tokio::test(start_paused = true)]
async fn p37a_a_thousand_a_second_come_ten_a_second_and_the_last_one_always() {
    let (cluster, doors) = cluster(1).await;
    let client = client(&doors, 1).await;
    let mut stream = client.channel("chat:1").subscribe::<u64>().max_rate(10.0);
    stream.ready().await.expect("let in");
    let mesh = cluster.mesh(0).clone();
    let publishing = tokio::spawn(async move {
        for number in 0..3000_u64 {
            mesh.channel("chat:1").publish(&number).await.expect("published");
            sleep(Duration::from_millis(1)).await;
        }
    });
    let (began, mut heard) = (Instant::now(), Vec::new());
    while heard.last() != Some(&2999) {
        heard.push(message(&mut stream).await);
    }
    publishing.await.expect("a task");
    assert!(heard.is_sorted());
    assert!((25..=35).contains(&heard.len()), "{}", heard.len());
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn p18_a_record_is_written_in_every_way_and_watched_by_patches() {
    let (_cluster, doors) = cluster(2).await;
    let (ours, theirs) = (client(&doors, 1).await, client(&doors, 2).await);
    let record = ours.record("doc:1");
    let mut watch = theirs.record("doc:1").watch::<Value>();
    let first = watch.next().await.expect("no end").expect("no error");
    assert_eq!((first.value, first.version, first.deleted), (None, 0, false));

    let text = "a text that is long enough for a patch to be shorter";
    record.compare_and_set(0, &json!({"n": 1, "text": text})).await.expect("never written");
    let error = record.compare_and_set(0, &json!({})).await.expect_err("written");
    let conflict = error.conflict().expect("details");
    assert_eq!((conflict.version, conflict.record), (1, json!({"n": 1, "text": text})));
    record.compare_and_set(1, &json!({"n": 2, "text": text})).await.expect("at that version");
    record.merge(&json!({"m": {"a": 1}})).await.expect("written");
    record.deep_merge(&json!({"m": {"b": 2}})).await.expect("written");
    let by = record.increment("/n", 40).await.expect("written");
    assert_eq!((by.value.as_u64(), by.version), (Some(42), 5));
    let patch = Patch::new(vec![Op::Remove { path: Pointer::new("/m/a").expect("a pointer") }]);
    assert_eq!(record.patch(&patch).await.expect("written").version, 6);
    let value = json!({"n": 42, "text": text, "m": {"b": 2}});
    for version in 1..=6 {
        let event = watch.next().await.expect("no end").expect("no error");
        assert_eq!((event.version, event.own), (version, false));
        if version == 6 {
            assert_eq!(event.value.as_ref(), Some(&value));
        }
    }
    let now = theirs.record("doc:1").get::<Value>().await.expect("a value");
    assert_eq!((now.value, now.version), (Some(value), 6));

    let mut own = record.watch::<Value>();
    assert_eq!(own.next().await.expect("no end").expect("no error").version, 6);
    record.delete().await.expect("deleted");
    let event = own.next().await.expect("no end").expect("no error");
    assert_eq!((event.value, event.version, event.own, event.deleted), (None, 7, true, true));
    let event = watch.next().await.expect("no end").expect("no error");
    assert_eq!((event.value, event.version, event.own, event.deleted), (None, 7, false, true));
    assert_eq!(record.set(&1).await.expect("written").version, 8);
    let error = theirs.record("unheard of").get::<Value>().await.expect_err("closed");
    assert_eq!(error.code(), &Code::Forbidden);
}

#[tokio::test(start_paused = true)]
async fn p18a_a_hundred_increments_of_ten_clients_are_a_hundred_versions_while_instances_die() {
    let (mut cluster, doors) = cluster(3).await;
    let mut watches = Vec::new();
    for seed in 0..3 {
        let mut watch = client(&doors, seed).await.record("doc:1").watch::<Value>();
        watch.ready().await.expect("let in");
        watches.push(watch);
    }
    let mut sum = 0;
    for round in 0..6 {
        let mut writing = Vec::new();
        for seed in 10..20 {
            let record = client(&doors, seed).await.record("doc:1");
            writing.push(tokio::spawn(async move {
                for _ in 0..10 {
                    record.increment("/n", 1).await.expect("written");
                }
            }));
        }
        for writer in writing {
            writer.await.expect("written");
        }
        sum += 100;
        let victim = round % 3;
        cluster.kill(victim);
        doors.open(&cluster);
        let writer = cluster.mesh(cluster.alive()[0]);
        writer.record("doc:1").increment("/n", 1).await.expect("written");
        sum += 1;
        for watch in &mut watches {
            assert_eq!(until(watch, &json!({"n": sum})).await, sum);
        }
        cluster.start_again(victim).await.expect("an instance");
        doors.open(&cluster);
    }
}
