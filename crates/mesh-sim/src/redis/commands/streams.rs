//! Commands about streams.

use bytes::Bytes;

use super::{Answer, Context, Failure, integer, is};
use crate::redis::resp::Reply;
use crate::redis::stream::{self, Stream, StreamId, Trim};

const BAD_ID: Failure = Failure::told("ERR Invalid stream ID specified as stream command argument");

fn id(text: &[u8], missing_seq: u64) -> Result<StreamId, Failure> {
    StreamId::parse(text, missing_seq).ok_or(BAD_ID)
}

/// Reads `MAXLEN 5` or `MINID = 7-1` and says how many words it was. What trims only roughly (`~`) is left out: a
/// test could not tell what it did.
fn trim(args: &[Bytes]) -> Result<(Trim, usize), Failure> {
    let kind = args.first().ok_or(Failure::SYNTAX)?;
    let (is_marked, at) = match args.get(1) {
        Some(mark) if mark == "=" => (true, 2),
        Some(mark) if mark == "~" => return Err(Failure::told("ERR trimming with ~ is not simulated")),
        _ => (false, 1),
    };
    let threshold = args.get(at).ok_or(Failure::SYNTAX)?;
    let trim = if is(kind, "maxlen") {
        let length = integer(threshold)?;
        let length = usize::try_from(length);
        Trim::Length(length.map_err(|_| Failure::told("ERR The MAXLEN argument must be >= 0."))?)
    } else {
        Trim::Before(id(threshold, 0)?)
    };
    Ok((trim, if is_marked { 3 } else { 2 }))
}

fn is_trim(word: &[u8]) -> bool {
    is(word, "maxlen") || is(word, "minid")
}

/// The id that `XADD` asks for.
enum Wish {
    Next,
    NextWithin(u64),
    Exactly(StreamId),
}

impl Wish {
    fn parse(text: &[u8]) -> Result<Self, Failure> {
        if text == b"*" {
            return Ok(Self::Next);
        }
        if let Some(ms) = text.strip_suffix(b"-*") {
            return stream::unsigned(ms).map(Self::NextWithin).ok_or(BAD_ID);
        }
        let id = id(text, 0)?;
        if id == StreamId::MIN {
            return Err(Failure::told("ERR The ID specified in XADD must be greater than 0-0"));
        }
        Ok(Self::Exactly(id))
    }

    /// The id, where it is greater than the last one.
    fn after(&self, last: StreamId, now: u64) -> Option<StreamId> {
        let id = match *self {
            Self::Next if now > last.ms => StreamId { ms: now, seq: 0 },
            Self::Next => last.next()?,
            Self::NextWithin(ms) if ms == last.ms => StreamId { ms, seq: last.seq.checked_add(1)? },
            Self::NextWithin(ms) => StreamId { ms, seq: 0 },
            Self::Exactly(id) => id,
        };
        (id > last).then_some(id)
    }
}

pub(super) fn xadd(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    let mut at = 2;
    let (mut must_exist, mut to_trim) = (false, None);
    let wish = loop {
        let word = args.get(at).ok_or_else(|| Failure::arity("xadd"))?;
        if is(word, "nomkstream") {
            must_exist = true;
            at += 1;
        } else if is_trim(word) {
            let (trim, words) = trim(&args[at..])?;
            if to_trim.replace(trim).is_some() {
                return Err(Failure::SYNTAX);
            }
            at += words;
        } else {
            break Wish::parse(word)?;
        }
    };
    let fields = &args[at + 1..];
    if fields.is_empty() || !fields.len().is_multiple_of(2) {
        return Err(Failure::arity("xadd"));
    }
    if must_exist && context.find::<Stream>(&args[1])?.is_none() {
        return Ok(Reply::Nil);
    }
    let now = context.now;
    let last = context.find::<Stream>(&args[1])?.map_or(StreamId::MIN, |stream| stream.last);
    if last == StreamId::MAX {
        let text = "ERR The stream has exhausted the last possible ID, unable to add more items";
        return Err(Failure::told(text));
    }
    let id = wish.after(last, now).ok_or(Failure::told(
        "ERR The ID specified in XADD is equal or smaller than the target stream top item",
    ))?;
    let stream = context.find_or_new::<Stream>(&args[1])?;
    let fields = fields.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    stream.entries.insert(id, fields);
    stream.last = id;
    stream.added += 1;
    if let Some(trim) = to_trim {
        stream.trim(trim);
    }
    context.changed(1);
    Ok(Reply::bulk(id.to_string()))
}

