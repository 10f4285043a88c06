//! What others publish on the backend's own channel of the same name.

use mesh_backend::{Arrival, Key, Kind, Wire};
use mesh_proto::{ChannelName, json_string};
use serde_json::value::RawValue;

use super::message;
use crate::fault::Fault;
use crate::instance::Counters;
use crate::mesh::Mesh;

/// The same as a message of the channel; nothing if it is too large for one.
pub(crate) fn bridged(mesh: &Mesh, plain: &Arrival) -> Option<Arrival> {
    let instance = &mesh.0.instance;
    let (name, text) = (ChannelName::new(&plain.topic.name).ok()?, plain.full.as_ref()?);
    let json = json_string(&String::from_utf8_lossy(text));
    let max = instance.limits.publish_bytes_max;
    if json.len() > max {
        let why =
            format!("a plain message on {name:?} was dropped: it has {} bytes, {max} at most", json.len());
        mesh.0.reports.fault(&Fault::Backend(why));
        return None;
    }
    Counters::add(&instance.counters.encodes);
    let members = message::members(&RawValue::from_string(json).ok()?, None, None);
    let push = match message::push(&name, &members, false).full? {
        Wire::Final(push) => push,
        Wire::Seam { .. } => return None,
    };
    let topic = Key::new(Kind::Channel, plain.topic.name.clone());
    Some(Arrival::plain(topic, plain.from, push))
}
