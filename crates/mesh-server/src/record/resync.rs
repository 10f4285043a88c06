//! A record that may have lost something is read again: its value says it all.

use mesh_backend::{Key, Kind};
use mesh_proto::Position;

use super::message::pushed;
use super::position;
use crate::error::Result;
use crate::mesh::Mesh;

/// Hand out the value that there is, to those who have another one.
pub(crate) async fn read_on(mesh: &Mesh, topic: &Key, from: Option<Position>) -> Result<bool> {
    debug_assert_eq!(topic.kind, Kind::Record);
    let instance = &mesh.0.instance;
    let life = instance.life();
    let cell = instance.call(life.link.load(topic)).await?;
    let now = position(cell.as_ref());
    if Some(now) == from {
        return Ok(true);
    }
    let goes_on = from.is_some_and(|from| from.epoch == now.epoch && from.offset < now.offset);
    if !goes_on {
        // Another life, or one that lost its newest versions: whatever subscribers have is not what there is.
        instance.hub.start_over(topic);
    }
    instance.hub.fill(topic, &[pushed(topic, life.me, cell.as_ref())]);
    Ok(true)
}
