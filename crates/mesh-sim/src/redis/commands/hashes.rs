//! Commands about hashes.

use bytes::Bytes;

use super::{Answer, Context, Failure, integer};
use crate::redis::keyspace::Hash;
use crate::redis::number;
use crate::redis::resp::Reply;

pub(super) fn hget(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    let hash = context.find::<Hash>(&args[1])?;
    Ok(field(hash.as_deref(), &args[2]))
}

pub(super) fn hmget(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    let hash = context.find::<Hash>(&args[1])?;
    Ok(Reply::Array(args[2..].iter().map(|name| field(hash.as_deref(), name)).collect()))
}

fn field(hash: Option<&Hash>, name: &[u8]) -> Reply {
    hash.and_then(|hash| hash.get(name)).map_or(Reply::Nil, |value| Reply::Bulk(value.clone()))
}

pub(super) fn hset(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    if !args.len().is_multiple_of(2) {
        return Err(Failure::arity("hset"));
    }
    let hash = context.find_or_new::<Hash>(&args[1])?;
    let mut added = 0;
    for pair in args[2..].chunks_exact(2) {
        added += usize::from(hash.insert(pair[0].clone(), pair[1].clone()).is_none());
    }
    context.changed(1);
    Ok(Reply::count(added))
}

pub(super) fn hsetnx(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    let hash = context.find_or_new::<Hash>(&args[1])?;
    let is_new = !hash.contains_key(&args[2]);
    if is_new {
        hash.insert(args[2].clone(), args[3].clone());
    }
    context.changed(usize::from(is_new));
    Ok(Reply::flag(is_new))
}

pub(super) fn hdel(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    let Some(hash) = context.find::<Hash>(&args[1])? else { return Ok(Reply::Integer(0)) };
    let removed = args[2..].iter().filter(|name| hash.remove(*name).is_some()).count();
    context.changed(removed);
    context.drop_if_nothing::<Hash>(&args[1]);
    Ok(Reply::count(removed))
}

pub(super) fn hgetall(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    let pairs = context.find::<Hash>(&args[1])?.into_iter().flatten();
    Ok(Reply::Map(
        pairs.map(|(name, value)| (Reply::Bulk(name.clone()), Reply::Bulk(value.clone()))).collect(),
    ))
}

pub(super) fn hkeys(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    let names = context.find::<Hash>(&args[1])?.into_iter().flat_map(|hash| hash.keys());
    Ok(Reply::Array(names.cloned().map(Reply::Bulk).collect()))
}

pub(super) fn hexists(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    Ok(Reply::flag(context.find::<Hash>(&args[1])?.is_some_and(|hash| hash.contains_key(&args[2]))))
}

pub(super) fn hincrby(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    let by = integer(&args[3])?;
    let old = context.find::<Hash>(&args[1])?.and_then(|hash| hash.get(&args[2]));
    let old = old.map_or(Some(0), |value| number::integer(value));
    let old = old.ok_or(Failure::told("ERR hash value is not an integer"))?;
    let new = old.checked_add(by).ok_or(Failure::told("ERR increment or decrement would overflow"))?;
    context.find_or_new::<Hash>(&args[1])?.insert(args[2].clone(), new.to_string().into());
    context.changed(1);
    Ok(Reply::Integer(new))
}

pub(super) fn hlen(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    Ok(Reply::count(context.find::<Hash>(&args[1])?.map_or(0, |hash| hash.len())))
}
