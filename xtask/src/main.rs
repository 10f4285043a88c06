//! `cargo xtask test`: everything the project checks of itself, one step after the other, summed up at the end.

use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

struct Step {
    name: &'static str,
    program: &'static str,
    args: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
}

const STEPS: &[Step] = &[
    Step { name: "format", program: "cargo", args: &["fmt", "--all", "--", "--check"], env: &[] },
    Step {
        name: "lints",
        program: "cargo",
        args: &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
        env: &[],
    },
    Step {
        name: "docs",
        program: "cargo",
        args: &["doc", "--workspace", "--no-deps"],
        env: &[("RUSTDOCFLAGS", "-D warnings")],
    },
    Step { name: "tests", program: "cargo", args: &["test", "--workspace", "--no-fail-fast"], env: &[] },
];

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("test") => test(),
        _ => {
            eprintln!("usage: cargo xtask test");
            ExitCode::from(2)
        }
    }
}

fn test() -> ExitCode {
    let (mut passed, mut failed) = (0, 0);
    let mut summary = Vec::new();
    for step in STEPS {
        println!("\n== {}", step.name);
        let started = Instant::now();
        let (ok, counted) = run(step);
        let tests = counted.unwrap_or(if ok { (1, 0) } else { (0, 1) });
        passed += tests.0;
        // A test run that broke off before it counted anything has failed all the same.
        failed += if ok { tests.1 } else { tests.1.max(1) };
        let verdict = if ok { "ok" } else { "FAILED" };
        summary.push(format!("{:<8} {verdict:<7} {:>6.1} s", step.name, started.elapsed().as_secs_f64()));
    }
    println!("\n{}", summary.join("\n"));
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether a step succeeded, and the tests it counted, if it is a test run.
fn run(step: &Step) -> (bool, Option<(u64, u64)>) {
    let mut command = Command::new(step.program);
    command.args(step.args).envs(step.env.iter().copied()).stdout(Stdio::piped());
    let output = match command.spawn().and_then(std::process::Child::wait_with_output) {
        Ok(output) => output,
        Err(error) => {
            println!("{}: {error}", step.program);
            return (false, None);
        }
    };
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    let counts: Vec<_> = text.lines().filter_map(count).collect();
    let sum = counts.iter().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
    (output.status.success(), (!counts.is_empty()).then_some(sum))
}

/// `test result: ok. 16 passed; 0 failed; ...`
fn count(line: &str) -> Option<(u64, u64)> {
    let (_, rest) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let (passed, rest) = rest.split_once(" passed; ")?;
    let (failed, _) = rest.split_once(" failed")?;
    Some((passed.parse().ok()?, failed.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_line_of_the_test_harness_is_counted() {
        let line = "test result: FAILED. 16 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(super::count(line), Some((16, 2)));
        assert_eq!(super::count("running 2 tests"), None);
    }
}
