//! Redis Cluster: which master serves which shard, followed while it changes.
//!
//! There are 64 shards whatever the cluster's size, each in one slot; so a command always goes to one known node, and a
//! list asks every shard at once. Topics are sharded pub/sub, which needs Redis 7.0.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mesh_proto::Entropy;
use redis::{ConnectionAddr, Value};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use crate::dial::{DIAL_MAX, Dial};
use crate::error::said;
use crate::io::Spawner;
use crate::key::{CLUSTER_SHARDS, Shard};
use crate::map::Map;
use crate::node::{Answer, Node};
use crate::place::{Place, address};

/// Slots of every cluster.
const SLOTS: u16 = 16_384;

/// Time between two looks at who serves what, while all is well.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The same while a node is lost, or a command went to the wrong one.
const LOOK_SOON: Duration = Duration::from_millis(100);

/// A cluster, as seen from here.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) dial: Dial,
    /// Some of its nodes.
    pub(crate) seeds: Vec<ConnectionAddr>,
    pub(crate) entropy: Arc<Entropy>,
    pub(crate) spawner: Spawner,
    pub(crate) map: watch::Sender<Arc<Map>>,
    /// A command went to the wrong node.
    pub(crate) moved: Arc<Notify>,
}

impl Cluster {
    /// Keep the map as the cluster is.
    pub(crate) async fn follow(self) {
        loop {
            if let Some(owners) = self.owners().await {
                self.adopt(&owners);
            }
            let map = self.map.borrow().clone();
            let is_well = map.is_whole() && map.nodes().iter().all(|node| node.down().is_none());
            let wait = if is_well { LOOK_EVERY } else { LOOK_SOON };
            tokio::select! {
                biased;
                () = sleep(wait) => {}
                // However many commands say so, it is looked at once in a while.
                () = async {
                    self.moved.notified().await;
                    sleep(LOOK_SOON).await;
                } => {}
            }
        }
    }

    /// Who serves which shard, as the first node says that answers: one that is connected, else a seed.
    async fn owners(&self) -> Option<Vec<Option<ConnectionAddr>>> {
        let map = self.map.borrow().clone();
        let command = slots_command();
        for node in map.nodes().iter().filter(|node| node.down().is_none()) {
            if let Ok(slots) = node.ask(&command, DIAL_MAX).await {
                return Some(owners(slots, node.address()));
            }
        }
        for seed in &self.seeds {
            if let Ok(owners) = ask(&self.dial, seed).await {
                return Some(owners);
            }
        }
        None
    }

    /// Nodes that stay keep their connections.
    fn adopt(&self, owners: &[Option<ConnectionAddr>]) {
        let old = self.map.borrow().clone();
        if old.is_owned_by(owners) {
            return;
        }
        let mut nodes = BTreeMap::<String, Arc<Node>>::new();
        for address in owners.iter().flatten() {
            nodes.entry(address.to_string()).or_insert_with(|| {
                let known = old.nodes().iter().find(|node| node.address() == Some(address));
                known.cloned().unwrap_or_else(|| {
                    let place = Place::At(address.clone());
                    Arc::new(Node::new(&self.spawner, self.dial.clone(), place, self.entropy.clone()))
                })
            });
        }
        let names: Vec<_> = nodes.keys().cloned().collect();
        tracing::info!("the masters of the Redis Cluster are {}", names.join(", "));
        let index = |owner: &Option<ConnectionAddr>| names.binary_search(&owner.as_ref()?.to_string()).ok();
        let map = Map::new(nodes.into_values().collect(), owners.iter().map(index).collect());
        self.map.send_replace(Arc::new(map));
    }
}

fn slots_command() -> redis::Cmd {
    let mut command = redis::cmd("CLUSTER");
    command.arg("SLOTS");
    command
}

/// Who serves which shard, as one node says.
pub(crate) async fn ask(dial: &Dial, at: &ConnectionAddr) -> Result<Vec<Option<ConnectionAddr>>, String> {
    let mut redis = dial.dial(at, Arc::new(|_| {})).await.map_err(|error| said(&error))?;
    match timeout(DIAL_MAX, redis.send_packed_command(&slots_command())).await {
        Err(_) => Err("no answer in time".to_owned()),
        Ok(Err(error)) => Err(said(&error)),
        Ok(Ok(Value::ServerError(error))) => Err(said(&error.into())),
        Ok(Ok(slots)) => Ok(owners(slots, Some(at))),
    }
}

/// What CLUSTER SLOTS says: ranges `first, last, [host, port, ...], replicas...`. An empty host is the one that was
/// asked. Whatever it is, nothing panics.
fn owners(slots: Value, asked: Option<&ConnectionAddr>) -> Vec<Option<ConnectionAddr>> {
    let mut owners = vec![None; usize::from(CLUSTER_SHARDS)];
    let Value::Array(ranges) = slots else { return owners };
    for range in ranges {
        let Value::Array(range) = range else { continue };
        let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = &range[..] else { continue };
        let [host, Value::Int(port), ..] = &master[..] else { continue };
        let host = match host {
            Value::BulkString(host) if !host.is_empty() && host != b"?" => {
                Some(String::from_utf8_lossy(host).into_owned())
            }
            _ => None,
        };
        let owner = address(host, u16::try_from(*port).unwrap_or_default(), asked);
        for (shard, place) in (0..CLUSTER_SHARDS).zip(&mut owners) {
            if (*first..=*last).contains(&i64::from(slot(shard))) {
                place.clone_from(&owner);
            }
        }
    }
    owners
}

/// The slot of a shard's hash tag.
fn slot(shard: Shard) -> u16 {
    let crc = shard.to_string().bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    });
    crc % SLOTS
}

/// Whether an error says that the command belongs to another node, or to none for now, and so was not done.
pub(crate) fn is_elsewhere(answer: &Answer) -> bool {
    let Answer::Error(error) = answer else { return false };
    matches!(error.code(), Some("MOVED" | "ASK" | "TRYAGAIN" | "CLUSTERDOWN"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_what_redis_says() {
        // CLUSTER KEYSLOT of `{0}`, `{1}`, `{63}`.
        assert_eq!((slot(0), slot(1)), (13_907, 9_842));
        assert!((0..CLUSTER_SHARDS).all(|shard| slot(shard) < SLOTS));
    }

    #[test]
    fn strange_slots_are_nobodys() {
        let array = |values: &[Value]| Value::Array(values.to_vec());
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        for slots in [
            Value::Nil,
            array(&[Value::Nil]),
            array(&[array(&[Value::Int(0), Value::Int(16_383)])]),
            array(&[array(&[Value::Int(0), Value::Int(16_383), array(&[text("h")])])]),
            array(&[array(&[Value::Int(9), Value::Int(-1), array(&[text("h"), Value::Int(1)])])]),
        ] {
            assert!(owners(slots, None).iter().all(Option::is_none));
        }
        let all = array(&[array(&[Value::Int(0), Value::Int(16_383), array(&[text("h"), Value::Int(7)])])]);
        let expected = Some(ConnectionAddr::Tcp("h".to_owned(), 7));
        assert!(owners(all, None).iter().all(|owner| *owner == expected));
    }
}
