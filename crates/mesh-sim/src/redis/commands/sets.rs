//! Commands about sets.

use bytes::Bytes;
use rand::Rng;

use super::{Answer, Context, Failure, integer};
use crate::redis::keyspace::Set;
use crate::redis::resp::Reply;

/// How many members `SRANDMEMBER` gives where it may repeat them.
const REPEATED_MAX: u64 = 1 << 20;

pub(super) fn sadd(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    let set = context.find_or_new::<Set>(&args[1])?;
    let added = args[2..].iter().filter(|member| set.insert((*member).clone())).count();
    context.changed(added);
    Ok(Reply::count(added))
}

pub(super) fn srem(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    let Some(set) = context.find::<Set>(&args[1])? else { return Ok(Reply::Integer(0)) };
    let removed = args[2..].iter().filter(|member| set.remove(*member)).count();
    context.changed(removed);
    context.drop_if_nothing::<Set>(&args[1]);
    Ok(Reply::count(removed))
}

pub(super) fn sismember(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    Ok(Reply::flag(context.find::<Set>(&args[1])?.is_some_and(|set| set.contains(&args[2]))))
}

pub(super) fn smembers(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    let members = context.find::<Set>(&args[1])?.into_iter().flat_map(|set| set.iter());
    Ok(Reply::Set(members.cloned().map(Reply::Bulk).collect()))
}

pub(super) fn scard(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    Ok(Reply::count(context.find::<Set>(&args[1])?.map_or(0, |set| set.len())))
}

pub(super) fn srandmember(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    if args.len() > 3 {
        return Err(Failure::SYNTAX);
    }
    let count = args.get(2).map(|count| integer(count)).transpose()?;
    let members = context.find::<Set>(&args[1])?.into_iter().flat_map(|set| set.iter());
    let mut members: Vec<Bytes> = members.cloned().collect();
    let rng = &mut *context.rng;
    let Some(count) = count else {
        if members.is_empty() {
            return Ok(Reply::Nil);
        }
        let at = rng.random_range(0..members.len());
        return Ok(Reply::Bulk(members.swap_remove(at)));
    };
    let mut picked = Vec::new();
    if count < 0 {
        // A negative count may give a member more than once.
        if count.unsigned_abs() > REPEATED_MAX {
            return Err(Failure::told("ERR value is out of range"));
        }
        if !members.is_empty() {
            picked.extend(
                (0..count.unsigned_abs()).map(|_| members[rng.random_range(0..members.len())].clone()),
            );
        }
    } else {
        while picked.len() as u64 != count.unsigned_abs() && !members.is_empty() {
            let at = rng.random_range(0..members.len());
            picked.push(members.swap_remove(at));
        }
    }
    Ok(Reply::Array(picked.into_iter().map(Reply::Bulk).collect()))
}
