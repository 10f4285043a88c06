//! Over real sockets: every way to mount, every way to break in.

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use futures_util::{SinkExt, StreamExt};
use mesh_server::{Mesh, MeshError, Payload};
use serde_json::{Value, json};
use support::open_server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_websockets::{ClientBuilder, Message};

type Socket = tokio_websockets::WebSocketStream<TcpStream>;

async fn server() -> Mesh {
    let built = open_server().command("echo", async |Payload(value): Payload<Value>| value).build();
    built.await.expect("a server")
}

/// A listener on a free port below the ephemeral range.
async fn free_port() -> TcpListener {
    for port in 7100..9000 {
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)).await {
            return listener;
        }
    }
    panic!("no free port");
}

async fn listening(mesh: &Mesh) -> SocketAddr {
    for port in 7100..9000 {
        if let Ok(listening) = mesh.listen(("127.0.0.1", port)).await {
            return listening.addr();
        }
    }
    panic!("no free port");
}

async fn dial(addr: SocketAddr, path: &str) -> Socket {
    let stream = TcpStream::connect(addr).await.expect("a connection");
    let uri = format!("ws://{addr}{path}").parse().expect("a uri");
    ClientBuilder::from_uri(uri).connect_on(stream).await.expect("a handshake").0
}

async fn ask(socket: &mut Socket, frame: &str) -> Value {
    socket.send(Message::text(frame.to_owned())).await.expect("sent");
    loop {
        let answer = socket.next().await.expect("an answer").expect("a frame");
        let answer: Value = serde_json::from_str(answer.as_text().expect("text")).expect("JSON");
        if answer.get("id").is_some() {
            return answer;
        }
    }
}

