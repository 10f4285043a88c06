//! `cargo xtask test`: everything the project checks of itself, one step after the other, summed up at the end.
//!
//! A failed step stops nothing but the steps that stand on it, and no program runs for ever.

mod conformance;
mod count;
mod long;
mod patches;
mod process;
mod setup;
mod step;
mod tidy;
mod web;

use std::path::Path;
use std::process::{Command, ExitCode};

use process::Stopwatch;
use step::{STEPS, Step};

fn main() -> ExitCode {
    // As cargo tells it now, rather than when this was compiled: the folder may have moved, or the target be shared.
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&xtask).join("..");
    if let Err(error) = std::env::set_current_dir(&root) {
        eprintln!("{}: {error}", root.display());
        return ExitCode::FAILURE;
    }
    let wanted = std::env::args().nth(1).unwrap_or_default();
    if let Some(command) = long::COMMANDS.iter().find(|command| command.name == wanted) {
        return command.run(std::env::args().skip(2));
    }
    let is_all = matches!(wanted.as_str(), "test" | "ci");
    let needs_tools = STEPS.iter().any(|step| step.group() == wanted && step.tools);
    let is_wanted = |group| is_all || group == wanted || (group == "setup" && needs_tools);
    let steps: Vec<_> = STEPS.iter().filter(|step| is_wanted(step.group())).collect();
    if steps.is_empty() {
        eprintln!("usage: cargo xtask test|ci, or the first word of a step's name:");
        long::COMMANDS
            .iter()
            .for_each(|command| eprintln!("    {} (too long for CI: {})", command.name, command.what));
        STEPS.iter().for_each(|step| eprintln!("    {}", step.name));
        return ExitCode::from(2);
    }
    if wanted == "ci" {
        facts();
    }
    test(&steps)
}

/// What a reader of a log asks for first.
fn facts() {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("{} {}, {cores} cores", std::env::consts::OS, std::env::consts::ARCH);
    for (program, argument) in
        [("uname", "-r"), ("rustc", "-V"), ("python3", "-V"), ("node", "-v"), ("npm", "-v"), ("git", "-v")]
    {
        let answer = process::answer(Command::new(program).arg(argument));
        println!("{program}: {}", answer.as_deref().unwrap_or("none"));
    }
}

fn test(steps: &[&Step]) -> ExitCode {
    let (mut passed, mut failed) = (0, 0);
    let mut summary = Vec::new();
    let mut broken = Vec::new();
    for step in steps {
        let missing = match step {
            _ if !Path::new(step.needs).exists() => Some(step.needs),
            _ if step.browser && setup::chromium().is_none() => Some("Chromium"),
            _ => None,
        };
        if let Some(missing) = missing {
            summary.push(format!("{:<14} LEFT OUT, there is no {missing}", step.name));
            continue;
        }
        if broken.contains(&step.after) {
            summary.push(format!("{:<14} FAILED, not run without {}", step.name, step.after));
            broken.push(step.name);
            failed += 1;
            continue;
        }
        println!("\n== {}", step.name);
        let watch = Stopwatch::start();
        let counts = step.run();
        passed += counts.0;
        failed += counts.1;
        if counts.1 > 0 {
            broken.push(step.name);
        }
        let verdict = if counts.1 == 0 { "ok" } else { "FAILED" };
        let seconds = watch.elapsed().as_secs_f64();
        println!("-- {}: {verdict}, {seconds:.1} s", step.name);
        summary.push(format!(
            "{:<14} {verdict:<7} {seconds:>7.1} s {:>6} passed {:>4} failed",
            step.name, counts.0, counts.1
        ));
    }
    println!("\n{}", summary.join("\n"));
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
