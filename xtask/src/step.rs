//! The steps of `cargo xtask test`, and how one is run.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::count::count;
use crate::{conformance, setup, tidy};

/// One thing that is checked.
pub struct Step {
    pub name: &'static str,
    /// Left out where this is not there.
    pub needs: &'static str,
    /// Not run where this step failed.
    pub after: &'static str,
    /// Whether it needs what `setup` fetches.
    pub tools: bool,
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

const PLAIN: Step =
    Step { name: "", needs: ".", after: "", tools: false, dir: ".", env: &[], action: Action::Run(&[]) };

const CLIENT: &str = "packages/client";

pub const STEPS: &[Step] = &[
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
    cargo("tests", &["cargo", "test", "--workspace", "--no-fail-fast"]),
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
    web("web test", &["npm", "run", "test"]),
    web("web build", &["npm", "run", "build"]),
    Step {
        dir: ".",
        ..web("web dist", &["git", "diff", "--exit-code", "--stat", "--", "packages/client/dist"])
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

impl Step {
    /// What the command line calls it by.
    pub fn group(&self) -> &'static str {
        self.name.split(' ').next().unwrap_or_default()
    }

    /// Whether it succeeded, and the tests it counted, if it is a test run.
    pub fn run(&self) -> (bool, Option<(u64, u64)>) {
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
        (ran.is_ok(), counted)
    }
}

/// Runs a program to its end, printing its lines as they come and counting the tests they tell of.
fn follow(mut command: Command, counted: &mut Option<(u64, u64)>) -> anyhow::Result<()> {
    let mut child = command.env("PATH", setup::path()).stdout(Stdio::piped()).spawn()?;
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            if let Some((passed, failed)) = count(&line) {
                let sum = counted.get_or_insert((0, 0));
                *sum = (sum.0 + passed, sum.1 + failed);
            }
        }
    }
    let status = child.wait()?;
    anyhow::ensure!(status.success(), "{status}");
    Ok(())
}
