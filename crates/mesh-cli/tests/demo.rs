//! The binary as somebody uses it: one port, one path, page and WebSocket.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use axum::http::{HeaderValue, header};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_websockets::{ClientBuilder, MaybeTlsStream, Message, WebSocketStream};

const PATIENCE: Duration = Duration::from_secs(10);

struct Demo {
    addr: SocketAddr,
    line: String,
    child: Child,
}

fn mesh(addr: SocketAddr) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh"));
    command
        .args(["--addr", &addr.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Start on a free port. Somebody else may take it in between, so a few are tried.
async fn start() -> Demo {
    let first = 9000 + u16::try_from(std::process::id() % 400).expect("small");
    for port in first..first + 500 {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(addr).is_err() {
            continue;
        }
        let mut child = mesh(addr).spawn().expect("the binary runs");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        let mut stdout = BufReader::new(stdout);
        tokio::time::timeout(PATIENCE, stdout.read_line(&mut line))
            .await
            .expect("in time")
            .expect("readable");
        if !line.is_empty() {
            return Demo { addr, line, child };
        }
    }
    panic!("no free port");
}

struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    id: u64,
}

impl Client {
    async fn connect(addr: SocketAddr) -> Self {
        Self::connect_with(addr, None).await
    }

    async fn connect_with(addr: SocketAddr, subprotocol: Option<&'static str>) -> Self {
        let uri = format!("ws://{addr}/").parse().expect("a URI");
        let mut builder = ClientBuilder::from_uri(uri);
        if let Some(subprotocol) = subprotocol {
            let (name, value) = (header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
            builder = builder.add_header(name, value).expect("a header that may be added");
        }
        let (socket, _) = builder.connect().await.expect("a handshake");
        Self { socket, id: 0 }
    }

    async fn frame(&mut self) -> Value {
        let next = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("in time");
        let message = next.expect("open").expect("a message");
        serde_json::from_str(message.as_text().expect("text")).expect("JSON")
    }

    async fn ask(&mut self, command: &str, payload: Value) -> Value {
        self.id += 1;
        let text = json!({"id": self.id, "command": command, "payload": payload}).to_string();
        self.socket.send(Message::text(text)).await.expect("sent");
        loop {
            let mut frame = self.frame().await;
            if frame["id"] == self.id {
                return frame["payload"].take();
            }
        }
    }

    async fn push(&mut self, command: &str) -> Value {
        loop {
            let mut frame = self.frame().await;
            if frame.get("id").is_none() && frame["command"] == command {
                return frame["payload"].take();
            }
        }
    }

    /// Subscribe to the chat; the history is the newest first.
    async fn listen(&mut self) -> Value {
        self.ask("mesh/subscribe-channel", json!({"channel": "chat:lobby", "historyLimit": 50})).await
    }

    async fn join(&mut self) -> Value {
        self.ask("mesh/join-room", json!({"roomName": "room:demo"})).await
    }
}

async fn get(addr: SocketAddr, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(addr).await.expect("connected");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_ascii_lowercase(), body.to_owned())
}

#[tokio::test]
async fn serves_the_page_and_its_files() {
    let demo = start().await;
    assert_eq!(demo.line, format!("mesh demo  http://{}  open it in two tabs\n", demo.addr));

    let (head, page) = get(demo.addr, "/").await;
    assert!(head.starts_with("http/1.1 200") && head.contains("content-type: text/html"), "{head}");
    assert!(head.contains("content-security-policy: default-src 'self'"), "{head}");
    assert!(page.contains("<title>Mesh demo</title>"));

    let (head, script) = get(demo.addr, "/mesh.min.js").await;
    assert!(head.contains("content-type: text/javascript"), "{head}");
    assert!(script.contains("MeshClient"));

    for path in ["/demo.js", "/style.css", "/icon.svg", "/livez", "/readyz"] {
        assert!(get(demo.addr, path).await.0.starts_with("http/1.1 200"), "{path}");
    }
    assert!(get(demo.addr, "/nowhere").await.0.starts_with("http/1.1 404"));
}

#[tokio::test]
async fn answers_commands() {
    let demo = start().await;
    let mut client = Client::connect(demo.addr).await;
    assert_eq!(client.ask("echo", json!("Hello!")).await, "echo: Hello!");
    assert_eq!(client.join().await["count"], 1);

    let renamed = client.ask("rename", json!({"name": " Ada "})).await;
    assert_eq!(renamed["name"], "Ada");
    let who = client.ask("who", Value::Null).await;
    assert_eq!((&who[0]["name"], &who[0]["color"]), (&json!("Ada"), &renamed["color"]));

    let bad = [
        ("echo", json!({})),
        ("say", json!({"text": "  "})),
        ("say", json!({"text": "x".repeat(501)})),
        ("cursor", json!({"x": 0.5, "y": 1.5})),
        ("cursor", json!({"x": 0.5})),
        ("rename", json!({"name": "x".repeat(25)})),
        ("rename", json!({"name": " "})),
    ];
    for (command, payload) in bad {
        let answer = client.ask(command, payload.clone()).await;
        assert_eq!(answer["code"], "EBAD_PAYLOAD", "{command} {payload}");
    }
}

#[tokio::test]
async fn keeps_the_last_fifty_messages_and_takes_none_but_by_its_command() {
    let demo = start().await;
    let mut client = Client::connect(demo.addr).await;
    for number in 0..60 {
        assert_eq!(client.ask("say", json!({"text": number.to_string()})).await, true);
    }
    let forged = json!({"channel": "chat:lobby", "message": {"name": "Somebody else", "text": "forged"}});
    assert_eq!(client.ask("mesh/publish-channel", forged).await["code"], "EFORBIDDEN");
    let answer = client.listen().await;
    let texts: Vec<_> =
        answer["history"].as_array().expect("a list").iter().map(|chat| chat["text"].clone()).collect();
    assert_eq!(texts, (10..60).rev().map(|number| json!(number.to_string())).collect::<Vec<_>>());
}

#[tokio::test]
async fn knows_a_name_again_by_the_credential() {
    let demo = start().await;
    for (credential, known) in [
        (json!({"name": "Ada", "color": "#4263eb"}), true),
        (json!({"name": "Ada", "color": "red"}), false),
        (json!(7), false),
    ] {
        let mut client = Client::connect_with(demo.addr, Some("mesh.v1")).await;
        let hello = client.ask("mesh/hello", json!({"protocol": 1, "credential": credential})).await;
        assert!(hello["connectionId"].is_string(), "{hello}");
        let mine = client.ask("mesh/get-my-connection-metadata", Value::Null).await;
        assert_eq!(mine["metadata"] == credential, known, "{mine}");
        assert!(mine["metadata"]["name"].is_string(), "{mine}");
    }
}

#[tokio::test]
async fn brings_cursors_and_messages_to_the_other() {
    let demo = start().await;
    let (mut ada, mut bob) = (Client::connect(demo.addr).await, Client::connect(demo.addr).await);
    ada.join().await;
    bob.join().await;
    let joined = loop {
        let joined = ada.push("joined").await;
        if joined["id"] == bob.ask("who", Value::Null).await[1]["id"] {
            break joined;
        }
    };
    assert!(joined["name"].is_string() && joined["color"].is_string());

    assert_eq!(bob.ask("cursor", json!({"x": 0.25, "y": 1})).await, true);
    assert_eq!(ada.push("cursor").await, json!({"from": joined["id"], "x": 0.25, "y": 1.0}));

    assert_eq!(ada.listen().await["history"], json!([]));
    assert_eq!(bob.ask("say", json!({"text": "<b>hi</b>"})).await, true);
    let chat = ada.push("mesh/subscription-message").await["message"].take();
    assert_eq!((&chat["from"], &chat["name"]), (&joined["id"], &joined["name"]));
    assert_eq!((&chat["color"], &chat["text"]), (&joined["color"], &json!("<b>hi</b>")));
    assert!(chat["at"].is_u64());
    assert_eq!(bob.listen().await["history"], json!([chat]));

    drop(bob);
    assert_eq!(ada.push("left").await, json!({"id": joined["id"]}));
}

#[tokio::test]
async fn says_when_the_port_is_taken() {
    let demo = start().await;
    let output = mesh(demo.addr).output().await.expect("the binary runs");
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.contains(&format!("cannot listen on {}", demo.addr)) && error.contains("--addr"),
        "{error}"
    );
}

#[tokio::test]
async fn closes_its_connections_when_told_to_stop() {
    let mut demo = start().await;
    let mut client = Client::connect(demo.addr).await;
    client.ask("echo", json!("")).await;
    let pid = demo.child.id().expect("running").to_string();
    let told = Command::new("kill").args(["-TERM", &pid]).status().await.expect("kill runs");
    assert!(told.success());
    let close = loop {
        let next = tokio::time::timeout(PATIENCE, client.socket.next()).await.expect("in time");
        let message = next.expect("a close first").expect("a message");
        if let Some((code, _)) = message.as_close() {
            break u16::from(code);
        }
    };
    assert_eq!(close, 1012);
    drop(client);
    let status =
        tokio::time::timeout(PATIENCE, demo.child.wait()).await.expect("in time").expect("waited for");
    assert!(status.success(), "{status}");
}
