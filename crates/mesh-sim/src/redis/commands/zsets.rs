//! Commands about the members of sorted sets.

use bytes::Bytes;

use super::{Answer, Context, Failure, is};
use crate::redis::number;
use crate::redis::resp::Reply;
use crate::redis::zset::Zset;

#[derive(Clone, Copy, Default)]
struct AddOptions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
    ch: bool,
    incr: bool,
}

pub(super) fn zadd(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    let mut options = AddOptions::default();
    let mut rest = &args[2..];
    while let Some((word, after)) = rest.split_first() {
        match word {
            word if is(word, "nx") => options.nx = true,
            word if is(word, "xx") => options.xx = true,
            word if is(word, "gt") => options.gt = true,
            word if is(word, "lt") => options.lt = true,
            word if is(word, "ch") => options.ch = true,
            word if is(word, "incr") => options.incr = true,
            _ => break,
        }
        rest = after;
    }
    if rest.is_empty() || !rest.len().is_multiple_of(2) {
        return Err(Failure::SYNTAX);
    }
    if options.nx && options.xx {
        return Err(Failure::told("ERR XX and NX options at the same time are not compatible"));
    }
    if (options.gt && options.lt) || (options.nx && (options.gt || options.lt)) {
        let text = "ERR GT, LT, and/or NX options at the same time are not compatible";
        return Err(Failure::told(text));
    }
    if options.incr && rest.len() > 2 {
        return Err(Failure::told("ERR INCR option supports a single increment-element pair"));
    }
    add(context, &args[1], options, rest)
}

pub(super) fn zincrby(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    add(context, &args[1], AddOptions { incr: true, ..AddOptions::default() }, &args[2..])
}

fn add(context: &mut Context<'_>, key: &Bytes, options: AddOptions, pairs: &[Bytes]) -> Answer {
    let scores = pairs.chunks_exact(2).map(|pair| number::score(&pair[0]).ok_or(Failure::NOT_FLOAT));
    let scores = scores.collect::<Result<Vec<f64>, Failure>>()?;
    if options.xx && context.find::<Zset>(key)?.is_none() {
        return Ok(if options.incr { Reply::Nil } else { Reply::Integer(0) });
    }
    let zset = context.find_or_new::<Zset>(key)?;
    let (mut added, mut updated, mut result) = (0, 0, None);
    let mut is_nan = false;
    for (pair, score) in pairs.chunks_exact(2).zip(scores) {
        let member = &pair[1];
        let Some(old) = zset.score(member) else {
            if !options.xx {
                zset.insert(member.clone(), score);
                added += 1;
                result = Some(score);
            }
            continue;
        };
        if options.nx {
            continue;
        }
        let new = if options.incr { old + score } else { score };
        if new.is_nan() {
            is_nan = true;
            break;
        }
        if (options.gt && new <= old) || (options.lt && new >= old) {
            continue;
        }
        result = Some(new);
        if new != old {
            zset.insert(member.clone(), new);
            updated += 1;
        }
    }
    context.changed(added + updated);
    context.drop_if_nothing::<Zset>(key);
    if is_nan {
        return Err(Failure::told("ERR resulting score is not a number (NaN)"));
    }
    Ok(match (options.incr, result) {
        (true, Some(score)) => Reply::Double(score),
        (true, None) => Reply::Nil,
        (false, _) => Reply::count(if options.ch { added + updated } else { added }),
    })
}

pub(super) fn zrem(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    let Some(zset) = context.find::<Zset>(&args[1])? else { return Ok(Reply::Integer(0)) };
    let removed = args[2..].iter().filter(|member| zset.remove(member)).count();
    context.changed(removed);
    context.drop_if_nothing::<Zset>(&args[1]);
    Ok(Reply::count(removed))
}

pub(super) fn zscore(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    let score = context.find::<Zset>(&args[1])?.and_then(|zset| zset.score(&args[2]));
    Ok(score.map_or(Reply::Nil, Reply::Double))
}

pub(super) fn zcard(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    Ok(Reply::count(context.find::<Zset>(&args[1])?.map_or(0, |zset| zset.len())))
}

pub(super) fn zrank(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    let zset = context.find::<Zset>(&args[1])?;
    let rank = zset.and_then(|zset| zset.iter().position(|(member, _)| *member == args[2]));
    Ok(rank.map_or(Reply::Nil, Reply::count))
}
