//! What operations cost, and that nothing is left behind.

mod support;

use std::time::Duration;

use mesh_backend::{Expect, Key, Kind, LogRead, Write};
use mesh_redis::Redis;
use support::{KEEP, Peer, Server, conn, entry, eventually, is_unavailable, room};

/// How often scripts were run.
fn scripts_run(server: &Server) -> u64 {
    let stats = server.command(&["INFO", "commandstats"]);
    let calls = |name: &str| {
        let line = stats.lines().find(|line| line.starts_with(&format!("cmdstat_{name}:")))?;
        line.split_once("calls=")?.1.split_once(',')?.0.parse::<u64>().ok()
    };
    calls("evalsha").unwrap_or(0) + calls("eval").unwrap_or(0)
}

#[tokio::test]
async fn each_operation_is_one_script_and_so_one_round_trip() {
    let server = Server::redis().await;
    let peer = Peer::at(&server.url()).await;
    let link = &peer.link;
    let (log, cell, roster) = (Key::new(Kind::Channel, "c"), Key::new(Kind::Record, "r"), room("m"));
    // The first time a script is sent whole, which is a second round trip.
    for round in 0..2 {
        let mut before = scripts_run(&server);
        let mut costs = |what: &str, expected: u64| {
            let now = scripts_run(&server);
            assert!(round == 0 || now - before == expected, "{what}: {}", now - before);
            before = now;
        };
        link.append(&log, entry("x"), KEEP).await.unwrap();
        costs("append", 1);
        link.read(&log, LogRead::Newest { limit: 10 }).await.unwrap();
        costs("read", 1);
        let there = link.load(&cell).await.unwrap();
        costs("load", 1);
        let expect = there.map_or(Expect::Absent, |t| Expect::Version(t.position.epoch, t.position.offset));
        let steps = (0..100).map(|_| entry("step")).collect();
        link.write(
            &cell,
            Write { expect, value: Some("x".into()), entries: steps, keep: KEEP, insist: false },
        )
        .await
        .unwrap();
        costs("a write of 100 steps", 1);
        let writes = (0..16).map(|number| {
            let write = Write {
                expect: Expect::Absent,
                value: None,
                entries: vec![entry("x")],
                keep: KEEP,
                insist: false,
            };
            (Key::new(Kind::Record, format!("{round} {number}")), write)
        });
        link.write_all(writes.collect()).await.unwrap();
        costs("a transaction over 16 cells", 1);
        link.cells(Kind::Record, "", None, 10).await.unwrap();
        costs("cells", 1);
        let text = mesh_backend::Announce::text(roster.clone(), "in".into());
        link.enter(&roster, conn(1), None, Some(text.clone())).await.unwrap();
        costs("enter with an announcement", 1);
        link.roll(&roster, 0, 10).await.unwrap();
        costs("roll", 1);
        link.described(&roster, 0, 10).await.unwrap();
        costs("a page of members, with what is known of each", 1);
        let wanted: Vec<_> = (0..50).map(|number| (room(&number.to_string()), conn(1))).collect();
        link.find(&wanted).await.unwrap();
        costs("find 50", 1);
        link.rosters(Kind::Room, "", None, 10).await.unwrap();
        costs("rosters", 1);
        link.leave(&roster, conn(1), Some(text.clone())).await.unwrap();
        costs("leave with an announcement", 1);
        link.publish(text).await.unwrap();
        costs("publish", 1);
        link.subscribe(&roster).await.unwrap();
        costs("subscribe", 1);
        link.unsubscribe(&roster).await.unwrap();
        costs("unsubscribe", 1);
        link.beat().await.unwrap();
        costs("beat", 1);
        link.orphans(10).await.unwrap();
        costs("orphans while nobody is dead", 1);
    }
}

