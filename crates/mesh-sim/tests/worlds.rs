//! Seeded worlds, as many as a test run has time for; `cargo xtask sim` runs more.

use std::time::Duration;

use mesh_sim::world::{Act, Bug, Change, Flavour, Kind, Plan, Scale, Step, StoreFault, Topic, run, shrink};

fn plan(seed: u64, kind: Kind, seconds: u64) -> Plan {
    let scale = Scale { instances: 3, clients: 12, rooms: 5, time: Duration::from_secs(seconds) };
    Plan::from_seed(seed, kind, scale)
}

/// Half of the worlds on a thread of their own. Gives the simulated time of all, and how many slow readers were closed.
fn hold(kind: Kind, seeds: std::ops::Range<u64>, seconds: u64) -> (Duration, u64) {
    let each = |seed| {
        let outcome = run(&plan(seed, kind, seconds), None);
        assert!(
            outcome.violations.is_empty(),
            "{:#?}\nagain: cargo xtask sim --only {} --from {seed} --seeds 1 --seconds {seconds}",
            outcome.violations,
            format!("{kind:?}").to_lowercase(),
        );
        (outcome.time, outcome.slow)
    };
    let add = |(time, slow), (more, closed)| (time + more, slow + closed);
    let all = |seeds: Vec<u64>| seeds.into_iter().map(each).fold((Duration::ZERO, 0), add);
    let (one, other): (Vec<u64>, Vec<u64>) = seeds.partition(|seed| seed % 2 == 0);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| all(other));
        add(all(one), other.join().expect("the other half holds"))
    })
}

#[test]
fn eight_hours_of_worlds_on_memory_hold() {
    let (time, slow) = hold(Kind::Memory, 1000..1090, 300);
    assert!(time > Duration::from_secs(8 * 3600) && slow > 20, "{time:?}, {slow} slow readers closed");
}

#[test]
fn two_hours_of_worlds_on_a_simulated_redis_hold() {
    let (time, slow) = hold(Kind::Redis, 1000..1024, 300);
    assert!(time > Duration::from_secs(2 * 3600) && slow > 5, "{time:?}, {slow} slow readers closed");
}

#[test]
fn a_world_is_a_function_of_its_plan() {
    for (seed, kind) in [(1, Kind::Memory), (2, Kind::Memory), (4, Kind::Redis), (6, Kind::Redis)] {
        let plan = plan(seed, kind, 100);
        let (once, again) = (run(&plan, None), run(&plan, None));
        assert_eq!(once.trace, again.trace, "seed {seed}");
        assert!(once.delivered + once.followed > 0, "seed {seed}: {once:?}");
    }
    assert_ne!(run(&plan(1, Kind::Memory, 100), None).trace, run(&plan(2, Kind::Memory, 100), None).trace);
}

/// The steps that were left of worlds that failed once.
#[test]
fn worlds_that_failed_once_hold() {
    let (chat, tail, doc) = (Topic::Channel(0), Topic::Channel(1), Topic::Record(1));
    let seconds = Duration::from_secs;
    // Who subscribed while its instance was deaf was told of what others missed, and given again what it had.
    let told_of_others: &[(u64, Act)] = &[
        (267_558, Act::Dial(4, 1)),
        (278_773, Act::Follow(4, tail, Flavour::Latest)),
        (280_007, Act::Store(StoreFault::Deaf, seconds(20))),
        (281_182, Act::PublishFrom(2, 1)),
        (282_157, Act::PublishFrom(1, 1)),
        (283_120, Act::Dial(7, 1)),
        (285_520, Act::Follow(7, tail, Flavour::Patch)),
        (287_498, Act::PublishFrom(2, 1)),
        (287_986, Act::PublishFrom(2, 1)),
        (288_052, Act::PublishFrom(2, 1)),
    ];
    // The same, with a version of a record.
    let a_version_twice: &[(u64, Act)] = &[
        (82, Act::Dial(11, 2)),
        (324, Act::Dial(2, 2)),
        (473, Act::Dial(6, 0)),
        (14_849, Act::Follow(11, doc, Flavour::Whole)),
        (40_938, Act::BlackHole(2, seconds(20))),
        (49_635, Act::Follow(2, doc, Flavour::Latest)),
        (50_152, Act::Write(6, 1, Change::Increment)),
    ];
    // The same, and then the channel's life was over: the others knew of none, so nobody was told.
    let a_life_unmentioned: &[(u64, Act)] = &[
        (118_841, Act::Dial(1, 0)),
        (140_203, Act::Follow(1, chat, Flavour::Whole)),
        (142_367, Act::Store(StoreFault::Deaf, seconds(20))),
        (151_734, Act::PublishFrom(1, 0)),
        (152_207, Act::Dial(0, 0)),
        (160_511, Act::Follow(0, chat, Flavour::Patch)),
        (162_168, Act::Store(StoreFault::Emptied, seconds(9))),
    ];
    // What waited for its turn came after the word that its life was over.
    let an_older_one_after_the_gap: &[(u64, Act)] = &[
        (280_094, Act::Follow(4, tail, Flavour::Rate)),
        (281_821, Act::Dial(4, 2)),
        (291_118, Act::PublishFrom(0, 1)),
        (291_284, Act::PublishFrom(0, 1)),
        (291_388, Act::Store(StoreFault::Emptied, seconds(1))),
    ];
    for (seed, kind, steps) in [
        (31, Kind::Redis, told_of_others),
        (3110, Kind::Memory, a_version_twice),
        (3068, Kind::Redis, a_life_unmentioned),
        (5283, Kind::Redis, an_older_one_after_the_gap),
    ] {
        let step = |(at, act): &(u64, Act)| Step { at: Duration::from_millis(*at), act: *act };
        let steps = steps.iter().map(step).collect();
        let plan = Plan { steps, ..plan(seed, kind, 300) };
        assert_eq!(run(&plan, None).violations, [""; 0], "{plan}");
    }
}

#[test]
fn a_planted_mistake_is_found_and_shrinks_to_the_steps_that_matter() {
    let of_rooms = [Bug::ForgottenDepartures, Bug::DeafSubscriptions];
    let of_channels = [Bug::ForgottenMessages, Bug::TornPages, Bug::ToldTooSoon];
    let of_records = [Bug::ForgottenWrites, Bug::TornTransactions, Bug::TransactionsInSteps];
    for bug in of_rooms.into_iter().chain(of_channels).chain(of_records) {
        let fails = |plan: &Plan| !run(plan, Some(bug)).violations.is_empty();
        let plan = (1..30).map(|seed| plan(seed, Kind::Memory, 30)).find(fails);
        let plan = plan.unwrap_or_else(|| panic!("one of thirty worlds finds {bug:?}"));
        let small = shrink(&plan, 200, fails);
        assert!(fails(&small) && small.steps.len() <= 30, "{bug:?}: {small}");
    }
}
