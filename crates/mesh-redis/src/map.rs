//! Which Redis serves which shard.

use std::sync::Arc;

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
    /// One Redis serves all.
    pub(crate) fn one(node: Arc<Node>) -> Self {
        Self { nodes: vec![node], owners: vec![Some(0)] }
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
