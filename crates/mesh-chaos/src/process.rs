//! A program that runs until somebody ends it, and never longer than the test.

use std::io;
use std::process::Stdio;
use std::sync::Once;
use std::time::Duration;

use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// Starts a program, tells its process id, and ends it when whoever holds the other end is gone, however it went.
const KEEPER: &str = r#"ulimit -n "$(ulimit -Hn)" 2>/dev/null
"$0" "$@" 2>&1 </dev/null &
echo $! >&2
exec >&- 2>&-
cat >/dev/null
kill -9 $!
wait $!"#;

/// How long a process may take to be gone after SIGKILL.
const END_MAX: Duration = Duration::from_secs(10);

/// A process.
#[derive(Debug)]
pub struct Process {
    keeper: Child,
    pid: Pid,
    output: Option<ChildStdout>,
}

impl Process {
    /// Start a program.
    ///
    /// # Errors
    /// If there is no shell, or it does not answer. A program that is not there shows in its output.
    pub async fn start(program: &str, arguments: &[String]) -> io::Result<Self> {
        allow_many_files();
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, program])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let no_pid = || io::Error::other(format!("{program}: no process id"));
        let told = keeper.stderr.take().ok_or_else(no_pid)?;
        let mut line = String::new();
        BufReader::new(told).read_line(&mut line).await?;
        let pid = line.trim().parse().ok().and_then(Pid::from_raw).ok_or_else(no_pid)?;
        let output = keeper.stdout.take();
        Ok(Self { keeper, pid, output })
    }

    /// What it prints, once.
    pub fn output(&mut self) -> Option<ChildStdout> {
        self.output.take()
    }

    /// End it as `kill -9` does, and wait until it is gone.
    ///
    /// # Panics
    /// If it does not go.
    pub async fn kill(&mut self) {
        // It may be gone already.
        let _ = kill_process(self.pid, Signal::KILL);
        drop(self.keeper.stdin.take());
        let gone = timeout(END_MAX, self.keeper.wait()).await;
        assert!(gone.is_ok(), "process {:?} does not end", self.pid);
    }

    /// Stop it where it is (SIGSTOP): its sockets stay open and say nothing.
    ///
    /// # Panics
    /// If it is gone.
    pub fn pause(&self) {
        kill_process(self.pid, Signal::STOP).expect("it runs");
    }

    /// Let it go on (SIGCONT).
    ///
    /// # Panics
    /// If it is gone.
    pub fn resume(&self) {
        kill_process(self.pid, Signal::CONT).expect("it is there");
    }
}

/// Let this process open as many files as it may.
fn allow_many_files() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        // Tests with few connections do without.
        let _ = setrlimit(Resource::Nofile, limit);
    });
}
