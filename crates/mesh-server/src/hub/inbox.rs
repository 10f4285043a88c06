//! What other instances, and this one, published: from the backend to the listeners.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use mesh_backend::{Arrival, Arrivals, Control, Key, Kind, Received};

use super::Hub;

/// Arrivals handed out before other tasks get a turn, the flushers above all.
const BATCH: usize = 64;
/// Bytes of them. After a pause of this process many wait at once: handed out without a break they would overflow the
/// outboxes of readers that keep up.
const BATCH_BYTES: usize = 128 * 1024;

/// Who is told of what is not for connections.
pub(crate) trait Heard: Send {
    /// A word for the instance.
    fn on_control(&self, arrival: Arrival);
    /// What somebody published who is no instance: what it is to connections, if anything.
    fn on_plain(&self, arrival: Arrival) -> Option<Arrival>;
    /// Publications may be missing.
    fn on_lost(&self);
    /// A stream has to be made good: what arrives on it is kept until then.
    fn on_gap(&self, topic: Key);
}

/// Hand out what arrives until the backend closes the inbox.
pub(crate) async fn hand_out(hub: Arc<Hub>, mut arrivals: Arrivals, heard: impl Heard) {
    let (mut batch, mut bytes) = (0, 0);
    // The parts of a transaction come one after the other.
    let mut together: Vec<Arrival> = Vec::new();
    while let Some(received) = arrivals.recv().await {
        match received {
            Received::Arrival(arrival) => {
                hub.arrivals.fetch_add(1, Ordering::Relaxed);
                bytes += arrival.weight();
                if arrival.topic.kind == Kind::Bridge {
                    // It has no number, so nothing can be missing before it.
                    if let Some(arrival) = heard.on_plain(arrival) {
                        hub.fan_out(hub.find(&arrival.topic).as_ref(), &arrival);
                    }
                } else {
                    hub.hand_over(arrival, &mut together, &heard);
                }
            }
            Received::ContinuityLost => {
                together.clear();
                hub.hear_anew();
                heard.on_lost();
                hub.hold_all().into_iter().for_each(|topic| heard.on_gap(topic));
            }
        }
        batch += 1;
        if batch == BATCH || bytes >= BATCH_BYTES {
            (batch, bytes) = (0, 0);
            tokio::task::yield_now().await;
        }
    }
}

impl Hub {
    /// Hand one arrival to whom it is for; parts of a transaction wait in `together` for the last one.
    fn hand_over(self: &Arc<Self>, arrival: Arrival, together: &mut Vec<Arrival>, heard: &impl Heard) {
        let topic = self.find(&arrival.topic);
        if let Some(topic) = topic.as_ref().filter(|topic| topic.follows_a_gap(&arrival)) {
            heard.on_lost();
            if Self::hold(topic) {
                heard.on_gap(arrival.topic.clone());
            }
        }
        match arrival.control {
            None if arrival.group.is_some_and(|group| group.of > 1) => {
                let is_last = arrival.group.is_some_and(|group| group.index + 1 == group.of);
                together.push(arrival);
                if is_last {
                    let parts = std::mem::take(together);
                    self.fan_out_together(&parts).into_iter().for_each(|topic| heard.on_gap(topic));
                }
            }
            None | Some(Control::Close(_)) => {
                if self.fan_out(topic.as_ref(), &arrival) {
                    heard.on_gap(arrival.topic);
                }
            }
            Some(_) => heard.on_control(arrival),
        }
    }
}
