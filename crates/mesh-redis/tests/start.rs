//! What could not work later is refused at once, with one sentence that says what to do.

mod support;

use std::time::Duration;

use mesh_backend::{Backend, Key, Kind, inbox};
use mesh_proto::{Entropy, Incarnation};
use mesh_redis::{ConnectError, Redis};
use support::{Peer, Server, room};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn refusal(url: &str) -> ConnectError {
    Redis::connect(url).await.expect_err("it should refuse")
}

#[tokio::test]
async fn nobody_there_is_told() {
    let refused = refusal("redis://127.0.0.1:1").await;
    assert!(matches!(refused, ConnectError::Unreachable { .. }), "{refused}");
    assert!(refused.to_string().contains("no connection to Redis at 127.0.0.1:1"), "{refused}");
}

#[tokio::test]
async fn an_address_that_is_none_is_told_without_its_password() {
    for url in
        ["", "nonsense", "http://user:secret@host", "redis://user:secret@host:port", "redis://:secret@h/x"]
    {
        let refused = refusal(url).await;
        assert!(matches!(refused, ConnectError::BadOption(_)), "{url}: {refused}");
        assert!(!format!("{refused} {refused:?}").contains("secret"));
    }
    let builder = Redis::builder("redis://user:secret@host").password("secret");
    assert!(!format!("{builder:?}").contains("secret"));
}

#[tokio::test]
async fn a_namespace_that_could_forge_a_key_is_told() {
    for namespace in ["", "{1}", "a:b", "a b", "å", &"x".repeat(65)] {
        let refused = Redis::builder("redis://127.0.0.1:1").namespace(namespace).build().await.unwrap_err();
        assert!(matches!(refused, ConnectError::BadOption(_)), "{namespace}: {refused}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_and_a_right_one_works() {
    let server = Server::redis_with(&["--requirepass", "secret"]).await;
    for url in [server.url(), format!("redis://:wrong@127.0.0.1:{}", server.port())] {
        let refused = refusal(&url).await;
        assert!(matches!(refused, ConnectError::Refused(_)), "{refused}");
        assert!(!refused.to_string().contains("wrong"));
    }
    Redis::builder(&server.url()).password("secret").build().await.unwrap();
    let backend = Redis::connect(&format!("redis://:secret@127.0.0.1:{}", server.port())).await.unwrap();
    assert!(!format!("{backend:?}").contains("secret"));
}

/// What the handbook says a user needs.
const RIGHTS: &[&str] =
    &["ACL", "SETUSER", "mesh", "on", "resetchannels", ">secret", "~mesh:1:*", "&mesh:1:*"];

#[tokio::test]
async fn a_user_with_the_rights_that_are_asked_for_works() {
    let server = Server::redis().await;
    // As the documentation of the crate says.
    let documented = include_str!("../src/lib.rs").lines().filter_map(|line| line.strip_prefix("//! +"));
    let documented: Vec<_> = documented.map(|line| format!("+{line}")).collect();
    let fewest: Vec<_> = documented.iter().flat_map(|line| line.split(' ')).collect();
    assert!(fewest.len() > 30);
    for rights in [&["+@all", "-@dangerous", "+info"][..], &fewest] {
        server.command(&["ACL", "DELUSER", "mesh"]);
        assert_eq!(server.command(&[RIGHTS, rights].concat()), "+OK");
        let backend = Redis::builder(&server.url()).user("mesh").password("secret").build().await.unwrap();
        let mut peer = Peer::attach(backend, 1 << 20).await;
        let (topic, log) = (room("r"), Key::new(Kind::Channel, "c"));
        peer.link.subscribe(&topic).await.unwrap();
        peer.say(&topic, "x").await;
        assert_eq!(peer.next().await.0.full.as_deref(), Some(&b"x"[..]));
        peer.link.append(&log, support::entry("x"), support::KEEP).await.unwrap();
        peer.link.enter(&topic, support::conn(1), None, None).await.unwrap();
        peer.link.leave(&topic, support::conn(1), None).await.unwrap();
        peer.link.beat().await.unwrap();
        peer.link.orphans(10).await.unwrap();
        peer.link.unsubscribe(&topic).await.unwrap();
        assert_eq!(peer.link.trouble(), None);
    }
}

#[tokio::test]
async fn a_user_with_too_few_rights_is_told() {
    let server = Server::redis().await;
    let few: [&[&str]; 5] = [
        &["+@all", "-@dangerous"],
        &["+@all", "-zadd"],
        &["+@all", "-@pubsub"],
        &["+@all", "-@scripting"],
        &["+@all", "resetkeys", "~other:*"],
    ];
    for rights in few {
        server.command(&["ACL", "DELUSER", "mesh"]);
        assert_eq!(server.command(&[RIGHTS, rights].concat()), "+OK");
        let refused =
            Redis::builder(&server.url()).user("mesh").password("secret").build().await.unwrap_err();
        assert!(matches!(refused, ConnectError::TooFewRights { .. }), "{rights:?}: {refused}");
        assert!(refused.to_string().contains("~mesh:1:*"), "{refused}");
    }
}

#[tokio::test]
async fn data_of_another_mesh_is_told() {
    let server = Server::redis().await;
    server.command(&["SET", "mesh:1:{0}:schema", "schema 1, 64 shards"]);
    let refused = refusal(&server.url()).await;
    let expected = "is of another Mesh (schema 1, 64 shards; this one writes schema 1, 1 shards)";
    assert!(refused.to_string().contains(expected), "{refused}");
    // A namespace of its own is another world.
    Redis::builder(&server.url()).namespace("mine").build().await.unwrap();
}

#[tokio::test]
async fn a_key_of_another_type_is_told() {
    let server = Server::redis().await;
    server.command(&["LPUSH", "mesh:1:{0}:schema", "x"]);
    let refused = refusal(&server.url()).await;
    assert!(matches!(refused, ConnectError::ForeignKeys { .. }), "{refused}");
}

#[tokio::test]
async fn databases_and_namespaces_do_not_meet() {
    let server = Server::redis().await;
    let (one, two) = (Peer::at(&server.url()).await, Peer::at(&format!("{}/2", server.url())).await);
    let named = Redis::builder(&server.url()).namespace("n").build().await.unwrap();
    let three = Peer::attach(named, 1 << 20).await;
    one.link.enter(&room("r"), support::conn(1), None, None).await.unwrap();
    for other in [two, three] {
        assert_eq!(other.link.roll(&room("r"), 0, 10).await.unwrap().count, 0);
    }
}

#[tokio::test]
async fn streams_may_take_the_place_of_sockets() {
    let server = Server::redis().await;
    let port = server.port();
    let options = Redis::builder("redis://anywhere").entropy(std::sync::Arc::new(Entropy::from_seed(1)));
    let backend = Redis::over(move |_| TcpStream::connect(("127.0.0.1", port)), options).await.unwrap();
    let (inbox, mut arrivals) = inbox(1 << 20);
    let me = Incarnation::random(&Entropy::from_seed(2));
    let link = backend.attach(me, Duration::from_secs(6), inbox).await.unwrap();
    link.subscribe(&room("r")).await.unwrap();
    let text = mesh_backend::Announce::text(room("r"), "x".into());
    link.publish(text).await.unwrap();
    let received = tokio::time::timeout(support::PATIENCE, arrivals.recv()).await.unwrap();
    assert!(matches!(received, Some(mesh_backend::Received::Arrival(_))));
}

/// A server that answers each command by its first word, or says that it knows none such.
async fn fake(answers: &'static [(&'static str, &'static str)]) -> u16 {
    let (listener, port) = loop {
        let port = support::free_port();
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)).await {
            break (listener, port);
        }
    };
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
                let known = answers.iter().find(|(word, _)| text.contains(word));
                let answer = known.map_or("-ERR unknown command\r\n", |(_, answer)| answer);
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    break;
                }
            }
        }
    });
    port
}

