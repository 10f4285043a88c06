//! Commands about the time a key has left.

use bytes::Bytes;

use super::{Answer, Context, Failure, integer, is};
use crate::redis::resp::Reply;

pub(super) fn expire(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    let now = context.now;
    set_deadline(context, args, 1000, now)
}

pub(super) fn pexpire(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    let now = context.now;
    set_deadline(context, args, 1, now)
}

pub(super) fn expireat(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    set_deadline(context, args, 1000, 0)
}

pub(super) fn pexpireat(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    set_deadline(context, args, 1, 0)
}

/// The deadline that a time in `unit` milliseconds after `base` means; negative where it was before 1970.
pub(super) fn deadline(name: &[u8], time: i64, unit: i64, base: u64) -> Result<i64, Failure> {
    let at = time.checked_mul(unit).and_then(|ms| ms.checked_add_unsigned(base));
    at.ok_or_else(|| {
        let name = name.escape_ascii().to_string().to_ascii_lowercase();
        Failure::from(format!("ERR invalid expire time in '{name}' command"))
    })
}

fn set_deadline(context: &mut Context<'_>, args: &[Bytes], unit: i64, base: u64) -> Answer {
    let (mut nx, mut xx, mut gt, mut lt) = (false, false, false, false);
    let time = integer(&args[2]);
    for option in &args[3..] {
        match option {
            word if is(word, "nx") => nx = true,
            word if is(word, "xx") => xx = true,
            word if is(word, "gt") => gt = true,
            word if is(word, "lt") => lt = true,
            word => {
                return Err(Failure::from(format!("ERR Unsupported option {}", word.escape_ascii())));
            }
        }
    }
    if nx && (xx || gt || lt) {
        let text = "ERR NX and XX, GT or LT options at the same time are not compatible";
        return Err(Failure::told(text));
    }
    if gt && lt {
        return Err(Failure::told("ERR GT and LT options at the same time are not compatible"));
    }
    let at = deadline(&args[0], time?, unit, base)?;
    let now = context.now;
    let Some(entry) = context.entry(&args[1]) else { return Ok(Reply::flag(false)) };
    let is_later = |old: u64| i64::try_from(old).is_ok_and(|old| at > old);
    let is_earlier = |old: u64| i64::try_from(old).map_or(true, |old| at < old);
    let refused = match entry.expires_at {
        None => xx || gt,
        Some(old) => nx || (gt && !is_later(old)) || (lt && !is_earlier(old)),
    };
    if refused {
        return Ok(Reply::flag(false));
    }
    match u64::try_from(at) {
        Ok(at) if at > now => {
            entry.expires_at = Some(at);
            context.changed(1);
        }
        // A deadline that has passed is a way to delete.
        _ => drop(context.remove(&args[1])),
    }
    Ok(Reply::flag(true))
}

pub(super) fn persist(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    let had_deadline = context.entry(&args[1]).is_some_and(|entry| entry.expires_at.take().is_some());
    context.changed(usize::from(had_deadline));
    Ok(Reply::flag(had_deadline))
}

pub(super) fn ttl(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    Ok(left(context, &args[1], |ms| ms.saturating_add(500) / 1000))
}

pub(super) fn pttl(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    Ok(left(context, &args[1], |ms| ms))
}

fn left(context: &mut Context<'_>, key: &[u8], unit: fn(u64) -> u64) -> Reply {
    let now = context.now;
    Reply::Integer(match context.entry(key).map(|entry| entry.expires_at) {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => i64::try_from(unit(at.saturating_sub(now))).unwrap_or(i64::MAX),
    })
}
