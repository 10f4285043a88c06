//! A master that sentinels know: found through them, and found again when another one takes its place.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::time::Duration;

use mesh_backend::{Key, Kind};
use mesh_redis::Redis;
use support::{KEEP, Peer, Server, entry, eventually, room};
use tokio::time::Instant;

/// From the death of the master to everything working again: what the sentinels take to notice (1 s here), to agree and
/// to promote.
const FAILOVER_MAX: Duration = Duration::from_secs(15);

/// A master, a replica, and three sentinels that watch over them.
struct Watched {
    master: Server,
    replica: Server,
    sentinels: Vec<Server>,
}

impl Watched {
    async fn start() -> Self {
        let (master, replica) = (Server::redis().await, Server::redis().await);
        let port = master.port().to_string();
        assert_eq!(replica.command(&["REPLICAOF", "127.0.0.1", &port]), "+OK");
        eventually(|| async { replica.command(&["INFO", "replication"]).contains("master_link_status:up") })
            .await;
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            let sentinel = Server::sentinel().await;
            assert_eq!(sentinel.command(&["SENTINEL", "MONITOR", "main", "127.0.0.1", &port, "2"]), "+OK");
            for (option, value) in [("down-after-milliseconds", "1000"), ("failover-timeout", "5000")] {
                assert_eq!(sentinel.command(&["SENTINEL", "SET", "main", option, value]), "+OK");
            }
            sentinels.push(sentinel);
        }
        for sentinel in &sentinels {
            eventually(|| async {
                let known = sentinel.command(&["SENTINEL", "MASTER", "main"]);
                let count =
                    |name: &str| known.lines().skip_while(|line| *line != name).nth(2).map(str::to_owned);
                count("num-other-sentinels").as_deref() == Some("2")
                    && count("num-slaves").as_deref() == Some("1")
            })
            .await;
        }
        Self { master, replica, sentinels }
    }

    async fn connect(&self) -> Redis {
        let sentinels = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port()));
        Redis::builder("redis://main").sentinel(sentinels, "main").build().await.unwrap()
    }
}

#[tokio::test]
async fn the_death_of_a_master_is_outlived() {
    let mut watched = Watched::start().await;
    let speaker = Peer::attach(watched.connect().await, 1 << 20).await;
    let mut listener = Peer::attach(watched.connect().await, 1 << 20).await;
    let (topic, log) = (room("r"), Key::new(Kind::Channel, "c"));
    listener.link.subscribe(&topic).await.unwrap();
    speaker.say(&topic, "before").await;
    assert!(!listener.next().await.1);
    let first = speaker.link.append(&log, entry("1"), KEEP).await.unwrap();
    let offset = || watched.replica.command(&["XLEN", "mesh:1:{0}:lH:c"]);
    eventually(|| async { offset() == ":1" }).await;
    watched.master.kill();
    let death = Instant::now();
    eventually(|| async { speaker.link.beat().await.is_ok() }).await;
    listener.loses_continuity().await;
    assert!(death.elapsed() < FAILOVER_MAX, "{:?}", death.elapsed());
    speaker.say(&topic, "after").await;
    assert_eq!(listener.next().await.0.full.as_deref(), Some(&b"after"[..]));
    // What had reached the replica is there.
    let second = speaker.link.append(&log, entry("2"), KEEP).await.unwrap();
    assert_eq!((second.epoch, second.offset), (first.epoch, 2));
    eventually(|| async { listener.link.trouble().is_none() }).await;
}

#[tokio::test]
async fn a_master_that_was_replaced_while_alive_is_left() {
    let watched = Watched::start().await;
    let mut peer = Peer::attach(watched.connect().await, 1 << 20).await;
    peer.link.subscribe(&room("r")).await.unwrap();
    assert_eq!(watched.sentinels[0].command(&["SENTINEL", "FAILOVER", "main"]), "+OK");
    eventually(|| async { watched.replica.command(&["ROLE"]).contains("master") }).await;
    peer.loses_continuity().await;
    let name = peer.me.to_string();
    // It speaks to the new one.
    eventually(|| async {
        peer.link.publish(mesh_backend::Announce::text(room("r"), "x".into())).await.is_ok()
            && watched.replica.command(&["HGET", "mesh:1:{0}:nR:r", &name]).starts_with('$')
            && !watched.replica.command(&["HGET", "mesh:1:{0}:nR:r", &name]).starts_with("$-1")
    })
    .await;
    assert_eq!(peer.next().await.0.full.as_deref(), Some(&b"x"[..]));
    eventually(|| async { peer.link.trouble().is_none() }).await;
}

#[tokio::test]
async fn a_master_that_no_sentinel_knows_is_told() {
    let sentinel = Server::sentinel().await;
    let at = format!("127.0.0.1:{}", sentinel.port());
    let refused = Redis::builder("redis://x").sentinel([at], "nobody").build().await.unwrap_err();
    assert!(refused.to_string().contains("nobody"), "{refused}");
    let refused = Redis::builder("redis://x").sentinel(["127.0.0.1:1"], "main").build().await.unwrap_err();
    assert!(refused.to_string().contains("the sentinel at 127.0.0.1:1"), "{refused}");
}
