//! What is too long for CI: CI runs a bounded part of each.

use std::process::{Command, ExitCode};

use anyhow::ensure;

use crate::patches;

/// A command of its own, whose arguments are handed on.
pub struct Long {
    /// `cargo xtask <name>`
    pub name: &'static str,
    /// What it is for.
    pub what: &'static str,
    work: Work,
}

enum Work {
    /// Arguments of cargo, which others may follow, and its environment.
    Cargo(&'static [&'static str], &'static [(&'static str, &'static str)]),
    /// Work of xtask's own.
    Call(fn() -> anyhow::Result<()>),
}

/// All of them.
pub const COMMANDS: &[Long] = &[
    Long {
        name: "sim",
        what: "seeded worlds: --seeds N --from N --seconds N --only memory|redis",
        work: Work::Cargo(
            &["run", "--quiet", "--profile", "fast", "-p", "mesh-sim", "--bin", "sim", "--"],
            &[],
        ),
    },
    Long {
        name: "soak",
        what: "real processes at full size: 10,000 connections, Redis emptied",
        work: Work::Cargo(
            &["test", "--profile", "fast", "-p", "mesh-chaos", "--", "--nocapture"],
            &[("MESH_CHAOS_CONNS", "10000"), ("MESH_CHAOS_ROOMS", "1000"), ("MESH_CHAOS_FAULTS", "200")],
        ),
    },
    Long {
        name: "fuzz",
        what: "10^7 inputs against the frame decoder, 10^6 documents against diff and apply",
        work: Work::Cargo(
            &["test", "--release", "-p", "mesh-ws", "-p", "mesh-proto", "--"],
            &[("MESH_FUZZ_INPUTS", "10000000"), ("MESH_PATCH_CASES", "1000000")],
        ),
    },
    Long {
        name: "patches",
        what: "10^6 patches of the server in the TypeScript client and three libraries",
        work: Work::Call(patches::many),
    },
];

impl Long {
    /// Run it to its end; a person watches and stops it.
    pub fn run(&self, arguments: impl Iterator<Item = String>) -> ExitCode {
        let done = match self.work {
            Work::Call(work) => work(),
            Work::Cargo(first, env) => cargo(first, arguments, env),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{}: {error:#}", self.name);
                ExitCode::FAILURE
            }
        }
    }
}

fn cargo(first: &[&str], more: impl Iterator<Item = String>, env: &[(&str, &str)]) -> anyhow::Result<()> {
    let status = Command::new("cargo").args(first).args(more).envs(env.iter().copied()).status()?;
    ensure!(status.success(), "cargo: {status}");
    Ok(())
}
