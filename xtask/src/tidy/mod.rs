//! The rules of this repository that no linter knows. Each is a function from the files to what is wrong with them.

mod bans;
mod crates;
mod docs;
mod edges;
mod files;
mod modules;
mod repo;
mod rust;

use std::fmt;
use std::path::Path;

use anyhow::ensure;

use repo::Repo;

/// Something wrong, and where.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    path: String,
    /// Counted from 1; 0 where it is the file as a whole.
    line: usize,
    text: String,
}

impl Violation {
    fn new(path: &str, line: usize, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, text: text.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.text),
            line => write!(f, "{}:{line}: {}", self.path, self.text),
        }
    }
}

/// Prints everything that breaks a rule.
pub fn tidy() -> anyhow::Result<()> {
    let repo = Repo::load(Path::new("."))?;
    let edges = modules::check(&repo);
    let draw = !edges.is_empty();
    let mut all = edges;
    for check in [crates::check, bans::check, files::check, docs::check] {
        all.extend(check(&repo));
    }
    all.sort();
    for violation in &all {
        println!("{violation}");
    }
    if draw {
        println!(
            "\nInside mesh-server a line may only go down (xtask/src/tidy/edges.rs):\n{}",
            edges::drawing()
        );
    }
    println!("{} files", repo.len());
    ensure!(all.is_empty(), "{} against the rules", all.len());
    Ok(())
}

/// The checks' own tests: what `check` says of a repository of these files.
#[cfg(test)]
fn complaints(check: fn(&Repo) -> Vec<Violation>, files: &[(&str, &str)]) -> Vec<String> {
    check(&Repo::of(files)).iter().map(Violation::to_string).collect()
}
