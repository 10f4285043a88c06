//! What goes wrong with a real Redis, and that nothing of it is silent.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mesh_backend::{Announce, BackendError, Expect, Group, Key, Kind, LogRead, Received, Write};
use support::{KEEP, Peer, Proxy, Server, conn, entry, eventually, is_unavailable, room};
use tokio::time::{Instant, sleep};

#[tokio::test]
async fn killing_subscribers_again_and_again_loses_nothing_silently() {
    let server = Server::redis().await;
    let (speaker, mut listener) = (Peer::at(&server.url()).await, Peer::at(&server.url()).await);
    let topic = room("r");
    listener.link.subscribe(&topic).await.unwrap();
    let enough = Arc::new(AtomicBool::new(false));
    let speaking = tokio::spawn({
        let (topic, enough) = (topic.clone(), enough.clone());
        async move {
            for number in 0.. {
                speaker.say(&topic, &number.to_string()).await;
                if number % 200 == 100 {
                    server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
                }
                if enough.load(Ordering::SeqCst) {
                    break;
                }
            }
        }
    });
    let (mut last, mut losses) = (0, 0);
    while losses < 15 {
        let (arrival, lost) = listener.next().await;
        assert!(lost || arrival.n == last + 1, "{} after {last} without a word", arrival.n);
        losses += u32::from(lost);
        last = arrival.n;
    }
    enough.store(true, Ordering::SeqCst);
    speaking.await.unwrap();
}

#[tokio::test]
async fn a_paused_redis_fails_every_call_within_its_deadline() {
    let server = Server::redis().await;
    let peer = Peer::at(&server.url()).await;
    server.command(&["CLIENT", "PAUSE", "4000", "ALL"]);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(3) {
        let call = Instant::now();
        let answer = peer.link.append(&Key::new(Kind::Channel, "c"), entry("x"), KEEP).await;
        assert!(is_unavailable(&answer), "{answer:?}");
        assert!(call.elapsed() < Duration::from_millis(1500), "{:?}", call.elapsed());
        sleep(Duration::from_millis(50)).await;
    }
    eventually(|| async { peer.link.beat().await.is_ok() }).await;
    eventually(|| async { peer.link.trouble().is_none() }).await;
}

#[tokio::test]
async fn a_redis_that_comes_back_empty_fences_and_a_new_life_works() {
    let mut server = Server::redis().await;
    let mut peer = Peer::at(&server.url()).await;
    let topic = room("r");
    peer.link.subscribe(&topic).await.unwrap();
    peer.link.enter(&topic, conn(1), None, None).await.unwrap();
    server.kill();
    eventually(|| async { is_unavailable(&peer.link.beat().await) }).await;
    eventually(|| async { peer.link.trouble().is_some() }).await;
    server.restart().await;
    peer.loses_continuity().await;
    eventually(|| async { peer.link.beat().await == Err(BackendError::Fenced) }).await;
    let fenced = peer.link.append(&Key::new(Kind::Channel, "c"), entry("x"), KEEP).await;
    assert_eq!(fenced, Err(BackendError::Fenced));
    // The same backend, another incarnation.
    let mut later = Peer::attach(peer.backend.clone(), 1 << 20).await;
    later.link.subscribe(&topic).await.unwrap();
    assert!(later.link.enter(&topic, conn(1), None, None).await.unwrap().new);
    later.say(&topic, "hello").await;
    assert_eq!(later.next().await.0.full.as_deref(), Some(&b"hello"[..]));
    eventually(|| async { later.link.trouble().is_none() }).await;
}

#[tokio::test]
async fn flushing_everything_fences() {
    let server = Server::redis().await;
    let peer = Peer::at(&server.url()).await;
    peer.link.enter(&room("r"), conn(1), None, None).await.unwrap();
    assert_eq!(server.command(&["FLUSHALL"]), "+OK");
    let log = Key::new(Kind::Channel, "c");
    assert_eq!(peer.link.append(&log, entry("x"), KEEP).await, Err(BackendError::Fenced));
    assert_eq!(peer.link.beat().await, Err(BackendError::Fenced));
    assert_eq!(peer.link.orphans(10).await, Err(BackendError::Fenced));
    let later = Peer::attach(peer.backend.clone(), 1 << 20).await;
    assert!(later.link.enter(&room("r"), conn(1), None, None).await.unwrap().new);
    assert!(server.command(&["GET", "mesh:1:{0}:schema"]).contains("schema 1"), "it was written anew");
}

#[tokio::test]
async fn a_deaf_subscriber_is_found_within_three_seconds() {
    let server = Server::redis().await;
    let proxy = Proxy::to(server.port()).await;
    let mut peer = Peer::at(&proxy.url()).await;
    let topic = room("r");
    peer.link.subscribe(&topic).await.unwrap();
    peer.say(&topic, "heard").await;
    assert!(!peer.next().await.1);
    // From now on Redis' words do not get through to whoever has subscribed, while commands are answered.
    proxy.blocks.subscribed.store(true, Ordering::SeqCst);
    peer.say(&topic, "unheard").await;
    let deaf = Instant::now();
    eventually(|| async { peer.link.trouble().is_some() }).await;
    assert!(deaf.elapsed() < Duration::from_millis(3200), "{:?}", deaf.elapsed());
    proxy.blocks.subscribed.store(false, Ordering::SeqCst);
    peer.loses_continuity().await;
    peer.say(&topic, "again").await;
    assert_eq!(peer.next().await.0.full.as_deref(), Some(&b"again"[..]));
    assert_eq!(peer.link.trouble(), None);
}

