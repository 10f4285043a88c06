//! How long to wait before another try.

use std::time::Duration;

use mesh_proto::Entropy;

/// An interval of 0 would be a loop as fast as the machine allows.
const INTERVAL_MIN: Duration = Duration::from_millis(100);
/// Doubling stops mattering long before this.
const DOUBLINGS_MAX: u32 = 20;

/// Full jitter: from nothing up to a bound that doubles with each failure. The first wait is drawn as well, since a
/// server that restarts drops everybody at once.
pub(super) fn backoff(base: Duration, max: Duration, failures: u32, entropy: &Entropy) -> Duration {
    let doublings = failures.saturating_sub(1).min(DOUBLINGS_MAX);
    let bound = base.max(INTERVAL_MIN).saturating_mul(1 << doublings).min(max);
    // 53 random bits are a number from 0 up to 1.
    let part = (entropy.u64() >> 11) as f64 / (1_u64 << 53) as f64;
    bound.mul_f64(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_its_cap_and_all_below_it_is_drawn() {
        let entropy = Entropy::from_seed(1);
        let (base, max) = (Duration::from_secs(2), Duration::from_secs(30));
        for (failures, bound) in [(1, 2), (2, 4), (3, 8), (4, 16), (5, 30), (1_000_000, 30)] {
            let bound = Duration::from_secs(bound);
            let draws: Vec<_> = (0..200).map(|_| backoff(base, max, failures, &entropy)).collect();
            assert!(draws.iter().all(|draw| *draw < bound), "{failures}");
            assert!(draws.iter().any(|draw| *draw < bound / 10), "{failures}");
            assert!(draws.iter().any(|draw| *draw > bound * 9 / 10), "{failures}");
        }
        assert!(backoff(Duration::ZERO, max, 1, &entropy) < INTERVAL_MIN);
    }
}
