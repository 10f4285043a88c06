//! Seeded worlds, as many as a test run has time for; `cargo xtask sim` runs more.

use std::time::Duration;

use mesh_sim::world::{Bug, Kind, Plan, Scale, run, shrink};

fn plan(seed: u64, kind: Kind, seconds: u64) -> Plan {
    let scale = Scale { instances: 3, clients: 12, rooms: 5, time: Duration::from_secs(seconds) };
    Plan::from_seed(seed, kind, scale)
}

/// Each world on a thread of its own. Gives the simulated time of all.
fn hold(kind: Kind, seeds: std::ops::Range<u64>, seconds: u64) -> Duration {
    let each = |seed| {
        let outcome = run(&plan(seed, kind, seconds), None);
        assert!(
            outcome.violations.is_empty(),
            "{:#?}\nagain: cargo xtask sim --only {} --from {seed} --seeds 1 --seconds {seconds}",
            outcome.violations,
            format!("{kind:?}").to_lowercase(),
        );
        outcome.time
    };
    let (one, other): (Vec<u64>, Vec<u64>) = seeds.partition(|seed| seed % 2 == 0);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| other.into_iter().map(each).sum::<Duration>());
        one.into_iter().map(each).sum::<Duration>() + other.join().expect("the other half holds")
    })
}

#[test]
fn eight_hours_of_worlds_on_memory_hold() {
    assert!(hold(Kind::Memory, 1000..1090, 300) > Duration::from_secs(8 * 3600));
}

#[test]
fn two_hours_of_worlds_on_a_simulated_redis_hold() {
    assert!(hold(Kind::Redis, 1000..1024, 300) > Duration::from_secs(2 * 3600));
}

#[test]
fn a_world_is_a_function_of_its_plan() {
    for (seed, kind) in [(1, Kind::Memory), (2, Kind::Memory), (3, Kind::Redis), (4, Kind::Redis)] {
        let plan = plan(seed, kind, 100);
        let (once, again) = (run(&plan, None), run(&plan, None));
        assert_eq!(once.trace, again.trace, "seed {seed}");
        assert!(once.delivered > 0);
    }
    assert_ne!(run(&plan(1, Kind::Memory, 100), None).trace, run(&plan(2, Kind::Memory, 100), None).trace);
}

#[test]
fn a_planted_mistake_is_found_and_shrinks_to_the_steps_that_matter() {
    for bug in [Bug::ForgottenDepartures, Bug::DeafSubscriptions] {
        let fails = |plan: &Plan| !run(plan, Some(bug)).violations.is_empty();
        let plan = (1..10).map(|seed| plan(seed, Kind::Memory, 30)).find(fails);
        let plan = plan.expect("one of ten worlds finds it");
        let small = shrink(&plan, 200, fails);
        assert!(fails(&small) && small.steps.len() <= 30, "{bug:?}: {small}");
    }
}
