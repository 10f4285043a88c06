//! Which item of the new list is which item of the old one.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::ops::Range;

use serde_json::Value;

use super::common::common;
use super::equal::same;
use super::steps::{Spent, Steps};

/// How the new list comes from the old one.
#[derive(Debug, Default)]
pub(super) struct Alignment {
    /// The places in the old list whose items are gone, in order.
    pub(super) removed: Vec<usize>,
    /// What is to be done for the new list, by place and in order. What is not named stays as it is.
    pub(super) changes: Vec<(usize, Origin)>,
}

/// Where an item of the new list comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// From nowhere.
    Added,
    /// From the item at this place of the old list, which was another value.
    Changed(usize),
}

/// Align two lists: what both begin and end with stays, then as many items as possible in the window between. What is
/// left between two items that stay is paired, in order, as the same items with other values.
pub(super) fn align(
    old: &[Value],
    new: &[Value],
    cells_left: &mut usize,
    steps: &mut Steps,
) -> Result<Alignment, Spent> {
    let head = alike(old.iter().zip(new), steps)?;
    let tail = alike(old[head..].iter().rev().zip(new[head..].iter().rev()), steps)?;
    let window = Window {
        old: &old[head..old.len() - tail],
        new: &new[head..new.len() - tail],
        head,
        found: Alignment::default(),
    };
    window.align(cells_left, steps)
}

fn alike<'a>(pairs: impl Iterator<Item = (&'a Value, &'a Value)>, steps: &mut Steps) -> Result<usize, Spent> {
    let mut count = 0;
    for (a, b) in pairs {
        if !same(a, b, steps)? {
            break;
        }
        count += 1;
    }
    Ok(count)
}

struct Window<'a> {
    old: &'a [Value],
    new: &'a [Value],
    /// How many items come before the window, in both lists.
    head: usize,
    found: Alignment,
}

impl Window<'_> {
    fn align(mut self, cells_left: &mut usize, steps: &mut Steps) -> Result<Alignment, Spent> {
        let kept = match (self.old.len(), self.new.len()) {
            // What is there is not the same in both.
            (0, _) | (_, 0) | (1, 1) => Vec::new(),
            _ => self.kept(cells_left, steps)?,
        };
        let (mut x, mut y) = (0, 0);
        for (kept_x, kept_y) in kept.into_iter().chain([(self.old.len(), self.new.len())]) {
            self.gap(x..kept_x, y..kept_y, steps)?;
            (x, y) = (kept_x + 1, kept_y + 1);
        }
        Ok(self.found)
    }

    /// The pairs of places in the window that hold the same and stay. None where finding them takes too much.
    fn kept(&self, cells_left: &mut usize, steps: &mut Steps) -> Result<Vec<(usize, usize)>, Spent> {
        let (old, new) = (hashes(self.old, steps)?, hashes(self.new, steps)?);
        // What is in one list alone cannot stay, and is not searched: where all items changed, nothing is.
        let (old_places, new_places) = (places_in_both(&old, &new), places_in_both(&new, &old));
        let old: Vec<u64> = old_places.iter().map(|place| old[*place]).collect();
        let new: Vec<u64> = new_places.iter().map(|place| new[*place]).collect();
        let pairs = common(&old, &new, cells_left).unwrap_or_default();
        let mut kept = Vec::with_capacity(pairs.len());
        for (x, y) in pairs {
            let (x, y) = (old_places[x], new_places[y]);
            if same(&self.old[x], &self.new[y], steps)? {
                kept.push((x, y));
            }
        }
        Ok(kept)
    }

    /// Between two items that stay: pairs, and then what is gone or added.
    fn gap(&mut self, old: Range<usize>, new: Range<usize>, steps: &mut Steps) -> Result<(), Spent> {
        let pairs = old.len().min(new.len());
        // With more on one side, the pairs begin together or end together, whichever has more in common.
        let (old_skip, new_skip) = (old.len() - pairs, new.len() - pairs);
        let (mut begin, mut end) = (0, 0);
        if old_skip + new_skip > 0 {
            for at in 0..pairs {
                let (x, y) = (old.start + at, new.start + at);
                begin += likeness(&self.old[x], &self.new[y], steps)?;
                end += likeness(&self.old[x + old_skip], &self.new[y + new_skip], steps)?;
            }
        }
        let (old_from, new_from) =
            if end > begin { (old.start + old_skip, new.start + new_skip) } else { (old.start, new.start) };
        let paired = old_from..old_from + pairs;
        self.found.removed.extend(old.filter(|x| !paired.contains(x)).map(|x| x + self.head));
        for y in new {
            let origin = match y.checked_sub(new_from).filter(|at| *at < pairs) {
                Some(at) => Origin::Changed(self.head + old_from + at),
                None => Origin::Added,
            };
            self.found.changes.push((self.head + y, origin));
        }
        Ok(())
    }
}

