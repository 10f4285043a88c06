//! What clients say about rooms.

use mesh_proto::{JoinRoom, Joined, Metadata, RoomName, Success};
use serde_json::value::RawValue;

use super::membership;
use crate::command::{Command, Payload};
use crate::error::{MeshError, Result};
use crate::policy::{RoomPolicy, ask};

fn policy<'a>(cmd: &'a Command, room: &RoomName) -> Result<&'a RoomPolicy> {
    cmd.mesh.0.rooms.find(room.as_str()).ok_or_else(|| {
        tracing::info!(%room, "refused: no policy covers this room; open it with `.room(\"{room}\", Room::open())`");
        MeshError::forbidden(format!("room \"{room}\" is not open"))
    })
}

/// `mesh/join-room`
pub(crate) async fn join(
    cmd: Command,
    Payload(JoinRoom { room_name: room }): Payload<JoinRoom>,
) -> Result<Joined> {
    let instance = &cmd.mesh.0.instance;
    if let Some(guard) = &policy(&cmd, &room)?.guard {
        ask(guard, cmd.about(room.as_str()), instance.limits.guard_timeout).await?;
    }
    membership::enter(&cmd.mesh, &cmd.conn, room.clone()).await?;
    let key = super::key(&room);
    let roll = instance.call(instance.life().link.roll(&key, 0, instance.limits.present_max)).await?;
    let present: Vec<_> = roll.members.iter().map(|member| member.who).collect();
    let truncated = roll.count > present.len() as u64;
    Ok(Joined { success: true, present, count: roll.count, truncated })
}

/// `mesh/leave-room`
pub(crate) async fn leave(
    cmd: Command,
    Payload(JoinRoom { room_name: room }): Payload<JoinRoom>,
) -> Result<Success> {
    membership::exit(&cmd.mesh, &cmd.conn, room).await?;
    Ok(Success { success: true })
}

/// `mesh/get-room-metadata`
pub(crate) async fn get_metadata(
    cmd: Command,
    Payload(JoinRoom { room_name: room }): Payload<JoinRoom>,
) -> Result<Box<RawValue>> {
    let instance = &cmd.mesh.0.instance;
    if let Some(guard) = &policy(&cmd, &room)?.metadata {
        ask(guard, cmd.about(room.as_str()), instance.limits.guard_timeout).await?;
    }
    let metadata = cmd.mesh.room(room.as_str()).metadata::<Box<RawValue>>().await?;
    Ok(serde_json::value::to_raw_value(&Metadata { metadata: metadata.as_deref() })?)
}
