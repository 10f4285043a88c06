//! A Redis Cluster of processes of this machine.

use std::process::Command;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Server;

/// How long a cluster may take to be whole.
const WHOLE_MAX: Duration = Duration::from_secs(30);

/// Masters, then as many replicas of each as there are.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Server>,
}

impl Cluster {
    /// Three masters, with so many replicas each.
    pub(crate) async fn start(replicas: usize) -> Self {
        let mut nodes = Vec::new();
        for _ in 0..3 * (1 + replicas) {
            let options = [
                "--cluster-enabled",
                "yes",
                "--cluster-node-timeout",
                "1500",
                "--repl-diskless-sync-delay",
                "0",
            ];
            nodes.push(Server::redis_with(&options).await);
        }
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]);
        create.args(nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())));
        create.args(["--cluster-replicas", &replicas.to_string(), "--cluster-yes"]);
        let created = create.output().expect("redis-cli is not there; `cargo xtask setup` installs it");
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stdout));
        let cluster = Self { nodes };
        cluster.is_whole().await;
        cluster
    }

    /// Wait until every node knows a master for every slot, and every replica has what its master has.
    async fn is_whole(&self) {
        let until = Instant::now() + WHOLE_MAX;
        let whole = |node: &Server| {
            let info = node.command(&["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok")
                && info.contains(&format!("cluster_known_nodes:{}", self.nodes.len()))
                && !node.command(&["INFO", "replication"]).contains("master_link_status:down")
        };
        while !self.nodes.iter().all(whole) {
            assert!(Instant::now() < until, "the cluster is not whole");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Wait until the replica of a master has all that was written: what it has not when the master dies is lost, and
    /// one that has nothing yet takes nobody's place.
    pub(crate) async fn is_replicated(&self, master: usize) {
        let until = Instant::now() + WHOLE_MAX;
        loop {
            let info = self.nodes[master].command(&["INFO", "replication"]);
            let offset = |from: &str, to: char| {
                let rest = info.split_once(from)?.1;
                rest.split(to).next()?.trim().parse::<u64>().ok()
            };
            let replica = info.split_once("slave0:").and_then(|_| offset(",offset=", ','));
            if replica.is_some() && replica == offset("master_repl_offset:", '\n') {
                return;
            }
            assert!(Instant::now() < until, "the replica is behind: {info}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// All but the first, which the address names.
    pub(crate) fn others(&self) -> Vec<String> {
        self.nodes[1..].iter().map(|node| format!("127.0.0.1:{}", node.port())).collect()
    }

    /// The port of the master of a key.
    pub(crate) fn owner_of(&self, key: &str) -> usize {
        let slot = self.nodes[0].command(&["CLUSTER", "KEYSLOT", key]);
        let slot: u16 = slot.trim_start_matches(':').parse().unwrap();
        let masters = self.nodes[0].command(&["CLUSTER", "NODES"]);
        // `id host:port@bus flags master ping pong epoch state first-last`
        let line = masters.lines().find(|line| {
            let words: Vec<_> = line.split(' ').collect();
            let is_in = |range: &&str| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                matches!((first.parse::<u16>(), last.parse::<u16>()), (Ok(first), Ok(last)) if (first..=last).contains(&slot))
            };
            words.get(2).is_some_and(|flags| flags.contains("master")) && words[8..].iter().any(is_in)
        });
        let address = line.unwrap().split(' ').nth(1).unwrap();
        let port: u16 = address.split([':', '@']).nth(1).unwrap().parse().unwrap();
        self.nodes.iter().position(|node| node.port() == port).unwrap()
    }
}

/// Move every slot of one master to another; ids are the cluster's.
pub(crate) fn reshard(port: u16, from: &str, to: &str) {
    let mut reshard = Command::new("redis-cli");
    reshard.args([
        "--cluster",
        "reshard",
        &format!("127.0.0.1:{port}"),
        "--cluster-from",
        from,
        "--cluster-to",
        to,
    ]);
    reshard.args(["--cluster-slots", "6000", "--cluster-yes"]);
    let done = reshard.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
}
