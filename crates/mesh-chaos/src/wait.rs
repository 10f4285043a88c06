//! Waiting for what must come, and telling how long it took.

use std::io::Write;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Wait until something holds. Gives how long that took.
///
/// # Panics
/// If it does not hold within the time.
pub async fn eventually(what: &str, within: Duration, mut holds: impl AsyncFnMut() -> bool) -> Duration {
    let begun = Instant::now();
    loop {
        if holds().await {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < within, "not within {within:?}: {what}");
        sleep(LOOK_EVERY).await;
    }
}

/// Print something that was measured, past the test harness, which keeps what passing tests print to itself.
pub fn figure(what: &str, value: impl std::fmt::Debug) {
    // A figure that cannot be printed fails no test.
    let _ = writeln!(std::io::stdout(), "figure: {what} {value:.3?}");
}
