//! Letting a client in, and taking a connection out of everything again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use mesh_proto::{
    Class, CloseCode, Code, ConnId, Form, Hello, HelloLimits, PROTOCOL_VERSION, Welcome, command, json_string,
};

use super::Serving;
use super::calls::Calls;
use crate::command::Command;
use crate::conn::Conn;
use crate::error::{MeshError, Result};
use crate::fault::Fault;
use crate::hub::Outbox;
use crate::instance::everybody;
use crate::login::Login;
use crate::mesh::Mesh;
use crate::policy::tell;
use crate::{room, subscription};

/// A connection that is to be served. An origin client is let in here, before its 101, and can be reached from then on;
/// a hello client once it has said hello.
pub(crate) async fn admit(mesh: &Mesh, login: Login, hello: bool) -> Result<Arc<Serving>> {
    let conn = new_conn(mesh, if hello { Form::Hello } else { Form::Origin }, login.remote_addr);
    if hello {
        return Ok(Serving::new(mesh.clone(), conn, Some(login)));
    }
    authenticate(mesh, &conn, login).await?;
    register(mesh, &conn).await?;
    Ok(Serving::new(mesh.clone(), conn, None))
}

fn new_conn(mesh: &Mesh, form: Form, remote_addr: Option<SocketAddr>) -> Conn {
    let instance = &mesh.0.instance;
    let id = ConnId::random(&instance.entropy);
    let outbox = Outbox::new(id, instance.flushers.clone(), instance.limits.outbox_bytes_max);
    Conn::new(id, instance.clone(), outbox, form, remote_addr)
}

async fn authenticate(mesh: &Mesh, conn: &Conn, login: Login) -> Result<()> {
    let Some(authenticate) = mesh.0.authenticate.clone() else { return Ok(()) };
    let timeout = mesh.0.instance.limits.guard_timeout;
    // A task of its own: a panic in it is a refusal.
    let judged = tokio::time::timeout(timeout, tokio::spawn(async move { authenticate(login).await })).await;
    let claims = match judged {
        Ok(Ok(judged)) => judged?,
        failed => {
            let what = "the authenticator".into();
            mesh.0.reports.fault(&match failed {
                Err(_) => Fault::TimedOut(what, timeout),
                _ => Fault::Panicked(what),
            });
            return Err(MeshError::unauthorized("the credential could not be checked"));
        }
    };
    conn.set_claims(claims);
    Ok(())
}

/// Make it reachable: by broadcasts, then by its id from every instance, then by its handle here.
async fn register(mesh: &Mesh, conn: &Conn) -> Result<()> {
    let instance = &mesh.0.instance;
    let passing = instance.pass(conn.id());
    instance.hub.listen(&everybody(), &conn.0.outbox).await?;
    if let Err(error) = conn.enter_index().await {
        instance.hub.unlisten(&everybody(), conn.id());
        // Whether the backend has the entry is not known: take it out in any case.
        let conn = conn.clone();
        instance.tasks.spawn(async move {
            // Tried until it is out; who was refused is told that already.
            let _ = conn.leave_index().await;
            drop(passing);
        });
        return Err(error);
    }
    instance.conns.with(|conns| conns.insert(conn.id(), conn.clone()));
    drop(passing);
    if instance.is_draining() {
        conn.0.outbox.close(CloseCode::Restart);
    }
    if conn.0.outbox.is_ending() {
        // It was closed while it was let in, when there was nothing to clean up yet.
        unregister(mesh, conn).await;
        return Err(MeshError::new(Code::Unavailable, "the server is closing"));
    }
    Ok(())
}

/// Take it out of everything, once, and tell the hooks.
pub(crate) async fn unregister(mesh: &Mesh, conn: &Conn) {
    let instance = &mesh.0.instance;
    let passing = instance.pass(conn.id());
    if instance.conns.with(|conns| conns.remove(&conn.id())).is_none() {
        return;
    }
    instance.hub.unlisten(&everybody(), conn.id());
    subscription::close_all(conn);
    room::leave_all(mesh, conn).await;
    if let Err(error) = conn.leave_index().await {
        let why = format!("{} is closed and still listed: {error}", conn.id());
        mesh.0.reports.fault(&Fault::Backend(why));
    }
    drop(passing);
    tell_disconnected(mesh, conn).await;
}

