//! What other instances ask about connections of this one.

use bytes::Bytes;
use mesh_backend::{Announce, Audience, Control};
use mesh_proto::{ConnId, Incarnation};

use crate::ask::{Answer, Ask};
use crate::conn::Conn;
use crate::error::{MeshError, Result};
use crate::fault::Fault;
use crate::instance::instance_topic;
use crate::mesh::Mesh;
use crate::{recheck, room};

/// Do what `from` asks, and tell it.
pub(crate) async fn answer(mesh: Mesh, from: Incarnation, number: u64, body: Bytes) {
    let answer: Answer =
        done(&mesh, &body).await.map_err(|error| (error.code.as_str().to_owned(), error.message));
    let body = match serde_json::to_vec(&answer) {
        Ok(body) => Bytes::from(body),
        Err(error) => return mesh.0.reports.fault(&Fault::Backend(error.to_string())),
    };
    let announce = Announce::control(instance_topic(from), Audience::All, Control::Answer(number, body));
    if let Err(error) = mesh.0.instance.publish(announce).await {
        mesh.0.reports.fault(&Fault::Backend(format!("an instance could not be answered: {error}")));
    }
}

async fn done(mesh: &Mesh, body: &[u8]) -> Result<bool> {
    let local = |id: ConnId| -> Result<Conn> { mesh.0.instance.conn(id).ok_or_else(MeshError::gone) };
    match serde_json::from_slice(body)? {
        Ask::Enter { conn, room } => room::enter(mesh, &local(conn)?, room).await,
        Ask::Exit { conn, room } => room::exit(mesh, &local(conn)?, room).await,
        Ask::ExitAll { conn } => room::exit_all(mesh, &local(conn)?).await.map(|()| true),
        Ask::Recheck { conn } => recheck::recheck(mesh, &local(conn)?).await,
        Ask::SetMetadata { conn, metadata } => local(conn)?.set_metadata(&metadata).await.map(|()| true),
    }
}