pub(super) fn xrange(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    range(context, args, false)
}

pub(super) fn xrevrange(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    range(context, args, true)
}

fn range(context: &mut Context<'_>, args: &[Bytes], is_reversed: bool) -> Answer {
    let (first, second) = if is_reversed { (&args[3], &args[2]) } else { (&args[2], &args[3]) };
    let start = bound(first, 0, StreamId::next, "ERR invalid start ID for the interval")?;
    let end = bound(second, u64::MAX, StreamId::previous, "ERR invalid end ID for the interval")?;
    let mut count = None;
    for option in args[4..].chunks(2) {
        let [word, value] = option else { return Err(Failure::SYNTAX) };
        if !is(word, "count") {
            return Err(Failure::SYNTAX);
        }
        count = Some(usize::try_from(integer(value)?).unwrap_or_default());
    }
    let Some(stream) = context.find::<Stream>(&args[1])? else { return Ok(Reply::Array(vec![])) };
    if count == Some(0) {
        return Ok(Reply::NilArray);
    }
    if start > end {
        return Ok(Reply::Array(vec![]));
    }
    let entries = stream.entries.range(start..=end);
    let count = count.unwrap_or(usize::MAX);
    let entries: Vec<Reply> = if is_reversed {
        entries.rev().take(count).map(entry).collect()
    } else {
        entries.take(count).map(entry).collect()
    };
    Ok(Reply::Array(entries))
}

fn entry((id, fields): (&StreamId, &stream::Fields)) -> Reply {
    let words = fields.iter().flat_map(|(name, value)| [name, value]);
    let words = words.cloned().map(Reply::Bulk).collect();
    Reply::Array(vec![Reply::bulk(id.to_string()), Reply::Array(words)])
}

/// One end of a range: `-`, `+`, an id, or `(` and an id that is not in it.
fn bound(
    text: &[u8],
    missing_seq: u64,
    inside: fn(StreamId) -> Option<StreamId>,
    why: &'static str,
) -> Result<StreamId, Failure> {
    if let Some(text) = text.strip_prefix(b"(") {
        return inside(id(text, missing_seq)?).ok_or(Failure::told(why));
    }
    match text {
        b"-" => Ok(StreamId::MIN),
        b"+" => Ok(StreamId::MAX),
        text => id(text, missing_seq),
    }
}

pub(super) fn xdel(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    if context.find::<Stream>(&args[1])?.is_none() {
        return Ok(Reply::Integer(0));
    }
    let ids = args[2..].iter().map(|text| id(text, 0)).collect::<Result<Vec<StreamId>, Failure>>()?;
    let Some(stream) = context.find::<Stream>(&args[1])? else { return Ok(Reply::Integer(0)) };
    let removed = ids.iter().filter(|id| stream.entries.remove(id).is_some()).count();
    context.changed(removed);
    Ok(Reply::count(removed))
}

pub(super) fn xtrim(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    if !is_trim(&args[2]) {
        return Err(Failure::SYNTAX);
    }
    let (trim, words) = trim(&args[2..])?;
    if args.len() != 2 + words {
        return Err(Failure::SYNTAX);
    }
    let removed = context.find::<Stream>(&args[1])?.map_or(0, |stream| stream.trim(trim));
    context.changed(removed);
    Ok(Reply::count(removed))
}

pub(super) fn xlen(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    Ok(Reply::count(context.find::<Stream>(&args[1])?.map_or(0, |stream| stream.entries.len())))
}
