//! A Redis Cluster of processes of this machine.

use std::time::Duration;

use super::{Redis, Reply};
use crate::wait::eventually;

/// Masters, and as many replicas.
const MASTERS: usize = 3;
/// Slots of every cluster.
const SLOTS: usize = 16_384;
/// How long it may take to be whole.
const PATIENCE: Duration = Duration::from_secs(30);

/// Three masters with a replica each.
#[derive(Debug)]
pub struct Cluster {
    /// The masters first, then their replicas in the same order.
    pub nodes: Vec<Redis>,
}

impl Cluster {
    /// Start it, and wait until every node knows all and every replica follows. A node that is silent for 1.5 s is down.
    pub async fn start() -> Self {
        let options =
            ["--cluster-enabled", "yes", "--cluster-node-timeout", "1500", "--repl-diskless-sync-delay", "0"];
        let starting = (0..2 * MASTERS).map(|_| Redis::start_with(&options));
        let cluster = Self { nodes: futures_util::future::join_all(starting).await };
        for (number, node) in cluster.nodes.iter().enumerate() {
            node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]).await;
            if number < MASTERS {
                let (first, last) = (number * SLOTS / MASTERS, (number + 1) * SLOTS / MASTERS - 1);
                node.command(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]).await;
            }
            let port = cluster.nodes[0].port().to_string();
            node.command(&["CLUSTER", "MEET", "127.0.0.1", &port]).await;
        }
        let all = format!("cluster_known_nodes:{}", cluster.nodes.len());
        cluster.all_say(&all).await;
        for number in 0..MASTERS {
            let master = cluster.nodes[number].command(&["CLUSTER", "MYID"]).await;
            let replica = &cluster.nodes[MASTERS + number];
            let follows = async || {
                let told = replica.command(&["CLUSTER", "REPLICATE", master.text()]).await;
                told == Reply::Text("OK".to_owned())
            };
            eventually("a replica is told whom to follow", PATIENCE, follows).await;
        }
        for replica in &cluster.nodes[MASTERS..] {
            let follows = async || replica.info("master_link_status").await == "up";
            eventually("a replica follows", PATIENCE, follows).await;
        }
        cluster.all_say("cluster_state:ok").await;
        cluster
    }

    async fn all_say(&self, what: &str) {
        for node in &self.nodes {
            let says = async || node.command(&["CLUSTER", "INFO"]).await.text().contains(what);
            eventually(what, PATIENCE, says).await;
        }
    }

    /// As `mesh-node` takes it.
    pub fn name(&self) -> String {
        let nodes: Vec<_> = self.nodes.iter().map(Redis::at).collect();
        format!("cluster:{}", nodes.join(","))
    }

    /// Which master has a key.
    pub async fn owner_of(&self, key: &str) -> usize {
        match self.nodes[0].command(&["CLUSTER", "KEYSLOT", key]).await {
            Reply::Number(slot) => (0..MASTERS)
                .position(|master| (slot as usize) < (master + 1) * SLOTS / MASTERS)
                .expect("each slot has a master"),
            other => panic!("no slot: {other:?}"),
        }
    }
}
