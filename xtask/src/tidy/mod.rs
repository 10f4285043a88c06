//! `cargo xtask tidy`: the rules of this repository that no linter knows.

mod docs;
mod edges;
mod files;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

/// A file that git knows, by its path from the root, with `/`.
struct File {
    path: String,
    text: String,
}

impl File {
    fn is(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|found| found == extension)
    }

    fn is_test(&self) -> bool {
        self.path.split('/').any(|part| matches!(part, "tests" | "test" | "tests.rs"))
    }

    /// The lines of Rust that are neither comments nor tests, with their numbers. Tests are taken to come last.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let tests = self.text.find("#[cfg(test)]\nmod ").unwrap_or(self.text.len());
        let code = if self.is_test() { "" } else { &self.text[..tests] };
        let lines = code.lines().enumerate().map(|(at, line)| (at + 1, line));
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

/// Prints everything that breaks a rule.
pub fn tidy() -> anyhow::Result<()> {
    let files = tracked()?;
    let mut found = edges::check(&files);
    found.extend(files::check(&files));
    found.extend(docs::check(&files, &|path| Path::new(path).exists()));
    println!("{} files, {} against the rules", files.len(), found.len());
    ensure!(found.is_empty(), "\n{}", found.join("\n"));
    Ok(())
}

/// The text files that git knows and that are there.
fn tracked() -> anyhow::Result<Vec<File>> {
    let output = Command::new("git").args(["ls-files", "-z"]).output().context("git")?;
    ensure!(output.status.success(), "git ls-files: {}", output.status);
    let names = String::from_utf8(output.stdout)?;
    let names = names.split('\0').filter(|name| !name.is_empty());
    Ok(names
        .filter_map(|path| Some(File { text: std::fs::read_to_string(path).ok()?, path: path.to_owned() }))
        .collect())
}

#[cfg(test)]
fn file(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: text.to_owned() }
}
