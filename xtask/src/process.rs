//! Running a program to its end or to its deadline, whichever comes first.
#![expect(clippy::disallowed_methods, reason = "a deadline of a real process is wall time")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

/// What a program may take. A first build on two slow cores takes a third of it.
pub const DEADLINE: Duration = Duration::from_secs(20 * 60);

/// How often a silent child is asked whether it has ended.
const POLL: Duration = Duration::from_millis(50);

/// How long output may still come after the child has ended; a grandchild may hold the pipe for ever.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Runs `command` and hands each line of its output, of both streams, to `on_line`. Fails if it does; kills it and its
/// children at the deadline.
pub fn run(command: &mut Command, deadline: Duration, mut on_line: impl FnMut(&str)) -> anyhow::Result<()> {
    let started = Instant::now();
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context(name.clone())?;
    let (lines_in, lines) = channel();
    read(child.stdout.take(), lines_in.clone());
    read(child.stderr.take(), lines_in);

    let mut exited: Option<(ExitStatus, Instant)> = None;
    let status = loop {
        match lines.recv_timeout(POLL) {
            Ok(line) => on_line(&line),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => match exited {
                Some((status, _)) => break status,
                None => thread::park_timeout(POLL),
            },
        }
        match exited {
            Some((status, at)) if at.elapsed() > LAST_WORDS => break status,
            Some(_) => {}
            None => exited = child.try_wait()?.map(|status| (status, Instant::now())),
        }
        if exited.is_none() && started.elapsed() > deadline {
            kill(&mut child);
            bail!("{name}: killed after {} s", deadline.as_secs());
        }
    };
    ensure!(status.success(), "{name}: {status}");
    Ok(())
}

/// Runs `command` and prints what it prints.
pub fn show(command: &mut Command, deadline: Duration) -> anyhow::Result<()> {
    run(command, deadline, |line| println!("{line}"))
}

/// The first line a program answers, if it starts and succeeds: `node --version`.
pub fn answer(command: &mut Command) -> Option<String> {
    let mut first = None;
    let ran = run(command, Duration::from_secs(20), |line| {
        first.get_or_insert_with(|| line.to_owned());
    });
    ran.ok().and(first)
}

/// How long something takes.
#[derive(Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Asks again until the answer is yes; false if that takes longer than `deadline`.
pub fn wait_until(deadline: Duration, mut answer: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while started.elapsed() < deadline {
        if answer() {
            return true;
        }
        thread::park_timeout(POLL);
    }
    false
}

fn read(pipe: Option<impl Read + Send + 'static>, lines: Sender<String>) {
    let Some(pipe) = pipe else { return };
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n') {
            let Ok(line) = line else { return };
            let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
            if lines.send(line).is_err() {
                return;
            }
        }
    });
}

/// Ends a child and, where /proc tells, all it started. Standard Rust can only kill the child itself.
pub fn kill(child: &mut Child) {
    let descendants = descendants(child.id());
    if !descendants.is_empty() {
        let ids: Vec<String> = descendants.iter().map(u32::to_string).collect();
        let script = format!("kill -KILL {} 2>/dev/null", ids.join(" "));
        // Some may have ended by themselves meanwhile, which is as good.
        let _ = Command::new("sh").args(["-c", &script]).status();
    }
    let _ = child.kill();
    let _ = child.wait();
}

fn descendants(of: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let id: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // `id (name) state parent ...`, and the name may hold anything, brackets too.
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((id, parent))
        })
        .collect();
    let mut found = vec![of];
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        found.extend(parents.iter().filter(|pair| pair.1 == parent).map(|pair| pair.0));
        next += 1;
    }
    found.split_off(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn both_streams_are_read_to_their_end() {
        let mut lines = Vec::new();
        let mut command = shell("echo one; echo two >&2; printf three");
        let ran = run(&mut command, Duration::from_secs(20), |line| lines.push(line.to_owned()));
        lines.sort();
        assert!(ran.is_ok());
        assert_eq!(lines, ["one", "three", "two"]);
    }

    #[test]
    fn a_failure_says_how() {
        let failed = run(&mut shell("exit 3"), Duration::from_secs(20), |_| ()).unwrap_err();
        assert_eq!(failed.to_string(), "sh: exit status: 3");
        let failed = run(&mut Command::new("no-such-program"), Duration::from_secs(20), |_| ()).unwrap_err();
        assert_eq!(failed.to_string(), "no-such-program");
    }

    #[test]
    fn a_deadline_ends_the_child_and_what_it_started() {
        let mut grandchild = None;
        let mut command = shell("sleep 600 & echo $!; wait");
        let ran = run(&mut command, Duration::from_millis(500), |line| grandchild = line.parse::<u32>().ok());
        assert!(ran.unwrap_err().to_string().contains("killed"));
        let stat = format!("/proc/{}/stat", grandchild.expect("the shell tells the id"));
        let is_gone = || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
        assert!(wait_until(Duration::from_secs(20), is_gone));
    }

    #[test]
    fn a_pipe_held_by_a_grandchild_does_not_hold_the_run() {
        let watch = Stopwatch::start();
        assert!(run(&mut shell("sleep 30 & exit 0"), Duration::from_secs(25), |_| ()).is_ok());
        assert!(watch.elapsed() < Duration::from_secs(20));
    }
}
