//! `cargo xtask test`: everything the project checks of itself, one step after the other, summed up at the end.

mod conformance;
mod count;
mod setup;
mod step;
mod tidy;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use step::{STEPS, Step};

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if let Err(error) = std::env::set_current_dir(&root) {
        eprintln!("{}: {error}", root.display());
        return ExitCode::FAILURE;
    }
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let steps: Vec<_> = STEPS.iter().filter(|step| wanted == "test" || wanted == step.group()).collect();
    if steps.is_empty() && wanted != "setup" {
        eprintln!("usage: cargo xtask test|setup, or the first word of a step's name:");
        STEPS.iter().for_each(|step| eprintln!("    {}", step.name));
        return ExitCode::from(2);
    }
    if (wanted == "setup" || steps.iter().any(|step| step.tools))
        && let Err(error) = setup::setup()
    {
        println!("setup: {error:#}\n0 passed, 1 failed");
        return ExitCode::FAILURE;
    }
    if wanted == "setup" { ExitCode::SUCCESS } else { test(&steps) }
}

#[expect(clippy::disallowed_methods, reason = "tells a person how long a step took")]
fn test(steps: &[&Step]) -> ExitCode {
    let (mut passed, mut failed) = (0, 0);
    let mut summary = Vec::new();
    let mut broken = Vec::new();
    for step in steps {
        if !Path::new(step.needs).exists() {
            summary.push(format!("{:<14} left out, there is no {}", step.name, step.needs));
            continue;
        }
        if broken.contains(&step.after) {
            summary.push(format!("{:<14} FAILED, not run without {}", step.name, step.after));
            broken.push(step.name);
            failed += 1;
            continue;
        }
        println!("\n== {}", step.name);
        let started = Instant::now();
        let (ok, counted) = step.run();
        let tests = counted.unwrap_or(if ok { (1, 0) } else { (0, 1) });
        passed += tests.0;
        // A test run that broke off before it counted anything has failed all the same.
        failed += if ok { tests.1 } else { tests.1.max(1) };
        if !ok {
            broken.push(step.name);
        }
        let verdict = if ok { "ok" } else { "FAILED" };
        summary.push(format!("{:<14} {verdict:<7} {:>6.1} s", step.name, started.elapsed().as_secs_f64()));
    }
    println!("\n{}", summary.join("\n"));
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
