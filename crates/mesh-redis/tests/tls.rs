//! Redis behind TLS, with a root of one's own.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::path::Path;

use mesh_redis::{ConnectError, Redis};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use support::{Peer, Server, room};

/// A root, and what it signed for this machine.
struct Certificates {
    root: String,
    server: String,
    key: String,
}

fn certificates() -> Certificates {
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_pem = root.self_signed(&root_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let server = server.signed_by(&key, &Issuer::new(root, root_key)).unwrap();
    Certificates { root: root_pem, server: server.pem(), key: key.serialize_pem() }
}

/// A Redis that speaks TLS alone.
async fn server(certificates: &Certificates, folder: &Path) -> (Server, String) {
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (certificate, key) =
        (file("server.pem", &certificates.server), file("server.key", &certificates.key));
    let port = support::free_port().to_string();
    let options = ["--tls-port", &port, "--tls-cert-file", &certificate, "--tls-key-file", &key];
    let options = [&options[..], &["--tls-auth-clients", "no", "--requirepass", "secret"]].concat();
    (Server::redis_with(&options).await, format!("rediss://:secret@localhost:{port}"))
}

/// A folder that goes with the test.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("mesh-redis-tls-{:016x}", mesh_proto::Entropy::from_os().u64());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn a_redis_behind_tls_is_spoken_to_if_its_root_is_trusted() {
    let (folder, ours, theirs) = (Folder::new(), certificates(), certificates());
    let (_server, url) = server(&ours, &folder.0).await;
    let backend = Redis::builder(&url).tls_root(ours.root).build().await.unwrap();
    let mut peer = Peer::attach(backend, 1 << 20).await;
    peer.link.subscribe(&room("r")).await.unwrap();
    peer.say(&room("r"), "x").await;
    assert_eq!(peer.next().await.0.full.as_deref(), Some(&b"x"[..]));
    // Neither another root nor those of the system.
    for builder in [Redis::builder(&url).tls_root(theirs.root), Redis::builder(&url)] {
        let refused = builder.build().await.unwrap_err();
        assert!(matches!(refused, ConnectError::Unreachable { .. }), "{refused}");
    }
    let refused = Redis::builder(&url).tls_root("no PEM").build().await.unwrap_err();
    assert!(matches!(refused, ConnectError::BadOption(_)), "{refused}");
}
