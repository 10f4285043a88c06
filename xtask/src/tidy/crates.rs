//! Crate edges: who may depend on whom, and which crates never say which words.

use super::Violation;
use super::repo::Repo;
use super::rust::{self, Source};

/// The crates of this workspace that a crate may depend on. Tests and examples may use more.
const CRATES: &[(&str, &[&str])] = &[
    ("mesh-proto", &[]),
    ("mesh-ws", &[]),
    ("mesh-backend", &["mesh-proto"]),
    ("mesh-server", &["mesh-backend", "mesh-proto", "mesh-ws"]),
    ("mesh-redis", &["mesh-backend", "mesh-proto"]),
    ("mesh-client", &["mesh-proto"]),
    ("mesh-cli", &["mesh-client", "mesh-proto", "mesh-redis", "mesh-server"]),
    ("mesh-bench", &["mesh-client", "mesh-proto", "mesh-redis", "mesh-server"]),
    ("mesh-chaos", &["mesh-backend", "mesh-proto", "mesh-redis", "mesh-server", "mesh-ws"]),
    ("mesh-sim", &["mesh-backend", "mesh-client", "mesh-proto", "mesh-redis", "mesh-server", "mesh-ws"]),
    ("xtask", &[]),
];

/// Dependencies that only some crates may have, and where in those their name may stand.
const OUTSIDE: &[(&str, &[Places])] = &[
    ("axum", &[("mesh-server", &["src/mount/"]), ("mesh-cli", &[""])]),
    ("redis", &[("mesh-redis", &[""])]),
    ("mlua", &[("mesh-sim", &["src/redis/"])]),
];

