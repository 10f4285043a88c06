//! Values and their versions.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use tokio::time::Instant;

use super::list_from;
use super::logs::{FORGET_AFTER, SWEEP_MAX};
use crate::{CellValue, Expect, Key, Kind, Written};

/// The version of a cell is the offset of its log's newest entry, so it never goes back while the log is known.
#[derive(Default)]
pub(super) struct Cells {
    cells: BTreeMap<Key, Cell>,
    /// Where the sweep goes on.
    swept: Option<Key>,
}

struct Cell {
    now: CellValue,
    written: Instant,
}

impl Cells {
    pub(super) fn load(&self, key: &Key) -> Option<CellValue> {
        self.cells.get(key).map(|cell| cell.now.clone())
    }

    /// What is there, if it is not what was expected.
    pub(super) fn conflict(&self, key: &Key, expect: Expect) -> Option<Written> {
        let there = self.cells.get(key);
        let as_expected = match (expect, there) {
            (Expect::Absent, None) => true,
            (Expect::Version(epoch, version), Some(cell)) => {
                (cell.now.position.epoch, cell.now.position.offset) == (epoch, version)
            }
            _ => false,
        };
        (!as_expected).then(|| Written::Conflict(there.map(|cell| cell.now.clone())))
    }

    pub(super) fn put(&mut self, key: &Key, now: CellValue, written: Instant) {
        let cell = Cell { now, written };
        match self.cells.get_mut(key) {
            Some(there) => *there = cell,
            None => drop(self.cells.insert(key.clone(), cell)),
        }
    }

    pub(super) fn list(
        &self,
        kind: Kind,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<(Arc<str>, CellValue)> {
        self.cells
            .range((list_from(kind, prefix, after), Bound::Unbounded))
            .take_while(|(key, _)| key.kind == kind && key.name.starts_with(prefix))
            .filter(|(_, cell)| cell.now.value.is_some())
            .take(limit)
            .map(|(key, cell)| (key.name.clone(), cell.now.clone()))
            .collect()
    }

    /// Of the next few cells: those that were removed long ago.
    pub(super) fn over(&mut self, now: Instant) -> Vec<Key> {
        let from = self.swept.take().map_or(Bound::Unbounded, Bound::Excluded);
        let mut over = Vec::new();
        for (looked, (key, cell)) in self.cells.range((from, Bound::Unbounded)).enumerate() {
            if looked == SWEEP_MAX {
                break;
            }
            if cell.now.value.is_none() && now >= cell.written + FORGET_AFTER {
                over.push(key.clone());
            }
            self.swept = Some(key.clone());
        }
        over
    }

    pub(super) fn forget(&mut self, key: &Key) {
        self.cells.remove(key);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }
}
