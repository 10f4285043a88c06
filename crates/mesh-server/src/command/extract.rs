//! What a handler says in its arguments that it needs. A payload is a whole text, not a stream read once, so the order
//! of the arguments does not matter.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::Command;
use crate::conn::Conn;
use crate::error::{MeshError, Result};
use crate::mesh::Mesh;

/// Something that can be taken from a command.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be taken from a command",
    note = "use `Payload<T>`, `RawJson`, `State<T>`, `Meta<T>`, `Claims<T>`, `Name`, `Extension<T>`, `Conn`, `Mesh` or `Command`, or implement `FromCommand`"
)]
pub trait FromCommand<S>: Sized {
    /// Take it, or say why the command cannot be answered.
    fn from_command(cmd: &Command, state: &S) -> impl Future<Output = Result<Self>> + Send;
}

/// The payload, parsed; `bad_payload` if it is something else.
#[derive(Clone, Debug)]
pub struct Payload<T>(pub T);

/// JSON as it stands: the payload, not parsed once more, or an answer that need not be encoded. For what only passes
/// through.
///
/// ```
/// # async fn doc() -> mesh_server::Result<()> {
/// use mesh_server::{Mesh, RawJson};
///
/// Mesh::builder().command("echo", async |payload: RawJson| payload).build().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawJson(pub(crate) Bytes);

impl RawJson {
    /// A text of your own.
    ///
    /// # Errors
    /// `bad_payload` if it is no JSON.
    pub fn new(json: impl Into<Bytes>) -> Result<Self> {
        let json = json.into();
        serde_json::from_slice::<serde::de::IgnoredAny>(&json)?;
        Ok(Self(json))
    }

    /// The text, in UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The application's state, or a part of it (see [`FromRef`]).
#[derive(Clone, Debug)]
pub struct State<T>(pub T);

/// The connection's metadata, parsed; `unauthorized` if it has none.
#[derive(Clone, Debug)]
pub struct Meta<T>(pub T);

/// Who the connection is, by the server's authenticator; `unauthorized` if there is none or it makes another type.
#[derive(Clone, Debug)]
pub struct Claims<T>(pub T);

/// What middleware put there; `internal` if none did.
#[derive(Clone, Debug)]
pub struct Extension<T>(pub T);

/// The room or connection that a guard or a hook is asked about; elsewhere the command's own name.
#[derive(Clone, Debug)]
pub struct Name(pub Arc<str>);

/// A part of the application's state.
pub trait FromRef<S> {
    /// Take it out.
    fn from_ref(state: &S) -> Self;
}

impl<S: Clone> FromRef<S> for S {
    fn from_ref(state: &S) -> Self {
        state.clone()
    }
}

impl<S: Sync, T: DeserializeOwned + Send> FromCommand<S> for Payload<T> {
    async fn from_command(cmd: &Command, _: &S) -> Result<Self> {
        let parsed = serde_json::from_slice(&cmd.payload);
        parsed.map(Self).map_err(|error| MeshError::bad_payload(format!("invalid payload: {error}")))
    }
}

impl<S: Sync> FromCommand<S> for RawJson {
    async fn from_command(cmd: &Command, _: &S) -> Result<Self> {
        Ok(Self(cmd.payload.clone()))
    }
}

impl<S: Sync, T: FromRef<S> + Send> FromCommand<S> for State<T> {
    async fn from_command(_: &Command, state: &S) -> Result<Self> {
        Ok(Self(T::from_ref(state)))
    }
}

impl<S: Sync, T: DeserializeOwned + Send> FromCommand<S> for Meta<T> {
    async fn from_command(cmd: &Command, _: &S) -> Result<Self> {
        let metadata = cmd.conn.metadata()?;
        metadata.map(Self).ok_or_else(|| MeshError::unauthorized("this connection has no metadata"))
    }
}

impl<S: Sync, T: Any + Clone + Send + Sync> FromCommand<S> for Claims<T> {
    async fn from_command(cmd: &Command, _: &S) -> Result<Self> {
        let claims = cmd.conn.claims();
        let found = claims.as_ref().and_then(|claims| claims.downcast_ref::<T>());
        found.cloned().map(Self).ok_or_else(|| MeshError::unauthorized("this connection has no identity"))
    }
}

impl<S: Sync, T: Any + Clone + Send + Sync> FromCommand<S> for Extension<T> {
    async fn from_command(cmd: &Command, _: &S) -> Result<Self> {
        let missing = || {
            tracing::error!(
                wanted = std::any::type_name::<T>(),
                command = cmd.name(),
                "no middleware put it there"
            );
            MeshError::new(mesh_proto::Code::Internal, "internal error")
        };
        cmd.get::<T>().cloned().map(Self).ok_or_else(missing)
    }
}

impl<S: Sync> FromCommand<S> for Name {
    async fn from_command(cmd: &Command, _: &S) -> Result<Self> {
        Ok(Self(cmd.subject.clone().unwrap_or_else(|| cmd.name.clone())))
    }
}

impl<S: Sync> FromCommand<S> for Conn {
    async fn from_command(cmd: &Command, _: &S) -> Result<Self> {
        Ok(cmd.conn.clone())
    }
}

impl<S: Sync> FromCommand<S> for Mesh {
    async fn from_command(cmd: &Command, _: &S) -> Result<Self> {
        Ok(cmd.mesh.clone())
    }
}

impl<S: Sync> FromCommand<S> for Command {
    async fn from_command(cmd: &Command, _: &S) -> Result<Self> {
        Ok(cmd.clone())
    }
}

impl<S: Sync, E: FromCommand<S>> FromCommand<S> for Option<E> {
    async fn from_command(cmd: &Command, state: &S) -> Result<Self> {
        Ok(E::from_command(cmd, state).await.ok())
    }
}

impl<S: Sync, E: FromCommand<S>> FromCommand<S> for Result<E> {
    async fn from_command(cmd: &Command, state: &S) -> Result<Self> {
        Ok(E::from_command(cmd, state).await)
    }
}
