//! Giving up topics that nobody wished for during the linger.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until, timeout};

use super::Shared;

/// Topics given up at once.
const BATCH_MAX: usize = 500;

pub(super) async fn give_up(shared: Arc<Shared>) {
    loop {
        match shared.with(|state| state.next_leave()) {
            None => shared.left.notified().await,
            Some(until) => sleep_until(until).await,
        }
        // Whoever subscribes meanwhile asks after this was sent, else it would be given up what was just wished for.
        let _order = shared.order.write().await;
        let over = shared.with(|state| state.give_up(Instant::now(), BATCH_MAX));
        let unsubscribe = async {
            for (channel, mut connection) in over {
                let mut command = redis::cmd(shared.commands.verbs.unsubscribe);
                command.arg(&channel);
                // If it fails the connection is lost, and the next one does not have the topic.
                let _ = connection.send_packed_command(&command).await;
            }
        };
        // What is not given up in time arrives for nobody and is dropped.
        let _ = timeout(shared.commands.deadline, unsubscribe).await;
    }
}
