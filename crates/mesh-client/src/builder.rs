//! How a client is set up.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use mesh_proto::{Code, Entropy};
use serde::Serialize;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::Reason;
use crate::client::Client;
use crate::connector::{Connector, Network};
use crate::driver::{Driver, FetchCredential, Shared};
use crate::error::{ClientError, Result};
use crate::lock::Lock;
use crate::session::{AttemptOptions, QueueLimits, Session, SessionOptions};
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// How long a command waits for its answer where nothing else is said.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// From the dial to the answer to the hello.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The first bound of the wait before an attempt.
const BACKOFF_BASE: Duration = Duration::from_secs(2);
/// The last one.
const BACKOFF_CAP: Duration = Duration::from_secs(30);
/// Commands that wait for a connection.
const QUEUE_COMMANDS_MAX: usize = 1000;
/// Bytes of them (1 MiB).
const QUEUE_BYTES_MAX: usize = 1024 * 1024;

/// What a client is made of. [`start`](Self::start) or [`connect`](Self::connect) makes it.
///
/// ```no_run
/// use std::time::Duration;
///
/// use mesh_client::{Client, ClientError, Code};
///
/// # async fn fetch_token() -> Result<String, std::io::Error> { Ok(String::new()) }
/// # async fn run() -> mesh_client::Result<()> {
/// let client = Client::builder("ws://localhost:3000/mesh")
///     .credential_with(|_reason| async {
///         fetch_token().await.map_err(|error| ClientError::retry(Code::Unavailable, error.to_string()))
///     })
///     .timeout(Duration::from_secs(5))
///     .connect()
///     .await?;
/// # Ok(()) }
/// ```
#[must_use]
pub struct Builder {
    url: String,
    timeout: Option<Duration>,
    options: SessionOptions,
    credential: FetchCredential,
    /// `None`: TCP, or TLS over it.
    connector: Option<Arc<dyn Connector>>,
    /// PEM; `None`: those of the system.
    tls_root: Option<Vec<u8>>,
    entropy: Entropy,
}

