//! The steps of `cargo xtask test`, and how one is run.

use std::process::Command;

use crate::count::count;
use crate::process::{self, DEADLINE};
use crate::web::{self, CLIENT};
use crate::{conformance, patches, setup, tidy};

/// One thing that is checked.
pub struct Step {
    pub name: &'static str,
    /// Left out where this is not there.
    pub needs: &'static str,
    /// Left out where there is no Chromium, which `setup` then tells of.
    pub browser: bool,
    /// Not run where this step failed.
    pub after: &'static str,
    /// Whether it needs what `setup` fetches.
    pub tools: bool,
    /// Whether it runs tests, which are counted, and of which there has to be one.
    tests: bool,
    dir: &'static str,
    env: &'static [(&'static str, &'static str)],
    action: Action,
}

enum Action {
    /// A program and its arguments.
    Run(&'static [&'static str]),
    /// A check of xtask's own.
    Call(fn() -> anyhow::Result<()>),
}

const PLAIN: Step = Step {
    name: "",
    needs: ".",
    browser: false,
    after: "",
    tools: false,
    tests: false,
    dir: ".",
    env: &[],
    action: Action::Run(&[]),
};

/// The page of the demo, whose tests are a package of their own.
const PAGE: &str = "crates/mesh-cli/web";

/// Every check there is. `setup` is first, as others need what it fetches.
pub const STEPS: &[Step] = &[
    Step { name: "setup", action: Action::Call(setup::setup), ..PLAIN },
    cargo("format", &["cargo", "fmt", "--all", "--", "--check"]),
    cargo("lints", &["cargo", "clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    Step {
        needs: "crates/mesh-server",
        ..cargo("lints no axum", &["cargo", "check", "-p", "mesh-server", "--no-default-features"])
    },
    Step {
        env: &[("RUSTDOCFLAGS", "-D warnings")],
        ..cargo("docs", &["cargo", "doc", "--workspace", "--no-deps"])
    },
    Step { name: "tidy", action: Action::Call(tidy::tidy), ..PLAIN },
    Step { tests: true, ..cargo("tests", &["cargo", "test", "--workspace", "--no-fail-fast"]) },
    Step {
        name: "conformance",
        needs: "crates/mesh-ws/examples/echo.rs",
        tools: true,
        action: Action::Call(conformance::conformance),
        ..PLAIN
    },
    Step { after: "", ..web("web install", &["npm", "ci"]) },
    web("web types", &["npm", "run", "typecheck"]),
    web("web lint", &["npm", "run", "lint"]),
    Step { tests: true, ..web("web test", &["npm", "run", "test"]) },
    Step { action: Action::Call(patches::few), ..web("web patches", &[]) },
    Step { action: Action::Call(web::rebuild), ..web("web build", &[]) },
    page("page install", &["npm", "ci"]),
    Step {
        after: "page install",
        tests: true,
        browser: true,
        ..page("page test", &["npm", "run", "test:browser"])
    },
];

const fn cargo(name: &'static str, run: &'static [&'static str]) -> Step {
    Step { name, action: Action::Run(run), ..PLAIN }
}

const fn web(name: &'static str, run: &'static [&'static str]) -> Step {
    Step {
        name,
        needs: CLIENT,
        after: "web install",
        dir: CLIENT,
        tools: true,
        action: Action::Run(run),
        ..PLAIN
    }
}

const fn page(name: &'static str, run: &'static [&'static str]) -> Step {
    Step {
        name,
        needs: "crates/mesh-cli/web/package.json",
        dir: PAGE,
        tools: true,
        action: Action::Run(run),
        ..PLAIN
    }
}

impl Step {
    /// What the command line calls it by.
    pub fn group(&self) -> &'static str {
        self.name.split(' ').next().unwrap_or_default()
    }

    /// Runs it, and says how many tests passed and failed. What runs no tests counts as one.
    pub fn run(&self) -> (u64, u64) {
        let mut counted = None;
        let ran = match self.action {
            Action::Run([program, args @ ..]) => {
                let mut command = Command::new(program);
                command.args(args).current_dir(self.dir).envs(self.env.iter().copied());
                follow(command, &mut counted)
            }
            Action::Call(check) => check(),
            Action::Run([]) => Err(anyhow::anyhow!("nothing to run")),
        };
        if let Err(error) = &ran {
            println!("{}: {error:#}", self.name);
        }
        self.sum(ran.is_ok(), counted)
    }

    fn sum(&self, ok: bool, counted: Option<(u64, u64)>) -> (u64, u64) {
        match (ok, counted) {
            _ if !self.tests => (ok.into(), (!ok).into()),
            (true, Some((passed, failed))) if passed + failed > 0 => (passed, failed),
            // A test run that ran no tests, or broke off before it told of a failure, has failed all the same.
            (_, counted) => {
                let (passed, failed) = counted.unwrap_or_default();
                (passed, failed.max(1))
            }
        }
    }
}

/// Runs a program to its end, printing its lines as they come and counting the tests they tell of.
fn follow(mut command: Command, counted: &mut Option<(u64, u64)>) -> anyhow::Result<()> {
    command.env("PATH", setup::path());
    process::run(&mut command, DEADLINE, |line| {
        println!("{line}");
        if let Some((passed, failed)) = count(line) {
            let sum = counted.get_or_insert((0, 0));
            *sum = (sum.0 + passed, sum.1 + failed);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_counts_once_unless_it_runs_tests() {
        assert_eq!(PLAIN.sum(true, None), (1, 0));
        assert_eq!(PLAIN.sum(false, None), (0, 1));
        let tests = Step { tests: true, ..PLAIN };
        assert_eq!(tests.sum(true, Some((7, 0))), (7, 0));
        assert_eq!(tests.sum(false, Some((7, 2))), (7, 2));
    }

    #[test]
    fn a_test_run_without_tests_or_that_broke_off_has_failed() {
        let tests = Step { tests: true, ..PLAIN };
        assert_eq!(tests.sum(true, None), (0, 1));
        assert_eq!(tests.sum(true, Some((0, 0))), (0, 1));
        assert_eq!(tests.sum(false, None), (0, 1));
        assert_eq!(tests.sum(false, Some((7, 0))), (7, 1));
    }

    #[test]
    fn a_step_waits_for_one_that_is_before_it() {
        for (at, step) in STEPS.iter().enumerate() {
            assert!(step.after.is_empty() || STEPS[..at].iter().any(|before| before.name == step.after));
        }
    }
}
