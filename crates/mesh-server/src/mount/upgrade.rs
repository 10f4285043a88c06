//! From an HTTP request to a WebSocket, under any server built on hyper.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;
use mesh_proto::SUBPROTOCOL;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::error::Result;
use crate::hub::Sink;
use crate::login::Login;
use crate::mesh::Mesh;
use crate::serve::{Half, Serving, Whole, admit};

/// The peer's address, as an extension of the request: `mesh.listen` puts it there, axum's `ConnectInfo` is understood
/// too, other servers may insert it.
#[derive(Clone, Copy, Debug)]
pub struct PeerAddr(pub SocketAddr);

/// A tower service that answers every request with a handshake, for any server built on hyper. Mount it at the path that
/// clients dial.
#[derive(Clone, Debug)]
pub struct MeshService(pub(crate) Mesh);

impl<B: Send + 'static> tower_service::Service<Request<B>> for MeshService {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mesh = self.0.clone();
        async move { Ok(upgrade(mesh, request).await) }.boxed()
    }
}

impl Mesh {
    /// A tower service that answers every request with a handshake.
    pub fn service(&self) -> MeshService {
        MeshService(self.clone())
    }
}

pub(crate) fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// Whether a request asks for a WebSocket at all.
pub(crate) fn is_upgrade(headers: &HeaderMap) -> bool {
    has_token(headers, header::UPGRADE, "websocket")
}

fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|found| found.trim().eq_ignore_ascii_case(token))
}

/// Answer a handshake. An origin client is authenticated and can be reached before its 101 leaves.
pub(crate) async fn upgrade<B>(mesh: Mesh, mut request: Request<B>) -> Response<Full<Bytes>> {
    let headers = request.headers();
    let asks = request.method() == Method::GET
        && is_upgrade(headers)
        && has_token(headers, header::CONNECTION, "upgrade");
    if !asks {
        return plain(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket endpoint\n");
    }
    let version = headers.get(header::SEC_WEBSOCKET_VERSION);
    let key = headers.get(header::SEC_WEBSOCKET_KEY).and_then(|key| key.to_str().ok());
    let Some(key) = key.filter(|key| mesh_ws::is_valid_key(key)) else {
        return plain(StatusCode::BAD_REQUEST, "not a WebSocket key\n");
    };
    if version.is_none_or(|version| version != "13") {
        let mut refused = plain(StatusCode::UPGRADE_REQUIRED, "WebSocket version 13 is spoken here\n");
        refused.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return refused;
    }
    if !mesh.0.origins.allow(headers) {
        tracing::info!(origin = ?headers.get(header::ORIGIN), "refused: allow it with `.origins(Origins::These(..))`");
        return plain(StatusCode::FORBIDDEN, "this origin may not connect\n");
    }
    if mesh.0.instance.is_draining() {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "the server is closing\n");
    }
    let hello = has_token(headers, header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL);
    let accept = mesh_ws::accept_key(key);
    let login = Login {
        headers: headers.clone(),
        uri: request.uri().clone(),
        remote_addr: peer_addr(&request),
        credential: None,
    };
    let on_upgrade = hyper::upgrade::on(&mut request);
    let (tell, admitted) = oneshot::channel();
    // A task of its own: a client that hangs up now leaves nothing behind, and what the handshake needs takes no memory
    // later.
    mesh.0.instance.tasks.clone().spawn(handshake(mesh, login, hello, tell, on_upgrade));
    match admitted.await {
        Ok(Ok(())) => switching(&accept, hello),
        Ok(Err(error)) if error.code == mesh_proto::Code::Unavailable => {
            plain(StatusCode::SERVICE_UNAVAILABLE, "unavailable\n")
        }
        Ok(Err(_)) => plain(StatusCode::UNAUTHORIZED, "unauthorized\n"),
        Err(_) => plain(StatusCode::SERVICE_UNAVAILABLE, "the server is closing\n"),
    }
}

fn switching(accept: &str, hello: bool) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    if hello {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    }
    response
}

fn peer_addr<B>(request: &Request<B>) -> Option<SocketAddr> {
    #[cfg(feature = "axum")]
    if let Some(info) = request.extensions().get::<::axum::extract::ConnectInfo<SocketAddr>>() {
        return Some(info.0);
    }
    request.extensions().get::<PeerAddr>().map(|addr| addr.0)
}

async fn handshake(
    mesh: Mesh,
    login: Login,
    hello: bool,
    tell: oneshot::Sender<Result<()>>,
    on_upgrade: OnUpgrade,
) {
    let serving = match admit(&mesh, login, hello).await {
        Ok(serving) => serving,
        Err(error) => {
            // Whoever asked may be gone, which is as good.
            let _ = tell.send(Err(error));
            return;
        }
    };
    let waited_for = tell.send(Ok(())).is_ok();
    let timeout = mesh.0.instance.limits.handshake_timeout;
    match tokio::time::timeout(timeout, on_upgrade).await {
        Ok(Ok(upgraded)) if waited_for => start(serving, upgraded).await,
        _ => serving.abandon().await,
    }
}

/// Give the connection its stream: the raw socket where there is one under the upgrade, else the upgrade itself.
async fn start(serving: Arc<Serving>, upgraded: Upgraded) {
    match downcast::<TokioIo<TcpStream>>(upgraded) {
        Ok(parts) => serving.start_tcp(parts.io.into_inner(), parts.read_buf.to_vec()),
        Err(upgraded) => serving.start_whole(TokioIo::new(upgraded)),
    }
}

impl Serving {
    pub(super) fn start_tcp(self: Arc<Self>, stream: TcpStream, early: Vec<u8>) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let (reader, writer) = stream.into_split();
        let tasks = self.mesh().0.instance.tasks.clone();
        self.outbox().open(Sink::Tcp(writer));
        tasks.spawn(self.run(Half(reader), early));
    }

    pub(super) fn start_whole<S>(self: Arc<Self>, stream: S)
    where
        S: AsyncReadExt + tokio::io::AsyncWrite + Send + Unpin + 'static,
    {
        let tasks = self.mesh().0.instance.tasks.clone();
        self.outbox().open(Sink::Task);
        tasks.spawn(self.run(Whole(stream), Vec::new()));
    }
}
