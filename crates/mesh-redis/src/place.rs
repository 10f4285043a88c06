//! Where a Redis is.

use std::fmt;
use std::sync::Arc;

use redis::ConnectionAddr;

use crate::dial::Dial;
use crate::sentinel::Sentinels;

/// Where a Redis is, as far as it does not change.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// At an address.
    At(ConnectionAddr),
    /// Where sentinels say that the master is.
    Master(Arc<Sentinels>),
}

impl Place {
    /// Its address now.
    pub(crate) async fn resolve(&self, dial: &Dial) -> Result<ConnectionAddr, String> {
        match self {
            Self::At(address) => Ok(address.clone()),
            Self::Master(sentinels) => sentinels.master(dial).await,
        }
    }

    /// Its address, if it is another than it was.
    pub(crate) async fn moved(&self, from: &ConnectionAddr) -> Option<ConnectionAddr> {
        match self {
            Self::At(_) => None,
            Self::Master(sentinels) => sentinels.ask().await.ok().filter(|now| now != from),
        }
    }

    /// Its address, if that never changes.
    pub(crate) fn address(&self) -> Option<&ConnectionAddr> {
        match self {
            Self::At(address) => Some(address),
            Self::Master(_) => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => write!(f, "Redis at {address}"),
            Self::Master(sentinels) => write!(f, "the Redis master `{}`", sentinels.name()),
        }
    }
}

/// An address with a host, or the host of another, reached as the other one is: with TLS if that is.
pub(crate) fn address(
    host: Option<String>,
    port: u16,
    like: Option<&ConnectionAddr>,
) -> Option<ConnectionAddr> {
    let like_host = match like {
        Some(ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. }) => Some(host.clone()),
        _ => None,
    };
    let host = host.or(like_host)?;
    Some(match like {
        Some(ConnectionAddr::TcpTls { insecure, tls_params, .. }) => {
            ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
        }
        _ => ConnectionAddr::Tcp(host, port),
    })
}

/// `host:port`, or `[::1]:port`.
pub(crate) fn parse(text: &str, like: &ConnectionAddr) -> Option<ConnectionAddr> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let host = (!host.is_empty()).then(|| host.to_owned())?;
    address(Some(host), port.parse().ok()?, Some(like))
}
