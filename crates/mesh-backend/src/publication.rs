//! What travels on the bus between instances.

use std::sync::Arc;

use bytes::Bytes;
use mesh_proto::{ConnId, Incarnation, Position};

use crate::Key;

/// One text that ends up on the wire. A position that only the store knows is joined in at a seam, so that encoding
/// happens once, before the store is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Complete.
    Final(Bytes),
    /// The store puts `"epoch":"<16 hex>","offset":<digits>` between the two; nothing, where there is no position.
    Seam {
        /// What comes before the position.
        before: Bytes,
        /// What comes after it.
        after: Bytes,
    },
}

impl Wire {
    /// How many bytes it has, without a position.
    pub fn weight(&self) -> usize {
        match self {
            Self::Final(text) => text.len(),
            Self::Seam { before, after } => before.len() + after.len(),
        }
    }
}

/// The forms in which one message goes out; which connection gets which is its subscription's choice. At least one of
/// the two is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variants {
    /// The whole value, or the only form there is. `None` where a later entry of the same write brings it: who asked
    /// for whole values skips this one.
    pub full: Option<Wire>,
    /// The difference from the entry before, for those that asked for patches.
    pub patch: Option<Wire>,
}

impl Variants {
    /// How many bytes both have.
    pub fn weight(&self) -> usize {
        [&self.full, &self.patch].into_iter().flatten().map(Wire::weight).sum()
    }
}

/// Which of a topic's local listeners get it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Audience {
    /// Every one.
    #[default]
    All,
    /// Every one but these.
    Except(Arc<[ConnId]>),
    /// These only, listeners or not: for an instance's own topic.
    Only(Arc<[ConnId]>),
}

/// A word from one instance to others about connections they own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Control {
    /// Close the connections of the audience with this WebSocket close code.
    Close(u16),
    /// Take every local member out of the room that this topic is.
    ClearRoom,
    /// Something the publisher asks of an instance, and the number it wants the answer under.
    Ask(u64, Bytes),
    /// The answer to what the instance asked under this number.
    Answer(u64, Bytes),
}

/// What an instance gives to be published on a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announce {
    /// Where.
    pub topic: Key,
    /// For whom.
    pub audience: Audience,
    /// The publisher's own mark, given back in the push.
    pub txn: Option<Arc<str>>,
    /// What goes to clients.
    pub variants: Option<Variants>,
    /// What goes to instances.
    pub control: Option<Control>,
}

impl Announce {
    /// One complete text for every listener of a topic.
    pub fn text(topic: Key, text: Bytes) -> Self {
        let variants = Some(Variants { full: Some(Wire::Final(text)), patch: None });
        Self { topic, audience: Audience::All, txn: None, variants, control: None }
    }

    /// A word to the instances that listen to a topic.
    pub fn control(topic: Key, audience: Audience, control: Control) -> Self {
        Self { topic, audience, txn: None, variants: None, control: Some(control) }
    }

    /// For these only.
    pub fn to(mut self, audience: Audience) -> Self {
        self.audience = audience;
        self
    }
}

/// Which part of a transaction an arrival is. The arrivals of one transaction at one instance come one after the other,
/// all or none of them, with nothing between but the word that continuity was lost, after which the rest does not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// Which transaction: the same in all of its arrivals.
    pub id: u64,
    /// Which one of those that arrive here, from 0.
    pub index: u16,
    /// How many arrive here: what this instance is subscribed to of what the transaction announced.
    pub of: u16,
}

/// What an instance receives. Cloning it copies no text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Where it was published.
    pub topic: Key,
    /// Who published it.
    pub from: Incarnation,
    /// How manieth publication of `from` on this topic it is, counted while anybody is subscribed: a gap is a loss.
    pub n: u64,
    /// Its place in the topic's log or cell, where it has one.
    pub position: Option<Position>,
    /// For whom.
    pub audience: Audience,
    /// The publisher's own mark.
    pub txn: Option<Arc<str>>,
    /// The whole value, complete.
    pub full: Option<Bytes>,
    /// The difference, complete.
    pub patch: Option<Bytes>,
    /// What goes to instances.
    pub control: Option<Control>,
    /// The transaction it is a part of, if any.
    pub group: Option<Group>,
}

impl Arrival {
    /// One complete text that was read from a log or a cell, as if it had arrived.
    pub fn read(topic: Key, from: Incarnation, position: Position, text: Bytes) -> Self {
        Self {
            topic,
            from,
            n: 0,
            position: Some(position),
            audience: Audience::All,
            txn: None,
            full: Some(text),
            patch: None,
            control: None,
            group: None,
        }
    }

    /// A text that somebody published who is no instance, as `me` has received it.
    pub fn plain(topic: Key, me: Incarnation, text: Bytes) -> Self {
        Self { position: None, ..Self::read(topic, me, Position::START, text) }
    }

    /// Its weight in a bounded queue, in bytes.
    pub fn weight(&self) -> usize {
        let text = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let ids = match &self.audience {
            Audience::All => 0,
            Audience::Except(ids) | Audience::Only(ids) => ids.len() * size_of::<ConnId>(),
        };
        let control = match &self.control {
            Some(Control::Ask(_, body) | Control::Answer(_, body)) => body.len(),
            Some(Control::Close(_) | Control::ClearRoom) | None => 0,
        };
        size_of::<Self>() + self.topic.name.len() + ids + text(&self.full) + text(&self.patch) + control
    }
}
