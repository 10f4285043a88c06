//! Length, dead files, and words that have no place in the repository.

use super::File;

const MOST_LINES: usize = 500;

/// Not in code outside tests.
const WORDS: &[&str] = &["todo!", "dbg!", "unbounded_channel"];

/// Where somebody's machine keeps things.
const MACHINE: &[&str] = &["/root/", "/home/", "/work/", "/Users/"];

/// Folders whose files are each a crate of their own.
const ROOTS: &[&str] = &["tests", "examples", "benches", "bin"];

pub fn check(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    // This very folder spells out what it looks for.
    for file in files.iter().filter(|file| !file.path.starts_with("xtask/src/tidy/")) {
        let path = &file.path;
        let built = path.split('/').any(|part| part == "dist");
        let lines = file.text.lines().count();
        if (file.is("rs") || file.is("ts")) && !built && lines > MOST_LINES {
            found.push(format!("{path}: {lines} lines, at most {MOST_LINES}"));
        }
        if file.is("rs") {
            for (number, line) in file.code() {
                let words = WORDS.iter().filter(|word| line.contains(*word));
                found.extend(words.map(|word| format!("{path}:{number}: {word}")));
            }
            let ignored = |line: &str| line.trim_start().starts_with("#[ignore");
            let ignored = file.text.lines().enumerate().filter(|(_, line)| ignored(line));
            found.extend(ignored.map(|(at, _)| format!("{path}:{}: a test that nobody runs", at + 1)));
            if is_dead(path, files) {
                found.push(format!("{path}: no `mod` names it"));
            }
        }
        for (at, line) in file.text.lines().enumerate() {
            if MACHINE.iter().any(|folder| has_path(line, folder)) {
                found.push(format!("{path}:{}: a path of one machine", at + 1));
            }
            if path.ends_with("package-lock.json") && line.trim_start().starts_with("\"resolved\": \"http") {
                found.push(format!("{path}:{}: names a registry's host", at + 1));
            }
        }
    }
    found
}

/// Whether a line holds a path that begins with `folder`, rather than having it inside of a longer one.
fn has_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '/' | '.' | '_' | '-' | '}'))
    })
}

/// Whether a Rust file is part of no crate.
fn is_dead(path: &str, files: &[File]) -> bool {
    let Some((mut folder, name)) = path.rsplit_once('/') else { return false };
    let mut module = name.trim_end_matches(".rs");
    if matches!(module, "lib" | "main" | "build") || ROOTS.contains(&last(folder)) {
        return false;
    }
    if module == "mod" {
        (folder, module) = folder.rsplit_once('/').unwrap_or(("", folder));
    }
    let declares = |file: &File| {
        file.text.lines().any(|line| {
            let line = line.trim().trim_end_matches(';');
            line.strip_suffix(module).is_some_and(|before| before == "mod " || before.ends_with(" mod "))
        })
    };
    let parents = ["mod.rs", "lib.rs", "main.rs"].map(|name| format!("{folder}/{name}"));
    let beside = format!("{folder}.rs");
    !files.iter().any(|file| {
        let above = file.path.rsplit_once('/').is_some_and(|(of, _)| of == folder);
        let parent = parents.contains(&file.path) || file.path == beside;
        (parent || (above && ROOTS.contains(&last(folder)))) && declares(file)
    })
}

fn last(folder: &str) -> &str {
    folder.rsplit('/').next().unwrap_or(folder)
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn a_file_may_have_so_many_lines() {
        assert!(check(&[file("a/src/lib.rs", &"\n".repeat(MOST_LINES))]).is_empty());
        let long = "\n".repeat(MOST_LINES + 1);
        assert_eq!(check(&[file("a/src/lib.rs", &long), file("a/b.ts", &long)]).len(), 2);
        assert!(check(&[file("a/dist/b.d.ts", &long), file("a/b.md", &long)]).is_empty());
    }

    #[test]
    fn a_file_that_no_mod_names_is_dead() {
        let lib = file("a/src/lib.rs", "pub(crate) mod b;\nmod c;");
        let more = |paths: &[&str]| {
            let mut files = vec![file(&lib.path, &lib.text)];
            files.extend(paths.iter().map(|path| file(path, "mod d;")));
            check(&files)
        };
        assert!(more(&["a/src/b.rs", "a/src/c/mod.rs", "a/src/c/d.rs", "a/src/b/d.rs"]).is_empty());
        assert!(more(&["a/tests/one.rs", "a/tests/d/mod.rs", "a/build.rs", "a/examples/x.rs"]).is_empty());
        assert_eq!(more(&["a/src/d.rs"]), ["a/src/d.rs: no `mod` names it"]);
        assert_eq!(more(&["a/src/c/mod.rs", "a/src/c/e.rs"]), ["a/src/c/e.rs: no `mod` names it"]);
    }

    #[test]
    fn words_are_found_outside_tests() {
        let text = "#[cfg(test)]\nuse a;\ntodo!();\n// dbg!\n#[cfg(test)]\nmod tests { dbg!(1); }";
        assert_eq!(check(&[file("a/src/lib.rs", text)]), ["a/src/lib.rs:3: todo!"]);
        assert_eq!(check(&[file("a/tests/b.rs", "dbg!(1);\n#[ignore]\nfn a() {}")]).len(), 1);
    }

    #[test]
    fn what_tells_of_one_machine_is_found() {
        assert_eq!(check(&[file("a.md", "see `/work/main`, and network/work/it")]).len(), 1);
        assert_eq!(check(&[file("a.md", "GET https://host/home/1")]).len(), 0);
        let lock = "  \"resolved\": \"https://registry.example/a.tgz\",\n  \"resolved\": \"../a\",";
        assert_eq!(check(&[file("p/package-lock.json", lock)]).len(), 1);
    }
}
