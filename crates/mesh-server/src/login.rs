//! What a client shows before it is let in.

use std::net::SocketAddr;

use http::{HeaderMap, Uri, header};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::error::{MeshError, Result};

/// What an authenticator judges by.
#[derive(Debug)]
#[non_exhaustive]
pub struct Login {
    /// The headers of the request: cookies, `Authorization`.
    pub headers: HeaderMap,
    /// Path and query of the request. A secret does not belong in a query: it ends up in logs.
    pub uri: Uri,
    /// The peer, which may be a proxy.
    pub remote_addr: Option<SocketAddr>,
    /// The `credential` of `mesh/hello`; `None` for an origin client.
    pub credential: Option<Box<RawValue>>,
}

impl Login {
    /// The credential, parsed.
    ///
    /// # Errors
    /// `unauthorized` if there is none or it is not a `T`.
    pub fn credential<T: DeserializeOwned>(&self) -> Result<T> {
        let raw = self.credential.as_ref().ok_or_else(|| MeshError::unauthorized("no credential"))?;
        serde_json::from_str(raw.get()).map_err(|_| MeshError::unauthorized("not a credential of this kind"))
    }
}

/// Which web pages may connect.
#[derive(Clone, Debug, Default)]
pub enum Origins {
    /// Those of the host that the request names: the default.
    #[default]
    SameHost,
    /// Those of these origins, each written as browsers do: `https://app.example`, with a port if it is no default.
    These(Vec<String>),
    /// Every one. Then cookies must not be what lets a client in.
    Any,
}

impl Origins {
    /// Whether a request with these headers is let in. One without `Origin` is not a browser's.
    pub(crate) fn allow(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = origins.next() else { return true };
        let (None, Ok(origin)) = (origins.next(), origin.to_str()) else { return false };
        match self {
            Self::Any => true,
            Self::These(allowed) => allowed.iter().any(|allowed| allowed == origin),
            Self::SameHost => {
                let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
                let page = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
                matches!((host, page), (Some(host), Some(page)) if host.eq_ignore_ascii_case(page))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: &str, origin: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().expect("a host"));
        headers.insert(header::ORIGIN, origin.parse().expect("an origin"));
        headers
    }

    #[test]
    fn only_pages_of_the_same_host_connect_unless_others_are_listed() {
        let same = |host, origin| Origins::SameHost.allow(&headers(host, origin));
        assert!(same("a.example", "https://a.example"));
        assert!(same("a.example:8080", "http://a.example:8080"));
        assert!(same("A.example", "https://a.example"));
        for bad in [
            "null",
            "https://b.example",
            "https://a.example.evil.example",
            "https://evil-a.example",
            "https://x@a.example",
            "https://a.example@evil.example",
            "https://a.example:444",
            "https://a.example.",
            "https://a.example/",
            "ftp://a.example",
            "a.example",
            "",
        ] {
            assert!(!same("a.example", bad), "{bad}");
        }
        assert!(Origins::SameHost.allow(&HeaderMap::new()), "not a browser");
        let these = Origins::These(vec!["https://app.example".into()]);
        assert!(these.allow(&headers("a.example", "https://app.example")));
        assert!(!these.allow(&headers("a.example", "https://a.example")));
        let mut twice = headers("a.example", "https://a.example");
        twice.append(header::ORIGIN, "https://evil.example".parse().expect("an origin"));
        assert!(!Origins::SameHost.allow(&twice));
    }
}
