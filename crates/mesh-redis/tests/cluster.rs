//! A Redis Cluster of three masters does what every backend must, and outlives the death of one.

mod support;

use std::time::Duration;

use mesh_backend::{Key, Kind};
use mesh_redis::{ConnectError, Redis};
use support::{Cluster, KEEP, Peer, Server, entry, eventually, room};
use tokio::time::Instant;

/// From the death of a master to everything working again: what the cluster takes to notice (1.5 s here) and to vote, and
/// a look at who serves what.
const FAILOVER_MAX: Duration = Duration::from_secs(12);

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
