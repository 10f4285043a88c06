//! Commands about ranges of sorted sets: by place, by score, by the bytes of the members.

use bytes::Bytes;

use super::{Answer, Context, Failure, integer, is};
use crate::redis::resp::Reply;
use crate::redis::zset::{LexBound, LexRange, ScoreBound, ScoreRange, Zset};

#[derive(Clone, Copy, PartialEq)]
enum By {
    Place,
    Score,
    Lex,
}

struct Options {
    by: By,
    is_reversed: bool,
    with_scores: bool,
    /// How many to skip and how many to give; negative gives all.
    limit: Option<(i64, i64)>,
}

impl Options {
    /// `may_choose` for `ZRANGE`, which says in its options what the older commands say in their names.
    fn parse(mut self, args: &[Bytes], may_choose: bool) -> Result<Self, Failure> {
        let mut args = args.iter();
        while let Some(word) = args.next() {
            match word {
                word if is(word, "withscores") => self.with_scores = true,
                word if is(word, "limit") => {
                    let (Some(offset), Some(count)) = (args.next(), args.next()) else {
                        return Err(Failure::SYNTAX);
                    };
                    self.limit = Some((integer(offset)?, integer(count)?));
                }
                word if may_choose && is(word, "rev") => self.is_reversed = true,
                word if may_choose && is(word, "byscore") => self.by = By::Score,
                word if may_choose && is(word, "bylex") => self.by = By::Lex,
                _ => return Err(Failure::SYNTAX),
            }
        }
        if self.limit.is_some() && self.by == By::Place {
            let text =
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX";
            return Err(Failure::told(text));
        }
        if self.with_scores && self.by == By::Lex {
            let text = "ERR syntax error, WITHSCORES not supported in combination with BYLEX";
            return Err(Failure::told(text));
        }
        Ok(self)
    }
}

pub(super) fn zrange(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    let options = Options { by: By::Place, is_reversed: false, with_scores: false, limit: None };
    range(context, args, &options.parse(&args[4..], true)?)
}

macro_rules! older {
    ($name:ident, $by:ident, $is_reversed:literal) => {
        pub(super) fn $name(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
            let options = Options { by: By::$by, is_reversed: $is_reversed, with_scores: false, limit: None };
            range(context, args, &options.parse(&args[4..], false)?)
        }
    };
}

older!(zrangebyscore, Score, false);
older!(zrevrangebyscore, Score, true);
older!(zrangebylex, Lex, false);
older!(zrevrangebylex, Lex, true);

fn range(context: &mut Context<'_>, args: &[Bytes], options: &Options) -> Answer {
    let (mut min, mut max) = (&args[2], &args[3]);
    if options.is_reversed && options.by != By::Place {
        std::mem::swap(&mut min, &mut max);
    }
    let mut found = match options.by {
        By::Place => {
            let (start, stop) = (integer(min)?, integer(max)?);
            let Some(zset) = context.find::<Zset>(&args[1])? else { return Ok(Reply::Array(vec![])) };
            by_place(zset, start, stop, options.is_reversed)
        }
        By::Score => {
            let range = score_range(min, max)?;
            let mut found =
                context.find::<Zset>(&args[1])?.map_or_else(Vec::new, |zset| zset.by_score(range));
            if options.is_reversed {
                found.reverse();
            }
            found
        }
        By::Lex => {
            let range = lex_range(min, max)?;
            let zset = context.find::<Zset>(&args[1])?;
            zset.map_or_else(Vec::new, |zset| zset.by_lex(&range, options.is_reversed))
        }
    };
    if let Some((offset, count)) = options.limit {
        let skipped = usize::try_from(offset).unwrap_or(usize::MAX).min(found.len());
        found.drain(..skipped);
        found.truncate(usize::try_from(count).unwrap_or(usize::MAX));
    }
    if options.with_scores {
        return Ok(Reply::Scored(found));
    }
    Ok(Reply::Array(found.into_iter().map(|(member, _)| Reply::Bulk(member)).collect()))
}

fn by_place(zset: &Zset, start: i64, stop: i64, is_reversed: bool) -> Vec<(Bytes, f64)> {
    let length = i64::try_from(zset.len()).unwrap_or(i64::MAX);
    let from_end = |at: i64| if at < 0 { at.saturating_add(length) } else { at };
    let (start, stop) = (from_end(start).max(0), from_end(stop).min(length - 1));
    if start > stop {
        return Vec::new();
    }
    let skipped = usize::try_from(start).unwrap_or(usize::MAX);
    let count = usize::try_from(stop - start + 1).unwrap_or(usize::MAX);
    let owned = |(member, score): (&Bytes, f64)| (member.clone(), score);
    if is_reversed {
        zset.iter().rev().skip(skipped).take(count).map(owned).collect()
    } else {
        zset.iter().skip(skipped).take(count).map(owned).collect()
    }
}

fn score_range(min: &[u8], max: &[u8]) -> Result<ScoreRange, Failure> {
    match (ScoreBound::parse(min), ScoreBound::parse(max)) {
        (Some(min), Some(max)) => Ok(ScoreRange { min, max }),
        _ => Err(Failure::told("ERR min or max is not a float")),
    }
}

fn lex_range(min: &Bytes, max: &Bytes) -> Result<LexRange, Failure> {
    match (LexBound::parse(min), LexBound::parse(max)) {
        (Some(min), Some(max)) => Ok(LexRange { min, max }),
        _ => Err(Failure::told("ERR min or max not valid string range item")),
    }
}

pub(super) fn zcount(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    let range = score_range(&args[2], &args[3])?;
    Ok(Reply::count(context.find::<Zset>(&args[1])?.map_or(0, |zset| zset.by_score(range).len())))
}

pub(super) fn zlexcount(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    let range = lex_range(&args[2], &args[3])?;
    Ok(Reply::count(context.find::<Zset>(&args[1])?.map_or(0, |zset| zset.by_lex(&range, false).len())))
}

pub(super) fn zremrangebyscore(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    let range = score_range(&args[2], &args[3])?;
    remove(context, &args[1], |zset| zset.by_score(range))
}

pub(super) fn zremrangebylex(context: &mut Context<'_>, args: &[Bytes]) -> Answer {
    let range = lex_range(&args[2], &args[3])?;
    remove(context, &args[1], |zset| zset.by_lex(&range, false))
}

fn remove(context: &mut Context<'_>, key: &[u8], find: impl Fn(&Zset) -> Vec<(Bytes, f64)>) -> Answer {
    let Some(zset) = context.find::<Zset>(key)? else { return Ok(Reply::Integer(0)) };
    let gone = find(zset);
    for (member, _) in &gone {
        zset.remove(member);
    }
    context.changed(gone.len());
    context.drop_if_nothing::<Zset>(key);
    Ok(Reply::count(gone.len()))
}
