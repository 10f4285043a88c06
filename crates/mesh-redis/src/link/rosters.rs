//! Entering, leaving and looking at rosters.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use mesh_backend::{Announce, CONNECTION_SHARDS, Described, Entered, Key, Kind, Left, Member, Result, Roll};
use mesh_proto::ConnId;

use super::RedisLink;
use super::lists::name;
use crate::call::Call;
use crate::key::{Shard, kind, letter};
use crate::reply::Reply;
use crate::script::{DESCRIBED, ENTER, FIND, LEAVE, MINE, ROLL, ROSTERS};

/// Seats of one page of a roster at most.
const PAGE_MAX: usize = 100_000;

impl RedisLink {
    pub(super) async fn do_enter(
        &self,
        roster: &Key,
        who: ConnId,
        value: Option<Bytes>,
        announce: Option<Announce>,
    ) -> Result<Entered> {
        let keys = &self.commands.keys;
        let shard = keys.shard(roster);
        let call = self
            .call(&ENTER, shard)
            .key(keys.seats(roster))
            .key(keys.order(roster))
            .key(keys.of_shard(shard, "sequence"))
            .key(keys.index(shard, "rosters", roster.kind));
        let topic = announce.as_ref().map_or(roster, |announce| &announce.topic);
        let call = self.on_channel(call.key(keys.counts(topic)), topic);
        let value = match value {
            Some(value) => [b"+", &value[..]].concat(),
            None => b"-".to_vec(),
        };
        let call = call.arg(who.to_string()).arg(value).arg(roster.name.to_string());
        let call = call.arg(letter(roster.kind).to_string());
        let (call, elsewhere) = self.announced(call, shard, announce);
        let mut reply = self.commands.run(shard, call).await?;
        let entered = Entered { new: reply.is_one()?, offset: reply.parse()? };
        if let Some(announce) = elsewhere.filter(|_| entered.new) {
            self.do_publish(&announce).await?;
        }
        Ok(entered)
    }

    pub(super) async fn do_leave(
        &self,
        roster: &Key,
        who: ConnId,
        announce: Option<Announce>,
    ) -> Result<Left> {
        let keys = &self.commands.keys;
        let shard = keys.shard(roster);
        let call = self.call(&LEAVE, shard).key(keys.seats(roster)).key(keys.order(roster)).key(keys.index(
            shard,
            "rosters",
            roster.kind,
        ));
        let topic = announce.as_ref().map_or(roster, |announce| &announce.topic);
        let call = self.on_channel(call.key(keys.counts(topic)), topic);
        let call =
            call.arg(who.to_string()).arg(roster.name.to_string()).arg(letter(roster.kind).to_string());
        let (call, elsewhere) = self.announced(call, shard, announce);
        let mut reply = self.commands.run(shard, call).await?;
        let left = Left { was_in: reply.is_one()?, count: reply.parse()? };
        if let Some(announce) = elsewhere.filter(|_| left.was_in) {
            self.do_publish(&announce).await?;
        }
        Ok(left)
    }

    /// An announcement whose topic is in the roster's shard is part of the same step. On a cluster it may be in
    /// another; then it is a second step, after the first: if that one fails, the call says `Unavailable`, which means
    /// that it may have taken place.
    fn announced(&self, call: Call, shard: Shard, announce: Option<Announce>) -> (Call, Option<Announce>) {
        match announce {
            None => (call, None),
            Some(announce) if self.commands.keys.shard(&announce.topic) == shard => {
                (call.arg(self.blob(&announce)), None)
            }
            elsewhere => (call, elsewhere),
        }
    }

    pub(super) async fn do_roll(&self, roster: &Key, after: u64, limit: usize) -> Result<Roll> {
        let keys = &self.commands.keys;
        let shard = keys.shard(roster);
        let call = self.call(&ROLL, shard).key(keys.seats(roster)).key(keys.order(roster));
        let call = call.number(after).number(limit.min(PAGE_MAX) as u64);
        let mut reply = self.commands.run(shard, call).await?;
        let count = reply.parse()?;
        let mut list = reply.list()?;
        let mut members = Vec::new();
        while !list.is_empty() {
            let who = list.parse()?;
            members.push(member(who, &list.bytes()?).ok_or_else(|| list.strange())?);
        }
        Ok(Roll { members, count })
    }

