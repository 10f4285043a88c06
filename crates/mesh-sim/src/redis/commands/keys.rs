//! Commands about keys of any type, and about all of them.

use bytes::Bytes;

use super::{Answer, Context, Failure, is};
use crate::redis::resp::Reply;

pub(super) fn time(context: &mut Context<'_>, _: &[Bytes]) -> Answer {
    let (seconds, micros) = (context.now / 1000, context.now % 1000 * 1000);
    Ok(Reply::Array(vec![Reply::bulk(seconds.to_string()), Reply::bulk(micros.to_string())]))
}

pub(super) fn del(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    Ok(Reply::count(args[1..].iter().filter(|key| context.remove(key)).count()))
}

pub(super) fn exists(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    Ok(Reply::count(args[1..].iter().filter(|key| context.entry(key).is_some()).count()))
}

pub(super) fn kind(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    let kind = context.entry(&args[1]).map_or("none", |entry| entry.value.kind());
    Ok(Reply::Status(kind.into()))
}

pub(super) fn dbsize(context: &mut Context<'_>, _: &[Bytes]) -> Answer {
    context.keyspace.sweep(context.now);
    Ok(Reply::count(context.keyspace.database(context.database).len()))
}

pub(super) fn keys(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    Ok(Reply::Array(matching(context, Some(&args[1]))))
}

/// One page holds them all: the cursor is 0 before and after.
pub(super) fn scan(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    if args[1] != "0" {
        return Err(Failure::told("ERR invalid cursor"));
    }
    let mut pattern = None;
    for option in args[2..].chunks(2) {
        match option {
            [word, value] if is(word, "match") => pattern = Some(value),
            [word, count] if is(word, "count") => drop(super::integer(count)?),
            _ => return Err(Failure::SYNTAX),
        }
    }
    Ok(Reply::Array(vec![Reply::bulk("0"), Reply::Array(matching(context, pattern))]))
}

pub(super) fn flushall(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    flush_mode(args)?;
    context.keyspace.clear();
    Ok(Reply::OK)
}

pub(super) fn flushdb(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    flush_mode(args)?;
    context.keyspace.clear_database(context.database);
    Ok(Reply::OK)
}

fn flush_mode(args: &[Bytes]) -> Result<(), Failure> {
    match &args[1..] {
        [] => Ok(()),
        [mode] if is(mode, "sync") || is(mode, "async") => Ok(()),
        _ => Err(Failure::SYNTAX),
    }
}

fn matching(context: &mut Context<'_>, pattern: Option<&Bytes>) -> Vec<Reply> {
    context.keyspace.sweep(context.now);
    let keys = context.keyspace.database(context.database).keys();
    let fits = keys.filter(|key| pattern.is_none_or(|pattern| glob(pattern, key)));
    fits.cloned().map(Reply::Bulk).collect()
}

/// `*`, `?`, `[a-c]`, `[^a]` and `\` before what is meant as it is.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return text.is_empty() };
    match (first, text.split_first()) {
        (b'*', _) => (0..=text.len()).any(|skipped| glob(rest, &text[skipped..])),
        (_, None) => false,
        (b'?', Some((_, text))) => glob(rest, text),
        (b'[', Some((byte, text))) => {
            let end = rest.iter().position(|byte| *byte == b']').unwrap_or(rest.len());
            let (class, after) = (&rest[..end], rest.get(end + 1..).unwrap_or_default());
            one_of(class, *byte) && glob(after, text)
        }
        (b'\\', Some((byte, text))) if !rest.is_empty() => rest[0] == *byte && glob(&rest[1..], text),
        (expected, Some((byte, text))) => expected == byte && glob(rest, text),
    }
}

fn one_of(class: &[u8], byte: u8) -> bool {
    let (is_negated, mut class) = match class.strip_prefix(b"^") {
        Some(class) => (true, class),
        None => (false, class),
    };
    let mut is_in = false;
    while let Some((first, rest)) = class.split_first() {
        if let [b'-', last, rest @ ..] = rest {
            is_in |= (*first..=*last).contains(&byte);
            class = rest;
        } else {
            is_in |= *first == byte;
            class = rest;
        }
    }
    is_in != is_negated
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn patterns_match() {
        for (pattern, text) in
            [("*", ""), ("a*c", "abbc"), ("a?c", "abc"), ("[a-c]x", "bx"), ("[^a]", "b"), ("\\*", "*")]
        {
            assert!(glob(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a?c", "ac"), ("[a-c]x", "dx"), ("[^a]", "a"), ("\\*", "a")] {
            assert!(!glob(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
    }
}
