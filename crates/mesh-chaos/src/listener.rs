//! One that only listens to a channel, as cheaply as can be: so that a test measures the servers, and not its clients.

use std::net::SocketAddr;
use std::time::Duration;

use mesh_ws::{Decoder, Event, Limits, Opcode, Role, append_masked};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Bytes of one read.
const READ_BYTES: usize = 64 * 1024;
/// Bytes of an HTTP head.
const HEAD_BYTES_MAX: usize = 4096;
/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A subscriber of one channel with history whose messages are numbers.
#[derive(Debug)]
pub struct Listener {
    socket: TcpStream,
    decoder: Decoder,
    /// What a message begins with, up to its number.
    head: String,
}

/// What one heard: the offset of the first message, and all of them.
#[derive(Debug)]
pub struct Heard {
    /// Where it began.
    pub first: u64,
    /// The numbers, at `first` and the offsets after it.
    pub messages: Vec<u64>,
}

impl Listener {
    /// Connect and subscribe.
    ///
    /// # Panics
    /// If it is refused, or nothing comes in time.
    pub async fn subscribe(addr: SocketAddr, channel: &str) -> Self {
        let mut socket = TcpStream::connect(addr).await.expect("a server");
        let upgrade = format!(
            "GET /mesh HTTP/1.1\r\nHost: {addr}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: mesh.v1\r\n\r\n"
        );
        socket.write_all(upgrade.as_bytes()).await.expect("written");
        let mut response = Vec::new();
        while !response.ends_with(b"\r\n\r\n") {
            assert!(response.len() < HEAD_BYTES_MAX, "an HTTP head without an end");
            response.push(timeout(PATIENCE, socket.read_u8()).await.expect("in time").expect("a response"));
        }
        assert!(response.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&response));
        let head = format!(
            "{{\"command\":\"mesh/subscription-message\",\"payload\":{{\"channel\":\"{channel}\",\"message\":"
        );
        let mut listener = Self { socket, decoder: Decoder::new(Role::Client), head };
        listener.send("{\"id\":0,\"command\":\"mesh/hello\",\"payload\":{\"protocol\":1}}").await;
        let subscribe = format!(
            "{{\"id\":1,\"command\":\"mesh/subscribe-channel\",\"payload\":{{\"channel\":\"{channel}\"}}}}"
        );
        listener.send(&subscribe).await;
        listener
    }

    /// Listen until this offset was reached.
    ///
    /// # Panics
    /// If one is missing, or comes twice, or nothing comes in time.
    pub async fn hear_until(mut self, is_last: impl Fn(u64) -> bool) -> Heard {
        let mut heard = Heard { first: 0, messages: Vec::new() };
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let n = timeout(PATIENCE, self.socket.read(&mut buffer)).await.expect("in time").expect("bytes");
            assert!(n > 0, "the server closed it");
            let (mut pings, mut offset) = (0, 0);
            let limits = Limits::default();
            let mut frames = self.decoder.feed(&mut buffer[..n], &limits);
            while let Some(event) = frames.next().expect("frames") {
                let Event::Text(text) = event else { panic!("{event:?}") };
                match text.strip_prefix(&*self.head) {
                    Some(rest) => offset = heard.take(rest),
                    None if text.starts_with("{\"command\":\"ping\"") => pings += 1,
                    None => assert!(!text.contains("error") && !text.contains("gap"), "{text}"),
                }
            }
            drop(frames);
            for _ in 0..pings {
                self.send("{\"command\":\"pong\",\"payload\":{}}").await;
            }
            if offset > 0 && is_last(offset) {
                return heard;
            }
        }
    }

    async fn send(&mut self, text: &str) {
        let mut frame = Vec::new();
        append_masked(&mut frame, Opcode::Text, true, [1, 2, 3, 4], text.as_bytes());
        self.socket.write_all(&frame).await.expect("written");
    }
}

impl Heard {
    /// `7,"txn":..,"tag":..,"epoch":..,"offset":8}}`. Gives the offset.
    fn take(&mut self, rest: &str) -> u64 {
        let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("no number: {text}"));
        let (message, _) = rest.split_once(',').expect("more members");
        let (_, offset) = rest.rsplit_once(':').expect("an offset");
        let offset = number(offset.strip_suffix("}}").expect("an end"));
        let next = self.first + self.messages.len() as u64;
        if self.messages.is_empty() {
            self.first = offset;
        } else {
            assert_eq!(offset, next, "once each, in order");
        }
        self.messages.push(number(message));
        offset
    }
}
