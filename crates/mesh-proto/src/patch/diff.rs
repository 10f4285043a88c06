//! What changed between two values.

use serde::Serialize;
use serde_json::{Map, Value};

use super::equal::same;
use super::list::{Origin, align};
use super::pointer::{Pointer, Step};
use super::size::json_bytes;
use super::steps::{Spent, Steps};
use super::{Op, Patch, apply};
use crate::limits::PatchLimits;

/// The patch that makes `new` of `old`: `add`, `remove` and `replace` alone, and none if they are the same.
///
/// `None` means to send `new` in full: because it takes no more bytes than the patch, or because a bound was passed. A
/// patch that is given was applied to `old`, and gave `new`.
///
/// Lists are aligned by what both begin and end with, then by their longest common subsequence; so to add or remove an
/// item is one operation, wherever it is. Removals come first, from the back. Where a part would take fewer bytes in
/// full it is replaced. Takes at most [`steps_max`](PatchLimits::steps_max) steps and
/// [`cells_max`](PatchLimits::cells_max) cells.
pub fn diff(old: &Value, new: &Value, limits: &PatchLimits) -> Option<Patch> {
    let draft = Draft::of(old, new, limits)?;
    // `new` is counted no further than the patch is long.
    if !draft.edits.is_empty() && json_bytes(new, draft.json_bytes()).is_some() {
        return None;
    }
    draft.verified(old, new, limits)
}

/// As [`diff`], but also where the patch is no smaller than the value: it may replace the document itself. `None` if a
/// bound was passed.
pub fn diff_of_any_size(old: &Value, new: &Value, limits: &PatchLimits) -> Option<Patch> {
    Draft::of(old, new, limits)?.verified(old, new, limits)
}

/// An operation whose value is still where it is.
#[derive(Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
enum Edit<'a> {
    Add { path: Pointer, value: &'a Value },
    Remove { path: Pointer },
    Replace { path: Pointer, value: &'a Value },
}

/// Why a part of the document cannot be said.
enum Passed {
    /// No steps are left, so nothing more can be.
    Steps,
    /// It takes too many operations, or too long a path: something around it must be replaced.
    Here,
}

impl From<Spent> for Passed {
    fn from(_: Spent) -> Self {
        Self::Steps
    }
}

struct Draft<'a> {
    edits: Vec<Edit<'a>>,
    /// The bytes of `edits` as JSON, with a comma behind each.
    bytes: usize,
    /// Where the walk is.
    path: Vec<Step<'a>>,
    limits: &'a PatchLimits,
    steps: Steps,
    /// What is left of [`PatchLimits::cells_max`].
    cells_left: usize,
}

impl<'a> Draft<'a> {
    fn of(old: &'a Value, new: &'a Value, limits: &'a PatchLimits) -> Option<Self> {
        let steps = Steps::new(limits.steps_max);
        let mut draft = Self {
            edits: Vec::new(),
            bytes: 0,
            path: Vec::new(),
            limits,
            steps,
            cells_left: limits.cells_max,
        };
        draft.value(old, new).ok()?;
        Some(draft)
    }

    fn json_bytes(&self) -> usize {
        "[]".len() + self.bytes.saturating_sub(1)
    }

    /// The patch, if it does what it says.
    fn verified(self, old: &Value, new: &Value, limits: &PatchLimits) -> Option<Patch> {
        let ops = self.edits.into_iter().map(|edit| match edit {
            Edit::Add { path, value } => Op::Add { path, value: value.clone() },
            Edit::Remove { path } => Op::Remove { path },
            Edit::Replace { path, value } => Op::Replace { path, value: value.clone() },
        });
        let patch = Patch::new(ops.collect());
        (apply(old, &patch, limits).as_ref() == Ok(new)).then_some(patch)
    }

    fn value(&mut self, old: &'a Value, new: &'a Value) -> Result<(), Passed> {
        let (edits, bytes) = (self.edits.len(), self.bytes);
        let said = match (old, new) {
            (Value::Object(old), Value::Object(new)) => self.object(old, new),
            (Value::Array(old), Value::Array(new)) => self.list(old, new),
            _ if same(old, new, &mut self.steps)? => return Ok(()),
            _ => return self.replace(new),
        };
        match said {
            Ok(()) if self.edits.len() - edits < 2 => return Ok(()),
            Ok(()) => {
                let said = self.bytes - bytes;
                self.steps.take(said / 16)?;
                let in_full = Edit::Replace { path: Pointer::of(&self.path), value: new };
                if json_bytes(&in_full, said).is_none() {
                    return Ok(());
                }
            }
            Err(Passed::Steps) => return Err(Passed::Steps),
            Err(Passed::Here) => {}
        }
        self.edits.truncate(edits);
        self.bytes = bytes;
        self.replace(new)
    }

    fn object(&mut self, old: &'a Map<String, Value>, new: &'a Map<String, Value>) -> Result<(), Passed> {
        for name in old.keys() {
            self.steps.take(1)?;
            if !new.contains_key(name) {
                self.at(Step::Name(name), Self::remove)?;
            }
        }
        for (name, value) in new {
            self.steps.take_text(name)?;
            self.at(Step::Name(name), |draft| match old.get(name) {
                Some(old) => draft.value(old, value),
                None => draft.add(value),
            })?;
        }
        Ok(())
    }

    fn list(&mut self, old: &'a [Value], new: &'a [Value]) -> Result<(), Passed> {
        let alignment = align(old, new, &mut self.cells_left, &mut self.steps)?;
        // From the back, so that those before keep their places.
        for at in alignment.removed.into_iter().rev() {
            self.at(Step::Index(at), Self::remove)?;
        }
        // From the front: all before this place is in place already.
        for (at, origin) in alignment.changes {
            self.at(Step::Index(at), |draft| match origin {
                Origin::Changed(from) => draft.value(&old[from], &new[at]),
                Origin::Added => draft.add(&new[at]),
            })?;
        }
        Ok(())
    }

    fn at(
        &mut self,
        step: Step<'a>,
        say: impl FnOnce(&mut Self) -> Result<(), Passed>,
    ) -> Result<(), Passed> {
        self.path.push(step);
        let said = say(self);
        self.path.pop();
        said
    }

    fn add(&mut self, value: &'a Value) -> Result<(), Passed> {
        self.push(|path| Edit::Add { path, value }, Some(value))
    }

    fn remove(&mut self) -> Result<(), Passed> {
        self.push(|path| Edit::Remove { path }, None)
    }

    fn replace(&mut self, value: &'a Value) -> Result<(), Passed> {
        self.push(|path| Edit::Replace { path, value }, Some(value))
    }

    fn push(
        &mut self,
        edit: impl FnOnce(Pointer) -> Edit<'a>,
        value: Option<&'a Value>,
    ) -> Result<(), Passed> {
        let inside = value.map_or(Ok(0), |value| self.steps.take_whole(value))?;
        let path = Pointer::of(&self.path);
        let is_deep = self.path.len() + inside > self.limits.depth_max;
        if is_deep
            || self.edits.len() == self.limits.ops_max
            || path.as_str().len() > self.limits.path_bytes_max
        {
            return Err(Passed::Here);
        }
        let edit = edit(path);
        // Values come from a parser or from serde, and always encode.
        self.bytes += json_bytes(&edit, usize::MAX).ok_or(Passed::Here)? + 1;
        self.edits.push(edit);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
