//! Prose that must change with the code: links, the words of the wire, the tests that a guarantee names.

use std::collections::BTreeSet;

use super::Violation;
use super::repo::{self, Repo};
use super::rust;

const PROTOCOL: &str = "PROTOCOL.md";
const GUARANTEES: &str = "GUARANTEES.md";

/// The files whose strings are words of the wire.
const WIRE: &[&str] =
    &["crates/mesh-proto/src/code.rs", "crates/mesh-proto/src/close.rs", "crates/mesh-proto/src/builtin.rs"];

pub(super) fn check(repo: &Repo) -> Vec<Violation> {
    let mut found = Vec::new();
    for (path, text) in repo.files().filter(|(path, _)| path.ends_with(".md") && !repo::is_generated(path)) {
        links(repo, path, text, &mut found);
    }
    wire_words(repo, &mut found);
    if let Some(text) = repo.text(GUARANTEES) {
        evidence(repo, text, &mut found);
    }
    found
}

/// Each relative link leads to something.
fn links(repo: &Repo, path: &str, text: &str, found: &mut Vec<Violation>) {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    for (number, line) in prose(text) {
        for (at, _) in line.match_indices("](") {
            let target = line[at + 2..].split(')').next().unwrap_or_default();
            let target = target.split([' ', '#']).next().unwrap_or_default();
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            if !resolve(folder, target).is_some_and(|target| repo.exists(&target)) {
                found.push(Violation::new(path, number, format!("the link to `{target}` leads nowhere")));
            }
        }
    }
}

fn resolve(folder: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            // Above the root there is nothing of ours.
            ".." => _ = parts.pop()?,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The numbered lines outside fenced blocks.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_fenced = false;
    text.lines().enumerate().filter_map(move |(number, line)| {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
            return None;
        }
        (!is_fenced).then_some((number + 1, line))
    })
}

/// Each code, reason and command of mesh-proto stands in PROTOCOL.md.
fn wire_words(repo: &Repo, found: &mut Vec<Violation>) {
    let protocol = repo.text(PROTOCOL).unwrap_or_default();
    for source in repo.rust().iter().filter(|source| WIRE.contains(&source.path.as_str())) {
        for (line, word) in source.strings.iter().filter(|(_, word)| is_wire_word(word)) {
            let is_told =
                protocol.contains(&format!("`{word}`")) || protocol.contains(&format!("\"{word}\""));
            if !is_told {
                found.push(Violation::new(
                    &source.path,
                    *line,
                    format!("{PROTOCOL} does not tell of `{word}`"),
                ));
            }
        }
    }
}

/// `too_large`, `ENOTFOUND`, `mesh/hello`; not a message, a type's name or a format.
fn is_wire_word(text: &str) -> bool {
    let is_lower =
        |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '-' | '/' | ':'));
    let is_upper = |text: &str| text.len() > 1 && text.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    text.len() > 1 && (is_lower(text) || (text.starts_with('E') && is_upper(text)))
}

/// Each test that GUARANTEES.md names exists, each trap names one, and each test of a trap is named.
///
/// A name is `crate::path::a_claim`, or `a_claim` alone. The latter may also be a word of the code, such as the name
/// of a limit; a test that is gone is neither.
fn evidence(repo: &Repo, text: &str, found: &mut Vec<Violation>) {
    let functions = repo.rust().iter().flat_map(|source| functions(&source.code));
    let scripts = repo.files().filter(|(path, _)| path.contains(".test."));
    let tests: BTreeSet<&str> = functions.chain(scripts.flat_map(|(_, text)| titles(text))).collect();
    let is_known = |name: &str| {
        repo.files().any(|(path, text)| {
            let is_code = [".rs", ".ts", ".tsx"].iter().any(|end| path.ends_with(end));
            is_code && rust::words(text, name).next().is_some()
        })
    };
    let mut is_trap = false;
    for (number, line) in prose(text) {
        if line.starts_with('#') {
            is_trap = line.to_lowercase().contains("trap");
        }
        let mut names_test = false;
        for quoted in line.split('`').skip(1).step_by(2) {
            let name = quoted.rsplit("::").next().unwrap_or_default();
            let is_name = name.contains('_')
                && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            names_test |= tests.contains(name);
            if is_name && !tests.contains(name) && (quoted.contains("::") || !is_known(name)) {
                found.push(Violation::new(GUARANTEES, number, format!("there is no test `{quoted}`")));
            }
        }
        let is_entry = line.starts_with("- ") || (line.starts_with("| ") && !line.contains("---"));
        if is_trap && is_entry && !names_test && !is_header(text, number) {
            found.push(Violation::new(GUARANTEES, number, "a trap without the test that keeps it"));
        }
    }
    for trap in tests.iter().filter(|name| name.starts_with("trap_")) {
        if rust::words(text, trap).next().is_none() {
            found.push(Violation::new(GUARANTEES, 0, format!("does not name the test `{trap}`")));
        }
    }
}

