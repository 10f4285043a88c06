//! From options to a backend that works.

use std::sync::Arc;
use std::time::Duration;

use mesh_proto::Entropy;
use redis::ConnectionAddr;
use tokio::sync::{Notify, watch};

use crate::Redis;
use crate::call::{Commands, Verbs};
use crate::check::Check;
use crate::cluster::{self, Cluster};
use crate::dial::{DIAL_MAX, Dial};
use crate::error::ConnectError;
use crate::io::Io;
use crate::key::{CLUSTER_SHARDS, FIRST, Keys};
use crate::map::Map;
use crate::node::Node;
use crate::place::Place;

/// Everything that is known before there is a connection.
#[derive(Debug)]
pub(crate) struct Connect {
    pub(crate) namespace: Option<String>,
    pub(crate) deadline: Duration,
    pub(crate) address: ConnectionAddr,
    pub(crate) dial: Dial,
    pub(crate) entropy: Arc<Entropy>,
    pub(crate) io: Io,
}

impl Connect {
    /// To one Redis.
    pub(crate) async fn one(self, place: Place) -> Result<Redis, ConnectError> {
        let keys = Keys::new(self.namespace.as_deref(), 1);
        let (dial, name) = (self.dial.clone(), place.to_string());
        let resolving = place.clone();
        let resolved = self.on_io(async move { resolving.resolve(&dial).await }).await?;
        let address = resolved.map_err(|reason| ConnectError::Unreachable { address: name, reason })?;
        let check = self.check(address, &keys, Verbs::PLAIN, false);
        self.on_io(async move { check.run().await }).await??;
        let node = Node::new(self.io.spawner(), self.dial.clone(), place, self.entropy.clone());
        node.connected(DIAL_MAX).await;
        let map = watch::Sender::new(Arc::new(Map::one(Arc::new(node))));
        let moved = Arc::new(Notify::new());
        let commands =
            Commands { keys, verbs: Verbs::PLAIN, deadline: self.deadline, map: map.subscribe(), moved };
        Ok(Redis::new(self.io, commands, None, self.entropy))
    }

    /// To a cluster, of which these are nodes.
    pub(crate) async fn cluster(self, seeds: Vec<ConnectionAddr>) -> Result<Redis, ConnectError> {
        let keys = Keys::new(self.namespace.as_deref(), CLUSTER_SHARDS);
        let first = self.first_shard(&seeds, &keys).await?;
        let check = self.check(first, &keys, Verbs::SHARDED, true);
        self.on_io(async move { check.run().await }).await??;
        let map = watch::Sender::new(Arc::new(Map::new(Vec::new(), Vec::new())));
        let moved = Arc::new(Notify::new());
        let mut seen = map.subscribe();
        let cluster = Cluster {
            dial: self.dial.clone(),
            seeds,
            entropy: self.entropy.clone(),
            spawner: self.io.spawner().clone(),
            map,
            moved: moved.clone(),
        };
        let follower = self.io.spawner().spawn(cluster.follow());
        // What is not there within this time is what the first calls say is unavailable.
        let whole = seen.wait_for(|map| map.is_whole());
        let whole = tokio::time::timeout(2 * DIAL_MAX, whole).await.map(|map| map.map(|map| map.clone()));
        if let Ok(Ok(map)) = whole {
            for node in map.nodes() {
                node.connected(DIAL_MAX).await;
            }
        }
        let commands = Commands { keys, verbs: Verbs::SHARDED, deadline: self.deadline, map: seen, moved };
        Ok(Redis::new(self.io, commands, Some(follower), self.entropy))
    }

    /// Who serves the first shard, as the first seed says that is there.
    async fn first_shard(
        &self,
        seeds: &[ConnectionAddr],
        keys: &Keys,
    ) -> Result<ConnectionAddr, ConnectError> {
        let mut last = ConnectError::BadOption("no node of the cluster is named".to_owned());
        for seed in seeds {
            let check = self.check(seed.clone(), keys, Verbs::SHARDED, true);
            match self.on_io(async move { check.greet().await.map(drop) }).await? {
                Ok(()) => {}
                Err(error @ ConnectError::Unreachable { .. }) => {
                    last = error;
                    continue;
                }
                Err(error) => return Err(error),
            }
            let (dial, at) = (self.dial.clone(), seed.clone());
            let unusable = |reason| ConnectError::Unusable { address: seed.to_string(), reason };
            let owners =
                self.on_io(async move { cluster::ask(&dial, &at).await }).await?.map_err(unusable)?;
            let first = owners.into_iter().nth(usize::from(FIRST)).flatten();
            let nobody = "not every slot of its cluster has a master; look at `redis-cli --cluster check`";
            return first.ok_or_else(|| unusable(nobody.to_owned()));
        }
        Err(last)
    }

    fn check(&self, address: ConnectionAddr, keys: &Keys, verbs: Verbs, is_cluster: bool) -> Check {
        let mark = self.entropy.u64();
        Check { dial: self.dial.clone(), address, keys: keys.clone(), verbs, is_cluster, mark }
    }

    async fn on_io<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, ConnectError> {
        let over = || ConnectError::BadOption("the runtime of the connections ends".to_owned());
        self.io.run(future).await.ok_or_else(over)
    }
}
