//! The steps of one batch, and how much of what they announce goes out.

use super::{BATCH_BYTES_MAX, FULLS_BYTES_MAX};
use crate::{Entry, Variants};

/// Steps that are to be written together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    entries: Vec<Entry>,
    /// What the entries weigh.
    bytes: usize,
    /// What all whole values weigh, also those that were let go of.
    fulls: usize,
    /// How many of the entries from the first on were let go of as far as they can be.
    lean: usize,
}

impl Batch {
    /// One step more, unless that would be too much. Patches go out of every step; whole values only as long as all of
    /// them together are small, else the last step's alone: who asked for them skips the versions between. A step
    /// without a patch keeps its whole value, as who asked for patches has nothing else.
    pub(super) fn push(&mut self, entry: Entry) -> bool {
        let fulls = self.fulls + full(&entry);
        let over = fulls > FULLS_BYTES_MAX;
        let spared: usize = if over { self.fat().iter().map(spare).sum() } else { 0 };
        let bytes = self.bytes - spared + weight(&entry);
        if bytes > BATCH_BYTES_MAX && !self.entries.is_empty() {
            return false;
        }
        if over {
            self.entries[self.lean..].iter_mut().for_each(let_go);
            self.lean = self.entries.len();
        }
        (self.fulls, self.bytes) = (fulls, bytes);
        self.entries.push(entry);
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    fn fat(&self) -> &[Entry] {
        &self.entries[self.lean..]
    }
}

fn variants(entry: &Entry) -> Option<&Variants> {
    entry.announce.as_ref()?.variants.as_ref()
}

fn weight(entry: &Entry) -> usize {
    entry.kept.len() + variants(entry).map_or(0, Variants::weight)
}

fn full(entry: &Entry) -> usize {
    variants(entry).and_then(|variants| variants.full.as_ref()).map_or(0, |full| full.weight())
}

/// What letting go of its whole value spares.
fn spare(entry: &Entry) -> usize {
    if variants(entry).is_some_and(|variants| variants.patch.is_some()) { full(entry) } else { 0 }
}

fn let_go(entry: &mut Entry) {
    let variants = entry.announce.as_mut().and_then(|announce| announce.variants.as_mut());
    if let Some(Variants { full, patch: Some(_) }) = variants {
        *full = None;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use mesh_proto::Tag;

    use super::*;
    use crate::{Announce, Key, Kind, Wire};

    fn text(bytes: usize) -> Wire {
        Wire::Final(vec![b'x'; bytes].into())
    }

    fn entry(full: Option<usize>, patch: Option<usize>) -> Entry {
        let variants = Some(Variants { full: full.map(text), patch: patch.map(text) });
        let announce = Announce::text(Key::new(Kind::Record, "r"), Bytes::new());
        Entry { tag: Tag(0), kept: Bytes::new(), announce: Some(Announce { variants, ..announce }) }
    }

    /// Of each step pushed, whether it has its whole value and its patch.
    fn check(steps: &[(Option<usize>, Option<usize>)], expected: &[(bool, bool)]) {
        let mut batch = Batch::default();
        for (full, patch) in steps {
            assert!(batch.push(entry(*full, *patch)));
        }
        let entries = batch.into_entries();
        let forms = |entry| variants(entry).map(|v| (v.full.is_some(), v.patch.is_some())).unwrap();
        assert_eq!(entries.iter().map(forms).collect::<Vec<_>>(), expected, "{steps:?}");
    }

    const MAX: usize = FULLS_BYTES_MAX;

    #[test]
    fn every_whole_value_goes_out_while_all_are_small() {
        check(&[(Some(MAX), Some(9))], &[(true, true)]);
        check(&[(Some(MAX + 1), Some(9))], &[(true, true)]);
        check(&[(Some(MAX / 2), Some(9)), (Some(MAX / 2), Some(9))], &[(true, true); 2]);
    }

    #[test]
    fn else_that_of_the_last_step_alone() {
        check(&[(Some(MAX / 2), Some(9)), (Some(MAX / 2 + 1), Some(9))], &[(false, true), (true, true)]);
        let mut expected = [(false, true); 100];
        expected[99].0 = true;
        check(&[(Some(1000), Some(9)); 100], &expected);
    }

    #[test]
    fn a_step_without_a_patch_keeps_its_whole_value() {
        check(
            &[(Some(MAX), None), (Some(1), Some(9)), (Some(1), None), (Some(2), Some(9))],
            &[(true, false), (false, true), (true, false), (true, true)],
        );
        check(&[(Some(MAX), Some(9)), (Some(1), None)], &[(false, true), (true, false)]);
    }

    #[test]
    fn patches_and_steps_without_an_announcement_count_for_nothing() {
        check(
            &[(None, Some(MAX)), (Some(9), Some(MAX)), (Some(9), Some(9))],
            &[(false, true), (true, true), (true, true)],
        );
        let mut batch = Batch::default();
        let silent = Entry { announce: None, kept: vec![b'x'; MAX].into(), ..entry(None, None) };
        assert!(batch.push(silent.clone()) && batch.push(entry(Some(9), Some(9))) && batch.push(silent));
        assert_eq!(batch.into_entries().iter().map(full).collect::<Vec<_>>(), [0, 9, 0]);
    }

    #[test]
    fn what_does_not_fit_leaves_the_others_as_they_were() {
        let mut batch = Batch::default();
        assert!(batch.push(entry(Some(9), Some(BATCH_BYTES_MAX))), "any one fits");
        assert!(!batch.push(entry(Some(MAX), Some(9))));
        assert_eq!(batch.into_entries().iter().map(full).collect::<Vec<_>>(), [9]);
    }

    #[test]
    fn what_was_let_go_of_leaves_room() {
        let mut batch = Batch::default();
        for _ in 0..100 {
            assert!(batch.push(entry(Some(MAX), Some(9))));
        }
        assert_eq!(batch.bytes, 100 * 9 + MAX);
    }
}
