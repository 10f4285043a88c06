//! The RFC 6455 cases of kosoku (Autobahn's, without compression) against the echo example of mesh-ws.

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::process::{self, DEADLINE};
use crate::setup::TOOLS;

const CASES: usize = 301;
const REPORT: &str = "target/conformance";

/// It takes four seconds where no case hangs.
const RUN_MAX: Duration = Duration::from_secs(4 * 60);

/// Ends the server with the step, however it goes.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        process::kill(&mut self.0);
    }
}

pub fn conformance() -> anyhow::Result<()> {
    let build = ["build", "--profile", "fast", "-p", "mesh-ws", "--example", "echo"];
    process::show(Command::new("cargo").args(build), DEADLINE).context("the echo example does not build")?;
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let port = free_port().context("no free port from 9100 to 9999")?;
    let echo = Path::new(&target).join("fast/examples/echo");
    let mut server = Server(Command::new(&echo).arg(port.to_string()).spawn()?);
    wait_until_it_listens(&mut server, port)?;

    // A report of an earlier run is not to be judged.
    match std::fs::remove_dir_all(REPORT) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let mut kosoku = Command::new("python3");
    kosoku
        .arg(Path::new(TOOLS).join("bin/kosoku"))
        .args(["-x", "12.*", "-x", "13.*", "-p", "4", "-o", REPORT])
        .arg(format!("127.0.0.1:{port}"))
        .env("PYTHONPATH", TOOLS);
    // It fails where a case does; which, and whether one passed only just, is in the report.
    if let Err(error) = process::show(&mut kosoku, RUN_MAX) {
        println!("{error:#}");
    }
    let index = std::fs::read(Path::new(REPORT).join("index.json")).context("kosoku left no index.json")?;
    judge(&serde_json::from_slice(&index)?)
}

fn free_port() -> Option<u16> {
    (9100..10000).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
}

fn wait_until_it_listens(server: &mut Server, port: u16) -> anyhow::Result<()> {
    let mut ended = None;
    let listens = process::wait_until(Duration::from_secs(10), || {
        ended = server.0.try_wait().ok().flatten();
        ended.is_some() || TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    if let Some(status) = ended {
        bail!("the echo example ended by itself: {status}");
    }
    ensure!(listens, "the echo example does not listen on port {port}");
    Ok(())
}

/// Every case has to be there, and to behave and to close as it should.
fn judge(index: &Value) -> anyhow::Result<()> {
    let agents = index.as_object().context("index.json is no object")?;
    let cases: Vec<_> = agents.values().filter_map(Value::as_object).flatten().collect();
    let mut counts = BTreeMap::new();
    let mut bad = Vec::new();
    for (id, case) in &cases {
        let (behavior, close) = (outcome(case, "behavior"), outcome(case, "behaviorClose"));
        *counts.entry((behavior, close)).or_insert(0) += 1;
        if ![behavior, close].iter().all(|outcome| matches!(*outcome, "OK" | "INFORMATIONAL")) {
            bad.push(format!("{id}: {behavior}, close {close}"));
        }
    }
    for ((behavior, close), count) in counts {
        println!("{count:>5} {behavior}, close {close}");
    }
    ensure!(bad.is_empty(), "{}", bad.join("\n"));
    ensure!(cases.len() == CASES, "{} cases were run, not {CASES}", cases.len());
    Ok(())
}

fn outcome<'a>(case: &'a Value, member: &str) -> &'a str {
    case[member].as_str().unwrap_or("missing")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn index(odd: Value) -> Value {
        let good = json!({"behavior": "OK", "behaviorClose": "INFORMATIONAL"});
        let mut cases: serde_json::Map<_, _> = (1..CASES).map(|n| (n.to_string(), good.clone())).collect();
        cases.insert("odd".to_owned(), odd);
        json!({ "echo": cases })
    }

    #[test]
    fn all_cases_have_to_be_there_and_strict() {
        assert!(judge(&index(json!({"behavior": "OK", "behaviorClose": "OK"}))).is_ok());
        assert!(judge(&index(json!({"behavior": "NON-STRICT", "behaviorClose": "OK"}))).is_err());
        assert!(judge(&index(json!({"behavior": "OK", "behaviorClose": "FAILED"}))).is_err());
        assert!(judge(&index(json!({"behavior": "OK"}))).is_err());
        assert!(judge(&json!({"echo": {"1.1.1": {"behavior": "OK", "behaviorClose": "OK"}}})).is_err());
    }
}
