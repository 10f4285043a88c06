//! What must not be said in code, beyond what clippy keeps.

use super::Violation;
use super::repo::{self, Repo};
use super::rust::{self, Source};

/// Words banned from what ships. `unwrap` and `Instant::now` are clippy's.
const SHIPPED: &[(&str, &str)] = &[
    ("todo!", "finish it, or leave it out"),
    ("unimplemented!", "finish it, or leave it out"),
    ("dbg!", "it was for you alone"),
    ("unbounded_channel", "every queue has a bound"),
    ("thread::sleep", "it blocks a worker"),
];

/// Words banned from tests as well.
const EVERYWHERE: &[(&str, &str)] =
    &[("#[ignore", "a test that does not run proves nothing: mend it or delete it")];

/// The files that may read the wall clock, each with the reason. Everything else goes by tokio's.
const WALL_CLOCK: &[(&str, &str)] = &[
    ("crates/mesh-cli/src/demo.rs", "the time a page shows beside a line of the chat"),
    ("crates/mesh-server/src/serve/admission.rs", "`serverTime` of `mesh/hello`, for a client's display"),
];

/// The same for the tests of TypeScript.
const TYPESCRIPT: &[(&str, &str)] = &[
    (".only(", "it keeps the other tests from running"),
    (".skip(", "a test that does not run proves nothing: mend it or delete it"),
    (".todo(", "write the test, or leave it out"),
];

pub(super) fn check(repo: &Repo) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in repo.rust() {
        for (word, why) in SHIPPED {
            ban(source, &source.shipped, word, why, &mut found);
        }
        for (word, why) in EVERYWHERE {
            ban(source, &source.code, word, why, &mut found);
        }
        if !WALL_CLOCK.iter().any(|(path, _)| *path == source.path) {
            let why = "a run is a function of its seed; name the file in xtask/src/tidy/bans.rs if a reader sees this time";
            ban(source, &source.shipped, "SystemTime::now", why, &mut found);
        }
        unordered_select(source, &mut found);
    }
    for (path, text) in repo.files() {
        let is_test = path.contains(".test.") || path.contains(".spec.");
        if !is_test || repo::is_generated(path) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            for (word, why) in TYPESCRIPT.iter().filter(|(word, _)| line.contains(word)) {
                found.push(Violation::new(path, number + 1, format!("`{word}`: {why}")));
            }
        }
    }
    found
}

fn ban(source: &Source, code: &str, word: &str, why: &str, found: &mut Vec<Violation>) {
    for at in rust::words(code, word) {
        found.push(Violation::new(&source.path, rust::line_of(code, at), format!("`{word}`: {why}")));
    }
}

/// Without `biased;` tokio polls the branches in an order that no seed fixes.
fn unordered_select(source: &Source, found: &mut Vec<Violation>) {
    for at in rust::words(&source.code, "select!") {
        let body = source.code[at + "select!".len()..].trim_start();
        let is_call = body.starts_with(['{', '(', '[']);
        if is_call && !body[1..].trim_start().starts_with("biased;") {
            let line = rust::line_of(&source.code, at);
            found.push(Violation::new(&source.path, line, "`select!` begins with `biased;`"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::complaints;
    use super::check;

    fn lines(path: &str, text: &str) -> Vec<String> {
        let found = complaints(check, &[(path, text)]);
        found.iter().map(|text| text.trim_start_matches(path).to_owned()).collect()
    }

    #[test]
    fn every_ban_is_kept_where_code_ships() {
        for (word, _) in super::SHIPPED {
            let text = format!("fn f() {{\n    {word}(1);\n}}");
            assert_eq!(lines("crates/a/src/lib.rs", &text).len(), 1, "{word}");
            assert!(lines("crates/a/tests/b.rs", &text).is_empty(), "{word}");
            assert!(lines("crates/a/src/lib.rs", &format!("// {word}\n")).is_empty(), "{word}");
        }
        assert_eq!(lines("crates/a/src/lib.rs", "f(SystemTime::now())").len(), 1);
    }

    #[test]
    fn no_test_is_left_out() {
        assert_eq!(lines("crates/a/tests/b.rs", "#[test]\n#[ignore = \"slow\"]\nfn a() {}").len(), 1);
        assert_eq!(lines("packages/a/test/b.test.ts", "it.only('a', f)\nit('b', f)").len(), 1);
        assert!(lines("packages/a/src/b.ts", "bytes.skip(1)").is_empty());
    }

    #[test]
    fn a_select_is_biased() {
        assert!(lines("crates/a/src/lib.rs", "tokio::select! {\n    biased;\n    a = b => {}\n}").is_empty());
        assert_eq!(
            lines("crates/a/src/lib.rs", "\nselect! { a = b => {} }"),
            [":2: `select!` begins with `biased;`"]
        );
        assert_eq!(lines("crates/a/tests/b.rs", "select! { a = b => {} }").len(), 1);
    }
}
