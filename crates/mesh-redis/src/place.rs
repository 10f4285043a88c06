//! Where a Redis is.

use std::fmt;

use redis::ConnectionAddr;

use crate::dial::Dial;

/// Where a Redis is, as far as it does not change.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// At an address.
    At(ConnectionAddr),
}

impl Place {
    /// Its address now.
    pub(crate) async fn resolve(&self, _dial: &Dial) -> Result<ConnectionAddr, String> {
        match self {
            Self::At(address) => Ok(address.clone()),
        }
    }

    /// Its address, if it is another than it was.
    pub(crate) async fn moved(&self, _dial: &Dial, _from: &ConnectionAddr) -> Option<ConnectionAddr> {
        match self {
            Self::At(_) => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => write!(f, "Redis at {address}"),
        }
    }
}
