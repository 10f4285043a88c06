//! How a new version looks on the wire: whole, and as what changed. Encoded once for all who get it.

use bytes::{BufMut, Bytes, BytesMut};
use mesh_backend::{Arrival, CellValue, Key, Variants, Wire};
use mesh_proto::patch::Patch;
use mesh_proto::{Incarnation, Position, Tag, Txn, command, json_string};

use crate::error::Result;

/// What both forms have in common.
pub(super) struct Version<'a> {
    pub(super) record: &'a str,
    pub(super) version: u64,
    pub(super) tag: Tag,
    pub(super) txn: Option<&'a Txn>,
}

impl Version<'_> {
    fn head(&self, capacity: usize) -> BytesMut {
        let mut text = BytesMut::with_capacity(capacity + self.record.len() + 192);
        text.put_slice(b"{\"command\":\"");
        text.put_slice(command::RECORD_UPDATE.as_bytes());
        text.put_slice(b"\",\"payload\":{\"recordId\":");
        text.put_slice(json_string(self.record).as_bytes());
        text
    }

    fn tail(&self, text: &mut BytesMut) {
        text.put_slice(format!(",\"version\":{},\"tag\":\"{}\"", self.version, self.tag).as_bytes());
        if let Some(txn) = self.txn {
            text.put_slice(b",\"txn\":");
            text.put_slice(json_string(txn.as_str()).as_bytes());
        }
        text.put_u8(b',');
    }

    fn whole(&self, value: Option<&[u8]>) -> BytesMut {
        let mut text = self.head(value.map_or(0, <[u8]>::len));
        text.put_slice(b",\"full\":");
        text.put_slice(value.unwrap_or(b"null"));
        if value.is_none() {
            text.put_slice(b",\"deleted\":true");
        }
        self.tail(&mut text);
        text
    }

    fn difference(&self, patch: &Patch) -> Result<BytesMut> {
        let patch = serde_json::to_vec(patch)?;
        let mut text = self.head(patch.len());
        text.put_slice(b",\"patch\":");
        text.put_slice(&patch);
        text.put_slice(format!(",\"from\":{}", self.version - 1).as_bytes());
        self.tail(&mut text);
        Ok(text)
    }

    /// The store joins the position in.
    pub(super) fn variants(&self, value: Option<&[u8]>, patch: Option<&Patch>) -> Result<Variants> {
        let seam = |text: BytesMut| Wire::Seam { before: text.freeze(), after: Bytes::from_static(b"}}") };
        let patch = patch.map(|patch| self.difference(patch)).transpose()?.map(seam);
        Ok(Variants { full: Some(seam(self.whole(value))), patch })
    }
}

/// The push of a record that was read.
pub(super) fn pushed(topic: &Key, from: Incarnation, cell: Option<&CellValue>) -> Arrival {
    let position = super::position(cell);
    let version = Version { record: &topic.name, version: position.offset, tag: position.tag, txn: None };
    let mut text = version.whole(cell.and_then(|cell| cell.value.as_deref()));
    let place = format!("\"epoch\":\"{}\",\"offset\":{}}}}}", position.epoch, position.offset);
    text.put_slice(place.as_bytes());
    Arrival::read(topic.clone(), from, position, text.freeze())
}

/// The position of a record, as `Position` is written.
pub(super) fn known(position: Position) -> Option<Position> {
    (position != Position::START).then_some(position)
}
