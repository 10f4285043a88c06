//! Certificates of one's own.

use redis::{Client, ClientTlsConfig, ConnectionAddr, TlsCertificates};

use crate::error::ConnectError;

/// What is trusted, and what is shown.
#[derive(Clone, Default)]
pub(crate) struct Certificates {
    /// PEM.
    pub(crate) root: Option<Vec<u8>>,
    /// Certificate and key, PEM.
    pub(crate) client: Option<(Vec<u8>, Vec<u8>)>,
}

impl Certificates {
    /// The same address, reached with these.
    pub(crate) fn put_into(&self, address: ConnectionAddr) -> Result<ConnectionAddr, ConnectError> {
        if !matches!(address, ConnectionAddr::TcpTls { .. }) {
            let is_any = self.root.is_some() || self.client.is_some();
            let bad = "certificates are for addresses that begin with rediss://";
            return if is_any { Err(ConnectError::BadOption(bad.to_owned())) } else { Ok(address) };
        }
        // If the process chose another provider of cryptography, that one stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        if self.root.is_none() && self.client.is_none() {
            return Ok(address);
        }
        let client_tls =
            self.client.clone().map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key });
        let certificates = TlsCertificates { client_tls, root_cert: self.root.clone() };
        let bad = || ConnectError::BadOption("a certificate or key for Redis is not PEM".to_owned());
        // A root without a certificate in it would trust nobody, and say so much later.
        if self
            .root
            .as_deref()
            .is_some_and(|root| !String::from_utf8_lossy(root).contains("BEGIN CERTIFICATE"))
        {
            return Err(bad());
        }
        let client = Client::build_with_tls(address, certificates).map_err(|_| bad())?;
        Ok(client.get_connection_info().addr().clone())
    }
}