#[tokio::test]
async fn a_link_that_was_dropped_leaves_no_connection() {
    let server = Server::redis().await;
    let peer = Peer::at(&server.url()).await;
    peer.link.subscribe(&room("r")).await.unwrap();
    let subscribers = || server.command(&["PUBSUB", "NUMSUB", "mesh:1:{0}:tR:r"]).ends_with(":1");
    assert!(subscribers());
    drop(peer.link);
    eventually(|| async { !subscribers() }).await;
    drop(peer.backend);
    let connections =
        || server.command(&["CLIENT", "LIST"]).lines().filter(|line| line.contains("addr=")).count();
    eventually(|| async { connections() == 1 }).await;
}

#[tokio::test]
async fn what_nobody_waited_for_is_given_up() {
    let server = Server::redis().await;
    let backend = Redis::builder(&server.url()).deadline(Duration::from_millis(200)).build().await.unwrap();
    let peer = Peer::attach(backend, 1 << 20).await;
    let topic = room("r");
    let subscribers = || server.command(&["PUBSUB", "NUMSUB", "mesh:1:{0}:tR:r"]).ends_with(":1");
    // Redis does it only after the caller has given up.
    assert_eq!(server.command(&["CLIENT", "PAUSE", "600", "ALL"]), "+OK");
    assert!(is_unavailable(&peer.link.subscribe(&topic).await));
    eventually(|| async { subscribers() }).await;
    // Whatever arrives on it arrives for nobody, and then it is given up.
    peer.say(&topic, "x").await;
    eventually(|| async { !subscribers() }).await;
    assert_eq!(peer.link.trouble(), None);
}

#[tokio::test]
async fn what_everybody_left_leaves_no_key() {
    let server = Server::redis().await;
    let mut peer = Peer::at(&server.url()).await;
    let topic = room("r");
    let before = server.command(&["DBSIZE"]);
    peer.link.subscribe(&topic).await.unwrap();
    peer.link.enter(&topic, conn(1), Some("x".into()), None).await.unwrap();
    peer.say(&topic, "x").await;
    peer.next().await;
    peer.link.leave(&topic, conn(1), None).await.unwrap();
    peer.link.unsubscribe(&topic).await.unwrap();
    peer.say(&topic, "nobody hears").await;
    // But for the counter of seats.
    assert_eq!(server.command(&["DEL", "mesh:1:{0}:sequence"]), ":1");
    assert_eq!(server.command(&["DBSIZE"]), before);
}

#[tokio::test]
async fn what_is_kept_for_a_while_expires_and_what_has_a_value_does_not() {
    let server = Server::redis().await;
    let peer = Peer::at(&server.url()).await;
    let (log, cell) = (Key::new(Kind::Channel, "c"), Key::new(Kind::Record, "r"));
    let days = |key: &str| {
        let left = server.command(&["PTTL", key]);
        left.trim_start_matches(':').parse::<i64>().unwrap() / 86_400_000
    };
    peer.link.append(&log, entry("x"), KEEP).await.unwrap();
    assert_eq!((days("mesh:1:{0}:hH:c"), days("mesh:1:{0}:lH:c")), (7, 0));
    let write = |expect, value: Option<&str>| {
        let value = value.map(|value| bytes::Bytes::copy_from_slice(value.as_bytes()));
        peer.link.write(&cell, Write { expect, value, entries: vec![entry("x")], keep: KEEP, insist: false })
    };
    let mut expect = Expect::Absent;
    // With a value, without, and with one again.
    for (value, expected) in [(Some("x"), "-1"), (None, ""), (Some("y"), "-1")] {
        let mesh_backend::Written::At(position) = write(expect, value).await.unwrap() else { panic!() };
        expect = Expect::Version(position.epoch, position.offset);
        match expected {
            "" => assert_eq!(days("mesh:1:{0}:hD:r"), 7),
            ttl => assert_eq!(server.command(&["PTTL", "mesh:1:{0}:hD:r"]), format!(":{ttl}")),
        }
    }
}