/// Run `on_disconnect` for a connection of this instance, or of one that died.
pub(crate) async fn tell_disconnected(mesh: &Mesh, conn: &Conn) {
    for hook in &mesh.0.disconnected {
        tell("on_disconnect", hook, hook_command(mesh, conn), mesh.0.instance.limits.on_connect_timeout)
            .await;
    }
}

fn hook_command(mesh: &Mesh, conn: &Conn) -> Command {
    Command::new(mesh.clone(), conn.clone(), "".into(), Default::default())
}

impl Serving {
    /// Run `on_connect` before the first command.
    pub(super) fn greet(self: &Arc<Self>) {
        if self.mesh.0.connected.is_empty() {
            return;
        }
        self.calls.with(Calls::hold);
        let serving = self.clone();
        self.mesh.0.instance.tasks.spawn(async move { serving.connected().await });
    }

    async fn connected(self: Arc<Self>) {
        let timeout = self.mesh.0.instance.limits.on_connect_timeout;
        let hooks = async {
            for hook in &self.mesh.0.connected {
                tell("on_connect", hook, hook_command(&self.mesh, &self.conn), timeout).await;
            }
        };
        // All of them together have what one has.
        if tokio::time::timeout(timeout, hooks).await.is_err() {
            self.mesh.0.reports.fault(&Fault::TimedOut("on_connect".into(), timeout));
        }
        if !self.conn.0.outbox.is_ending() {
            self.calls.with(Calls::release);
            self.start_waiting();
        }
    }

    /// The first frame of a hello client. The close code if it will not do.
    pub(super) fn on_hello(self: &Arc<Self>, id: &str, payload: &str) -> Option<CloseCode> {
        let Ok(hello) = serde_json::from_str::<Hello>(payload) else { return Some(CloseCode::HelloExpected) };
        if hello.protocol != PROTOCOL_VERSION {
            return Some(CloseCode::UnsupportedVersion);
        }
        let mut login = *self.login.with(Option::take)?;
        login.credential = hello.credential;
        self.calls.with(Calls::hold);
        let (serving, id) = (self.clone(), id.to_owned());
        self.mesh.0.instance.tasks.spawn(async move { serving.welcome(&id, login).await });
        None
    }

    async fn welcome(self: Arc<Self>, id: &str, login: Login) {
        let outbox = &self.conn.0.outbox;
        if let Err(error) = authenticate(&self.mesh, &self.conn, login).await {
            return outbox.close(match error.code {
                Code::App(code) if code == "token_expired" => CloseCode::TokenExpired,
                code if code.class() == Class::Retry => CloseCode::TryLater,
                _ => CloseCode::Unauthorized,
            });
        }
        if register(&self.mesh, &self.conn).await.is_err() {
            return outbox.close(CloseCode::Unavailable);
        }
        let limits = &self.mesh.0.instance.limits;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let welcome = Welcome {
            protocol: PROTOCOL_VERSION,
            connection_id: self.conn.id(),
            server_time: now.as_millis() as u64,
            ping_interval: limits.ping_interval.as_millis() as u64,
            limits: HelloLimits {
                message_bytes: limits.message_bytes_max,
                in_flight: limits.in_flight_max,
                waiting: limits.waiting_max,
            },
        };
        let reply = serde_json::to_vec(&welcome).map(Into::into).map_err(MeshError::from);
        self.answer(id, &json_string(command::HELLO), &reply);
        self.connected().await;
    }
}

/// `mesh/hello` of a connection that was let in already.
pub(crate) async fn hello_again() -> Result<()> {
    Err(MeshError::new(Code::Conflict, "this connection has said hello, or needs not"))
}
