//! Leaving out steps of a world that fails, as long as it fails.

use super::plan::Plan;

/// The smallest plan found that still fails, by leaving out ever smaller runs of steps (delta debugging: Zeller and
/// Hildebrandt, 2002). Looks at `runs_max` worlds at most.
pub fn shrink(plan: &Plan, runs_max: usize, fails: impl Fn(&Plan) -> bool) -> Plan {
    let mut smallest = plan.clone();
    let mut runs = 0;
    let mut size = smallest.steps.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < smallest.steps.len() {
            if runs == runs_max {
                return smallest;
            }
            runs += 1;
            let mut without = smallest.clone();
            without.steps.drain(at..(at + size).min(smallest.steps.len()));
            if fails(&without) {
                smallest = without;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    smallest
}
