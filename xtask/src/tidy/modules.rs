//! Module edges inside mesh-server: each `crate::` and `super::` path against the table in `edges`.

use std::collections::{BTreeMap, BTreeSet};

use super::repo::Repo;
use super::rust::{self, Source};
use super::{Violation, edges};

const SRC: &str = "crates/mesh-server/src/";

pub(super) fn check(repo: &Repo) -> Vec<Violation> {
    let sources = || repo.rust().iter().filter(|source| source.path.starts_with(SRC));
    let root = sources().find(|source| source.path.strip_prefix(SRC) == Some("lib.rs"));
    let exports = root.map(exports).unwrap_or_default();
    let modules: BTreeSet<&str> = sources().filter_map(module).collect();

    let mut found = Vec::new();
    for module in &modules {
        if edges::level(module).is_none() {
            let text = format!("the module `{module}` has no level in xtask/src/tidy/edges.rs");
            found.push(Violation::new(SRC, 0, text));
        }
    }
    for source in sources() {
        let Some(from) = module(source) else { continue };
        for (at, name) in root_paths(source) {
            let line = rust::line_of(&source.shipped, at);
            let to = if modules.contains(name) { Some(name) } else { exports.get(name).map(String::as_str) };
            match to {
                // Another crate's, which the root only passes on.
                Some(to) if !modules.contains(to) => {}
                Some(to) if edges::is_allowed(from, to) => {}
                Some(to) if edges::level(from).is_none() || edges::level(to).is_none() => {}
                Some(to) => {
                    found.push(Violation::new(
                        &source.path,
                        line,
                        format!("`{from}` uses `{to}`, which is not below it"),
                    ));
                }
                None => {
                    let text = format!("`crate::{name}` is neither a module nor exported by name in lib.rs");
                    found.push(Violation::new(&source.path, line, text));
                }
            }
        }
    }
    found
}

/// The top-level module a file belongs to; the root belongs to none.
fn module(source: &Source) -> Option<&str> {
    let path = source.path.strip_prefix(SRC)?;
    let first = path.split('/').next()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (name != "lib").then_some(name)
}

/// Every name that a path of this file takes right from the root of the crate, and where.
fn root_paths(source: &Source) -> Vec<(usize, &str)> {
    let code = source.shipped.as_str();
    let path = source.path.strip_prefix(SRC).unwrap_or_default();
    let depth = path.split('/').count() - usize::from(path.ends_with("/mod.rs"));
    let ups = "super::".repeat(depth);
    let mut found = Vec::new();
    for prefix in ["crate::", ups.as_str()] {
        for at in rust::words(code, prefix) {
            // `super::super::` ends in `super::` too; and `$crate::` is the user's.
            if code[..at].ends_with("::") || code[..at].ends_with('$') {
                continue;
            }
            let start = at + prefix.len();
            found
                .extend(first_names(&code[start..]).into_iter().map(|(offset, name)| (start + offset, name)));
        }
    }
    found
}

/// The first names of a path or of a group of paths: `a` and `b` of `{a::X, b::{Y, Z}}`.
fn first_names(text: &str) -> Vec<(usize, &str)> {
    let Some(group) = text.strip_prefix('{') else {
        let name = word(text);
        return if name.is_empty() || name == "super" { Vec::new() } else { vec![(0, name)] };
    };
    let mut found = Vec::new();
    let (mut depth, mut is_first) = (0_usize, true);
    let mut at = 0;
    while let Some(c) = group[at..].chars().next() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => is_first = true,
            _ if is_first && depth == 0 && rust::is_word(c) => {
                let name = word(&group[at..]);
                found.push((at + 1, name));
                is_first = false;
                at += name.len();
                continue;
            }
            _ => {}
        }
        at += c.len_utf8();
    }
    found
}

fn word(text: &str) -> &str {
    text.split(|c| !rust::is_word(c)).next().unwrap_or_default()
}