#[tokio::test]
async fn an_old_redis_is_told() {
    let five = fake(&[]).await;
    let six = fake(&[("HELLO", "%0\r\n"), ("INFO", "$22\r\nredis_version:6.0.16\r\n\r\n")]).await;
    for (port, version) in [(five, "5 or older"), (six, "6.0.16")] {
        let refused = refusal(&format!("redis://127.0.0.1:{port}")).await;
        assert!(matches!(refused, ConnectError::TooOld { .. }), "{refused}");
        assert!(refused.to_string().contains(version), "{refused}");
    }
}

#[tokio::test]
async fn a_server_that_is_no_redis_is_told() {
    let web = fake(&[("HELLO", "HTTP/1.1 400 Bad Request\r\n\r\n")]).await;
    let silent = fake(&[("HELLO", "")]).await;
    for port in [web, silent] {
        let refused = refusal(&format!("redis://127.0.0.1:{port}")).await;
        assert!(refused.to_string().contains(&format!("127.0.0.1:{port}")), "{refused}");
    }
}

#[tokio::test]
async fn a_password_goes_nowhere_as_plain_text_unless_that_is_asked_for() {
    // An address that is nobody's.
    let url = "redis://:secret@192.0.2.1:6379";
    let refused = refusal(url).await;
    assert!(matches!(refused, ConnectError::BadOption(_)), "{refused}");
    assert!(refused.to_string().contains("192.0.2.1:6379") && !refused.to_string().contains("secret"));
    let sentinels = Redis::builder("redis://:secret@main").sentinel(["192.0.2.1:26379"], "main");
    assert!(matches!(sentinels.build().await, Err(ConnectError::BadOption(_))));
    let trusted = Redis::builder(url).trust_network().build().await.unwrap_err();
    assert!(matches!(trusted, ConnectError::Unreachable { .. }), "{trusted}");
}
