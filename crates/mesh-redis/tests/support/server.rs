//! One server process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mesh_proto::Entropy;
use tokio::time::{Instant, sleep};

/// Ports below those that the system hands out by itself; a cluster also takes each plus 10,000.
const PORTS: std::ops::Range<u16> = 5000..9900;

/// How long a server may take to answer.
const START_MAX: Duration = Duration::from_secs(10);

/// Starts a server, tells its process id, and ends it when whoever holds the other end is gone, however it went. What
/// it writes goes with it.
const KEEPER: &str = r#"mkdir "$MESH_FOLDER" && : > "$MESH_FOLDER/empty.conf"
"$0" "$@" >/dev/null 2>&1 & echo $!
cat >/dev/null
kill -9 $! 2>/dev/null
wait
rm -rf "$MESH_FOLDER""#;

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    program: String,
    arguments: Vec<String>,
    port: u16,
    /// Nobody else takes the port meanwhile.
    _kept: UdpSocket,
    folder: String,
    keeper: Child,
    pid: u32,
}

impl Server {
    /// A Redis that holds nothing.
    pub(crate) async fn redis() -> Self {
        Self::redis_with(&[]).await
    }

    /// With more options.
    pub(crate) async fn redis_with(options: &[&str]) -> Self {
        Self::start("redis-server", options).await
    }

    /// Of a program that takes Redis' options.
    pub(crate) async fn start(program: &str, options: &[&str]) -> Self {
        let fixed = ["--save", "", "--appendonly", "no"];
        let all: Vec<_> = fixed.iter().chain(options).copied().collect();
        Self::on_some_port(program, &all, false).await
    }

    /// A sentinel that watches nothing yet.
    pub(crate) async fn sentinel() -> Self {
        Self::on_some_port("redis-server", &["--sentinel"], true).await
    }

    async fn on_some_port(program: &str, options: &[&str], has_file: bool) -> Self {
        let mut last = String::new();
        for _ in 0..20 {
            match Self::try_start(program, kept_port(), options, has_file).await {
                Ok(server) => return server,
                // Somebody else took the port in between.
                Err(why) => last = why,
            }
        }
        panic!("{program} does not start: {last}. `cargo xtask setup` installs it");
    }

    async fn try_start(
        program: &str,
        (port, kept): (u16, UdpSocket),
        options: &[&str],
        has_file: bool,
    ) -> Result<Self, String> {
        let folder = std::env::temp_dir().join(format!("mesh-redis-{:016x}", Entropy::from_os().u64()));
        let folder = folder.display().to_string();
        let mut arguments = Vec::new();
        if has_file {
            arguments.push(format!("{folder}/empty.conf"));
        }
        let port_text = port.to_string();
        let fixed = ["--port", &port_text, "--bind", "127.0.0.1", "--dir", &folder, "--daemonize", "no"];
        arguments.extend(options.iter().chain(&fixed).map(|option| (*option).to_owned()));
        let (keeper, pid) = spawn(program, &arguments, &folder)?;
        let program = program.to_owned();
        let server = Self { program, arguments, port, _kept: kept, folder, keeper, pid };
        server.answers().await.map(|()| server)
    }

    /// Wait until it answers.
    async fn answers(&self) -> Result<(), String> {
        let until = Instant::now() + START_MAX;
        while Instant::now() < until {
            if ping(self.port) {
                return Ok(());
            }
            if !is_running(self.pid) {
                return Err(format!("it ended at once, on port {}", self.port));
            }
            sleep(Duration::from_millis(10)).await;
        }
        Err(format!("it does not answer on port {}", self.port))
    }

    /// Its port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its address as a URL.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// End it as a power failure would.
    pub(crate) fn kill(&mut self) {
        signal("-9", self.pid);
        let _ = self.keeper.stdin.take();
        let _ = self.keeper.wait();
    }

    /// Start it again on the same port, holding nothing.
    pub(crate) async fn restart(&mut self) {
        let (keeper, pid) = spawn(&self.program, &self.arguments, &self.folder).unwrap();
        (self.keeper, self.pid) = (keeper, pid);
        self.answers().await.unwrap();
    }

    /// Send a command from outside of Mesh, and give what comes back as text.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut text = format!("*{}\r\n", words.len());
        for word in words {
            text += &format!("${}\r\n{word}\r\n", word.len());
        }
        stream.write_all(text.as_bytes()).unwrap();
        answer(&mut BufReader::new(stream)).trim_end().to_owned()
    }
}

/// One answer, with all its parts, as it was said.
fn answer(from: &mut BufReader<TcpStream>) -> String {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line).unwrap();
    let mut said = String::from_utf8_lossy(&line).into_owned();
    let length = said[1..].trim().parse::<i64>().unwrap_or(0);
    match line[0] {
        b'$' if length >= 0 => {
            let mut text = vec![0; length as usize + 2];
            from.read_exact(&mut text).unwrap();
            said += &String::from_utf8_lossy(&text);
        }
        b'*' => (0..length).for_each(|_| said += &answer(from)),
        _ => {}
    }
    said
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.keeper.stdin.take().is_some() {
            let _ = self.keeper.wait();
        }
    }
}

fn spawn(program: &str, arguments: &[String], folder: &str) -> Result<(Child, u32), String> {
    let mut keeper = Command::new("sh")
        .args(["-c", KEEPER, program])
        .args(arguments)
        .env("MESH_FOLDER", folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let mut line = String::new();
    BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).map_err(|error| error.to_string())?;
    Ok((keeper, line.trim().parse().map_err(|_| format!("no process id: {line:?}"))?))
}

fn signal(name: &str, pid: u32) -> bool {
    let mut kill = Command::new("kill");
    kill.args([name, &pid.to_string()]).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn is_running(pid: u32) -> bool {
    signal("-0", pid)
}

fn ping(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
    let mut answer = [0; 5];
    // With a password it answers that it wants one.
    stream.write_all(b"PING\r\n").is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && matches!(answer[0], b'+' | b'-')
}

/// A port that nobody listens on now.
pub(crate) fn free_port() -> u16 {
    kept_port().0
}

/// The same, and nobody else here takes it as long as what comes with it is there: the same number of UDP, which only one
/// process can have.
fn kept_port() -> (u16, UdpSocket) {
    let entropy = Entropy::from_os();
    loop {
        let port = PORTS.start + (entropy.u64() % PORTS.len() as u64) as u16;
        let Ok(kept) = UdpSocket::bind(("127.0.0.1", port)) else { continue };
        let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if free(port) && free(port + 10_000) {
            return (port, kept);
        }
    }
}