    /// On a cluster the connections of a room are known in other shards: there it is two round trips.
    pub(super) async fn do_described(&self, roster: &Key, after: u64, limit: usize) -> Result<Described> {
        let keys = &self.commands.keys;
        if keys.shards().len() > 1 {
            let roll = self.do_roll(roster, after, limit).await?;
            let wanted: Vec<_> =
                roll.members.iter().map(|member| (Key::connections_with(member.who), member.who)).collect();
            let connections = self.do_find(&wanted).await?;
            return Ok(Described { roll, connections });
        }
        let shard = keys.shard(roster);
        let call = self.call(&DESCRIBED, shard).key(keys.seats(roster)).key(keys.order(roster));
        let call = call.number(after).number(limit.min(PAGE_MAX) as u64);
        let call = call.number(u64::from(CONNECTION_SHARDS)).arg(letter(Kind::Connections).to_string());
        let mut reply = self.commands.run(shard, call).await?;
        let count = reply.parse()?;
        let mut list = reply.list()?;
        let (mut members, mut connections) = (Vec::new(), Vec::new());
        while !list.is_empty() {
            let mut one = list.list()?;
            let who = one.parse()?;
            members.push(member(who, &one.bytes()?).ok_or_else(|| one.strange())?);
            connections.push(match one.maybe_bytes()? {
                Some(seat) => Some(member(who, &seat).ok_or_else(|| one.strange())?),
                None => None,
            });
        }
        Ok(Described { roll: Roll { members, count }, connections })
    }

    pub(super) async fn do_find(&self, wanted: &[(Key, ConnId)]) -> Result<Vec<Option<Member>>> {
        let keys = &self.commands.keys;
        // By shard: which of the wanted.
        let mut shards = BTreeMap::<Shard, Vec<usize>>::new();
        for (index, (roster, _)) in wanted.iter().enumerate() {
            shards.entry(keys.shard(roster)).or_default().push(index);
        }
        let calls = shards.iter().map(|(shard, indices)| {
            let call = indices.iter().fold(self.call(&FIND, *shard), |call, index| {
                let (roster, who) = &wanted[*index];
                call.key(keys.seats(roster)).key(keys.order(roster)).arg(who.to_string())
            });
            (*shard, call)
        });
        let mut found = vec![None; wanted.len()];
        for (shard, mut reply) in self.commands.run_all(calls.collect()).await? {
            let mut list = reply.list()?;
            for index in shards.get(&shard).into_iter().flatten() {
                let Some(seat) = list.maybe_bytes()? else { continue };
                found[*index] = Some(member(wanted[*index].1, &seat).ok_or_else(|| list.strange())?);
            }
        }
        if wanted.is_empty() {
            // Nobody was asked, and the dead are told all the same.
            self.check().await?;
        }
        Ok(found)
    }

    pub(super) async fn do_mine(
        &self,
        after: Option<&(Key, ConnId)>,
        limit: usize,
    ) -> Result<Vec<(Key, ConnId)>> {
        let limit = limit.min(PAGE_MAX);
        // As in the owner index; by this the shards are merged.
        let mark = |(roster, who): &(Key, ConnId)| format!("{}{who} {}", letter(roster.kind), roster.name);
        let from = after.map_or_else(|| "-".to_owned(), |after| format!("({}", mark(after)));
        let call = |shard| self.call(&MINE, shard).arg(from.clone()).number(limit as u64);
        let mut found = Vec::new();
        for (_, mut reply) in self.commands.run_everywhere(call).await? {
            let mut list = reply.list()?;
            while !list.is_empty() {
                let kind = kind(&list.text()?).ok_or_else(|| list.strange())?;
                let who = list.parse()?;
                found.push((Key::new(kind, list.text()?), who));
            }
        }
        found.sort_by_cached_key(mark);
        found.truncate(limit);
        Ok(found)
    }

    pub(super) async fn list_rosters(
        &self,
        kind: Kind,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(Arc<str>, u64)>> {
        let next = |list: &mut Reply| Ok((name(list)?, list.parse()?));
        self.list(&ROSTERS, "rosters", (kind, prefix, after), limit, next).await
    }
}

/// `<offset> <owner> +<value>`, or `-` where there is none.
pub(super) fn member(who: ConnId, seat: &Bytes) -> Option<Member> {
    let mut words = seat.splitn(3, |byte| *byte == b' ');
    let offset = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    let owner = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    let value = match words.next()?.split_first()? {
        (b'+', value) => Some(seat.slice_ref(value)),
        (b'-', []) => None,
        _ => return None,
    };
    Some(Member { who, offset, owner, value })
}

#[cfg(test)]
mod tests {
    use mesh_proto::{Entropy, Incarnation};

    use super::*;

    #[test]
    fn a_seat_that_is_none_is_none() {
        let entropy = Entropy::from_seed(1);
        let (who, owner) = (ConnId::random(&entropy), Incarnation::random(&entropy));
        let seat = |text: &str| member(who, &Bytes::from(text.replace("OWNER", &owner.to_string())));
        let value = |text| seat(text).unwrap().value;
        assert_eq!(value("7 OWNER -"), None);
        assert_eq!(value("7 OWNER +"), Some(Bytes::new()));
        assert_eq!(value("7 OWNER + a b"), Some(Bytes::from_static(b" a b")));
        for bad in [
            "",
            "7",
            "7 OWNER",
            "7 OWNER ",
            "7 OWNER x",
            "7 OWNER -x",
            "x OWNER -",
            "7 nobody -",
            "-7 OWNER -",
        ] {
            assert_eq!(seat(bad), None, "{bad}");
        }
    }
}
