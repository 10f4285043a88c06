//! The death of a Redis that another one takes the place of.

mod support;

use std::time::Duration;

use mesh_chaos::proxy::Link;
use mesh_chaos::redis::{Cluster, Watched};
use mesh_chaos::{Node, connect_many, each, eventually, figure};
use serde_json::json;
use support::{Crowd, PATIENCE, nodes, room, tally};
use tokio::time::{Instant, sleep};

/// What a failover may take here until everything works again: the sentinels or the cluster notice, agree and promote.
const FAILOVER_MAX: Duration = Duration::from_secs(15);
/// The same where departures are forgotten: they take place again with the second audit that sees them, 10 s later.
const FORGOTTEN_MAX: Duration = Duration::from_secs(25);

/// No connection has ended, and all is as it should be, `since` the death.
async fn is_outlived(what: &str, nodes: &[Node], crowd: &Crowd, since: Instant, within: Duration) {
    let right = crowd.becomes_right(since).await;
    let heard = crowd.hear_again(since).await;
    figure(&format!("{what}: members() right on every instance after"), right);
    figure(&format!("{what}: every broadcast arrives after"), heard);
    assert!(right.max(heard) <= within, "{right:?}, {heard:?}");
    for node in nodes {
        eventually("/readyz is well", PATIENCE, async || node.readyz().await.0 == 200).await;
    }
    crowd.is_whole();
    assert_eq!(tally(nodes, "disconnect "), [].into());
}

/// F4: kill -9 of the master, with everything replicated.
#[tokio::test]
async fn the_death_of_a_master_is_outlived_by_every_connection_and_room() {
    let mut watched = Watched::start().await;
    let nodes = nodes(&watched.name(), 3).await;
    let crowd = Crowd::gather(&nodes, 60, 6).await;
    watched.catch_up().await;
    let death = Instant::now();
    watched.master.kill().await;
    crowd.local_commands_work().await;
    eventually("the replica is the master", PATIENCE, async || {
        watched.replica.info("role").await == "master"
    })
    .await;
    figure("master killed: the sentinels have made another after", death.elapsed());
    is_outlived("master killed, failover by Sentinel", &nodes, &crowd, death, FAILOVER_MAX).await;
    assert_eq!(tally(&nodes, "leave "), [].into(), "nobody was taken for dead");
}

/// F4: the replica did not get the last of what the master had acknowledged: who joined, who left, who is gone.
#[tokio::test]
async fn joins_departures_and_closes_that_a_failover_forgot_take_place_again() {
    let mut watched = Watched::start().await;
    let nodes = nodes(&watched.name(), 2).await;
    let mut crowd = Crowd::gather(&nodes, 20, 4).await;
    let leaves = connect_many(nodes[0].addr(), 8).await;
    let closes = connect_many(nodes[1].addr(), 8).await;
    for clients in [&leaves, &closes] {
        each(clients, async |number, client| client.join(&room(number % 4)).await.expect("an open room"))
            .await;
    }
    crowd.clients[0].ask("set-metadata", json!({"metadata": "old"})).await.expect("metadata");
    let link = watched.replicate_through_proxy().await;
    watched.catch_up().await;
    link.set(Link::black_hole());
    // Acknowledged, and on the master alone.
    let late = connect_many(nodes[0].addr(), 20).await;
    each(&late, async |number, client| client.join(&room(number % 4)).await.expect("an open room")).await;
    let ids = each(&late, async |_, client| client.id().await).await;
    each(&leaves, async |number, client| client.leave(&room(number % 4)).await.expect("it was in")).await;
    crowd.clients[0].ask("set-metadata", json!({"metadata": "new"})).await.expect("metadata");
    drop(closes);
    crowd.clients.extend(late);
    crowd.ids.extend(ids);
    crowd.becomes_right(Instant::now()).await;
    assert!(!watched.master.mentions(&crowd.ids[39]).await.is_empty());
    assert_eq!(watched.replica.mentions(&crowd.ids[39]).await, [] as [&str; 0]);
    nodes.iter().for_each(Node::forget);
    let death = Instant::now();
    watched.master.kill().await;
    link.tear();
    eventually("the replica is the master", PATIENCE, async || {
        watched.replica.info("role").await == "master"
    })
    .await;
    let promoted = Instant::now();
    is_outlived("master killed with a tail that the replica never got", &nodes, &crowd, death, FORGOTTEN_MAX)
        .await;
    figure(
        "master killed with a tail that the replica never got: all of it, after the promotion",
        promoted.elapsed(),
    );
    let id = json!({"id": crowd.ids[0]});
    let new = async || crowd.askers[1].ask("metadata", id.clone()).await == Ok(json!("new"));
    eventually("the other instance tells metadata as it is", PATIENCE, new).await;
    assert_eq!(tally(&nodes, "leave "), [].into(), "each was told of when it took place");
}

/// F4, F14: the master sleeps, another takes its place, it wakes.
#[tokio::test]
async fn a_master_that_wakes_after_it_was_replaced_changes_nothing_any_more() {
    let watched = Watched::start().await;
    let nodes = nodes(&watched.name(), 2).await;
    let crowd = Crowd::gather(&nodes, 20, 4).await;
    watched.catch_up().await;
    let asleep = Instant::now();
    watched.master.process.pause();
    is_outlived("master under SIGSTOP, failover by Sentinel", &nodes, &crowd, asleep, FAILOVER_MAX).await;
    watched.master.process.resume();
    let joined =
        each(&crowd.clients, async |number, client| client.join(&room(4 + number % 4)).await.is_ok()).await;
    assert_eq!(joined, [true; 20]);
    let demoted = async || watched.master.info("role").await == "slave";
    eventually("the sentinels make it a replica", PATIENCE, demoted).await;
    assert!(crowd.is_right().await);
    for number in 4..8 {
        assert_eq!(crowd.askers[1].members(&room(number)).await.map(|members| members.len()), Ok(5));
    }
    crowd.hear_again(Instant::now()).await;
    crowd.is_whole();
}

/// F4: kill -9 of the master of a cluster that has the leases and a third of the rooms' topics, then of another one.
#[tokio::test]
async fn the_death_of_a_cluster_master_that_owns_topics_is_outlived() {
    let mut cluster = Cluster::start().await;
    let nodes = nodes(&cluster.name(), 3).await;
    let crowd = Crowd::gather(&nodes, 60, 30).await;
    assert!(crowd.is_right().await);
    crowd.hears("before", Instant::now()).await;
    let first = cluster.owner_of("{0}").await;
    for (owner, what) in [(first, "the leases and topics"), ((first + 1) % 3, "topics")] {
        // Replication is not awaited by anybody else.
        sleep(Duration::from_secs(1)).await;
        let death = Instant::now();
        cluster.nodes[owner].kill().await;
        crowd.local_commands_work().await;
        is_outlived(&format!("cluster master with {what} killed"), &nodes, &crowd, death, FAILOVER_MAX).await;
    }
    crowd.hears("after", Instant::now()).await;
}
