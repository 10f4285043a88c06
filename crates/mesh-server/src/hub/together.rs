//! What a transaction wrote reaches a subscriber of several of its records in one frame.

use std::cell::RefCell;
use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use indexmap::IndexMap;
use mesh_backend::{Arrival, Key};
use mesh_proto::{ConnId, command};

use super::{Hub, Outbox};

/// What one connection gets.
struct Parts {
    outbox: Arc<Outbox>,
    /// Of which of its subscriptions.
    of: Vec<NonZeroU64>,
    texts: Vec<Bytes>,
}

impl Hub {
    /// Hand out arrivals of one transaction. Of which topics something is missing.
    pub(super) fn fan_out_together(self: &Arc<Self>, arrivals: &[Arrival]) -> Vec<Key> {
        let together = RefCell::new(Vec::new());
        let mut lost = Vec::new();
        for arrival in arrivals {
            let Some(topic) = self.find(&arrival.topic) else { continue };
            if self.advance(&topic, arrival, Some(&together)) {
                lost.push(arrival.topic.clone());
            }
        }
        let mut for_each: IndexMap<ConnId, Parts> = IndexMap::new();
        for (outbox, of, text) in together.into_inner() {
            let id = outbox.id;
            let new = || Parts { outbox, of: Vec::new(), texts: Vec::new() };
            let parts = for_each.entry(id).or_insert_with(new);
            parts.of.push(of);
            parts.texts.push(text);
        }
        // Encoded once for all that get the same texts, which are the same bytes in memory.
        let mut frames: HashMap<Vec<usize>, Bytes> = HashMap::new();
        for Parts { outbox, of, texts } in for_each.into_values() {
            let which = texts.iter().map(|text| text.as_ptr() as usize).collect();
            let frame = frames.entry(which).or_insert_with(|| mesh_ws::text(&joined(&texts)));
            // Not before what waits of these records, and nothing newer may overtake it.
            outbox.push_behind(frame, &of);
        }
        lost
    }
}

/// One text as it is; several as one push of all their payloads.
fn joined(texts: &[Bytes]) -> Bytes {
    if let [only] = texts {
        return only.clone();
    }
    let head = format!("{{\"command\":\"{}\",\"payload\":", command::RECORD_UPDATE);
    let mut joined = BytesMut::with_capacity(texts.iter().map(Bytes::len).sum());
    let all = format!("{{\"command\":\"{}\",\"payload\":{{\"updates\":[", command::RECORD_UPDATES);
    joined.put_slice(all.as_bytes());
    for (n, text) in texts.iter().enumerate() {
        if n > 0 {
            joined.put_u8(b',');
        }
        // Each is a push of a record, which this crate's `record` module made on some instance.
        joined.put_slice(&text[head.len()..text.len() - 1]);
    }
    joined.put_slice(b"]}}");
    joined.freeze()
}
