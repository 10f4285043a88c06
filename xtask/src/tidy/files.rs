//! Files as files: none dead, none too long, none that knows the machine it was written on.

use super::Violation;
use super::repo::{self, Repo};
use super::rust::{self, Source};

const LINES_MAX: usize = 500;

/// The files that may be longer, each with the reason.
const LONG: &[(&str, &str)] = &[];

/// Folders that are somebody's and not everybody's.
const PRIVATE: &[&str] = &["/work/", "/root/", "/home/", "/Users/"];

/// This file must name them.
const MAY_NAME_PRIVATE: &str = "xtask/src/tidy/files.rs";

pub(super) fn check(repo: &Repo) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in repo.rust() {
        if is_dead(repo, source) {
            found.push(Violation::new(&source.path, 0, "no `mod` line names this file"));
        }
    }
    for (path, text) in repo.files() {
        too_long(path, text, &mut found);
        private_paths(path, text, &mut found);
        registries(path, text, &mut found);
    }
    found
}

fn is_dead(repo: &Repo, source: &Source) -> bool {
    let Some((_, inside)) = source.path.split_once("src/") else { return false };
    if matches!(inside, "lib.rs" | "main.rs") || inside.starts_with("bin/") {
        return false;
    }
    let module = source.path.trim_end_matches(".rs").trim_end_matches("/mod");
    let (folder, name) = module.rsplit_once('/').unwrap_or(("", module));
    let is_named = repo.rust().iter().any(|parent| {
        let declares = || parent.code.lines().any(|line| rust::declared_module(line) == Some(name));
        parent.folder().trim_end_matches('/') == folder && declares()
    });
    // `#[path = "…"] mod x;` and `include!`.
    let file = source.path.rsplit('/').next().unwrap_or_default();
    let is_included = || {
        repo.rust().iter().any(|other| {
            other.path != source.path
                && ["path =", "include!"].iter().any(|word| other.code.contains(word))
                && other.strings.iter().any(|(_, text)| text.ends_with(file))
        })
    };
    !is_named && !is_included()
}

fn too_long(path: &str, text: &str, found: &mut Vec<Violation>) {
    let is_source = [".rs", ".ts", ".tsx", ".js", ".css", ".html"].iter().any(|end| path.ends_with(end));
    let lines = text.lines().count();
    if is_source
        && lines > LINES_MAX
        && !repo::is_generated(path)
        && !LONG.iter().any(|(known, _)| *known == path)
    {
        found.push(Violation::new(
            path,
            0,
            format!("{lines} lines: split it on a noun before it passes {LINES_MAX}"),
        ));
    }
}

fn private_paths(path: &str, text: &str, found: &mut Vec<Violation>) {
    if path == MAY_NAME_PRIVATE {
        return;
    }
    for (number, line) in text.lines().enumerate() {
        for private in PRIVATE {
            // In `https://example.com/home/` it is part of an address.
            let is_start = |at: usize| {
                !line[..at].ends_with(|c: char| {
                    c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '}' | ')' | '*' | '/')
                })
            };
            if line.match_indices(private).any(|(at, _)| is_start(at)) {
                found.push(Violation::new(path, number + 1, format!("`{private}` is a path of one machine")));
            }
        }
    }
}

/// A lock file or a setting that names a registry works only where that registry is reached.
fn registries(path: &str, text: &str, found: &mut Vec<Violation>) {
    let file = path.rsplit('/').next().unwrap_or_default();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let names_one = match file {
            "package-lock.json" => line.starts_with("\"resolved\": \"http"),
            ".npmrc" => line.starts_with("registry") || line.starts_with("//"),
            "Cargo.lock" => {
                line.starts_with("source =") && !line.contains("github.com/rust-lang/crates.io-index")
            }
            _ => false,
        };
        if names_one {
            found.push(Violation::new(path, number + 1, "names a registry"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::complaints;
    use super::check;

    fn lines(files: &[(&str, &str)]) -> Vec<String> {
        complaints(check, files)
    }

    #[test]
    fn a_file_that_no_module_names_is_dead() {
        let lib = ("crates/a/src/lib.rs", "mod b;\n// mod d;\n");
        let b = ("crates/a/src/b/mod.rs", "pub(crate) mod c;\n");
        let c = ("crates/a/src/b/c.rs", "");
        assert!(lines(&[lib, b, c]).is_empty());
        assert_eq!(
            lines(&[lib, b, c, ("crates/a/src/d.rs", "")]),
            ["crates/a/src/d.rs: no `mod` line names this file"]
        );
        assert_eq!(
            lines(&[lib, b, c, ("crates/a/src/b/d.rs", "")]),
            ["crates/a/src/b/d.rs: no `mod` line names this file"]
        );
        assert!(lines(&[("crates/a/src/bin/x.rs", ""), ("crates/a/tests/y.rs", "")]).is_empty());
    }

    #[test]
    fn a_long_file_is_told() {
        let long = "\n".repeat(501);
        assert_eq!(lines(&[("packages/a/src/b.ts", &long)]).len(), 1);
        assert!(lines(&[("packages/a/dist/b.js", &long), ("a.md", &long)]).is_empty());
        assert!(lines(&[("packages/a/src/b.ts", &long[1..])]).is_empty());
    }

    #[test]
    fn a_path_of_a_machine_is_told() {
        assert_eq!(lines(&[("a.md", "see\n`/home/ann/x`")]), ["a.md:2: `/home/` is a path of one machine"]);
        assert!(lines(&[("a.md", "https://example.com/home/x and ${dir}/work/x")]).is_empty());
    }

    #[test]
    fn a_registry_in_a_lock_file_is_told() {
        assert_eq!(
            lines(&[("package-lock.json", "{\n \"resolved\": \"https://r.example/x.tgz\",\n}")]).len(),
            1
        );
        assert_eq!(lines(&[(".npmrc", "registry=https://r.example\n")]).len(), 1);
        assert_eq!(lines(&[("Cargo.lock", "source = \"sparse+https://r.example\"\n")]).len(), 1);
        let good = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
        assert!(lines(&[("Cargo.lock", good), (".npmrc", "audit=false\n")]).is_empty());
    }
}