#[tokio::test]
async fn a_partition_fails_fast_and_heals_within_three_seconds() {
    let server = Server::redis().await;
    let proxy = Proxy::to(server.port()).await;
    let mut peer = Peer::at(&proxy.url()).await;
    peer.link.subscribe(&room("r")).await.unwrap();
    proxy.blocks.answers.store(true, Ordering::SeqCst);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(5) {
        let call = Instant::now();
        assert!(is_unavailable(&peer.link.beat().await));
        assert!(call.elapsed() < Duration::from_millis(1500), "{:?}", call.elapsed());
        sleep(Duration::from_millis(20)).await;
    }
    assert!(peer.link.trouble().is_some());
    proxy.blocks.answers.store(false, Ordering::SeqCst);
    let healed = Instant::now();
    peer.loses_continuity().await;
    eventually(|| async { peer.link.beat().await.is_ok() }).await;
    assert!(healed.elapsed() < Duration::from_secs(3), "{:?}", healed.elapsed());
    eventually(|| async { peer.link.trouble().is_none() }).await;
}

#[tokio::test]
async fn another_applications_keys_are_left_alone_and_wrong_types_are_told() {
    let server = Server::redis().await;
    server.command(&["SET", "app", "untouched"]);
    let peer = Peer::at(&server.url()).await;
    server.command(&["SET", "mesh:1:{0}:hH:taken", "not a hash"]);
    server.command(&["SET", "mesh:1:{0}:mR:taken", "not a roster"]);
    let log = peer.link.append(&Key::new(Kind::Channel, "taken"), entry("x"), KEEP).await;
    let roster = peer.link.enter(&room("taken"), conn(1), None, None).await;
    for error in [log.unwrap_err(), roster.unwrap_err()] {
        let said = error.to_string();
        assert!(said.contains("another type"), "{said}");
    }
    // The others work as before.
    peer.link.append(&Key::new(Kind::Channel, "free"), entry("x"), KEEP).await.unwrap();
    assert_eq!(server.command(&["GET", "app"]), "$9\r\nuntouched");
}

#[tokio::test]
async fn foreign_messages_are_dropped() {
    let server = Server::redis().await;
    let mut peer = Peer::at(&server.url()).await;
    let topic = room("r");
    peer.link.subscribe(&topic).await.unwrap();
    for nonsense in ["", "hello", "M1 1 -\n", "M1 99999999999999999999 -\n", "M1 1 -\nAAAAAAAAAAAAAAAAA"] {
        assert_eq!(server.command(&["PUBLISH", "mesh:1:{0}:tR:r", nonsense]), ":1");
    }
    peer.say(&topic, "ours").await;
    let (arrival, lost) = peer.next().await;
    assert_eq!((arrival.full.as_deref(), arrival.n, lost), (Some(&b"ours"[..]), 1, false));
}

#[tokio::test]
async fn an_inbox_that_overflows_says_so_and_goes_on() {
    let server = Server::redis().await;
    let mut slow = Peer::with_inbox(&server.url(), 16 * 1024).await;
    let fast = Peer::at(&server.url()).await;
    let topic = room("r");
    slow.link.subscribe(&topic).await.unwrap();
    for _ in 0..1000 {
        fast.say(&topic, &"x".repeat(1000)).await;
    }
    assert_eq!(slow.arrivals.recv().await, Some(Received::ContinuityLost));
    while slow.arrivals.try_recv().is_some() {}
    slow.backend.settle().await;
    while slow.arrivals.try_recv().is_some() {}
    fast.say(&topic, "after").await;
    assert_eq!(slow.next().await.0.full.as_deref(), Some(&b"after"[..]));
}

