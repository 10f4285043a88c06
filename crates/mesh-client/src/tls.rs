//! TLS for `wss://`.

use std::io;
use std::sync::Arc;

use mesh_proto::Code;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::connector::Io;
use crate::error::{ClientError, Result};

/// Whom to trust, read once for all connections.
#[derive(Clone)]
pub(crate) struct Tls(TlsConnector);

impl Tls {
    /// Trusts what is signed by that root (PEM), or by one that the system trusts.
    pub(crate) fn trusting(root: Option<&[u8]>) -> Result<Self> {
        let bad = |why: &str| ClientError::give_up(Code::App("bad_root".into()), why);
        let mut roots = RootCertStore::empty();
        match root {
            Some(pem) => {
                for certificate in CertificateDer::pem_slice_iter(pem) {
                    let added = certificate.ok().and_then(|certificate| roots.add(certificate).ok());
                    added.ok_or_else(|| bad("the root is no certificate in PEM"))?;
                }
                if roots.is_empty() {
                    return Err(bad("the root holds no certificate in PEM"));
                }
            }
            // Some that this reader does not understand are no harm.
            None => _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
        }
        if roots.is_empty() {
            return Err(bad("this system trusts no root: give one by `tls_root`"));
        }
        // If the process chose another provider of cryptography, that one it is.
        let chosen = CryptoProvider::get_default().cloned();
        let provider = chosen.unwrap_or_else(|| Arc::new(ring::default_provider()));
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| bad(&error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// TLS over that stream, with a server that can show that this is its name.
    pub(crate) async fn over(self, stream: TcpStream, host: &str) -> io::Result<Box<dyn Io>> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Ok(Box::new(self.0.connect(name, stream).await?))
    }
}
