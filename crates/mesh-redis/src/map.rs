//! Which Redis serves which shard.

use std::sync::Arc;

use redis::ConnectionAddr;

use crate::key::Shard;
use crate::node::Node;

/// Which Redis serves which shard, as far as is known.
#[derive(Debug)]
pub(crate) struct Map {
    nodes: Vec<Arc<Node>>,
    /// By shard: which of the nodes, if any.
    owners: Vec<Option<usize>>,
}

impl Map {
    pub(crate) fn new(nodes: Vec<Arc<Node>>, owners: Vec<Option<usize>>) -> Self {
        Self { nodes, owners }
    }

    /// One Redis serves all.
    pub(crate) fn one(node: Arc<Node>) -> Self {
        Self::new(vec![node], vec![Some(0)])
    }

    /// Whether somebody serves every shard.
    pub(crate) fn is_whole(&self) -> bool {
        !self.owners.is_empty() && self.owners.iter().all(Option::is_some)
    }

    /// Whether these serve the shards, in their order.
    pub(crate) fn is_owned_by(&self, owners: &[Option<ConnectionAddr>]) -> bool {
        let is_alike = |(shard, owner): (Shard, &Option<ConnectionAddr>)| {
            self.owner(shard).and_then(|node| node.address()) == owner.as_ref()
        };
        self.owners.len() == owners.len() && (0..).zip(owners).all(is_alike)
    }

    pub(crate) fn owner(&self, shard: Shard) -> Option<&Arc<Node>> {
        let owner = self.owners.get(usize::from(shard)).copied().flatten()?;
        self.nodes.get(owner)
    }

    pub(crate) fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    /// The shards that a node serves.
    pub(crate) fn served_by(&self, node: &Node) -> Vec<Shard> {
        let is_it = |shard: &Shard| self.owner(*shard).is_some_and(|owner| std::ptr::eq(&**owner, node));
        (0..self.owners.len() as Shard).filter(is_it).collect()
    }
}
