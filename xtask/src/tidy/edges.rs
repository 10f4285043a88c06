//! Which module of mesh-server may name which.

use super::File;

const SOURCE: &str = "crates/mesh-server/src/";

/// From the top: a module may name those of its own level and of the levels below.
const LEVELS: &[&[&str]] = &[
    &["mount", "builder"],
    &["serve"],
    &["broadcast", "room"],
    &["metadata"],
    &["mesh", "command", "policy", "conn", "instance"],
    &["hub"],
    &["login", "schedule", "follow"],
    &["error", "pattern"],
    &["lock"],
];

pub fn check(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.is("rs")) {
        let Some(inside) = file.path.strip_prefix(SOURCE) else { continue };
        let module = inside.split(['/', '.']).next().unwrap_or_default();
        if module == "lib" {
            continue;
        }
        let Some(own) = level(module) else {
            found
                .push(format!("{}: {module} is in none of the levels of xtask/src/tidy/edges.rs", file.path));
            continue;
        };
        for (line, name) in named(file) {
            let place = format!("{}:{line}", file.path);
            match level(&name) {
                Some(other) if other < own => {
                    found.push(format!("{place}: {module} names {name}, which is above it"));
                }
                Some(_) => {}
                None => found.push(format!("{place}: crate::{name} is to be named by its module")),
            }
        }
    }
    found
}

fn level(module: &str) -> Option<usize> {
    LEVELS.iter().position(|level| level.contains(&module))
}

/// What follows each `crate::`, with the line it begins in; of `crate::{a, b::{c, d}}`, `a` and `b`.
fn named(file: &File) -> Vec<(usize, String)> {
    let lines: Vec<_> = file.code().collect();
    let mut names = Vec::new();
    for (at, (number, line)) in lines.iter().enumerate() {
        for (start, _) in line.match_indices("crate::") {
            let before = line[..start].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '$')) {
                continue;
            }
            let mut rest = line[start + "crate::".len()..].to_owned();
            for (_, next) in &lines[at + 1..] {
                if !rest.starts_with('{') || rest.matches('{').count() <= rest.matches('}').count() {
                    break;
                }
                rest.push_str(next.trim());
            }
            names.extend(firsts(&rest).into_iter().map(|name| (*number, name)));
        }
    }
    names
}

/// `a` of `a::b`; `a` and `b` of `{a, b::{c, d}}`.
fn firsts(path: &str) -> Vec<String> {
    let Some(group) = path.strip_prefix('{') else { return vec![first(path)] };
    let (mut depth, mut start, mut names) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.push(first(&group[start..at]));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn first(path: &str) -> String {
    path.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn broken(module: &str, text: &str) -> Vec<String> {
        check(&[file(&format!("{SOURCE}{module}"), text)])
    }

    #[test]
    fn a_module_may_name_its_own_level_and_what_is_below() {
        assert!(
            broken("serve/wire.rs", "use crate::hub::Outbox;\nuse crate::{lock, room::{self, RoomRef}};")
                .is_empty()
        );
        assert!(broken("conn.rs", "use crate::mesh::Mesh;\npub(crate) use crate::conn::A;").is_empty());
        assert!(broken("lib.rs", "pub use crate::mount::A;").is_empty());
        assert!(
            broken("lock.rs", "// crate::mount\n#[cfg(test)]\nmod tests { use crate::mount::A; }").is_empty()
        );
    }

    #[test]
    fn what_is_above_is_told_with_its_line() {
        let all = broken(
            "hub/mod.rs",
            "use crate::{\n    lock::{Lock, x},\n    serve::A,\n};\nlet a = crate::mesh::b();",
        );
        let path = format!("{SOURCE}hub/mod.rs");
        assert_eq!(
            all,
            [
                format!("{path}:1: hub names serve, which is above it"),
                format!("{path}:5: hub names mesh, which is above it"),
            ]
        );
    }

    #[test]
    fn a_name_or_a_module_without_a_level_is_told() {
        assert_eq!(broken("hub.rs", "use crate::Mesh;").len(), 1);
        assert_eq!(broken("new.rs", "").len(), 1);
    }
}
