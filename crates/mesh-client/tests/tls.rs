//! `wss://`: whom a client trusts, and what it says to whom it does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mesh_client::{Builder, Client, Code, Status};
use mesh_server::{Mesh, Payload};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// After that a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A root of that name, and how a server shows what it signed for that host.
fn certificates(root_name: &str, host: &str) -> (String, TlsAcceptor) {
    let root_key = KeyPair::generate().expect("a key");
    let mut root = CertificateParams::new(Vec::new()).expect("parameters");
    root.distinguished_name.push(DnType::CommonName, root_name);
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_pem = root.self_signed(&root_key).expect("a root").pem();
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![host.to_owned()]).expect("parameters");
    let certificate = params.signed_by(&key, &Issuer::new(root, root_key)).expect("a certificate");

    let chain = vec![CertificateDer::from(certificate)];
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate with its key");
    (root_pem, TlsAcceptor::from(Arc::new(config)))
}

/// A server behind a proxy that ends TLS.
struct Server {
    mesh: Mesh,
    port: u16,
    /// Connections that were dialled.
    dials: Arc<AtomicU32>,
}

impl Server {
    async fn start(acceptor: TlsAcceptor) -> Self {
        let echo = async |Payload(text): Payload<String>| text;
        let mesh = Mesh::builder().command("echo", echo).build().await.expect("a server");
        let addr = mesh.listen("127.0.0.1:0").await.expect("a port").addr();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let dials = Arc::new(AtomicU32::new(0));
        let counted = dials.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // Who does not trust it says so, and goes.
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut server = TcpStream::connect(addr).await.expect("the server");
                    let _ = copy_bidirectional(&mut stream, &mut server).await;
                });
            }
        });
        Self { mesh, port, dials }
    }

    fn client(&self, host: &str) -> Builder {
        Client::builder(&format!("wss://{host}:{}/", self.port)).backoff(Duration::ZERO, Duration::ZERO)
    }
}

/// It fails for that reason, which counts as an attempt that failed.
async fn is_refused(server: &Server, builder: Builder, why: &str) {
    let before = server.dials.load(Ordering::SeqCst);
    let client = builder.attempts_max(2).start().expect("an address");
    let error = timeout(PATIENCE, client.connected()).await.expect("in time").expect_err("not trusted");
    assert_eq!(error.code(), &Code::Unavailable);
    assert!(error.message().contains(why), "{error}");
    let mut status = client.status_changes();
    let given_up = timeout(PATIENCE, status.wait_for(|status| *status == Status::Offline)).await;
    given_up.expect("in time").expect("a client");
    assert!(client.reason().expect("a reason").message().contains(why));
    assert_eq!(server.dials.load(Ordering::SeqCst) - before, 3, "the first attempt and two more");
}

#[tokio::test]
async fn a_server_of_a_trusted_root_is_spoken_to_over_tls() {
    let (root, acceptor) = certificates("ours", "localhost");
    let server = Server::start(acceptor).await;
    let client = server.client("localhost").tls_root(root).connect().await.expect("a connection");
    let answer: String = client.command("echo", "Hello!").await.expect("an answer");
    assert_eq!(answer, "Hello!");
    let long = "x".repeat(200_000);
    assert_eq!(client.command::<_, String>("echo", &long).await.expect("an answer"), long);
    client.close().await;
    server.mesh.close().await;
}

#[tokio::test]
async fn a_server_of_another_root_is_not_spoken_to_and_counts_as_a_failed_attempt() {
    let (_, acceptor) = certificates("ours", "localhost");
    let (other, _) = certificates("theirs", "localhost");
    let server = Server::start(acceptor).await;
    is_refused(&server, server.client("localhost").tls_root(other), "UnknownIssuer").await;
    server.mesh.close().await;
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_taken() {
    let (root, acceptor) = certificates("ours", "elsewhere.example");
    let server = Server::start(acceptor).await;
    is_refused(&server, server.client("localhost").tls_root(root), "not valid for name").await;
    server.mesh.close().await;
}

#[tokio::test]
async fn what_is_no_root_is_told_at_once() {
    let (root, _) = certificates("ours", "localhost");
    let code = |builder: Builder| builder.start().expect_err("no root").code().as_str().to_owned();
    let empty_pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for bad in ["", "no PEM", empty_pem] {
        assert_eq!(code(Client::builder("wss://localhost/").tls_root(bad)), "bad_root", "{bad}");
    }
    assert_eq!(code(Client::builder("ws://localhost/").tls_root(root.clone())), "bad_root");
    let own = Client::builder("wss://localhost/").connector(|_| async { Ok(tokio::io::duplex(1).0) });
    assert_eq!(code(own.tls_root(root)), "bad_root");
}