/// Whether a row of a table is its head: the line below it is the rule.
fn is_header(text: &str, number: usize) -> bool {
    text.lines().nth(number).is_some_and(|next| next.starts_with('|') && next.contains("---"))
}

fn functions(code: &str) -> impl Iterator<Item = &str> {
    rust::words(code, "fn ").map(|at| {
        let rest = code[at + 3..].trim_start();
        rest.split(|c| !rust::is_word(c)).next().unwrap_or_default()
    })
}

/// The titles of the tests in a file of TypeScript: `a` of `test("a", ...)`.
fn titles(text: &str) -> impl Iterator<Item = &str> {
    ["test(\"", "it(\""].into_iter().flat_map(move |call| {
        rust::words(text, call).filter_map(move |at| text[at + call.len()..].split('"').next())
    })
}

#[cfg(test)]
mod tests {
    use super::super::complaints;
    use super::check;

    fn lines(files: &[(&str, &str)]) -> Vec<String> {
        complaints(check, files)
    }

    #[test]
    fn a_link_leads_somewhere() {
        let there =
            ("docs/b.md", "[up](../a.md#x) [here](b.md) [out](https://example.com)\n```\n[no](no.md)\n```");
        assert!(lines(&[("a.md", "[b](docs/b.md) [top](#x)"), there]).is_empty());
        assert_eq!(
            lines(&[("a.md", "\n[b](docs/c.md)"), there]),
            ["a.md:2: the link to `docs/c.md` leads nowhere"]
        );
    }

    #[test]
    fn the_protocol_tells_each_word_of_the_wire() {
        let code = (
            "crates/mesh-proto/src/code.rs",
            "const A: &str = \"too_large\";\nconst B: &str = \"gone\";\nconst C: &str = \"CommandError of {}\";\n",
        );
        assert_eq!(
            lines(&[code, ("PROTOCOL.md", "`too_large`")]),
            ["crates/mesh-proto/src/code.rs:2: PROTOCOL.md does not tell of `gone`"]
        );
    }

    #[test]
    fn a_guarantee_names_tests_that_exist() {
        let test =
            ("crates/a/tests/b.rs", "#[test]\nfn a_silent_client_is_closed() { let pongs_max = 1; }\n");
        let good = "`a_silent_client_is_closed`, `a::b::a_silent_client_is_closed`, `pongs_max`, `Mesh`";
        assert!(lines(&[test, ("GUARANTEES.md", good)]).is_empty());
        assert_eq!(
            lines(&[test, ("GUARANTEES.md", "`a_loud_client_is_closed` and `a::pongs_max`")]),
            [
                "GUARANTEES.md:1: there is no test `a_loud_client_is_closed`",
                "GUARANTEES.md:1: there is no test `a::pongs_max`"
            ]
        );
    }

    #[test]
    fn a_trap_names_its_test() {
        let test = ("crates/a/tests/b.rs", "fn names_forge_no_keys() {}");
        let text = "## Traps\n\n| trap | test |\n|---|---|\n| z | `names_forge_no_keys` |\n| y | later |\n\n## Rest\n- x\n";
        assert_eq!(
            lines(&[test, ("GUARANTEES.md", text)]),
            ["GUARANTEES.md:6: a trap without the test that keeps it"]
        );

        let script = ("packages/a/test/b.test.ts", "test(\"trap_y_a\", () => {})\nit(\"trap_x_b\", f)");
        assert_eq!(
            lines(&[script, ("GUARANTEES.md", "# Traps\n- y: `trap_y_a`\n")]),
            ["GUARANTEES.md: does not name the test `trap_x_b`"]
        );
    }
}
