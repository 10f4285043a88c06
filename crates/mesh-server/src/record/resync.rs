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
    // Who subscribed while this instance was deaf is further on than the others, perhaps in another life.
    let places = instance.hub.places(topic);
    let life = instance.life();
    let cell = instance.call(life.link.load(topic)).await?;
    let now = position(cell.as_ref());
    // Another life, or one that lost its newest versions: whatever they have is not what there is.
    let is_over = |at: Position| at != now && (at.epoch != now.epoch || at.offset >= now.offset);
    instance.hub.start_over(topic, &places, is_over);
    if places.iter().any(|at| *at != now) || Some(now) != from {
        instance.hub.fill(topic, &[pushed(topic, life.me, cell.as_ref())]);
    }
    Ok(true)
}
