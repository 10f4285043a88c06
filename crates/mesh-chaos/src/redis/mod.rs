//! Redis servers that are killed and started again.

mod cluster;
mod resp;
mod sentinel;

use std::path::PathBuf;
use std::time::Duration;

use mesh_server::Entropy;
use tokio::io::AsyncReadExt;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

pub use self::cluster::Cluster;
pub use self::resp::Reply;
pub use self::sentinel::Watched;
use crate::port::Port;
use crate::process::Process;

/// How long a server may take to answer.
const START_MAX: Duration = Duration::from_secs(20);
/// How long one command may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Names of keys that bear a text, or hold it.
const MENTIONS: &str = r"
local found = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
    local kind, text = redis.call('TYPE', key).ok, key
    local function add(list) text = text .. ' ' .. table.concat(list, ' ') end
    if kind == 'string' then add({redis.call('GET', key)}) end
    if kind == 'hash' then add(redis.call('HGETALL', key)) end
    if kind == 'set' then add(redis.call('SMEMBERS', key)) end
    if kind == 'zset' then add(redis.call('ZRANGE', key, 0, -1)) end
    if kind == 'list' then add(redis.call('LRANGE', key, 0, -1)) end
    if string.find(text, ARGV[1], 1, true) then found[#found + 1] = key end
end
return found";

/// A Redis process on a port that stays its own.
#[derive(Debug)]
pub struct Redis {
    /// To pause.
    pub process: Process,
    /// Ends when it does, with what it said.
    output: JoinHandle<String>,
    port: Port,
    program: String,
    arguments: Vec<String>,
    folder: PathBuf,
}

impl Redis {
    /// Start one that writes nothing down.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Start one that has every write on disk before it answers.
    pub async fn start_keeping() -> Self {
        Self::start_with(&["--appendonly", "yes", "--appendfsync", "always"]).await
    }

    /// Start one with more options.
    pub async fn start_with(options: &[&str]) -> Self {
        let options = [&["--save", ""], options].concat();
        Self::start_program("redis-server", &options).await
    }

    /// Start a program that takes Redis' options. A first option that does not begin with a dash is a file of this name in
    /// the server's own folder, empty at first.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_program(program: &str, options: &[&str]) -> Self {
        let mut last = String::new();
        for _ in 0..10 {
            let (port, folder) = (Port::free(), new_folder());
            let (port_text, folder_text) = (port.number.to_string(), folder.to_string_lossy().into_owned());
            let fixed =
                ["--port", &port_text, "--dir", &folder_text, "--bind", "127.0.0.1", "--daemonize", "no"];
            let mut arguments: Vec<String> =
                options.iter().chain(&fixed).map(|option| (*option).to_owned()).collect();
            if let Some(file) = arguments.first_mut().filter(|first| !first.starts_with('-')) {
                let path = folder.join(&*file);
                std::fs::write(&path, "").expect("a file in a temporary folder");
                *file = path.to_string_lossy().into_owned();
            }
            let (process, output) = start(program, &arguments).await;
            let program = program.to_owned();
            let mut server = Self { process, output, port, program, arguments, folder };
            match server.accepts().await {
                Ok(()) => return server,
                // Somebody else took the port in between.
                Err(why) => last = why,
            }
        }
        panic!("{program} does not start: {last}. `cargo xtask setup` installs it");
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port.number
    }

    /// Its address as `host:port`.
    pub fn at(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port())
    }

    /// End it as a power failure would.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Start it again where it was killed, with what it has on disk. Gives when it accepted commands.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_again(&mut self) -> Instant {
        (self.process, self.output) = start(&self.program, &self.arguments).await;
        self.accepts().await.expect("it starts again");
        Instant::now()
    }

    /// Send a command from outside of Mesh.
    ///
    /// # Panics
    /// If it does not answer.
    pub async fn command(&self, words: &[&str]) -> Reply {
        let answer = timeout(ANSWER_MAX, resp::ask(self.port(), words)).await;
        answer.unwrap_or_else(|_| panic!("no answer to {words:?}")).expect("an answer")
    }

    /// A value of INFO; empty if there is none of this name.
    pub async fn info(&self, name: &str) -> String {
        let info = self.command(&["INFO"]).await;
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(':').map(str::to_owned);
        info.text().lines().find_map(value).unwrap_or_default()
    }

    /// The keys that bear a text in their names or hold it in what they keep.
    pub async fn mentions(&self, text: &str) -> Vec<String> {
        self.command(&["EVAL", MENTIONS, "0", text]).await.texts()
    }

    async fn accepts(&mut self) -> Result<(), String> {
        let until = Instant::now() + START_MAX;
        while Instant::now() < until {
            match timeout(ANSWER_MAX, resp::ask(self.port(), &["PING"])).await {
                Ok(Ok(Reply::Text(_))) => return Ok(()),
                _ if self.output.is_finished() => return Err((&mut self.output).await.unwrap_or_default()),
                // It loads what it has, or does not listen yet.
                _ => sleep(Duration::from_millis(5)).await,
            }
        }
        Err(format!("it does not answer on port {}", self.port()))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // What is left is in the system's folder for what is temporary.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn start(program: &str, arguments: &[String]) -> (Process, JoinHandle<String>) {
    let mut process = Process::start(program, arguments).await.expect("a process");
    let output = process.output();
    let reading = tokio::spawn(async move {
        let mut said = String::new();
        if let Some(mut output) = output {
            // It ended either way.
            let _ = output.read_to_string(&mut said).await;
        }
        said
    });
    (process, reading)
}

fn new_folder() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("mesh-chaos-{:016x}", Entropy::from_os().u64()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    folder
}
