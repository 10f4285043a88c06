//! What others publish, who know nothing of Mesh.

mod support;

use mesh_backend::{BackendError, Key, Kind, Received};
use mesh_redis::Redis;
use support::{Cluster, Peer, Server, eventually, room};

fn bridge(name: &str) -> Key {
    Key::new(Kind::Bridge, name)
}

#[tokio::test]
async fn what_others_publish_arrives_as_it_is_and_in_order() {
    let server = Server::redis().await;
    let mut peer = Peer::at(&server.url()).await;
    let (news, topic) = (bridge("news: {today}"), room("r"));
    peer.link.subscribe(&news).await.unwrap();
    peer.link.subscribe(&topic).await.unwrap();
    // What looks like ours, too: on this channel it means nothing.
    for text in ["hello", "", "M1 1 -\n", "line\r\nline", "\u{1f41f}"] {
        assert_eq!(server.command(&["PUBLISH", "news: {today}", text]), ":1");
        peer.say(&topic, text).await;
        let (plain, ours) = (peer.next().await, peer.next().await);
        assert_eq!((&plain.0.topic, plain.0.full.as_deref()), (&news, Some(text.as_bytes())));
        assert_eq!((plain.0.position, plain.1), (None, false));
        assert_eq!((&ours.0.topic, ours.0.full.as_deref()), (&topic, Some(text.as_bytes())));
    }
    // Another name, and one that is left.
    assert_eq!(server.command(&["PUBLISH", "news", "x"]), ":0");
    peer.link.unsubscribe(&news).await.unwrap();
    assert_eq!(server.command(&["PUBLISH", "news: {today}", "x"]), ":0");
}

#[tokio::test]
async fn it_is_subscribed_to_again_after_its_connection_was_lost() {
    let server = Server::redis().await;
    let mut peer = Peer::at(&server.url()).await;
    peer.link.subscribe(&bridge("news")).await.unwrap();
    server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    peer.loses_continuity().await;
    assert_eq!(server.command(&["PUBLISH", "news", "after"]), ":1");
    let (arrival, lost) = peer.next().await;
    assert_eq!((arrival.full.as_deref(), lost), (Some(&b"after"[..]), false));
}

#[tokio::test]
async fn what_is_not_for_clients_cannot_be_bridged() {
    let server = Server::redis().await;
    let peer = Peer::at(&server.url()).await;
    for name in
        ["mesh:1:{0}:tR:r", "mesh:1:app:{0}:tR:r", "mesh:2:", "__keyspace@0__:r", "__sentinel__:hello"]
    {
        let refused = peer.link.subscribe(&bridge(name)).await;
        assert!(matches!(refused, Err(BackendError::Refused(_))), "{name}: {refused:?}");
        // Nothing is left behind, and giving it up is no mistake.
        assert_eq!(peer.link.unsubscribe(&bridge(name)).await, Ok(()));
    }
    assert_eq!(server.command(&["PUBSUB", "NUMSUB", "mesh:1:{0}:tR:r"]).lines().last(), Some(":0"));
}

#[tokio::test]
async fn on_a_cluster_it_arrives_from_whichever_master_it_was_published_at() {
    let cluster = Cluster::start(0).await;
    let backend = Redis::builder(&cluster.nodes[0].url()).cluster(cluster.others()).build().await.unwrap();
    let mut peer = Peer::attach(backend, 1 << 20).await;
    for name in ["a", "b", "c", "d"] {
        peer.link.subscribe(&bridge(name)).await.unwrap();
    }
    for (number, node) in cluster.nodes.iter().enumerate() {
        for name in ["a", "b", "c", "d"] {
            let text = format!("{name} from {number}");
            node.command(&["PUBLISH", name, &text]);
            let (arrival, _) = peer.next().await;
            assert_eq!((&*arrival.topic.name, arrival.full.as_deref()), (name, Some(text.as_bytes())));
        }
    }
    peer.link.unsubscribe(&bridge("a")).await.unwrap();
    // What is left does not come any more; the others do.
    eventually(|| async {
        cluster.nodes.iter().all(|node| subscribers(&node.command(&["PUBSUB", "NUMSUB", "a"])) == 0)
    })
    .await;
    cluster.nodes[0].command(&["PUBLISH", "a", "x"]);
    cluster.nodes[0].command(&["PUBLISH", "b", "y"]);
    let arrival = peer.arrivals.recv().await;
    let Some(Received::Arrival(arrival)) = arrival else { panic!("{arrival:?}") };
    assert_eq!(arrival.full.as_deref(), Some(&b"y"[..]));
}

fn subscribers(reply: &str) -> u64 {
    reply
        .lines()
        .last()
        .and_then(|last| last.strip_prefix(':'))
        .and_then(|count| count.parse().ok())
        .unwrap_or(99)
}
