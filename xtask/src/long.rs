//! What is too long for CI: CI runs a bounded part of each.

use std::process::{Command, ExitCode};

/// A command of its own, whose arguments are handed on.
pub struct Long {
    /// `cargo xtask <name>`
    pub name: &'static str,
    /// What it is for.
    pub what: &'static str,
    cargo: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
}

/// All of them.
pub const COMMANDS: &[Long] = &[
    Long {
        name: "sim",
        what: "seeded worlds: --seeds N --from N --seconds N --only memory|redis",
        cargo: &["run", "--quiet", "--profile", "fast", "-p", "mesh-sim", "--bin", "sim", "--"],
        env: &[],
    },
    Long {
        name: "soak",
        what: "real processes at full size: 10,000 connections, Redis emptied",
        cargo: &["test", "--profile", "fast", "-p", "mesh-chaos", "--", "--nocapture"],
        env: &[("MESH_CHAOS_CONNS", "10000"), ("MESH_CHAOS_ROOMS", "1000"), ("MESH_CHAOS_FAULTS", "200")],
    },
    Long {
        name: "fuzz",
        what: "10^7 inputs against the frame decoder, 10^6 documents against diff and apply",
        cargo: &["test", "--release", "-p", "mesh-ws", "-p", "mesh-proto", "--"],
        env: &[("MESH_FUZZ_INPUTS", "10000000"), ("MESH_PATCH_CASES", "1000000")],
    },
];

impl Long {
    /// Run it to its end; a person watches and stops it.
    pub fn run(&self, arguments: impl Iterator<Item = String>) -> ExitCode {
        let mut cargo = Command::new("cargo");
        let status = cargo.args(self.cargo).args(arguments).envs(self.env.iter().copied()).status();
        match status {
            Ok(status) if status.success() => ExitCode::SUCCESS,
            Ok(_) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("cargo: {error}");
                ExitCode::FAILURE
            }
        }
    }
}
