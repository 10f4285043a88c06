//! Being alive, and finding out who is not.

use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use mesh_backend::{BackendError, Beat, Key, Orphan, Result};
use mesh_proto::Incarnation;
use redis::Value;

use super::RedisLink;
use super::rosters::member;
use crate::call::{Call, Commands};
use crate::error::unavailable;
use crate::key::{FIRST, Shard, kind};
use crate::reply::Reply;
use crate::script::{ATTACH, BEAT, BURY, CHECK, FORGET, JOIN, LAPSE, LIVING};

/// Which shard is looked through next for who is alive without a lease.
#[derive(Debug, Default)]
pub(super) struct Strays(AtomicU16);

/// Begin a lease. The first shard comes first, so that whoever is alive anywhere has one.
pub(super) async fn attach(commands: &Commands, me: Incarnation, lease: Duration) -> Result<()> {
    let (keys, name) = (&commands.keys, me.to_string());
    let call = commands
        .call(&ATTACH, FIRST, &name)
        .key(keys.of_shard(FIRST, "leases"))
        .key(keys.of_shard(FIRST, "lengths"))
        .key(keys.of_shard(FIRST, "dead"))
        .key(keys.of_shard(FIRST, "schema"))
        .number(lease.as_millis() as u64)
        .arg(keys.schema());
    match commands.raw(FIRST, &call).await? {
        Value::Int(0) => return Err(BackendError::Fenced),
        Value::Int(1) => {}
        Value::BulkString(other) => {
            let other = String::from_utf8_lossy(&other);
            return Err(unavailable(format!("the data at Redis is of another Mesh: {other:?}")));
        }
        _ => return Err(unavailable("Redis gave an answer to the script attach that it does not give")),
    }
    let join = |shard| (shard, commands.call(&JOIN, shard, &name));
    let others = keys.shards().filter(|shard| *shard != FIRST).map(join);
    commands.run_all(others.collect()).await?;
    Ok(())
}

impl RedisLink {
    /// Fails with `Fenced` if this incarnation is.
    pub(super) async fn check(&self) -> Result<()> {
        self.commands.run(FIRST, self.call(&CHECK, FIRST)).await?;
        Ok(())
    }

    pub(super) async fn do_beat(&self) -> Result<Beat> {
        let keys = &self.commands.keys;
        let call =
            self.call(&BEAT, FIRST).key(keys.of_shard(FIRST, "leases")).key(keys.of_shard(FIRST, "lengths"));
        let mut reply = self.commands.run(FIRST, call).await?;
        Ok(Beat { held: reply.is_one()? })
    }

    /// While nobody is dead, one round trip. Else each shard is told, and asked for entries; whoever has none left
    /// anywhere is forgotten. Whatever of it fails, the next one to ask does again.
    pub(super) async fn do_orphans(&self, limit: usize) -> Result<Vec<Orphan>> {
        let strays = self.strays().await?;
        let keys = &self.commands.keys;
        let call = ["leases", "lengths", "dying", "dead"]
            .into_iter()
            .fold(self.call(&LAPSE, FIRST), |call, what| call.key(keys.of_shard(FIRST, what)));
        let call = strays.into_iter().fold(call, Call::arg);
        let mut dying = Vec::new();
        let mut list = self.commands.run(FIRST, call).await?.list()?;
        while !list.is_empty() {
            dying.push(list.text()?);
        }
        if dying.is_empty() {
            return Ok(Vec::new());
        }
        let call = |shard| {
            let call = self.call(&BURY, shard).number(limit.min(ORPHANS_MAX) as u64);
            dying.iter().cloned().fold(call, Call::arg)
        };
        let mut orphans = Vec::new();
        let mut left = vec![0_u64; dying.len()];
        for (_, mut reply) in self.commands.run_everywhere(call).await? {
            let mut counts = reply.list()?;
            for left in &mut left {
                *left += counts.parse::<u64>()?;
            }
            let mut list = reply.list()?;
            while !list.is_empty() {
                orphans.push(orphan(list.list()?)?);
            }
        }
        let over: Vec<_> = dying.into_iter().zip(left).filter(|(_, left)| *left == 0).collect();
        if !over.is_empty() {
            let call = self.call(&FORGET, FIRST).key(keys.of_shard(FIRST, "dying"));
            let call = over.into_iter().fold(call, |call, (who, _)| call.arg(who));
            self.commands.run(FIRST, call).await?;
        }
        orphans.truncate(limit);
        Ok(orphans)
    }

    /// Who is alive in one of the shards, another each time. The first shard looks after itself; but where a master of a
    /// cluster lost leases, the others still hold what nobody would ever declare dead.
    async fn strays(&self) -> Result<Vec<String>> {
        let shards = self.commands.keys.shards().len() as Shard;
        if shards == 1 {
            return Ok(Vec::new());
        }
        let shard = self.strays.0.fetch_add(1, Ordering::Relaxed) % (shards - 1) + 1;
        let mut list = self.commands.run(shard, self.call(&LIVING, shard)).await?.list()?;
        let mut alive = Vec::new();
        while !list.is_empty() {
            alive.push(list.text()?);
        }
        alive.sort();
        Ok(alive)
    }
}

/// Orphans of one answer at most, of each shard.
const ORPHANS_MAX: usize = 10_000;

/// Owner, kind, who, roster, seat.
fn orphan(mut reply: Reply) -> Result<Orphan> {
    let owner = reply.parse()?;
    let kind = kind(&reply.text()?).ok_or_else(|| reply.strange())?;
    let who = reply.parse()?;
    let roster = Key::new(kind, reply.text()?);
    let member = member(who, &reply.bytes()?).ok_or_else(|| reply.strange())?;
    Ok(Orphan { roster, who, value: member.value, owner })
}
