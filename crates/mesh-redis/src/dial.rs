//! Making connections. Everything else sees a connection and an address.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, ProtocolVersion, PushInfo,
    RedisConnectionInfo, RedisError,
};
use tokio::time::timeout;

/// How long making a connection may take, from looking up its name to the answer to HELLO.
pub(crate) const DIAL_MAX: Duration = Duration::from_secs(1);

/// Commands that wait to be written to one connection. More of them wait with their callers, until their deadlines.
const WAITING_MAX: usize = 4096;

/// A stream of bytes to a Redis, in place of a socket.
#[cfg(feature = "testing")]
pub trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send {}

#[cfg(feature = "testing")]
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> Stream for T {}

#[cfg(feature = "testing")]
pub(crate) type Over = Arc<
    dyn Fn(String) -> std::pin::Pin<Box<dyn Future<Output = std::io::Result<Box<dyn Stream>>> + Send>>
        + Send
        + Sync,
>;

/// Makes connections.
#[derive(Clone)]
pub(crate) struct Dial {
    login: RedisConnectionInfo,
    #[cfg(feature = "testing")]
    over: Option<Over>,
}

/// Takes what a connection pushes, at once and without waiting, and the news that it ended.
pub(crate) type Pushed = Arc<dyn Fn(PushInfo) + Send + Sync>;

impl Dial {
    pub(crate) fn new(login: RedisConnectionInfo) -> Self {
        let login = login.set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name();
        Self {
            login,
            #[cfg(feature = "testing")]
            over: None,
        }
    }

    /// Through these streams, in place of sockets.
    #[cfg(feature = "testing")]
    pub(crate) fn over(self, over: Over) -> Self {
        Self { over: Some(over), ..self }
    }

    /// A connection. It lives on the runtime that this runs on.
    pub(crate) async fn dial(
        &self,
        address: &ConnectionAddr,
        pushed: Pushed,
    ) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(WAITING_MAX)
            .set_push_sender(move |push| {
                pushed(push);
                Ok::<_, std::convert::Infallible>(())
            });
        let too_long =
            |_| RedisError::from(std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in time"));
        timeout(DIAL_MAX, self.connect(address, config)).await.map_err(too_long)?
    }

    async fn connect(
        &self,
        address: &ConnectionAddr,
        config: AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, RedisError> {
        #[cfg(feature = "testing")]
        if let Some(over) = &self.over {
            let stream = over(address.to_string()).await.map_err(RedisError::from)?;
            let (connection, driver) =
                MultiplexedConnection::new_with_config(&self.login, stream, config).await?;
            tokio::spawn(driver);
            return Ok(connection);
        }
        let info = address
            .clone()
            .into_connection_info()?
            .set_redis_settings(self.login.clone())
            .set_tcp_settings(TcpSettings::default().set_nodelay(true));
        Client::open(info)?.get_multiplexed_async_connection_with_config(&config).await
    }
}

/// Without user and password.
impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial").finish_non_exhaustive()
    }
}
