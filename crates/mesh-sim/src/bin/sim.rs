//! `sim --seeds 100`: run seeded worlds; print and shrink the first one that fails.
#![allow(clippy::print_stdout, reason = "this is what it is for")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use mesh_sim::world::{Kind, Plan, Scale, run, shrink};

/// Run seeded worlds of server instances and clients, on memory and on a simulated Redis in turn.
#[derive(Parser)]
struct Args {
    /// How many.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Simulated seconds in which things happen, of each world.
    #[arg(long, default_value_t = 300)]
    seconds: u64,
    /// `memory` or `redis` alone.
    #[arg(long)]
    only: Option<String>,
    /// Print what the servers log.
    #[arg(long)]
    log: bool,
    /// Worlds looked at to shrink one that fails.
    #[arg(long, default_value_t = 500)]
    shrink: usize,
}

#[allow(clippy::disallowed_methods, reason = "how long it takes is told, and decides nothing")]
fn now() -> Instant {
    Instant::now()
}

fn main() -> ExitCode {
    let args = Args::parse();
    let began = now();
    if args.log {
        tracing_subscriber::fmt().without_time().with_target(false).init();
    }
    let (mut simulated, mut delivered, mut revivals) = (Duration::ZERO, 0, 0);
    let (mut followed, mut gaps, mut slow) = (0, 0, 0);
    for seed in args.from..args.from + args.seeds {
        let kind = match args.only.as_deref() {
            Some("memory") => Kind::Memory,
            Some("redis") => Kind::Redis,
            _ if seed % 2 == 0 => Kind::Redis,
            _ => Kind::Memory,
        };
        let time = Duration::from_secs(args.seconds);
        let plan = Plan::from_seed(seed, kind, Scale { instances: 3, clients: 12, rooms: 5, time });
        let outcome = run(&plan, None);
        simulated += outcome.time;
        delivered += outcome.delivered;
        revivals += outcome.revivals;
        followed += outcome.followed;
        gaps += outcome.gaps;
        slow += outcome.slow;
        if !outcome.violations.is_empty() {
            println!("seed {seed} fails ({} steps):", plan.steps.len());
            outcome.violations.iter().for_each(|violation| println!("  {violation}"));
            let small = shrink(&plan, args.shrink, |plan| !run(plan, None).violations.is_empty());
            println!("smallest found:\n{small}");
            run(&small, None).violations.iter().for_each(|violation| println!("  {violation}"));
            return ExitCode::FAILURE;
        }
    }
    println!(
        "{} worlds, {:.1} simulated hours, {delivered} deliveries, {followed} messages and versions followed, \
         {gaps} gaps told, {slow} slow readers closed, {revivals} revivals, 0 violations, in {:.0} s",
        args.seeds,
        simulated.as_secs_f64() / 3600.0,
        began.elapsed().as_secs_f64()
    );
    ExitCode::SUCCESS
}
