//! Who is in which set.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use mesh_proto::{ConnId, Incarnation};

use super::list_from;
use crate::{Entered, Key, Kind, Left, Member, Orphan, Roll};

/// The entries of all rosters are in one table: most rosters have few, and a map for each would take a kilobyte each.
#[derive(Default)]
pub(super) struct Rosters {
    rosters: BTreeMap<Key, Roster>,
    /// By roster, in order of entering.
    seats: BTreeMap<(RosterId, u64), Seat>,
    /// The offset of each.
    offsets: BTreeMap<(RosterId, ConnId), u64>,
    ids: u64,
    /// The highest offset of all rosters that vanished. A new one begins behind it, so that offsets never go back over
    /// emptiness, though nothing is kept of an empty roster.
    floor: u64,
}

/// One life of a roster, from its first entry to its last. Never used again.
type RosterId = u64;

/// Exists while somebody is in.
struct Roster {
    id: RosterId,
    count: u64,
    newest: u64,
}

struct Seat {
    who: ConnId,
    owner: Incarnation,
    value: Option<Bytes>,
}

impl Seat {
    fn member(&self, offset: u64) -> Member {
        Member { who: self.who, offset, owner: self.owner, value: self.value.clone() }
    }
}

impl Rosters {
    /// Also says whose the entry was before.
    pub(super) fn enter(
        &mut self,
        key: &Key,
        who: ConnId,
        owner: Incarnation,
        value: Option<Bytes>,
    ) -> (Entered, Option<Incarnation>) {
        if !self.rosters.contains_key(key) {
            self.ids += 1;
            self.rosters.insert(key.clone(), Roster { id: self.ids, count: 0, newest: self.floor });
        }
        let roster = self.rosters.get_mut(key).expect("a roster that was missing was made");
        if let Some(&offset) = self.offsets.get(&(roster.id, who)) {
            let before = self.seats.insert((roster.id, offset), Seat { who, owner, value });
            return (Entered { new: false, offset }, before.map(|seat| seat.owner));
        }
        roster.count += 1;
        roster.newest += 1;
        let offset = roster.newest;
        self.offsets.insert((roster.id, who), offset);
        self.seats.insert((roster.id, offset), Seat { who, owner, value });
        (Entered { new: true, offset }, None)
    }

    /// Also says whose the entry was.
    pub(super) fn leave(&mut self, key: &Key, who: ConnId) -> (Left, Option<Incarnation>) {
        let Some(roster) = self.rosters.get_mut(key) else { return (Left { was_in: false, count: 0 }, None) };
        let Some(offset) = self.offsets.remove(&(roster.id, who)) else {
            return (Left { was_in: false, count: roster.count }, None);
        };
        let seat = self.seats.remove(&(roster.id, offset));
        roster.count -= 1;
        let count = roster.count;
        if count == 0 {
            self.floor = self.floor.max(roster.newest);
            self.rosters.remove(key);
        }
        (Left { was_in: true, count }, seat.map(|seat| seat.owner))
    }

    pub(super) fn roll(&self, key: &Key, after: u64, limit: usize) -> Roll {
        let Some(roster) = self.rosters.get(key) else { return Roll { members: Vec::new(), count: 0 } };
        let behind = (Bound::Excluded((roster.id, after)), Bound::Included((roster.id, u64::MAX)));
        let members = if after == u64::MAX {
            Vec::new()
        } else {
            self.seats.range(behind).take(limit).map(|(&(_, offset), seat)| seat.member(offset)).collect()
        };
        Roll { members, count: roster.count }
    }

    pub(super) fn find(&self, key: &Key, who: ConnId) -> Option<Member> {
        let roster = self.rosters.get(key)?;
        let offset = *self.offsets.get(&(roster.id, who))?;
        self.seats.get(&(roster.id, offset)).map(|seat| seat.member(offset))
    }

    pub(super) fn list(
        &self,
        kind: Kind,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<(Arc<str>, u64)> {
        self.rosters
            .range((list_from(kind, prefix, after), Bound::Unbounded))
            .take_while(|(key, _)| key.kind == kind && key.name.starts_with(prefix))
            .take(limit)
            .map(|(key, roster)| (key.name.clone(), roster.count))
            .collect()
    }

    /// Entries of an owner, by kind, connection and name. Looks at every entry; asked for twice a minute.
    pub(super) fn of(
        &self,
        owner: Incarnation,
        after: Option<&(Key, ConnId)>,
        limit: usize,
    ) -> Vec<(Key, ConnId)> {
        let order = |(key, who): &(Key, ConnId)| (key.kind, *who, key.name.clone());
        let after = after.map(order);
        let all = self.rosters.iter().flat_map(|(key, roster)| {
            let seats = self.seats.range((roster.id, 0)..=(roster.id, u64::MAX));
            seats.filter(|(_, seat)| seat.owner == owner).map(move |(_, seat)| (key.clone(), seat.who))
        });
        let mut all: Vec<_> = all.filter(|entry| Some(order(entry)) > after).collect();
        all.sort_by_key(order);
        all.truncate(limit);
        all
    }

    /// The first `limit` entries whose owner is dead. Looks at every entry; asked for only while there is one.
    pub(super) fn orphans(&self, is_dead: impl Fn(Incarnation) -> bool, limit: usize) -> Vec<Orphan> {
        if limit == 0 {
            return Vec::new();
        }
        let orphans = self.rosters.iter().flat_map(|(key, roster)| {
            let all = self.seats.range((roster.id, 0)..=(roster.id, u64::MAX));
            all.map(move |(_, seat)| (key, seat)).filter(|(_, seat)| is_dead(seat.owner))
        });
        let orphan = |(key, seat): (&Key, &Seat)| Orphan {
            roster: key.clone(),
            who: seat.who,
            value: seat.value.clone(),
            owner: seat.owner,
        };
        orphans.take(limit).map(orphan).collect()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.rosters.len() + self.seats.len() + self.offsets.len()
    }
}
