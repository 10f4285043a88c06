//! The patches that the server makes, put through the TypeScript client and the libraries of others.
//!
//! `patch_random` of mesh-proto makes documents, edits and patches, and writes them down; the tests of the client read that.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::process::{self, DEADLINE};
use crate::setup;
use crate::web::CLIENT;

/// What CI takes, in seconds.
const FEW: u64 = 5_000;
/// What is run by command.
const MANY: u64 = 1_000_000;
/// Patches that are written down at once, about 90 MB.
const CHUNK: u64 = 50_000;
/// Versions that a document of `patch_random` goes through: one patch each.
const VERSIONS: u64 = 10;

/// As many as CI has time for.
pub fn few() -> anyhow::Result<()> {
    check(0..FEW, &[])
}

/// As many as are promised, a chunk after the other.
pub fn many() -> anyhow::Result<()> {
    let mut install = Command::new("npm");
    process::show(install.arg("ci").current_dir(CLIENT).env("PATH", setup::path()), DEADLINE)?;
    chunks(MANY).try_for_each(|chunk| check(chunk, &["--profile", "fast"]))?;
    println!("{MANY} patches of the server hold in the client and in the libraries");
    Ok(())
}

fn chunks(cases: u64) -> impl Iterator<Item = Range<u64>> {
    (0..cases).step_by(CHUNK as usize).map(move |from| from..cases.min(from + CHUNK))
}

/// Have some made, and read by the client.
fn check(cases: Range<u64>, profile: &[&str]) -> anyhow::Result<()> {
    println!("patches {} to {}", cases.start, cases.end);
    let folder = std::env::current_dir()?.join("target/patches");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let lines = folder.join("lines.jsonl");

    let mut make = Command::new("cargo");
    make.args(["test", "--quiet", "-p", "mesh-proto", "--test", "patch_random"]).args(profile);
    make.args(["who_applies_patches", "--", "--nocapture"]).env("MESH_PATCH_LINES", &lines);
    make.env("MESH_PATCH_FROM", (cases.start / VERSIONS).to_string());
    make.env("MESH_PATCH_CASES", (cases.end - cases.start).to_string());
    process::show(&mut make, DEADLINE)?;
    let made = BufReader::new(File::open(&lines)?).lines().count() as u64;
    ensure!(made == cases.end - cases.start, "{made} patches were written down");

    let mut read = Command::new("npm");
    read.args(["test", "--", "test/patch/cases", "test/patch/server"]).current_dir(CLIENT);
    read.env("PATH", setup::path()).env("MESH_PATCH_LINES", &lines);
    process::show(&mut read, DEADLINE)?;
    // After a failure they stay, to be looked at.
    fs::remove_file(&lines).with_context(|| lines.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_all_cases_and_each_once() {
        let all: Vec<u64> = chunks(CHUNK * 2 + 7).flatten().collect();
        assert!(all.into_iter().eq(0..CHUNK * 2 + 7));
        assert!(CHUNK.is_multiple_of(VERSIONS));
    }
}
