//! What readers that stop reading cost a server, and the readers beside them. Needs the feature `heap`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mesh_server::Mesh;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

use crate::heap;

type Failure = Box<dyn std::error::Error>;

/// What is measured.
pub(crate) struct Slow {
    /// Subscribers.
    pub(crate) readers: usize,
    /// So many of them stop reading.
    pub(crate) paused: usize,
    /// Bytes of a message, or of a record.
    pub(crate) size: usize,
    /// Messages.
    pub(crate) messages: usize,
    /// Between two of them.
    pub(crate) every: Duration,
    /// A record in place of a channel.
    pub(crate) record: bool,
}

impl Slow {
    /// The same once with everybody reading, once with some paused. Prints one line of JSON for each.
    pub(crate) async fn run(&self, mesh: &Mesh, port: u16) -> Result<(), Failure> {
        for paused in [0, self.paused] {
            let name = format!("{}:{paused}", if self.record { "rec" } else { "live" });
            self.round(mesh, port, paused, &name).await?;
        }
        Ok(())
    }

    async fn round(&self, mesh: &Mesh, port: u16, paused: usize, name: &str) -> Result<(), Failure> {
        let took = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (epoch, ended) = (Instant::now(), Arc::new(AtomicU64::new(0)));
        let mut still = Vec::new();
        let mut reading = Vec::new();
        for n in 0..self.readers {
            let socket = self.subscribed(port, name).await?;
            if n < paused {
                still.push(socket);
            } else {
                reading.push(tokio::spawn(read(socket, epoch, took.clone(), ended.clone())));
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        took.lock().expect("times").clear();
        let (before, mut most) = (heap::live_bytes(), 0);
        let begun = Instant::now();
        for n in 0..self.messages {
            let at = epoch.elapsed().as_nanos() as u64;
            let message =
                json!({"at": format!("@{at:020}"), "text": "x".repeat(self.size.saturating_sub(60)), "n": n});
            if self.record {
                mesh.record(name).set(&message).await?;
            } else {
                mesh.channel(name).publish(&message).await?;
            }
            tokio::time::sleep(self.every).await;
            most = most.max(heap::live_bytes().saturating_sub(before));
        }
        let published = begun.elapsed();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut took = std::mem::take(&mut *took.lock().expect("times"));
        took.sort_unstable();
        let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize] as f64 / 1e6;
        let line = json!({
            "of": if self.record { "record" } else { "channel" }, "readers": self.readers, "paused": paused,
            "bytes": self.size, "messages": self.messages, "seconds": published.as_secs_f64(),
            "fan_out_mb": self.messages * self.size * self.readers / 1_000_000,
            "delivered": took.len(), "p50_ms": at(0.5), "p99_ms": at(0.99),
            "heap_grew_mb": most as f64 / 1e6, "of_bound": most as f64 / (paused.max(1) * 1024 * 1024) as f64,
            "others_closed": ended.load(Ordering::Relaxed), "connections": mesh.stats().connections,
        });
        println!("{line}");
        reading.iter().for_each(tokio::task::JoinHandle::abort);
        drop(still);
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(())
    }

    async fn subscribed(&self, port: u16, name: &str) -> Result<TcpStream, Failure> {
        let socket = TcpSocket::new_v4()?;
        // Little room in the kernel: what is measured is what the server keeps.
        socket.set_recv_buffer_size(16 * 1024)?;
        let mut socket = socket.connect(([127, 0, 0, 1], port).into()).await?;
        let hello = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        socket.write_all(hello.as_bytes()).await?;
        let mut buffer = [0; 4096];
        if socket.read(&mut buffer).await? == 0 {
            return Err("the server closed".into());
        }
        let payload = if self.record { json!({"recordId": name}) } else { json!({"channel": name}) };
        let command = if self.record { "mesh/subscribe-record" } else { "mesh/subscribe-channel" };
        let text: Value = json!({"id": 1, "command": command, "payload": payload});
        let text = text.to_string();
        // A client's frame with a mask of zeros.
        let mut frame = vec![0x81, 0x80 | text.len() as u8, 0, 0, 0, 0];
        assert!(text.len() < 126, "a short frame");
        frame.extend_from_slice(text.as_bytes());
        socket.write_all(&frame).await?;
        if socket.read(&mut buffer).await? == 0 {
            return Err("the server closed".into());
        }
        Ok(socket)
    }
}

/// Read, and note how long each message took that says when it was published.
async fn read(
    mut socket: TcpStream,
    epoch: Instant,
    took: Arc<std::sync::Mutex<Vec<u64>>>,
    ended: Arc<AtomicU64>,
) {
    let mut buffer = vec![0; 64 * 1024];
    let mut kept = 0;
    loop {
        match socket.read(&mut buffer[kept..]).await {
            Ok(count) if count > 0 => kept += count,
            _ => break,
        }
        let mut from = 0;
        while let Some(at) = buffer[from..kept].iter().position(|byte| *byte == b'@').map(|at| at + from) {
            let Some(digits) = buffer.get(at + 1..at + 21).filter(|_| at + 21 <= kept) else {
                from = at;
                break;
            };
            let sent = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok());
            if let Some(sent) = sent {
                let late = (epoch.elapsed().as_nanos() as u64).saturating_sub(sent);
                took.lock().expect("times").push(late);
            }
            from = at + 21;
        }
        let rest = buffer[from..kept].iter().position(|byte| *byte == b'@').map_or(kept, |at| at + from);
        buffer.copy_within(rest..kept, 0);
        kept -= rest;
    }
    ended.fetch_add(1, Ordering::Relaxed);
}