#[tokio::test]
async fn a_redis_out_of_memory_refuses_what_is_new_and_keeps_everybody_alive() {
    let server = Server::redis_with(&["--maxmemory-policy", "noeviction"]).await;
    let peer = Peer::at(&server.url()).await;
    let (log, roster) = (Key::new(Kind::Channel, "c"), room("r"));
    peer.link.append(&log, entry("before"), KEEP).await.unwrap();
    peer.link.enter(&roster, conn(1), None, None).await.unwrap();
    assert_eq!(server.command(&["CONFIG", "SET", "maxmemory", "1mb"]), "+OK");
    let refused = peer.link.append(&log, entry(&"x".repeat(100_000)), KEEP).await.unwrap_err();
    assert!(refused.to_string().contains("out of memory"), "{refused}");
    let write = |name: &str, size: usize| {
        let (value, entries) = (Some("x".repeat(size).into()), vec![entry("x")]);
        (
            Key::new(Kind::Record, name),
            Write { expect: Expect::Absent, value, entries, keep: KEEP, insist: false },
        )
    };
    let refused = peer.link.write_all(vec![write("a", 1), write("b", 100_000)]).await.unwrap_err();
    assert!(refused.to_string().contains("out of memory"), "{refused}");
    for name in ["a", "b"] {
        assert_eq!(
            peer.link.load(&Key::new(Kind::Record, name)).await,
            Ok(None),
            "nothing of it was written"
        );
    }
    // The lease is renewed, and whoever leaves leaves.
    assert!(peer.link.beat().await.unwrap().held);
    assert_eq!(peer.link.orphans(10).await, Ok(vec![]));
    assert!(peer.link.leave(&roster, conn(1), None).await.unwrap().was_in);
    assert_eq!(peer.link.read(&log, LogRead::Newest { limit: 9 }).await.unwrap().entries.len(), 1);
    assert_eq!(server.command(&["CONFIG", "SET", "maxmemory", "0"]), "+OK");
    peer.link.append(&log, entry("after"), KEEP).await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_somebody_made_up_holds_up_nothing() {
    let server = Server::redis().await;
    let mut peer = Peer::at(&server.url()).await;
    let topic = room("r");
    peer.link.subscribe(&topic).await.unwrap();
    // Of which more is to come, as it says.
    let made_up = "M1 1 -\nsixteen bytes ofA-F\0\0\0\u{2}hi--Gan id of\u{1}";
    for begin in [Instant::now(), Instant::now()] {
        server.command(&["PUBLISH", "mesh:1:{0}:tR:r", made_up]);
        let (arrival, _) = peer.next().await;
        let group = arrival.group.map(|Group { index, of, .. }| (index, of));
        assert_eq!((arrival.full.as_deref(), group), (Some(&b"hi"[..]), Some((0, 1))));
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    }
    server.command(&["PUBLISH", "mesh:1:{0}:tR:r", made_up]);
    peer.say(&topic, "next").await;
    assert_eq!(peer.next().await.0.full.as_deref(), Some(&b"hi"[..]));
    assert_eq!(peer.next().await.0.full.as_deref(), Some(&b"next"[..]));
}

#[tokio::test]
async fn a_history_that_was_evicted_is_told_as_lost() {
    let server = Server::redis().await;
    let peer = Peer::at(&server.url()).await;
    let log = Key::new(Kind::Channel, "c");
    let first = peer.link.append(&log, entry("1"), KEEP).await.unwrap();
    peer.link.append(&log, entry("2"), KEEP).await.unwrap();
    assert_eq!(server.command(&["DEL", "mesh:1:{0}:lH:c"]), ":1");
    let page = peer.link.read(&log, LogRead::After { position: first, limit: 9 }).await.unwrap();
    assert_eq!((page.lost, page.entries.len(), page.newest, page.oldest), (true, 0, 2, 3));
    let third = peer.link.append(&log, entry("3"), KEEP).await.unwrap();
    assert_eq!((third.epoch, third.offset), (first.epoch, 3));
    // And without the other half a new life begins.
    assert_eq!(server.command(&["DEL", "mesh:1:{0}:hH:c"]), ":1");
    let anew = peer.link.append(&log, entry("4"), KEEP).await.unwrap();
    assert_ne!(anew.epoch, first.epoch);
    assert_eq!(anew.offset, 1);
}

#[tokio::test]
async fn lost_leases_leave_nobody_alive_for_ever() {
    let server = Server::redis().await;
    let (ghost, peer) = (Peer::at(&server.url()).await, Peer::at(&server.url()).await);
    ghost.link.enter(&room("r"), conn(1), None, None).await.unwrap();
    assert_eq!(server.command(&["ZREM", "mesh:1:{0}:leases", &ghost.me.to_string()]), ":1");
    let orphans = peer.link.orphans(10).await.unwrap();
    assert_eq!((orphans.len(), orphans[0].owner), (1, ghost.me));
    assert_eq!(ghost.link.beat().await, Err(BackendError::Fenced));
}

#[tokio::test]
async fn of_an_instance_that_died_no_key_stays() {
    let server = Server::redis().await;
    let peer = Peer::at(&server.url()).await;
    let dead = Peer::at(&server.url()).await;
    dead.link.enter(&room("r"), conn(1), None, None).await.unwrap();
    let text = Announce::text(room("r"), "x".into());
    dead.link.publish(text).await.unwrap();
    let name = dead.me.to_string();
    // As if its lease had run out.
    server.command(&["ZADD", "mesh:1:{0}:leases", "1", &name]);
    drop(dead);
    for orphan in peer.link.orphans(10).await.unwrap() {
        peer.link.leave(&orphan.roster, orphan.who, None).await.unwrap();
    }
    assert_eq!(peer.link.orphans(10).await, Ok(vec![]));
    let keys = server.command(&["KEYS", "*"]);
    assert!(!keys.contains(&name), "{keys}");
    assert_eq!(server.command(&["ZCARD", "mesh:1:{0}:dying"]), ":0");
    assert_eq!(server.command(&["SMEMBERS", "mesh:1:{0}:alive"]).matches("inst-").count(), 1);
}