/// A crate, and what the paths in it begin with.
type Places = (&'static str, &'static [&'static str]);

/// Words that must not stand in the code of a crate.
const NEVER: &[(&str, &[&str], &str)] = &[
    ("mesh-proto", &["tokio", "Instant", "SystemTime"], "the protocol does no IO and has no clock"),
    ("mesh-ws", &["tokio", "Instant", "SystemTime"], "frames do no IO and have no clock"),
];

struct Manifest<'a> {
    path: &'a str,
    name: &'a str,
    /// The dependencies that are neither for tests nor for the build, and their lines.
    dependencies: Vec<(usize, &'a str)>,
}

pub(super) fn check(repo: &Repo) -> Vec<Violation> {
    let mut found = Vec::new();
    let manifests = repo.files().filter(|(path, _)| path.ends_with("Cargo.toml"));
    for manifest in manifests.filter_map(|(path, text)| Manifest::read(path, text)) {
        let folder = manifest.path.trim_end_matches("Cargo.toml");
        let sources: Vec<&Source> =
            repo.rust().iter().filter(|source| source.path.starts_with(folder)).collect();
        inside(&manifest, &mut found);
        outside(&manifest, &sources, &mut found);
        never(&manifest, &sources, &mut found);
    }
    found
}

impl<'a> Manifest<'a> {
    /// Reads as much of TOML as manifests use. A workspace without a package of its own is none.
    fn read(path: &'a str, text: &'a str) -> Option<Self> {
        let (mut section, mut name) = ("", None);
        let mut dependencies = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if let Some(header) = line.strip_prefix('[') {
                section = header.split(']').next().unwrap_or_default();
                if let Some(dependency) = section.strip_prefix("dependencies.") {
                    dependencies.push((number + 1, dependency));
                }
                continue;
            }
            let Some((key, value)) = line.split_once('=') else { continue };
            let key = key.trim().split('.').next().unwrap_or_default().trim_matches('"');
            if section == "package" && key == "name" {
                name = Some(value.trim().trim_matches('"'));
            }
            let of_target = section.starts_with("target.") && section.ends_with(".dependencies");
            if (section == "dependencies" || of_target) && !key.starts_with('#') {
                dependencies.push((number + 1, key));
            }
        }
        Some(Self { path, name: name?, dependencies })
    }
}

fn inside(manifest: &Manifest<'_>, found: &mut Vec<Violation>) {
    let Some((_, allowed)) = CRATES.iter().find(|(name, _)| *name == manifest.name) else {
        // Examples use what an application may use.
        if !manifest.path.starts_with("examples/") {
            let text = format!("say in xtask/src/tidy/crates.rs what `{}` may use", manifest.name);
            found.push(Violation::new(manifest.path, 0, text));
        }
        return;
    };
    for (line, dependency) in &manifest.dependencies {
        let is_ours = CRATES.iter().any(|(name, _)| name == dependency);
        if is_ours && !allowed.contains(dependency) {
            let text = format!("`{}` may not use `{dependency}`", manifest.name);
            found.push(Violation::new(manifest.path, *line, text));
        }
    }
}

fn outside(manifest: &Manifest<'_>, sources: &[&Source], found: &mut Vec<Violation>) {
    if manifest.path.starts_with("examples/") {
        return;
    }
    for (dependency, allowed) in OUTSIDE {
        let places = allowed.iter().find(|(name, _)| *name == manifest.name).map(|(_, places)| *places);
        if let (None, Some((line, _))) =
            (places, manifest.dependencies.iter().find(|(_, name)| name == dependency))
        {
            let text = format!("`{}` may not use `{dependency}`", manifest.name);
            found.push(Violation::new(manifest.path, *line, text));
        }
        let folder = manifest.path.trim_end_matches("Cargo.toml");
        for source in sources {
            let within = source.path.strip_prefix(folder).unwrap_or_default();
            if places.unwrap_or_default().iter().any(|place| within.starts_with(place)) {
                continue;
            }
            let prefix = format!("{dependency}::");
            for at in rust::words(&source.shipped, &prefix) {
                // `crate::mount::axum::` is a module of ours.
                if !source.shipped[..at].ends_with("::") {
                    let line = rust::line_of(&source.shipped, at);
                    found.push(Violation::new(
                        &source.path,
                        line,
                        format!("nothing here may know `{dependency}`"),
                    ));
                }
            }
        }
    }
}

fn never(manifest: &Manifest<'_>, sources: &[&Source], found: &mut Vec<Violation>) {
    for (_, words, why) in NEVER.iter().filter(|(name, _, _)| *name == manifest.name) {
        for word in *words {
            for (line, _) in manifest.dependencies.iter().filter(|(_, name)| name == word) {
                found.push(Violation::new(manifest.path, *line, format!("`{word}`: {why}")));
            }
            for source in sources {
                for at in rust::words(&source.shipped, word) {
                    let line = rust::line_of(&source.shipped, at);
                    found.push(Violation::new(&source.path, line, format!("`{word}`: {why}")));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::complaints;
    use super::check;

    fn manifest(name: &str, dependencies: &str) -> String {
        format!(
            "[package]\nname = \"{name}\"\n[dependencies]\n{dependencies}\n[dev-dependencies]\ntokio = \"1\"\naxum = \"1\"\nmesh-server = \"1\"\n"
        )
    }

    fn check_crate(name: &str, dependencies: &str, file: &str, code: &str, expected: &[&str]) {
        let (toml, rs) = (format!("crates/{name}/Cargo.toml"), format!("crates/{name}/{file}"));
        let found = complaints(check, &[(&toml, &manifest(name, dependencies)), (&rs, code)]);
        assert_eq!(found, expected, "{name} {dependencies} {code}");
    }

    #[test]
    fn crates_depend_one_way() {
        check_crate("mesh-server", "mesh-ws.workspace = true\nmesh-proto = \"1\"", "src/lib.rs", "", &[]);
        check_crate(
            "mesh-backend",
            "mesh-server = { path = \"x\" }",
            "src/lib.rs",
            "",
            &["crates/mesh-backend/Cargo.toml:4: `mesh-backend` may not use `mesh-server`"],
        );
        check_crate(
            "mesh-novel",
            "",
            "src/lib.rs",
            "",
            &["crates/mesh-novel/Cargo.toml: say in xtask/src/tidy/crates.rs what `mesh-novel` may use"],
        );
    }

    #[test]
    fn only_the_mount_knows_axum() {
        let axum = "axum.workspace = true";
        check_crate("mesh-server", axum, "src/mount/axum.rs", "use axum::Router;", &[]);
        check_crate("mesh-server", axum, "src/mount/mod.rs", "pub use self::axum::X;", &[]);
        check_crate("mesh-server", axum, "tests/a.rs", "use axum::Router;", &[]);
        check_crate("mesh-cli", axum, "src/main.rs", "use axum::Router;", &[]);
        check_crate(
            "mesh-server",
            axum,
            "src/serve.rs",
            "\nuse axum::Router;",
            &["crates/mesh-server/src/serve.rs:2: nothing here may know `axum`"],
        );
        check_crate(
            "mesh-client",
            axum,
            "src/lib.rs",
            "",
            &["crates/mesh-client/Cargo.toml:4: `mesh-client` may not use `axum`"],
        );
    }

    #[test]
    fn the_protocol_has_no_clock() {
        check_crate("mesh-proto", "", "tests/a.rs", "use std::time::Instant;", &[]);
        check_crate("mesh-server", "tokio = \"1\"", "src/lib.rs", "use tokio::time::Instant;", &[]);
        let why = "the protocol does no IO and has no clock";
        check_crate(
            "mesh-proto",
            "tokio = \"1\"",
            "src/lib.rs",
            "use std::time::Instant;",
            &[
                &format!("crates/mesh-proto/Cargo.toml:4: `tokio`: {why}"),
                &format!("crates/mesh-proto/src/lib.rs:1: `Instant`: {why}"),
            ],
        );
    }
}
