//! How the stream of bytes to a server is opened.

use std::fmt;
use std::io;

use futures_util::future::BoxFuture;
use http::Uri;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

#[cfg(feature = "tls")]
use crate::tls::Tls;

/// A stream of bytes to a server, by whatever way.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Opens the stream of bytes that a connection runs over: for proxies, TLS of one's own, sockets of another kind, tests.
///
/// Any `Fn(Uri) -> Future<Output = io::Result<impl Io>>` is one:
///
/// ```no_run
/// # async fn run() -> mesh_client::Result<()> {
/// use mesh_client::Client;
///
/// let builder = Client::builder("ws://localhost/mesh")
///     .connector(|_url| async { tokio::net::UnixStream::connect("/run/mesh.sock").await });
/// let client = builder.connect().await?;
/// # Ok(()) }
/// ```
pub trait Connector: Send + Sync + 'static {
    /// Open a stream to the server of that address.
    ///
    /// # Errors
    /// Any is taken as one that passes, so another attempt follows.
    fn connect(&self, url: Uri) -> BoxFuture<'static, io::Result<Box<dyn Io>>>;
}

impl<F, Fut, S> Connector for F
where
    F: Fn(Uri) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = io::Result<S>> + Send + 'static,
    S: Io + 'static,
{
    fn connect(&self, url: Uri) -> BoxFuture<'static, io::Result<Box<dyn Io>>> {
        let stream = self(url);
        Box::pin(async move { Ok(Box::new(stream.await?) as Box<dyn Io>) })
    }
}

/// TCP for `ws://`, and with the feature `tls` TLS over it for `wss://`.
#[derive(Clone, Default)]
pub(crate) struct Network {
    /// Of a `wss://` address.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Tls>,
}

impl Connector for Network {
    fn connect(&self, url: Uri) -> BoxFuture<'static, io::Result<Box<dyn Io>>> {
        #[cfg(feature = "tls")]
        let tls = self.tls.clone();
        Box::pin(async move {
            let host = url.host().unwrap_or_default();
            // A literal address of IPv6 stands in brackets.
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let port = url.port_u16().unwrap_or(if url.scheme_str() == Some("wss") { 443 } else { 80 });
            let stream = TcpStream::connect((host, port)).await?;
            stream.set_nodelay(true)?;
            #[cfg(feature = "tls")]
            if let Some(tls) = tls {
                return tls.over(stream, host).await;
            }
            Ok(Box::new(stream) as Box<dyn Io>)
        })
    }
}

impl fmt::Debug for dyn Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}