impl Builder {
    pub(crate) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            timeout: Some(COMMAND_TIMEOUT),
            options: SessionOptions {
                queue: QueueLimits { commands_max: QUEUE_COMMANDS_MAX, bytes_max: QUEUE_BYTES_MAX },
                attempts: AttemptOptions { base: BACKOFF_BASE, cap: BACKOFF_CAP, attempts_max: u32::MAX },
                connect_timeout: CONNECT_TIMEOUT,
            },
            credential: Arc::new(|_| Box::pin(async { Ok(None) })),
            connector: None,
            tls_root: None,
            entropy: Entropy::from_os(),
        }
    }

    /// What the server's authenticator is shown at each connection.
    pub fn credential<C: Serialize>(self, credential: C) -> Self {
        let json = encode(&credential);
        self.fetch(Arc::new(move |_| {
            let json = json.clone();
            Box::pin(async move { json })
        }))
    }

    /// Fetches that before each dial, for 30 s at most. An error fails the attempt; one that is not
    /// [retryable](ClientError::retryable) ends all attempts.
    pub fn credential_with<F, Fut, C>(self, fetch: F) -> Self
    where
        F: Fn(Reason) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<C>> + Send + 'static,
        C: Serialize,
    {
        self.fetch(Arc::new(move |reason| {
            let fetched = fetch(reason);
            Box::pin(async move { encode(&fetched.await?) })
        }))
    }

    fn fetch(self, credential: FetchCredential) -> Self {
        Self { credential, ..self }
    }

    /// How long a command waits for its answer (30 s), unless it says otherwise.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// How long a connection may take to be made, from the dial to the answer to the hello (10 s).
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.options.connect_timeout = timeout;
        self
    }

    /// The wait before an attempt is drawn from nothing up to a bound that begins with `base` (2 s) and doubles with each
    /// failure up to `cap` (30 s). A connection that lasts 10 s begins anew.
    pub fn backoff(mut self, base: Duration, cap: Duration) -> Self {
        self.options.attempts.base = base;
        self.options.attempts.cap = cap;
        self
    }

    /// How many attempts in a row may fail before the client gives up (without end).
    pub fn attempts_max(mut self, attempts: u32) -> Self {
        self.options.attempts.attempts_max = attempts;
        self
    }

    /// How many commands may wait for a connection (1,000), and how many bytes of them (1 MiB); the
    /// same bytes again for what is written at a rate. Over it: `queue_full`.
    pub fn queue_max(mut self, commands: usize, bytes: usize) -> Self {
        self.options.queue = QueueLimits { commands_max: commands, bytes_max: bytes };
        self
    }

    /// Opens the stream of bytes to the server in another way than TCP.
    pub fn connector(self, connector: impl Connector) -> Self {
        Self { connector: Some(Arc::new(connector)), ..self }
    }

    /// Trust this root certificate (PEM, or several one after the other) alone, in place of those that the system trusts. For
    /// addresses that begin with `wss://`, and without a [`connector`](Self::connector).
    ///
    /// A server that shows a certificate of another root, or for another name, is not spoken to: the attempt fails with
    /// `unavailable`, and more of them follow.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let root = std::fs::read("company-root.pem")?;
    /// let client = mesh_client::Client::builder("wss://mesh.internal/mesh").tls_root(root).connect().await?;
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls_root(self, pem: impl Into<Vec<u8>>) -> Self {
        Self { tls_root: Some(pem.into()), ..self }
    }

    /// Where the jitter and the marks of writes come from, so that a simulation is a function of its seed.
    pub fn entropy(self, entropy: Entropy) -> Self {
        Self { entropy, ..self }
    }

    /// A client that connects from now on, for as long as it takes: commands and subscriptions wait for it.
    ///
    /// # Errors
    /// `bad_url` if the address is none, or one of `wss://` without the feature `tls` and without a connector. `bad_root` if what
    /// is to be trusted is no certificate, or the system trusts none.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(self) -> Result<Client> {
        let url = parse(&self.url, self.connector.is_some() || cfg!(feature = "tls"))?;
        let connector = match self.connector {
            Some(_) if self.tls_root.is_some() => {
                return Err(bad_root("a root is for wss:// without a connector"));
            }
            Some(connector) => connector,
            None => Arc::new(network(&url, self.tls_root.as_deref())?),
        };
        let session = Session::start(self.options, self.entropy, Instant::now());
        let status = watch::Sender::new(session.status());
        let shared = Arc::new(Shared { session: Lock::new(session), wake: Notify::new(), status });
        let driver = Driver { shared: shared.clone(), url, connector, credential: self.credential };
        let task = tokio::spawn(driver.run());
        Ok(Client::new(shared, self.timeout, task))
    }

    /// The same, once it is connected.
    ///
    /// # Errors
    /// `bad_url` or `bad_root`, or what the first attempt failed with. Then there is no client, and no further attempt.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn connect(self) -> Result<Client> {
        let client = self.start()?;
        client.connected().await?;
        Ok(client)
    }
}

/// An address, if there is a way to it.
fn parse(url: &str, has_tls: bool) -> Result<Uri> {
    let bad = |why: String| ClientError::give_up(Code::App("bad_url".into()), why);
    let parsed: Uri = url.parse().map_err(|error: http::uri::InvalidUri| bad(error.to_string()))?;
    if !matches!(parsed.scheme_str(), Some("ws" | "wss")) || parsed.host().is_none() {
        return Err(bad(format!("{url:?} does not begin with ws:// or wss:// and a host")));
    }
    if parsed.scheme_str() == Some("wss") && !has_tls {
        return Err(bad("wss:// needs the feature `tls` of mesh-client, or a connector".to_owned()));
    }
    Ok(parsed)
}

#[cfg(feature = "tls")]
fn network(url: &Uri, root: Option<&[u8]>) -> Result<Network> {
    if url.scheme_str() == Some("wss") {
        return Ok(Network { tls: Some(Tls::trusting(root)?) });
    }
    if root.is_some() {
        Err(bad_root("a root is for addresses that begin with wss://"))
    } else {
        Ok(Network::default())
    }
}

#[cfg(not(feature = "tls"))]
fn network(_: &Uri, _: Option<&[u8]>) -> Result<Network> {
    Ok(Network::default())
}

fn bad_root(why: &str) -> ClientError {
    ClientError::give_up(Code::App("bad_root".into()), why)
}

fn encode<C: Serialize>(credential: &C) -> Result<Option<String>> {
    serde_json::to_string(credential).map(Some).map_err(|error| ClientError::encoding(&error))
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("url", &self.url)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wss_without_the_feature_is_told_at_once() {
        let error = parse("wss://localhost/", false).expect_err("no TLS");
        assert_eq!(error.code().as_str(), "bad_url");
        assert!(error.message().contains("`tls`"), "{error}");
        parse("wss://localhost/", true).expect("an address");
        parse("ws://localhost/", false).expect("an address");
    }
}