/// What the root exports by name, and from which module: `Mesh` from `mesh` by `pub use mesh::{Mesh, Readiness};`.
fn exports(root: &Source) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for at in rust::words(&root.shipped, "use ") {
        let rest = &root.shipped[at + 4..];
        let path = rest.split(';').next().unwrap_or_default().trim();
        let path = path.trim_start_matches("crate::").trim_start_matches("self::");
        let from = word(path);
        let Some(names) = path.strip_prefix(from).and_then(|rest| rest.strip_prefix("::")) else { continue };
        for leaf in names.split([',', '{', '}']) {
            // `a::B as C` is called C.
            let name = leaf.rsplit("::").next().unwrap_or_default().trim();
            let name = name.rsplit(" as ").next().unwrap_or_default().trim();
            if !name.is_empty() {
                found.insert(name.to_owned(), from.to_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::complaints;
    use super::*;

    const LIB: (&str, &str) = (
        "crates/mesh-server/src/lib.rs",
        "pub use mesh::{Mesh, inner::Deep as Low};\npub use mesh_proto::Code;\n",
    );
    const MESH: (&str, &str) = ("crates/mesh-server/src/mesh.rs", "struct Mesh;");
    const SERVE: (&str, &str) = ("crates/mesh-server/src/serve/mod.rs", "struct Serve;");

    fn check_file(path: &str, text: &str, expected: &[&str]) {
        let path = format!("crates/mesh-server/src/{path}");
        let found = complaints(check, &[LIB, MESH, SERVE, (&path, text)]);
        let expected: Vec<String> = expected.iter().map(|line| format!("{path}:{line}")).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_line_down_is_fine_and_a_line_up_is_not() {
        check_file("mount/axum.rs", "use crate::serve::X;\nuse crate::{mesh::{A, B}, serve};", &[]);
        check_file(
            "hub/mod.rs",
            "\nuse crate::mesh::Mesh;",
            &["2: `hub` uses `mesh`, which is not below it"],
        );
        check_file(
            "hub/x.rs",
            "use crate::{\n    hub::A,\n    mesh::{B, C},\n};",
            &["3: `hub` uses `mesh`, which is not below it"],
        );
        check_file(
            "hub/x.rs",
            "fn f() { crate::mesh::g(); }",
            &["1: `hub` uses `mesh`, which is not below it"],
        );
    }

    #[test]
    fn an_export_of_the_root_counts_for_its_module() {
        check_file("hub/mod.rs", "use crate::Mesh;", &["1: `hub` uses `mesh`, which is not below it"]);
        check_file("hub/mod.rs", "use crate::Low;", &["1: `hub` uses `mesh`, which is not below it"]);
        check_file("hub/mod.rs", "use crate::Code;", &[]);
        check_file(
            "hub/mod.rs",
            "use crate::Gone;",
            &["1: `crate::Gone` is neither a module nor exported by name in lib.rs"],
        );
    }

    #[test]
    fn a_path_by_super_counts_once_it_reaches_the_root() {
        check_file("hub/mod.rs", "use super::mesh::Mesh;", &["1: `hub` uses `mesh`, which is not below it"]);
        check_file(
            "hub/x.rs",
            "use super::super::mesh::Mesh;",
            &["1: `hub` uses `mesh`, which is not below it"],
        );
        check_file("hub/x.rs", "use super::mesh::Mesh;", &[]);
    }

    #[test]
    fn comments_and_tests_may_look_anywhere() {
        check_file("hub/mod.rs", "// crate::mesh\n#[cfg(test)]\nmod tests { use crate::mesh::Mesh; }", &[]);
    }

    #[test]
    fn a_module_without_a_level_is_told() {
        let found =
            complaints(check, &[LIB, MESH, ("crates/mesh-server/src/novel.rs", "use crate::mesh::Mesh;")]);
        assert_eq!(
            found,
            ["crates/mesh-server/src/: the module `novel` has no level in xtask/src/tidy/edges.rs"]
        );
    }
}