/// Values by 64 bits each: the same for equal values, and now and then for others, such as `0` and `0.0`, so what is found
/// by them is compared. They are sorted, never put into buckets: values chosen to meet in a bucket cost nothing. There is
/// no seed: a run is a function of its input.
fn hashes(values: &[Value], steps: &mut Steps) -> Result<Vec<u64>, Spent> {
    let hash = |value| {
        steps.take_whole(value)?;
        Ok(BuildHasherDefault::<DefaultHasher>::default().hash_one(value))
    };
    values.iter().map(hash).collect()
}

fn places_in_both(hashes: &[u64], others: &[u64]) -> Vec<usize> {
    let mut others = others.to_vec();
    others.sort_unstable();
    (0..hashes.len()).filter(|place| others.binary_search(&hashes[*place]).is_ok()).collect()
}

/// How much two values look like one that changed: the members they share that are no objects or lists.
fn likeness(old: &Value, new: &Value, steps: &mut Steps) -> Result<usize, Spent> {
    let (Value::Object(old), Value::Object(new)) = (old, new) else { return Ok(0) };
    let mut shared = 0;
    for (name, value) in old {
        steps.take(1)?;
        if !value.is_object() && !value.is_array() && new.get(name) == Some(value) {
            shared += 1;
        }
    }
    Ok(shared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(old: Value, new: Value, removed: &[usize], changes: &[(usize, Origin)]) {
        let (Value::Array(a), Value::Array(b)) = (&old, &new) else { panic!("lists") };
        let found = align(a, b, &mut 1000, &mut Steps::new(1000)).expect("enough");
        assert_eq!((&*found.removed, &*found.changes), (removed, changes), "{old} {new}");
    }

    #[test]
    fn what_both_have_stays() {
        use Origin::{Added, Changed};
        check(json!([]), json!([]), &[], &[]);
        check(json!([1, 2]), json!([1, 2]), &[], &[]);
        check(json!([1, 2, 3]), json!([2, 3]), &[0], &[]);
        check(json!([1, 2]), json!([1, 2, 3]), &[], &[(2, Added)]);
        check(json!([1, 2, 3, 4]), json!([2, 3, 5]), &[0], &[(2, Changed(3))]);
        check(json!([1, 2, 3]), json!([1, 9, 3]), &[], &[(1, Changed(1))]);
        check(json!([1, 1, 1]), json!([1, 1]), &[2], &[]);
        check(json!([]), json!([1, 2]), &[], &[(0, Added), (1, Added)]);
        check(json!([1, 2]), json!([]), &[0, 1], &[]);
    }

    #[test]
    fn an_item_is_paired_with_the_one_it_looks_like() {
        use Origin::{Added, Changed};
        let (old, changed) = (json!({ "id": 1, "x": 1 }), json!({ "id": 1, "x": 2 }));
        let other = json!({ "id": 7, "x": 7 });
        check(json!([old]), json!([other, changed]), &[], &[(0, Added), (1, Changed(0))]);
        check(json!([old]), json!([changed, other]), &[], &[(0, Changed(0)), (1, Added)]);
        check(json!([other, old]), json!([changed]), &[0], &[(0, Changed(1))]);
        check(json!([old, other]), json!([changed]), &[1], &[(0, Changed(0))]);
    }

    #[test]
    fn values_with_the_same_hash_are_not_taken_for_the_same() {
        use Origin::Changed;
        let (zero, float) = (json!({ "id": 0 }), json!({ "id": 0.0 }));
        let found = hashes(&[zero.clone(), float.clone()], &mut Steps::new(9)).expect("enough");
        assert_eq!(found[0], found[1], "else find another pair");
        check(json!([zero, "a", 1]), json!([float, "a", 2]), &[], &[(0, Changed(0)), (2, Changed(2))]);
    }

    #[test]
    fn lists_that_differ_too_much_are_paired_in_order() {
        let old: Vec<Value> = (0..100).map(Value::from).collect();
        let new: Vec<Value> = (0..100).rev().map(Value::from).collect();
        let found = align(&old, &new, &mut 100, &mut Steps::new(10_000)).expect("enough");
        assert!(found.removed.is_empty());
        let in_order: Vec<_> = (0..100).map(|at| (at, Origin::Changed(at))).collect();
        assert_eq!(found.changes, in_order);
    }

    #[test]
    fn to_hash_a_value_takes_the_steps_of_all_of_it() {
        let old: Vec<Value> = (0..10).map(|at| json!([at, [2, 3], "x".repeat(160)])).collect();
        let new: Vec<Value> = old.iter().rev().cloned().collect();
        // Each item takes 6 for its values and 10 for its text.
        assert_eq!(align(&old, &new, &mut 1000, &mut Steps::new(320)).err(), Some(Spent));
        assert!(align(&old, &new, &mut 1000, &mut Steps::new(400)).is_ok());
    }
}
