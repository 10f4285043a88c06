//! A sorted set: members in the order of their scores, and of their bytes where scores are equal.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

/// A score. Never NaN.
#[derive(Clone, Copy, Debug)]
struct Score(f64);

impl PartialEq for Score {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Score {}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.partial_cmp(&other.0).unwrap_or(Ordering::Equal)
    }
}

/// Members with scores.
#[derive(Clone, Default, Debug, PartialEq)]
pub struct Zset {
    scores: BTreeMap<Bytes, f64>,
    order: BTreeSet<(Score, Bytes)>,
}

impl Zset {
    /// How many members there are.
    pub fn len(&self) -> usize {
        self.scores.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    /// The score of a member.
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        self.scores.get(member).copied()
    }

    /// Members and scores in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Bytes, f64)> {
        self.order.iter().map(|(score, member)| (member, score.0))
    }

    pub(crate) fn insert(&mut self, member: Bytes, score: f64) {
        // Adding it takes the sign from a zero, as the encoding of small sets does in Redis.
        let score = score + 0.0;
        if let Some(old) = self.scores.insert(member.clone(), score) {
            self.order.remove(&(Score(old), member.clone()));
        }
        self.order.insert((Score(score), member));
    }

    pub(crate) fn remove(&mut self, member: &[u8]) -> bool {
        let Some((member, score)) = self.scores.remove_entry(member) else { return false };
        self.order.remove(&(Score(score), member))
    }

    /// Those with a score in the range, in order.
    pub(crate) fn by_score(&self, range: ScoreRange) -> Vec<(Bytes, f64)> {
        let from = self.order.range((Score(range.min.value), Bytes::new())..);
        let in_range = from
            .skip_while(|(score, _)| range.min.is_exclusive && score.0 == range.min.value)
            .take_while(|(score, _)| {
                score.0 < range.max.value || (score.0 == range.max.value && !range.max.is_exclusive)
            });
        in_range.map(|(score, member)| (member.clone(), score.0)).collect()
    }

    /// Those whose bytes are in the range, in order or from the end. As in Redis it means something only where all
    /// scores are equal; where they are not this walks as Redis does through a small set.
    pub(crate) fn by_lex(&self, range: &LexRange, is_reversed: bool) -> Vec<(Bytes, f64)> {
        let ends = (self.order.first(), self.order.last());
        let (Some((_, first)), Some((_, last))) = ends else { return Vec::new() };
        if range.is_empty() || !range.max.is_above(first) || !range.min.is_below(last) {
            return Vec::new();
        }
        let (min, max) =
            (|member: &Bytes| range.min.is_below(member), |member: &Bytes| range.max.is_above(member));
        if is_reversed { walk(self.order.iter().rev(), max, min) } else { walk(self.order.iter(), min, max) }
    }
}

/// From the first that is past the near end to the last that is not past the far one.
fn walk<'a>(
    order: impl Iterator<Item = &'a (Score, Bytes)>,
    near: impl Fn(&Bytes) -> bool,
    far: impl Fn(&Bytes) -> bool,
) -> Vec<(Bytes, f64)> {
    let in_range = order.skip_while(|(_, member)| !near(member)).take_while(|(_, member)| far(member));
    in_range.map(|(score, member)| (member.clone(), score.0)).collect()
}

/// One end of a range of scores.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScoreBound {
    pub(crate) value: f64,
    pub(crate) is_exclusive: bool,
}

impl ScoreBound {
    /// `1`, `(1`, `-inf`. Like C's `strtod`, what is empty is zero.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (is_exclusive, text) = match text.strip_prefix(b"(") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let text = text.trim_ascii_start();
        let value: f64 = if text.is_empty() { 0.0 } else { std::str::from_utf8(text).ok()?.parse().ok()? };
        (!value.is_nan()).then_some(Self { value, is_exclusive })
    }
}

/// From one score to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScoreRange {
    pub(crate) min: ScoreBound,
    pub(crate) max: ScoreBound,
}

/// One end of a range of bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum LexBound {
    Least,
    Greatest,
    Inclusive(Bytes),
    Exclusive(Bytes),
}

impl LexBound {
    /// `-`, `+`, `[text`, `(text`.
    pub(crate) fn parse(text: &Bytes) -> Option<Self> {
        match text.split_first()? {
            (b'-', []) => Some(Self::Least),
            (b'+', []) => Some(Self::Greatest),
            (b'[', rest) => Some(Self::Inclusive(text.slice_ref(rest))),
            (b'(', rest) => Some(Self::Exclusive(text.slice_ref(rest))),
            _ => None,
        }
    }

    /// Whether a member is in the range of which this is the lower end.
    fn is_below(&self, member: &Bytes) -> bool {
        match self {
            Self::Least => true,
            Self::Greatest => false,
            Self::Inclusive(bound) => member >= bound,
            Self::Exclusive(bound) => member > bound,
        }
    }

    /// Whether a member is in the range of which this is the upper end.
    fn is_above(&self, member: &Bytes) -> bool {
        match self {
            Self::Least => false,
            Self::Greatest => true,
            Self::Inclusive(bound) => member <= bound,
            Self::Exclusive(bound) => member < bound,
        }
    }
}

/// From some bytes to others.
#[derive(Clone, Debug)]
pub(crate) struct LexRange {
    pub(crate) min: LexBound,
    pub(crate) max: LexBound,
}

impl LexRange {
    fn is_empty(&self) -> bool {
        use LexBound::{Exclusive, Greatest, Inclusive, Least};
        match (&self.min, &self.max) {
            (Least, Least) | (Greatest, _) | (_, Least) => true,
            (Least, _) | (_, Greatest) => false,
            (Inclusive(min), Inclusive(max)) => min > max,
            (Inclusive(min) | Exclusive(min), Inclusive(max) | Exclusive(max)) => min >= max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, LexBound, LexRange, ScoreBound, ScoreRange, Zset};

    fn members(found: Vec<(Bytes, f64)>) -> Vec<String> {
        found.iter().map(|(member, _)| member.escape_ascii().to_string()).collect()
    }

    #[test]
    fn a_range_of_bytes_knows_nul_and_255() {
        let mut zset = Zset::default();
        for member in [&b""[..], b"\0", b"a", b"a\0", b"a\xff", b"b", b"\xff"] {
            zset.insert(Bytes::from_static(member), 0.0);
        }
        let check = |min: &'static [u8], max: &'static [u8], expected: &[&str]| {
            let parse = |text| LexBound::parse(&Bytes::from_static(text)).expect("a bound");
            assert_eq!(members(zset.by_lex(&LexRange { min: parse(min), max: parse(max) }, false)), expected);
        };
        check(b"-", b"+", &["", "\\x00", "a", "a\\x00", "a\\xff", "b", "\\xff"]);
        check(b"[a", b"(b", &["a", "a\\x00", "a\\xff"]);
        check(b"(a", b"[a\xff", &["a\\x00", "a\\xff"]);
        check(b"(\xff", b"+", &[]);
        check(b"+", b"-", &[]);
    }

    #[test]
    fn the_two_zeros_are_one_score() {
        let mut zset = Zset::default();
        zset.insert(Bytes::from_static(b"b"), -0.0);
        zset.insert(Bytes::from_static(b"a"), 0.0);
        let bound = |text: &[u8]| ScoreBound::parse(text).expect("a bound");
        assert_eq!(members(zset.by_score(ScoreRange { min: bound(b"0"), max: bound(b"-0") })), ["a", "b"]);
        assert!(zset.by_score(ScoreRange { min: bound(b"(0"), max: bound(b"inf") }).is_empty());
    }
}
