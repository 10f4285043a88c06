//! A listener of its own: for those who have no HTTP server yet.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::Semaphore;

use super::upgrade::{PeerAddr, plain, upgrade};
use crate::mesh::{Mesh, Readiness};

/// Handshakes under way at once; more wait in the listener's queue.
const HANDSHAKES_MAX: usize = 1024;
/// Bytes of a request's head (X7 of the threats: 16 KiB, 64 headers).
const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;
/// Pause after an accept that failed, for instance because there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A listener that runs. Dropping it does not stop it; [`Mesh::close`] does.
#[derive(Debug)]
pub struct Listening {
    addr: SocketAddr,
    mesh: Mesh,
}

impl Listening {
    /// Where it listens, with the port that was found for port 0.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Wait until the server is closed.
    pub async fn closed(&self) {
        self.mesh.0.instance.stop.cancelled().await;
    }
}

impl Mesh {
    /// Listen: WebSocket on every path, `/livez` and `/readyz` for whoever watches.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub async fn listen(&self, addr: impl ToSocketAddrs) -> io::Result<Listening> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let (mesh, stop) = (self.clone(), self.0.instance.stop.clone());
        tokio::spawn(async move { stop.run_until_cancelled(accept(mesh, listener)).await });
        Ok(Listening { addr, mesh: self.clone() })
    }

    /// The answers to `/livez` (the process runs) and `/readyz` (it takes connections; 503 while it closes, or is cut off from what instances share).
    pub(crate) fn health(&self, path: &str) -> Option<Response<Full<Bytes>>> {
        match path {
            "/livez" => Some(plain(StatusCode::OK, "ok\n")),
            "/readyz" => {
                let why = match self.readiness() {
                    Readiness { draining: true, .. } => "draining\n",
                    // What it says is for the log: whoever may ask here may be anybody.
                    Readiness { trouble: Some(_), .. } => "the backend is in trouble\n",
                    Readiness { .. } => return Some(plain(StatusCode::OK, "ok\n")),
                };
                Some(plain(StatusCode::SERVICE_UNAVAILABLE, why))
            }
            _ => None,
        }
    }
}

async fn accept(mesh: Mesh, listener: TcpListener) {
    let room = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let mesh = mesh.clone();
                tokio::spawn(async move {
                    serve_http(mesh, stream, peer).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_http(mesh: Mesh, stream: TcpStream, peer: SocketAddr) {
    let timeout = mesh.0.instance.limits.handshake_timeout;
    let service = service_fn(move |mut request: Request<Incoming>| {
        let mesh = mesh.clone();
        async move {
            if let Some(health) = mesh.health(request.uri().path()) {
                return Ok::<_, std::convert::Infallible>(health);
            }
            request.extensions_mut().insert(PeerAddr(peer));
            Ok(upgrade(mesh, request).await)
        }
    });
    let mut http =
        hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new()).http1_only();
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(timeout)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .keep_alive(false);
    // A client that breaks off its handshake is no error of ours.
    if let Err(error) = http.serve_connection_with_upgrades(TokioIo::new(stream), service).await {
        tracing::debug!(%error, %peer, "a handshake broke off");
    }
}
