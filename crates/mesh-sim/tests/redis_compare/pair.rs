//! A connection to each of the two.

use std::time::Duration;

use mesh_sim::redis::{Client, Redis, Reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::real::RealRedis;

/// A command.
pub(crate) type Words = Vec<Vec<u8>>;

/// Words of a line. `\x00` and `\r` mean those bytes, quotes keep spaces.
pub(crate) fn words(line: &str) -> Words {
    let mut words: Words = Vec::new();
    let (mut word, mut is_quoted, mut is_word) = (Vec::new(), false, false);
    let mut chars = line.trim().bytes();
    while let Some(byte) = chars.next() {
        match byte {
            b'"' => {
                is_quoted = !is_quoted;
                is_word = true;
            }
            b' ' if !is_quoted => {
                if is_word {
                    words.push(std::mem::take(&mut word));
                }
                is_word = false;
            }
            b'\\' => {
                is_word = true;
                match chars.next() {
                    Some(b'x') => {
                        let digits =
                            [chars.next(), chars.next()].map(|digit| char::from(digit.expect("a digit")));
                        let digits: String = digits.iter().collect();
                        word.push(u8::from_str_radix(&digits, 16).expect("two digits"));
                    }
                    Some(b'n') => word.push(b'\n'),
                    other => word.push(other.expect("something after a backslash")),
                }
            }
            byte => {
                is_word = true;
                word.push(byte);
            }
        }
    }
    if is_word {
        words.push(word);
    }
    words
}

pub(crate) fn show(command: &[Vec<u8>]) -> String {
    let words = command.iter().map(|word| format!("\"{}\"", word.escape_ascii()));
    words.collect::<Vec<String>>().join(" ")
}

/// Where the two differ first, and what they said.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) at: usize,
    pub(crate) real: String,
    pub(crate) simulated: String,
}

#[derive(Debug)]
pub(crate) struct Pair {
    real: Client<TcpStream>,
    simulated: Client<DuplexStream>,
}

impl Pair {
    pub(crate) async fn connect(real: &RealRedis, simulated: &Redis, hello: &str) -> Self {
        let mut pair = Self::connect_plain(real.connect().await, simulated).await;
        pair.real.call(["HELLO", hello]).await.expect("a reply");
        pair.simulated.call(["HELLO", hello]).await.expect("a reply");
        pair.set_clock(simulated).await;
        pair
    }

    pub(crate) async fn connect_plain(real: TcpStream, simulated: &Redis) -> Self {
        let simulated = simulated.dial().expect("a server that runs");
        Self { real: Client::new(real), simulated: Client::new(simulated) }
    }

    /// Sets the clock of the simulated one by that of the real one.
    async fn set_clock(&mut self, simulated: &Redis) {
        let time = self.real.call(["TIME"]).await.expect("a reply");
        let Reply::Array(parts) = time else { panic!("a time is an array: {time:?}") };
        let Reply::Bulk(seconds) = &parts[0] else { panic!("seconds are a text") };
        let seconds: i64 =
            std::str::from_utf8(seconds).ok().and_then(|text| text.parse().ok()).expect("seconds");
        let now = i64::try_from(simulated.now_ms()).expect("a time of our days");
        simulated.jump_clock(seconds * 1000 - now);
    }

    /// What each of them says, where it is not the same.
    pub(crate) async fn differ(&mut self, command: &Words) -> Option<(String, String)> {
        let real = self.real.call(command.clone()).await.expect("a reply of the real one");
        let simulated = self.simulated.call(command.clone()).await.expect("a reply of the simulated one");
        if is_time_left(command) && is_near(&real, &simulated) {
            return None;
        }
        let (real, simulated) = (normal(command, real), normal(command, simulated));
        (real != simulated).then_some((real, simulated))
    }

    /// The same for a command that may bring any number of pushes: all until the answer to a marker.
    pub(crate) async fn differ_in_all(&mut self, command: &Words) -> Option<(String, String)> {
        let real = all(&mut self.real, command).await;
        let simulated = all(&mut self.simulated, command).await;
        (real != simulated).then_some((real, simulated))
    }

