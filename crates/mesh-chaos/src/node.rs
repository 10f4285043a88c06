//! A Mesh server in a process of its own.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::ChildStdout;
use tokio::time::{Instant, timeout};

use crate::port::Port;
use crate::process::Process;

/// How long it may take to listen.
const START_MAX: Duration = Duration::from_secs(30);

/// Something that it said, and when it was heard.
#[derive(Clone, Debug)]
pub struct Line {
    /// When.
    pub at: Instant,
    /// `join <room> <id>`, `leave <room> <id>`, `disconnect <id>`, `fault <what>`, or a line of its log.
    pub text: String,
}

/// A server process. It ends when this is dropped.
#[derive(Debug)]
pub struct Node {
    /// To kill and to pause.
    pub process: Process,
    addr: SocketAddr,
    said: Arc<Mutex<Vec<Line>>>,
    _port: Port,
}

impl Node {
    /// Start one that shares through a Redis, named as `mesh-node` takes it, in a namespace. `program` is the path of
    /// `mesh-node`.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(program: &str, redis: &str, namespace: &str) -> Self {
        let mut last = String::new();
        for _ in 0..5 {
            let port = Port::free();
            let addr = SocketAddr::from(([127, 0, 0, 1], port.number));
            let arguments = [addr.to_string(), redis.to_owned(), namespace.to_owned()];
            let mut process = Process::start(program, &arguments).await.expect("a process");
            let output = process.output().expect("its output");
            let mut lines = BufReader::new(output).lines();
            let said = Arc::new(Mutex::new(Vec::new()));
            match timeout(START_MAX, listening(&mut lines)).await {
                Ok(Ok(())) => {
                    tokio::spawn(write_down(lines, said.clone()));
                    return Self { process, addr, said, _port: port };
                }
                // Somebody else may have taken the port in between.
                Ok(Err(why)) => last = why,
                Err(_) => last = format!("it does not listen within {START_MAX:?}"),
            }
        }
        panic!("a node does not start: {last}");
    }

    /// So many that share.
    pub async fn start_many(program: &str, redis: &str, namespace: &str, count: usize) -> Vec<Self> {
        let starting = (0..count).map(|_| Self::start(program, redis, namespace));
        futures_util::future::join_all(starting).await
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What it said that begins so.
    pub fn said(&self, prefix: &str) -> Vec<Line> {
        self.with(|said| said.iter().filter(|line| line.text.starts_with(prefix)).cloned().collect())
    }

    /// How often it said something that begins so.
    pub fn count(&self, prefix: &str) -> usize {
        self.with(|said| said.iter().filter(|line| line.text.starts_with(prefix)).count())
    }

    /// Forget what it said until now.
    pub fn forget(&self) {
        self.with(Vec::clear);
    }

    /// The status and the body that `/readyz` answers.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn readyz(&self) -> (u16, String) {
        let mut stream = TcpStream::connect(self.addr).await.expect("it accepts");
        let request = format!("GET /readyz HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.addr);
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.trim().to_owned());
        (status.expect("a status"), body.unwrap_or_default())
    }

    fn with<R>(&self, f: impl FnOnce(&mut Vec<Line>) -> R) -> R {
        f(&mut self.said.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Comes back when it listens.
async fn listening(lines: &mut Lines<BufReader<ChildStdout>>) -> Result<(), String> {
    let mut last = "it said nothing".to_owned();
    while let Ok(Some(line)) = lines.next_line().await {
        if line.starts_with("listening ") {
            return Ok(());
        }
        last = line;
    }
    Err(last)
}

async fn write_down(mut lines: Lines<BufReader<ChildStdout>>, said: Arc<Mutex<Vec<Line>>>) {
    while let Ok(Some(text)) = lines.next_line().await {
        said.lock().unwrap_or_else(PoisonError::into_inner).push(Line { at: Instant::now(), text });
    }
}