async fn echoes(socket: &mut Socket) {
    let answer = ask(socket, r#"{"id":1,"command":"echo","payload":{"a":[1,"é"]}}"#).await;
    assert_eq!(answer, json!({"id": 1, "command": "echo", "payload": {"a": [1, "é"]}}));
}

async fn raw(addr: SocketAddr, request: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(addr).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = vec![0; 4096];
    let n = tokio::time::timeout(Duration::from_secs(8), stream.read(&mut answer))
        .await
        .expect("in time")
        .unwrap_or(0);
    (stream, String::from_utf8_lossy(&answer[..n]).into_owned())
}

const HANDSHAKE: &str = "GET / HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Wait until the server has no connection any more; how long that takes is its own affair, whether it happens is not.
async fn empty(mesh: &Mesh) {
    let gone = async {
        while mesh.stats().connections > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("every connection ends");
}

#[tokio::test]
async fn a_listener_of_its_own_serves_and_tells_its_health() {
    let mesh = server().await;
    let addr = listening(&mesh).await;
    echoes(&mut dial(addr, "/any/path").await).await;
    let health = async |path: &str| raw(addr, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    assert!(health("/livez").await.1.starts_with("HTTP/1.1 200"));
    assert!(health("/readyz").await.1.starts_with("HTTP/1.1 200"));
    assert!(health("/").await.1.starts_with("HTTP/1.1 426"), "a page is not served here");
    mesh.close().await;
}

#[tokio::test]
async fn it_mounts_in_an_axum_app_as_a_route_as_a_router_and_as_a_service() {
    let mesh = server().await;
    let app: Router = Router::new()
        .route("/", get(async || "hello"))
        .route("/mesh", mesh.route())
        .route_service("/service", mesh.service())
        .merge(mesh.router("/routed"));
    let listener = free_port().await;
    let addr = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    for path in ["/mesh", "/service", "/routed"] {
        echoes(&mut dial(addr, path).await).await;
    }
    assert!(raw(addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.1.ends_with("hello"));
    assert!(raw(addr, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n").await.1.starts_with("HTTP/1.1 200"));
    empty(&mesh).await;
}

#[tokio::test]
async fn any_stream_will_do() {
    let mesh = server().await;
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let serving = mesh.clone();
    tokio::spawn(async move { serving.serve_io(theirs, false).await });
    let mut socket = ClientBuilder::new().take_over(ours);
    socket.send(Message::text(r#"{"id":1,"command":"echo","payload":"hi"}"#)).await.expect("sent");
    let answer = socket.next().await.expect("an answer").expect("a frame");
    assert_eq!(answer.as_text(), Some(r#"{"id":1,"command":"echo","payload":"hi"}"#));
    mesh.broadcast("news", &json!(1)).await.expect("published");
    let push = socket.next().await.expect("a push").expect("a frame");
    assert_eq!(push.as_text(), Some(r#"{"command":"news","payload":1}"#));
}

#[tokio::test]
async fn trap_q_a_frame_in_the_handshakes_segment_is_a_frame_like_any_other() {
    let mesh = server().await;
    let addr = listening(&mesh).await;
    for (text, answered) in [("null", false), (r#"{"id":1,"command":"echo","payload":7}"#, true)] {
        let mut bytes = format!("{HANDSHAKE}\r\n").into_bytes();
        mesh_ws::append_masked(&mut bytes, mesh_ws::Opcode::Text, true, [1, 2, 3, 4], text.as_bytes());
        let mut stream = TcpStream::connect(addr).await.expect("a connection");
        stream.write_all(&bytes).await.expect("sent");
        if answered {
            let mut got = Vec::new();
            while !got.ends_with(b"\"payload\":7}") {
                assert!(stream.read_buf(&mut got).await.expect("an answer") > 0);
            }
        }
    }
    echoes(&mut dial(addr, "/").await).await;
}

#[tokio::test]
async fn trap_w_a_handshake_aborted_at_any_byte_leaves_nothing_behind() {
    let mesh = server().await;
    let addr = listening(&mesh).await;
    let request = format!("{HANDSHAKE}\r\n");
    for cut in 0..=request.len() {
        let mut stream = TcpStream::connect(addr).await.expect("a connection");
        stream.write_all(&request.as_bytes()[..cut]).await.expect("sent");
        drop(stream);
    }
    echoes(&mut dial(addr, "/").await).await;
    empty(&mesh).await;
}

#[tokio::test]
async fn trap_aa_a_client_that_sees_itself_connected_can_be_reached() {
    let mesh = server().await;
    let addr = listening(&mesh).await;
    for _ in 0..50 {
        let mut socket = dial(addr, "/").await;
        mesh.broadcast("news", &json!(1)).await.expect("published");
        let push = socket.next().await.expect("a push").expect("a frame");
        assert_eq!(push.as_text(), Some(r#"{"command":"news","payload":1}"#));
    }
}

#[tokio::test]
async fn what_is_no_handshake_is_refused_with_a_status_that_says_why() {
    let refuse = async |_: mesh_server::Login, ()| -> mesh_server::Result<String> {
        Err(MeshError::unauthorized("no"))
    };
    let (mesh, strict) =
        (server().await, open_server().authenticate(refuse).build().await.expect("a server"));
    let (addr, strict) = (listening(&mesh).await, listening(&strict).await);
    let status =
        async |addr, request: String| raw(addr, &request).await.1.chars().skip(9).take(3).collect::<String>();
    assert_eq!(status(addr, format!("{HANDSHAKE}\r\n")).await, "101");
    assert_eq!(status(strict, format!("{HANDSHAKE}\r\n")).await, "401");
    assert_eq!(status(addr, format!("{HANDSHAKE}Origin: https://evil.example\r\n\r\n")).await, "403");
    assert_eq!(status(addr, format!("{HANDSHAKE}Origin: https://a.example\r\n\r\n")).await, "101");
    assert_eq!(status(addr, format!("{}\r\n", HANDSHAKE.replace("dGhl", "x"))).await, "400");
    assert_eq!(status(addr, format!("{}\r\n", HANDSHAKE.replace("Version: 13", "Version: 8"))).await, "426");
    assert_eq!(status(addr, format!("{}\r\n", HANDSHAKE.replace("GET", "POST"))).await, "426");
}

#[tokio::test]
async fn hostile_bytes_end_their_own_connection_at_most() {
    let mesh = server().await;
    let addr = listening(&mesh).await;
    let mut witness = dial(addr, "/").await;
    let deep =
        format!(r#"{{"id":1,"command":"echo","payload":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let wide = format!(
        r#"{{"id":1,"command":"echo","payload":{{{}}}}}"#,
        (0..20_000).map(|n| format!("\"{n}\":0")).collect::<Vec<_>>().join(",")
    );
    for text in [&deep, &wide] {
        let answer = ask(&mut dial(addr, "/").await, text).await;
        assert_eq!(answer["payload"]["code"], "EBAD_PAYLOAD");
    }
    let mut masked = Vec::new();
    mesh_ws::append_masked(&mut masked, mesh_ws::Opcode::Text, true, [0; 4], b"\xff\xfe");
    let too_big = [&[0x81, 0xff][..], &(1u64 << 30).to_be_bytes(), &[0; 4]].concat();
    for (bytes, code) in [
        (masked, 1007u16),
        (vec![0x81, 0x01, b'x'], 1002),
        (vec![0xf1, 0x80, 0, 0, 0, 0], 1002),
        (too_big, 1009),
    ] {
        let (mut stream, answer) = raw(addr, &format!("{HANDSHAKE}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 101"));
        stream.write_all(&bytes).await.expect("sent");
        let mut got = Vec::new();
        stream.read_to_end(&mut got).await.expect("the end");
        assert_eq!(got.get(2..4), Some(&code.to_be_bytes()[..]), "close {code}");
    }
    echoes(&mut witness).await;
    assert_eq!(mesh.stats().panics, 0);
}

#[tokio::test]
async fn many_commands_and_broadcasts_at_once_all_arrive() {
    let mesh = server().await;
    let addr = listening(&mesh).await;
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(dial(addr, "/").await);
    }
    for socket in &mut sockets {
        for n in 0..200 {
            let frame = format!(r#"{{"id":{n},"command":"echo","payload":{n}}}"#);
            socket.feed(Message::text(frame)).await.expect("fed");
        }
        socket.flush().await.expect("sent");
    }
    for n in 0..100 {
        mesh.broadcast("n", &n).await.expect("published");
    }
    for socket in &mut sockets {
        let (mut answers, mut pushes) = (0, 0);
        while answers < 200 || pushes < 100 {
            let frame = socket.next().await.expect("a frame").expect("a frame");
            let frame: Value = serde_json::from_str(frame.as_text().expect("text")).expect("JSON");
            if frame.get("id").is_some() {
                assert_eq!(frame["id"], answers, "handlers that are ready at once answer in order");
                answers += 1;
            } else {
                assert_eq!(frame["payload"], pushes, "broadcasts arrive in order");
                pushes += 1;
            }
        }
    }
}
