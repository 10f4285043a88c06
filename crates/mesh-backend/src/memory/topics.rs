//! Who is subscribed to what.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use mesh_proto::{Incarnation, Position};

use crate::{Announce, Arrival, Inbox, Key, Variants, Wire};

#[derive(Default)]
pub(super) struct Topics(BTreeMap<Key, Topic>);

/// Exists while somebody is subscribed. Both lists are in order of incarnations, and short.
#[derive(Default)]
struct Topic {
    subscribers: Vec<(Incarnation, Inbox)>,
    /// How much each incarnation published, for gaps to be seen.
    counts: Vec<(Incarnation, u64)>,
}

impl Topics {
    pub(super) fn subscribe(&mut self, topic: &Key, who: Incarnation, inbox: &Inbox) {
        let topic = self.0.entry(topic.clone()).or_default();
        if let Err(at) = topic.subscribers.binary_search_by_key(&who, |s| s.0) {
            topic.subscribers.insert(at, (who, inbox.clone()));
        }
    }

    pub(super) fn unsubscribe(&mut self, topic: &Key, who: Incarnation) {
        let Some(entry) = self.0.get_mut(topic) else { return };
        entry.subscribers.retain(|s| s.0 != who);
        if entry.subscribers.is_empty() {
            self.0.remove(topic);
        }
    }

    /// Forget an incarnation altogether.
    pub(super) fn forget(&mut self, who: Incarnation) {
        self.0.retain(|_, topic| {
            topic.subscribers.retain(|s| s.0 != who);
            topic.counts.retain(|c| c.0 != who);
            !topic.subscribers.is_empty()
        });
    }

    /// Append to the inbox of everybody subscribed.
    pub(super) fn publish(&mut self, from: Incarnation, announce: Announce, position: Option<Position>) {
        let Some((arrival, subscribers)) = self.arrival(from, announce, position) else { return };
        for (_, inbox) in subscribers {
            inbox.push(arrival.clone());
        }
    }

    /// Append to the inbox of everybody subscribed to any of it what it is subscribed to, together.
    pub(super) fn publish_group(&mut self, from: Incarnation, id: u64, told: Vec<(Announce, Position)>) {
        let mut arriving: BTreeMap<Incarnation, (Inbox, Vec<Arrival>)> = BTreeMap::new();
        for (announce, position) in told {
            let Some((arrival, subscribers)) = self.arrival(from, announce, Some(position)) else { continue };
            for (who, inbox) in subscribers {
                let (_, its) = arriving.entry(*who).or_insert_with(|| (inbox.clone(), Vec::new()));
                its.push(arrival.clone());
            }
        }
        arriving.into_values().for_each(|(inbox, its)| inbox.push_group(id, its));
    }

    /// What arrives of an announcement, and at whom; nothing, if nobody is subscribed.
    fn arrival(
        &mut self,
        from: Incarnation,
        announce: Announce,
        position: Option<Position>,
    ) -> Option<(Arrival, &[(Incarnation, Inbox)])> {
        let topic = self.0.get_mut(&announce.topic)?;
        let at = topic.counts.binary_search_by_key(&from, |c| c.0).unwrap_or_else(|at| {
            topic.counts.insert(at, (from, 0));
            at
        });
        topic.counts[at].1 += 1;
        let (full, patch) = announce.variants.map_or((None, None), |Variants { full, patch }| (full, patch));
        let arrival = Arrival {
            topic: announce.topic,
            from,
            n: topic.counts[at].1,
            position,
            audience: announce.audience,
            txn: announce.txn,
            full: full.map(|full| join(full, position)),
            patch: patch.map(|patch| join(patch, position)),
            control: announce.control,
            group: None,
        };
        Some((arrival, &topic.subscribers))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

fn join(wire: Wire, position: Option<Position>) -> Bytes {
    let (before, after) = match wire {
        Wire::Final(text) => return text,
        Wire::Seam { before, after } => (before, after),
    };
    let seam = position.map_or(String::new(), |p| format!(r#""epoch":"{}","offset":{}"#, p.epoch, p.offset));
    let mut text = BytesMut::with_capacity(before.len() + seam.len() + after.len());
    text.put(before);
    text.put(seam.as_bytes());
    text.put(after);
    text.freeze()
}
