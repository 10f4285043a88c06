//! Commands: middleware, order, bounds, and handlers that misbehave.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh_server::{
    Command, Conn, Extension, Fault, Login, Mesh, MeshError, Meta, Next, Payload, RawJson, Reply, Result,
    State,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use support::{code_of, connect, dial, dial_slow, open_server};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct User {
    name: String,
}

#[tokio::test(start_paused = true)]
async fn middleware_is_an_onion_that_built_ins_pass_too() {
    type Log = Arc<Mutex<Vec<String>>>;
    async fn outer(State(log): State<Log>, cmd: Command, next: Next) -> Reply {
        let name = cmd.name().to_owned();
        log.lock().expect("a log").push(format!("> {name}"));
        let reply = next.run(cmd).await;
        log.lock().expect("a log").push(format!("< {name}"));
        reply
    }
    async fn inner(State(log): State<Log>, mut cmd: Command, next: Next) -> Reply {
        log.lock().expect("a log").push("inner".into());
        cmd.insert(User { name: "Ada".into() });
        next.run(cmd).await
    }
    async fn refuse(cmd: Command, _: Next) -> Reply {
        Err(MeshError::app("closed", format!("{} is closed", cmd.name())))
    }
    let log = Log::default();
    let greet = async |Extension(user): Extension<User>| user.name;
    let mesh = Mesh::builder()
        .state(log.clone())
        .layer(outer)
        .command("greet", mesh_server::Handler::layer(greet, inner))
        .command_layer("mesh/noop", refuse)
        .build()
        .await
        .expect("a server");
    let mut client = dial(&mesh);
    assert_eq!(client.ask("greet", json!(null)).await, "Ada");
    assert_eq!(code_of(&client.ask("mesh/noop", json!(null)).await), "closed");
    assert_eq!(code_of(&client.ask("nope", json!(null)).await), "ENOTFOUND");
    let seen = log.lock().expect("a log").clone();
    assert_eq!(
        seen,
        ["> greet", "inner", "< greet", "> mesh/noop", "< mesh/noop"],
        "an unknown one passes nobody"
    );
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_hangs_or_is_handed_rubbish_harms_only_its_own_call() {
    let mesh = open_server()
        .command("panic", async || -> () { panic!("on purpose") })
        .command("late-panic", async || -> () {
            tokio::time::sleep(Duration::from_secs(1)).await;
            panic!("on purpose")
        })
        .command("hang", async || std::future::pending::<()>().await)
        .command("add", async |Payload((a, b)): Payload<(i64, i64)>| a + b)
        .command("mine", async |Meta(user): Meta<User>| user.name)
        .build()
        .await
        .expect("a server");
    let mut client = dial(&mesh);
    assert_eq!(code_of(&client.ask("panic", json!(null)).await), "ESERVER");
    assert_eq!(code_of(&client.ask("late-panic", json!(null)).await), "ESERVER");
    assert_eq!(code_of(&client.ask("add", json!("x")).await), "EBAD_PAYLOAD");
    assert_eq!(code_of(&client.ask("mine", json!(null)).await), "EUNAUTHORIZED");
    client.send(json!({"id": 7, "command": "hang"})).await;
    assert_eq!(client.ask("add", json!([2, 3])).await, 5, "the one that hangs holds nobody up");
    let hung = tokio::time::timeout(Duration::from_secs(31), async {
        loop {
            let frame = client.recv().await.expect("an answer");
            match frame["command"].as_str() {
                Some("ping") => client.send(json!({"command": "pong"})).await,
                _ if frame["id"] == 7 => break frame,
                _ => {}
            }
        }
    });
    assert_eq!(code_of(&hung.await.expect("in time")["payload"]), "ETIMEOUT");
    assert_eq!(mesh.stats().panics, 2);
}

#[tokio::test(start_paused = true)]
async fn commands_start_in_order_at_most_32_at_once_and_1024_wait() {
    let started = Arc::new(Mutex::new(Vec::new()));
    let log = started.clone();
    let mesh = open_server()
        .command("slow", async move |Payload(n): Payload<usize>| {
            log.lock().expect("a log").push(n);
            tokio::time::sleep(Duration::from_millis(10)).await;
            n
        })
        .build()
        .await
        .expect("a server");
    let mut client = dial(&mesh);
    for n in 0..1100 {
        client.send(json!({"id": n, "command": "slow", "payload": n})).await;
    }
    let mut refused = 0;
    for _ in 0..1100 {
        let frame = loop {
            let frame = client.recv().await.expect("an answer");
            if frame.get("id").is_some() {
                break frame;
            }
        };
        refused += usize::from(code_of(&frame["payload"]) == "ETOO_MANY_IN_FLIGHT");
    }
    assert_eq!(refused, 1100 - 32 - 1024);
    let started = started.lock().expect("a log");
    assert_eq!(*started, (0..1056).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn raw_json_passes_through_as_it_stands() {
    let mesh = Mesh::builder()
        .command("echo", async |payload: RawJson| payload)
        .command("made", async |Payload(text): Payload<String>| RawJson::new(text))
        .build()
        .await
        .expect("a server");
    let mut client = dial(&mesh);
    client.send_text(r#"{"id":1,"command":"echo","payload":{ "b":1.0, "a":[1e2] }}"#).await;
    let answer = client.recv_text().await.expect("an answer");
    assert_eq!(answer, r#"{"id":1,"command":"echo","payload":{ "b":1.0, "a":[1e2] }}"#);
    assert_eq!(client.ask("made", json!("[1, 2]")).await, json!([1, 2]));
    assert_eq!(code_of(&client.ask("made", json!("[1, ")).await), "EBAD_PAYLOAD");
}

#[tokio::test(start_paused = true)]
async fn on_connect_ends_before_the_first_command() {
    let mesh = open_server()
        .on_connect(async |conn: Conn| {
            tokio::time::sleep(Duration::from_secs(1)).await;
            conn.set_metadata(&User { name: "Ada".into() }).await.expect("set");
        })
        .command("mine", async |Meta(user): Meta<User>| user.name)
        .build()
        .await
        .expect("a server");
    assert_eq!(dial(&mesh).ask("mine", json!(null)).await, "Ada");
}

#[tokio::test(start_paused = true)]
async fn claims_come_from_the_authenticator_and_a_refusal_closes_with_its_class() {
    let mesh = Mesh::builder()
        .authenticate(async |login: Login, ()| -> Result<User> {
            let token: String = login.credential()?;
            match &*token {
                "panic" => panic!("on purpose"),
                "old" => Err(MeshError::app("token_expired", "too old")),
                "no" => Err(MeshError::unauthorized("no")),
                name => Ok(User { name: name.into() }),
            }
        })
        .command("name", async |mesh_server::Claims(user): mesh_server::Claims<User>| user.name)
        .build()
        .await
        .expect("a server");
    let hello = |token: &str| json!({"id": 0, "command": "mesh/hello", "payload": {"protocol": 1, "credential": token}});
    let mut client = connect(&mesh, true);
    client.send(hello("Ada")).await;
    client.send(json!({"id": 1, "command": "name"})).await;
    let welcome = client.recv().await.expect("a welcome");
    assert_eq!(welcome["payload"]["protocol"], 1);
    assert_eq!(client.recv().await.expect("an answer")["payload"], "Ada", "what came early has waited");
    for (token, close) in [("no", "close 4200"), ("panic", "close 4200"), ("old", "close 4100")] {
        let mut client = connect(&mesh, true);
        client.send(hello(token)).await;
        assert_eq!(client.recv().await, Some(json!(close)), "{token}");
    }
    let origin = dial(&mesh).recv().await;
    assert_eq!(origin, None, "an origin client has no credential");
    assert_eq!(mesh.stats().connections, 1);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "is registered twice")]
async fn a_command_registered_twice_is_a_mistake_found_at_start() {
    let _ = open_server().command("a", async || 1).command("a", async || 2);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "belong to the protocol")]
async fn an_application_cannot_register_what_belongs_to_the_protocol() {
    let _ = open_server().command("mesh/join-room", async || 1);
}

#[tokio::test(start_paused = true)]
async fn trap_t_a_push_may_be_called_close_and_not_ping() {
    let mesh = open_server().build().await.expect("a server");
    let mut client = dial(&mesh);
    client.id().await;
    for name in ["close", "error", "connect"] {
        mesh.broadcast(name, &json!(1)).await.expect("published");
        assert_eq!(client.push().await, Some((name.into(), json!(1))));
    }
    for name in ["ping", "latency", "mesh/subscription-message", ""] {
        assert!(mesh.broadcast(name, &json!(1)).await.is_err(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn trap_r_a_reader_that_never_reads_is_closed_at_its_bound_and_others_are_not() {
    let mesh = open_server().build().await.expect("a server");
    let (mut slow, mut fine) = (dial_slow(&mesh), dial(&mesh));
    fine.id().await;
    let text = "x".repeat(10_000);
    for n in 0..300 {
        mesh.broadcast("big", &text).await.expect("published");
        assert!(fine.push().await.is_some());
        // 256 KiB in its socket and 1 MiB in its outbox are about 130 frames.
        let connected = mesh.stats().connections;
        assert!(connected == 2 || n > 120, "closed after {n} frames, below the bound");
        assert!(connected == 1 || n < 140, "still there after {n} frames, above the bound");
    }
    let mut read = 0;
    let close = loop {
        match slow.recv().await.expect("a close") {
            Value::String(close) => break close,
            _ => read += 1,
        }
    };
    assert_eq!(close, "close 4000");
    assert!(read < 40, "{read} frames: what its socket held, and the one in flight");
}

#[tokio::test(start_paused = true)]
async fn trap_x_close_returns_while_clients_dial_again_and_again() {
    let mesh = open_server().build().await.expect("a server");
    let mut first = dial(&mesh);
    first.id().await;
    let dialling = {
        let mesh = mesh.clone();
        tokio::spawn(async move {
            loop {
                let mut client = dial(&mesh);
                client.recv().await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    };
    assert!(mesh.readiness().ready);
    tokio::time::timeout(Duration::from_secs(11), mesh.close()).await.expect("it returns");
    assert!(!mesh.readiness().ready);
    assert_eq!(first.recv().await, Some(json!("close 1012")));
    dialling.abort();
}

/// The same seed gives the same frames in the same order.
fn trace(seed: u64) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async move {
        let builder = open_server().entropy(mesh_server::Entropy::from_seed(seed));
        let slow = async |Payload(ms): Payload<u64>| {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            ms
        };
        let mesh = builder.command("slow", slow).build().await.expect("a server");
        let mut clients: Vec<_> = (0..20).map(|_| dial(&mesh)).collect();
        let dice = mesh_server::Entropy::from_seed(seed);
        for id in 0..500u64 {
            let (roll, who) = (dice.u64(), (dice.u64() % 20) as usize);
            let room = format!("r{}", roll % 5);
            match roll % 4 {
                0 => clients[who].send(json!({"id": id, "command": "slow", "payload": roll % 400})).await,
                1 => mesh.room(&room).broadcast("hi", &id).await.expect("published"),
                2 => {
                    clients[who]
                        .send(json!({"id": id, "command": "mesh/leave-room", "payload": {"roomName": room}}))
                        .await
                }
                _ => {
                    clients[who]
                        .send(json!({"id": id, "command": "mesh/join-room", "payload": {"roomName": room}}))
                        .await
                }
            }
            tokio::time::sleep(Duration::from_millis(roll % 9)).await;
        }
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        let mut frames = 0;
        for client in &mut clients {
            while let Some(frame) = client.try_recv().await {
                frames += 1;
                let text: String = Value::to_string(&frame);
                hash = text
                    .bytes()
                    .fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
            }
        }
        assert!(frames > 500, "{frames} frames");
        hash
    })
}

#[test]
fn a_run_is_a_function_of_its_seed() {
    let first = trace(42);
    for _ in 0..3 {
        assert_eq!(trace(42), first);
    }
    assert_ne!(trace(43), first);
}

#[tokio::test(start_paused = true)]
async fn what_goes_wrong_is_told_to_the_hooks_for_errors() {
    let (told, wronged) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let (tell, wrong) = (told.clone(), wronged.clone());
    let mesh = Mesh::builder()
        .limits(|limits| (limits.bad_frames_max, limits.command_timeout) = (1, Duration::from_secs(5)))
        .command("panic", async || -> () { panic!("on purpose") })
        .command("hang", std::future::pending::<()>)
        .on_connect(async || -> Result<()> { Err(MeshError::app("full", "no room")) })
        .on_error(|_| panic!("a hook for errors may panic"))
        .on_error(move |fault| tell.lock().expect("faults").push(fault.to_string()))
        .on_client_error(move |fault| wrong.lock().expect("faults").push(fault.to_string()))
        .build()
        .await
        .expect("a server");
    let mut client = dial(&mesh);
    client.ask("panic", json!(null)).await;
    client.ask("hang", json!(null)).await;
    let id = mesh.local_conns()[0].id();
    for _ in 0..2 {
        client.send_text("null").await;
    }
    while client.recv().await.is_some() {}
    assert_eq!(
        *told.lock().expect("faults"),
        [
            "on_connect failed: full: no room",
            "the handler of \"panic\" panicked",
            "the handler of \"hang\" did not end within 5 s",
        ]
    );
    assert_eq!(
        *wronged.lock().expect("faults"),
        [format!("{id} sent a frame that is no command"), format!("{id} was closed with 4202: bad_frames")]
    );
}

#[allow(clippy::disallowed_methods, reason = "a handler that does what it must not")]
fn keep_the_thread() {
    std::thread::sleep(Duration::from_millis(110));
}

/// Real time: what is measured is a thread that is not given back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_keeps_its_thread_to_itself_is_told_of() {
    let (tell, mut told) = tokio::sync::mpsc::channel(8);
    let mesh = Mesh::builder()
        .command("at-once", async || keep_the_thread())
        .command("later", async || {
            tokio::task::yield_now().await;
            keep_the_thread();
        })
        .on_error(move |fault| drop(tell.try_send(fault.clone())))
        .build()
        .await
        .expect("a server");
    let mut client = dial(&mesh);
    client.ask("at-once", json!(null)).await;
    client.ask("later", json!(null)).await;
    for _ in 0..2 {
        assert!(matches!(told.recv().await, Some(Fault::Blocked(..))));
    }
}
