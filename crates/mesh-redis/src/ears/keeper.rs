//! A feed for every Redis that serves a shard.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::{Shared, feed};
use crate::io::{Spawner, Task};
use crate::key::Shard;

pub(super) async fn keep(shared: Arc<Shared>, spawner: Spawner) {
    let mut map = shared.commands.map.clone();
    let mut feeds = BTreeMap::<String, (Vec<Shard>, Task)>::new();
    loop {
        let now = map.borrow_and_update().clone();
        let nodes = now.nodes().iter().map(|node| (node.name(), (now.served_by(node), node.clone())));
        let nodes: BTreeMap<_, _> = nodes.filter(|(_, (shards, _))| !shards.is_empty()).collect();
        feeds.retain(|name, (shards, _)| {
            let stays = nodes.get(name).is_some_and(|(now, _)| now == shards);
            if !stays {
                shared.with(|state| state.remove_feed(name));
            }
            stays
        });
        for (name, (shards, node)) in nodes {
            if let Entry::Vacant(place) = feeds.entry(name) {
                shared.with(|state| state.add_feed(place.key(), shards.clone()));
                let task = spawner.spawn(feed::listen(shared.clone(), node, shards.clone()));
                place.insert((shards, task));
            }
        }
        if map.changed().await.is_err() {
            // The backend is gone; the feeds go on until the link is.
            std::future::pending::<()>().await;
        }
    }
}
