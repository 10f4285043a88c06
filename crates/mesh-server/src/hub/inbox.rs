//! What other instances, and this one, published: from the backend to the listeners.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use mesh_backend::{Arrival, Arrivals, Control, Received};

use super::Hub;

/// Arrivals handed out before other tasks get a turn, the flushers above all.
const BATCH: usize = 64;
/// Bytes of them. After a pause of this process many wait at once: handed out without a break they would overflow the
/// outboxes of readers that keep up.
const BATCH_BYTES: usize = 128 * 1024;

/// Hand out what arrives until the backend closes the inbox. `on_control` gets what is for the instance rather than for
/// connections, `on_lost` is told when publications may be missing.
pub(crate) async fn hand_out(
    hub: Arc<Hub>,
    mut arrivals: Arrivals,
    on_control: impl Fn(Arrival),
    on_lost: impl Fn(),
) {
    let (mut batch, mut bytes) = (0, 0);
    while let Some(received) = arrivals.recv().await {
        match received {
            Received::Arrival(arrival) => {
                hub.arrivals.fetch_add(1, Ordering::Relaxed);
                bytes += arrival.weight();
                let topic = hub.find(&arrival.topic);
                if topic.as_ref().is_some_and(|topic| topic.follows_a_gap(&arrival)) {
                    on_lost();
                }
                match arrival.control {
                    None | Some(Control::Close(_)) => hub.fan_out(topic.as_deref(), &arrival),
                    Some(_) => on_control(arrival),
                }
            }
            Received::ContinuityLost => {
                hub.hear_anew();
                on_lost();
            }
        }
        batch += 1;
        if batch == BATCH || bytes >= BATCH_BYTES {
            (batch, bytes) = (0, 0);
            tokio::task::yield_now().await;
        }
    }
}
