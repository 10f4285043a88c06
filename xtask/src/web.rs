//! Whether the committed bundle of packages/client is what its sources build.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::process::{self, DEADLINE};
use crate::setup;

pub const CLIENT: &str = "packages/client";
const DIST: &str = "packages/client/dist";

/// Builds, and compares with what was there. The new files stay, to be looked at and committed.
pub fn rebuild() -> anyhow::Result<()> {
    let before = files(Path::new(DIST))?;
    let mut npm = Command::new("npm");
    npm.args(["run", "build"]).current_dir(CLIENT).env("PATH", setup::path());
    process::show(&mut npm, DEADLINE)?;

    let after = files(Path::new(DIST))?;
    for (file, bytes) in &after {
        println!("{:>8} bytes  {DIST}/{file}", bytes.len());
    }
    let changes = changes(&before, &after);
    ensure!(
        changes.is_empty(),
        "{DIST} was not what its sources build. It is now: look at it and commit it.\n{}",
        changes.join("\n")
    );
    Ok(())
}

type Files = BTreeMap<String, Vec<u8>>;

/// Every file under `folder` by its path in it; nothing if there is no such folder.
fn files(folder: &Path) -> anyhow::Result<Files> {
    let mut found = Files::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(current) = folders.pop() {
        if !current.exists() {
            continue;
        }
        for entry in fs::read_dir(&current).with_context(|| current.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder)?.to_string_lossy().into_owned();
                found.insert(name, fs::read(&path)?);
            }
        }
    }
    Ok(found)
}

fn changes(before: &Files, after: &Files) -> Vec<String> {
    let gone = before.keys().filter(|file| !after.contains_key(*file)).map(|file| format!("{file}: gone"));
    let other = after.iter().filter_map(|(file, bytes)| match before.get(file) {
        None => Some(format!("{file}: new")),
        Some(known) if known != bytes => Some(format!("{file}: changed")),
        Some(_) => None,
    });
    gone.chain(other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(all: &[(&str, &str)]) -> Files {
        all.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn each_way_a_bundle_can_differ_is_told() {
        let before = files(&[("a.js", "1"), ("b.js", "1"), ("c.js", "1")]);
        let after = files(&[("b.js", "1"), ("c.js", "2"), ("d.js", "1")]);
        assert_eq!(changes(&before, &after), ["a.js: gone", "c.js: changed", "d.js: new"]);
        assert!(changes(&after, &after).is_empty());
    }
}
