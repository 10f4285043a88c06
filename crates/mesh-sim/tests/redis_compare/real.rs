//! A real `redis-server`, on a port of its own.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;

/// How often it is asked whether it listens, with a pause in between.
const ATTEMPTS_MAX: u32 = 500;
const PAUSE: Duration = Duration::from_millis(10);

/// Ends with the value.
#[derive(Debug)]
pub(crate) struct RealRedis {
    process: Child,
    port: u16,
}

impl RealRedis {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(options: &[&str]) -> Self {
        let port = free_port();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
        command.args(["--save", "", "--appendonly", "no", "--daemonize", "no"]).args(options);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self { process: process.expect("redis-server is installed (cargo xtask setup)"), port }
    }

    /// Waits until it listens.
    pub(crate) async fn connect(&self) -> TcpStream {
        for _ in 0..ATTEMPTS_MAX {
            match TcpStream::connect(("127.0.0.1", self.port)).await {
                Ok(stream) => {
                    stream.set_nodelay(true).expect("a socket");
                    return stream;
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        panic!("redis-server does not listen on port {}", self.port);
    }
}

impl Drop for RealRedis {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _status = self.process.wait();
    }
}

/// A port below those that the system gives to clients, and that no other test of this process was given.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 6400 + u16::try_from(std::process::id() % 3000).expect("a small number");
    for _ in 0..3000 {
        let port = 6400 + (first - 6400 + NEXT.fetch_add(1, Ordering::Relaxed)) % 3500;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}
