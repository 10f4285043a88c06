//! A road to a server that can be blocked in one direction.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Where a connection may be blocked.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    /// What the server says is held back on connections that have subscribed.
    pub(crate) subscribed: AtomicBool,
    /// What the server says is held back on every connection, new ones too.
    pub(crate) answers: AtomicBool,
}

/// A listener that passes everything on to a server.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) blocks: Arc<Blocks>,
    port: u16,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn to(port: u16) -> Self {
        let (listener, own) = loop {
            let own = super::server::free_port();
            if let Ok(listener) = TcpListener::bind(("127.0.0.1", own)).await {
                break (listener, own);
            }
        };
        let blocks = Arc::new(Blocks::default());
        let shared = blocks.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { continue };
                let ((from_client, to_client), (from_server, to_server)) =
                    (client.into_split(), server.into_split());
                let subscribed = Arc::new(AtomicBool::new(false));
                tokio::spawn(up(from_client, to_server, subscribed.clone()));
                tokio::spawn(down(from_server, to_client, subscribed, shared.clone()));
            }
        });
        Self { blocks, port: own, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn up(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, subscribed: Arc<AtomicBool>) {
    let mut buffer = vec![0; 65_536];
    while let Ok(read) = from.read(&mut buffer).await {
        if buffer[..read].windows(9).any(|word| word == b"SUBSCRIBE") {
            subscribed.store(true, Ordering::SeqCst);
        }
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// What is held back is lost: the connection stays open and silent.
async fn down(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    subscribed: Arc<AtomicBool>,
    blocks: Arc<Blocks>,
) {
    let mut buffer = vec![0; 65_536];
    let mut silent = false;
    while let Ok(read) = from.read(&mut buffer).await {
        silent |= blocks.answers.load(Ordering::SeqCst);
        silent |= subscribed.load(Ordering::SeqCst) && blocks.subscribed.load(Ordering::SeqCst);
        if read == 0 || (!silent && to.write_all(&buffer[..read]).await.is_err()) {
            return;
        }
    }
}
