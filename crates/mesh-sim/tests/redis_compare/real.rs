//! A real `redis-server`, on a port of its own.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use mesh_sim::redis::{Client, Reply};
use tokio::net::TcpStream;

/// How often it is asked whether it listens, with a pause in between.
const ATTEMPTS_MAX: u32 = 1000;
const PAUSE: Duration = Duration::from_millis(10);

/// How many ports are tried.
const PORTS_MAX: u32 = 100;

/// The ports to choose from: below those that the system gives to clients.
const PORTS: std::ops::Range<u16> = 6400..9900;

/// Ends with the value.
#[derive(Debug)]
pub(crate) struct RealRedis {
    process: Child,
    port: u16,
}

impl RealRedis {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(options: &[&str]) -> Self {
        for _ in 0..PORTS_MAX {
            let mut server = Self::spawn(free_port(), options);
            if server.is_up().await {
                return server;
            }
        }
        panic!("redis-server starts on no port");
    }

    fn spawn(port: u16, options: &[&str]) -> Self {
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
        command.args(["--save", "", "--appendonly", "no", "--daemonize", "no"]).args(options);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self { process: process.expect("redis-server is installed (cargo xtask setup)"), port }
    }

    /// Waits until it listens. It ends where somebody else was faster to take the port, who must not be told the
    /// commands of a test.
    async fn is_up(&mut self) -> bool {
        for _ in 0..ATTEMPTS_MAX {
            if self.process.try_wait().expect("a process").is_some() {
                return false;
            }
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", self.port)).await {
                let info = Client::new(stream).call(["INFO", "server"]).await;
                let Ok(Reply::Bulk(info)) = info else { return false };
                let its_own = format!("process_id:{}\r\n", self.process.id());
                return String::from_utf8_lossy(&info).contains(&its_own);
            }
            tokio::time::sleep(PAUSE).await;
        }
        false
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.expect("a server that runs");
        stream.set_nodelay(true).expect("a socket");
        stream
    }
}

impl Drop for RealRedis {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _status = self.process.wait();
    }
}

/// A port that nobody has and that no other test of this process was given.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let count = PORTS.end - PORTS.start;
    let first = u16::try_from(std::process::id() % u32::from(count)).expect("a small number");
    for _ in PORTS {
        let next = NEXT.fetch_add(1, Ordering::Relaxed) % count;
        let port = PORTS.start + (first + next) % count;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}