    pub(crate) async fn until_both(&mut self, command: &Words, expected: &str) {
        const PATIENCE: Duration = Duration::from_secs(30);
        let start = Instant::now();
        loop {
            let real = self.real.call(command.clone()).await.expect("a reply");
            let simulated = self.simulated.call(command.clone()).await.expect("a reply");
            if format!("{real:?}") == expected && format!("{simulated:?}") == expected {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "real {real:?}, simulated {simulated:?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// All that comes after these bytes, until the connection ends.
    pub(crate) async fn until_closed(&mut self, bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (mut real, mut simulated) = (Vec::new(), Vec::new());
        let stream = self.real.stream();
        stream.write_all(bytes).await.expect("a connection");
        stream.shutdown().await.expect("a connection");
        // A reset is an end as well.
        let _end = stream.read_to_end(&mut real).await;
        let stream = self.simulated.stream();
        stream.write_all(bytes).await.expect("a connection");
        stream.shutdown().await.expect("a connection");
        stream.read_to_end(&mut simulated).await.expect("an end");
        (real, simulated)
    }

    async fn begin_anew(&mut self) {
        for command in [vec!["FLUSHALL"], vec!["SCRIPT", "FLUSH"]] {
            self.real.call(command.clone()).await.expect("a reply");
            self.simulated.call(command).await.expect("a reply");
        }
    }

    pub(crate) async fn first_difference(&mut self, sequence: &[Words]) -> Option<Difference> {
        self.begin_anew().await;
        for (at, command) in sequence.iter().enumerate() {
            if let Some((real, simulated)) = self.differ(command).await {
                return Some(Difference { at, real, simulated });
            }
        }
        None
    }

    /// Leaves out what the difference at the end does not need.
    pub(crate) async fn shorten(&mut self, mut sequence: Vec<Words>) -> Vec<Words> {
        let mut step = sequence.len().div_ceil(2);
        while step > 0 {
            let mut at = 0;
            while at + 1 < sequence.len() {
                let mut shorter = sequence.clone();
                shorter.drain(at..(at + step).min(sequence.len() - 1));
                match self.first_difference(&shorter).await {
                    Some(difference) => {
                        shorter.truncate(difference.at + 1);
                        sequence = shorter;
                    }
                    None => at += step,
                }
            }
            step /= 2;
        }
        sequence
    }
}

async fn all<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(
    client: &mut Client<S>,
    command: &Words,
) -> String {
    client.send(command.clone()).await.expect("a connection");
    client.send(["PING", "marker"]).await.expect("a connection");
    let mut told = Vec::new();
    loop {
        let reply = client.next().await.expect("a reply");
        let text = normal(command, reply);
        if text.contains("marker") {
            return told.join(" ");
        }
        told.push(text);
    }
}

/// The command that answers: the one that a script passes on, where there is one.
fn answering(command: &[Vec<u8>]) -> String {
    let at = if command[0] == b"EVAL" { command.get(3) } else { command.first() };
    String::from_utf8_lossy(at.map_or(&[][..], |word| word)).to_ascii_uppercase()
}

fn is_time_left(command: &[Vec<u8>]) -> bool {
    matches!(answering(command).as_str(), "TTL" | "PTTL")
}

/// The two have clocks of their own.
fn is_near(real: &Reply, simulated: &Reply) -> bool {
    match (real, simulated) {
        (Reply::Integer(real), Reply::Integer(simulated)) => {
            (*real < 0) == (*simulated < 0) && (real - simulated).abs() <= 30_000.min(real.abs())
        }
        (Reply::Array(real), Reply::Array(simulated)) => {
            real.len() == simulated.len()
                && real.iter().zip(simulated).all(|(real, simulated)| is_near(real, simulated))
        }
        (real, simulated) => coded(real.clone()) == coded(simulated.clone()),
    }
}

/// A reply without what may differ: the texts of errors, the order of what has none, chance.
fn normal(command: &[Vec<u8>], reply: Reply) -> String {
    let name = answering(command);
    let mut reply = coded(reply);
    if matches!(name.as_str(), "HGETALL" | "HKEYS" | "SMEMBERS" | "KEYS" | "SCAN" | "PUBSUB") {
        reply = sorted(reply);
    }
    if name == "SRANDMEMBER" {
        reply = faceless(reply);
    }
    format!("{reply:?}")
}

fn coded(reply: Reply) -> Reply {
    match reply {
        Reply::Error(text) => {
            let code = text.split(|byte| *byte == b' ').next().unwrap_or_default().to_vec();
            Reply::error(code)
        }
        other => inside(other, coded),
    }
}

fn sorted(reply: Reply) -> Reply {
    match inside(reply, sorted) {
        Reply::Array(mut items) => {
            items.sort_by_key(|item| format!("{item:?}"));
            Reply::Array(items)
        }
        Reply::Set(mut items) => {
            items.sort_by_key(|item| format!("{item:?}"));
            Reply::Set(items)
        }
        Reply::Map(mut pairs) => {
            pairs.sort_by_key(|pair| format!("{pair:?}"));
            Reply::Map(pairs)
        }
        other => other,
    }
}

fn faceless(reply: Reply) -> Reply {
    match reply {
        Reply::Bulk(_) => Reply::bulk("some"),
        other => inside(other, faceless),
    }
}

fn inside(reply: Reply, change: fn(Reply) -> Reply) -> Reply {
    match reply {
        Reply::Array(items) => Reply::Array(items.into_iter().map(change).collect()),
        Reply::Set(items) => Reply::Set(items.into_iter().map(change).collect()),
        Reply::Push(items) => Reply::Push(items.into_iter().map(change).collect()),
        Reply::Map(pairs) => {
            Reply::Map(pairs.into_iter().map(|(key, value)| (change(key), change(value))).collect())
        }
        other => other,
    }
}
