//! Commands about strings.

use bytes::Bytes;

use super::{Answer, Context, Failure, expiry, integer, is};
use crate::redis::keyspace::Value;
use crate::redis::resp::Reply;

pub(super) fn get(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    Ok(context.find::<Bytes>(&args[1])?.map_or(Reply::Nil, |value| Reply::Bulk(value.clone())))
}

#[derive(Default)]
struct SetOptions {
    nx: bool,
    xx: bool,
    get: bool,
    keep_ttl: bool,
    /// The time, its unit in milliseconds, and whether it is from now.
    expiry: Option<(Bytes, i64, bool)>,
}

impl SetOptions {
    fn parse(args: &[Bytes]) -> Result<Self, Failure> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(word) = args.next() {
            let mut expiry = |unit: i64, is_relative: bool| -> Result<(), Failure> {
                let time = args.next().ok_or(Failure::SYNTAX)?.clone();
                let is_second = options.expiry.replace((time, unit, is_relative)).is_some();
                if is_second { Err(Failure::SYNTAX) } else { Ok(()) }
            };
            match word {
                word if is(word, "ex") => expiry(1000, true)?,
                word if is(word, "px") => expiry(1, true)?,
                word if is(word, "exat") => expiry(1000, false)?,
                word if is(word, "pxat") => expiry(1, false)?,
                word if is(word, "nx") => options.nx = true,
                word if is(word, "xx") => options.xx = true,
                word if is(word, "get") => options.get = true,
                word if is(word, "keepttl") => options.keep_ttl = true,
                _ => return Err(Failure::SYNTAX),
            }
        }
        if (options.nx && options.xx) || (options.keep_ttl && options.expiry.is_some()) {
            return Err(Failure::SYNTAX);
        }
        Ok(options)
    }
}

pub(super) fn set(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    let options = SetOptions::parse(&args[3..])?;
    let mut expires_at = None;
    if let Some((time, unit, is_relative)) = &options.expiry {
        let time = integer(time)?;
        if time <= 0 {
            return Err(Failure::told("ERR invalid expire time in 'set' command"));
        }
        let base = if *is_relative { context.now } else { 0 };
        expires_at = u64::try_from(expiry::deadline(b"set", time, *unit, base)?).ok();
    }
    let old = if options.get {
        Some(context.find::<Bytes>(&args[1])?.map_or(Reply::Nil, |value| Reply::Bulk(value.clone())))
    } else {
        None
    };
    let entry = context.entry(&args[1]);
    let is_there = entry.is_some();
    if options.keep_ttl {
        expires_at = entry.and_then(|entry| entry.expires_at);
    }
    if (options.nx && is_there) || (options.xx && !is_there) {
        return Ok(old.unwrap_or(Reply::Nil));
    }
    if expires_at.is_some_and(|at| at <= context.now) && !options.keep_ttl {
        context.remove(&args[1]);
    } else {
        context.put(&args[1], Value::String(args[2].clone()), expires_at);
    }
    Ok(old.unwrap_or(Reply::OK))
}

pub(super) fn incr(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    add(context, &args[1], 1)
}

pub(super) fn decr(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    add(context, &args[1], -1)
}

pub(super) fn incrby(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    add(context, &args[1], integer(&args[2])?)
}

pub(super) fn decrby(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    let by = integer(&args[2])?.checked_neg();
    add(context, &args[1], by.ok_or(Failure::told("ERR decrement would overflow"))?)
}

fn add(context: &mut Context<'_>, key: &Bytes, by: i64) -> Answer {
    let old = context.find::<Bytes>(key)?.map_or(Ok(0), |value| integer(value))?;
    let new = old.checked_add(by).ok_or(Failure::told("ERR increment or decrement would overflow"))?;
    *context.find_or_new::<Bytes>(key)? = new.to_string().into();
    context.changed(1);
    Ok(Reply::Integer(new))
}
