//! A Redis Cluster of three masters does what every backend must, and outlives the death of one.

mod support;

use std::time::Duration;

use mesh_backend::{BackendError, Expect, Key, Kind, Received, Write, WrittenAll};
use mesh_redis::{ConnectError, Redis};
use support::{Cluster, KEEP, Peer, Server, entry, eventually, room};
use tokio::time::Instant;

/// From the death of a master to everything working again: what the cluster takes to notice (1.5 s here) and to vote, and
/// a look at who serves what; and once more the same, if a vote fails because the machine is busy.
const FAILOVER_MAX: Duration = Duration::from_secs(25);

#[tokio::test]
async fn the_death_of_a_master_is_outlived() {
    let mut cluster = Cluster::start(1).await;
    let connect = || Redis::builder(&cluster.nodes[0].url()).cluster(cluster.others()).build();
    let (speaker, mut listener) = (
        Peer::attach(connect().await.unwrap(), 1 << 20).await,
        Peer::attach(connect().await.unwrap(), 1 << 20).await,
    );
    // Topics and logs in every part of the cluster.
    let topics: Vec<_> = (0..30).map(|number| room(&number.to_string())).collect();
    let log = Key::new(Kind::Channel, "c");
    for topic in &topics {
        listener.link.subscribe(topic).await.unwrap();
        speaker.say(topic, "before").await;
        listener.next().await;
    }
    speaker.link.append(&log, entry("before"), KEEP).await.unwrap();
    // The one that serves the first shard, where leases are.
    let first = cluster.owner_of("{0}");
    cluster.is_replicated(first).await;
    cluster.nodes[first].kill();
    let death = Instant::now();
    eventually(|| async { speaker.link.beat().await.is_ok() }).await;
    eventually(|| async { speaker.link.append(&log, entry("after"), KEEP).await.is_ok() }).await;
    let back = death.elapsed();
    assert!(back < FAILOVER_MAX, "{back:?}");
    eventually(|| async { listener.link.trouble().is_none() }).await;
    // Every topic is heard again, and that some were not for a while has been told.
    let mut told = false;
    for topic in &topics {
        speaker.say(topic, "after").await;
        loop {
            let (arrival, lost) = listener.next().await;
            told |= lost;
            if arrival.topic == *topic && arrival.full.as_deref() == Some(b"after") {
                break;
            }
        }
    }
    assert!(told, "nobody said that continuity was lost");
}

#[tokio::test]
async fn shards_that_move_to_another_master_are_followed() {
    let cluster = Cluster::start(0).await;
    let connect = || Redis::builder(&cluster.nodes[0].url()).cluster(cluster.others()).build();
    let speaker = Peer::attach(connect().await.unwrap(), 1 << 20).await;
    let mut listener = Peer::attach(connect().await.unwrap(), 1 << 20).await;
    let (topic, log) = (room("r"), Key::new(Kind::Channel, "r"));
    listener.link.subscribe(&topic).await.unwrap();
    let shard = (0..64).find(|shard| {
        let channel = format!("mesh:1:{{{shard}}}:tR:r");
        cluster.nodes.iter().any(|node| node.command(&["PUBSUB", "SHARDNUMSUB", &channel]).ends_with(":1"))
    });
    let key = format!("{{{}}}", shard.unwrap());
    let from = cluster.owner_of(&key);
    let first = speaker.link.append(&log, entry("1"), KEEP).await.unwrap();
    let moving = tokio::task::spawn_blocking({
        let id = |node: usize| {
            cluster.nodes[node].command(&["CLUSTER", "MYID"]).lines().nth(1).unwrap().to_owned()
        };
        let (source, target, port) = (id(from), id((from + 1) % 3), cluster.nodes[0].port());
        move || support::reshard(port, &source, &target)
    });
    // Said without a pause while everything of one master moves, shard by shard.
    let (mut last, mut number) = (0, 0);
    while !moving.is_finished() {
        speaker.say(&topic, &number.to_string()).await;
        number += 1;
        while let Some(received) = listener.arrivals.try_recv() {
            match received {
                Received::ContinuityLost => last = 0,
                Received::Arrival(arrival) => {
                    let n = arrival.n;
                    assert!(last == 0 || n == last + 1, "{n} after {last} without a word");
                    last = n;
                }
            }
        }
    }
    moving.await.unwrap();
    assert_ne!(cluster.owner_of(&key), from);
    eventually(|| async { listener.link.trouble().is_none() && speaker.link.trouble().is_none() }).await;
    speaker.say(&topic, "moved").await;
    while listener.next().await.0.full.as_deref() != Some(b"moved") {}
    let second = speaker.link.append(&log, entry("2"), KEEP).await.unwrap();
    assert_eq!((second.epoch, second.offset), (first.epoch, 2));
    speaker.link.beat().await.unwrap();
}

#[tokio::test]
async fn a_transaction_over_several_hash_slots_is_refused_before_anything_is_sent() {
    let cluster = Cluster::start(0).await;
    let backend = Redis::builder(&cluster.nodes[0].url()).cluster(cluster.others()).build().await.unwrap();
    let peer = Peer::attach(backend, 1 << 20).await;
    let write = |name: &str| {
        let (value, entries) = (Some("x".into()), vec![entry("x")]);
        (
            Key::new(Kind::Record, name),
            Write { expect: Expect::Absent, value, entries, keep: KEEP, insist: false },
        )
    };
    let refused = peer.link.write_all(vec![write("{a}1"), write("{b}1")]).await.unwrap_err();
    assert!(matches!(refused, BackendError::Refused(_)));
    assert!(refused.to_string().contains(r#"Record("{a}1") and Record("{b}1")"#), "{refused}");
    assert_eq!(peer.link.cells(Kind::Record, "", None, 10).await, Ok(vec![]));
    let together = vec![write("{a}1"), write("2{a}"), write("a")];
    assert!(matches!(peer.link.write_all(together).await, Ok(WrittenAll::At(_))));
}

#[tokio::test]
async fn what_is_no_cluster_and_what_is_one_are_told_apart() {
    let single = Server::redis().await;
    let refused = Redis::builder(&single.url()).cluster(["127.0.0.1:1"]).build().await.unwrap_err();
    assert!(refused.to_string().contains("it is no node of a Redis Cluster"), "{refused}");
    let node = Server::redis_with(&["--cluster-enabled", "yes"]).await;
    let refused = Redis::connect(&node.url()).await.unwrap_err();
    assert!(refused.to_string().contains("it is a node of a Redis Cluster"), "{refused}");
    let refused = Redis::builder(&node.url()).cluster(["127.0.0.1:1"]).build().await.unwrap_err();
    assert!(refused.to_string().contains("not every slot"), "{refused}");
    let refused = Redis::builder("redis://127.0.0.1:1/2").cluster(["127.0.0.1:1"]).build().await.unwrap_err();
    assert!(matches!(refused, ConnectError::BadOption(_)), "{refused}");
}

mod conformance {
    use mesh_redis::{Builder, Redis};
    use tokio::sync::OnceCell;

    use super::support::{Cluster, OnServer, SharedServer};

    struct Three(Cluster);

    impl SharedServer for Three {
        fn cell() -> &'static OnceCell<Self> {
            static CLUSTER: OnceCell<Three> = OnceCell::const_new();
            &CLUSTER
        }

        async fn start() -> Self {
            Self(Cluster::start(0).await)
        }

        fn builder(&self) -> Builder {
            Redis::builder(&self.0.nodes[0].url()).cluster(self.0.others())
        }
    }

    mesh_backend::conformance!(OnServer<Three>);
}
