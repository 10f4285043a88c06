//! Applying a patch: all of it, or nothing.

use std::borrow::Cow;

use serde_json::Value;

use super::pointer::{Pointer, index};
use super::size::json_bytes;
use super::steps::{Spent, Steps};
use super::{Fault, Op, Patch, PatchError, equal};
use crate::limits::PatchLimits;

/// What `document` is after the operations of `patch`, in order, with the meaning of RFC 6902. The document itself is
/// not touched, so an error leaves nothing half done. Takes the time of copying the document, and at most
/// [`steps_max`](PatchLimits::steps_max) steps.
///
/// Two things that the RFC leaves open: the document itself cannot be removed, and a value moved to where it is stays
/// there.
pub fn apply(document: &Value, patch: &Patch, limits: &PatchLimits) -> Result<Value, PatchError> {
    if patch.ops.len() > limits.ops_max {
        return Err(PatchError::TooManyOps(limits.ops_max));
    }
    let mut work = Work {
        document: document.clone(),
        limits,
        steps: Steps::new(limits.steps_max),
        copy_bytes: limits.copy_bytes_max,
    };
    for (at, op) in patch.ops.iter().enumerate() {
        work.op(op).map_err(|fault| PatchError::Op { at, fault })?;
    }
    Ok(work.document)
}

struct Work<'a> {
    document: Value,
    limits: &'a PatchLimits,
    steps: Steps,
    /// What is left of [`PatchLimits::copy_bytes_max`].
    copy_bytes: usize,
}

impl Work<'_> {
    fn op(&mut self, op: &Op) -> Result<(), Fault> {
        match op {
            Op::Add { path, value } => self.add(path, value.clone()),
            Op::Remove { path } => self.remove(path).map(drop),
            Op::Replace { path, value } => self.replace(path, value.clone()),
            Op::Move { from, path } => self.relocate(from, path),
            Op::Copy { from, path } => self.copy(from, path),
            Op::Test { path, value } => {
                let found = find(&mut self.document, path.names())?;
                if equal(found, value) { Ok(()) } else { Err(Fault::Test) }
            }
        }
    }

    fn add(&mut self, path: &Pointer, value: Value) -> Result<(), Fault> {
        self.fits(path, &value)?;
        let spent = self.spent();
        let Some((parent, name)) = path.split() else {
            self.document = value;
            return Ok(());
        };
        match find(&mut self.document, parent)? {
            Value::Object(members) => {
                members.insert(name.into_owned(), value);
            }
            Value::Array(items) => {
                let at = if name == "-" { items.len() } else { index(&name, items.len() + 1)? };
                self.steps.take_moved(items.len() - at).map_err(|Spent| spent)?;
                items.insert(at, value);
            }
            _ => return Err(Fault::Missing),
        }
        Ok(())
    }

    fn remove(&mut self, path: &Pointer) -> Result<Value, Fault> {
        let (parent, name) = path.split().ok_or(Fault::Root)?;
        let spent = self.spent();
        match find(&mut self.document, parent)? {
            Value::Object(members) => members.remove(&*name).ok_or(Fault::Missing),
            Value::Array(items) => {
                let at = index(&name, items.len())?;
                self.steps.take_moved(items.len() - at).map_err(|Spent| spent)?;
                Ok(items.remove(at))
            }
            _ => Err(Fault::Missing),
        }
    }

    fn replace(&mut self, path: &Pointer, value: Value) -> Result<(), Fault> {
        self.fits(path, &value)?;
        *find(&mut self.document, path.names())? = value;
        Ok(())
    }

    fn relocate(&mut self, from: &Pointer, path: &Pointer) -> Result<(), Fault> {
        if from.holds(path) {
            return Err(Fault::IntoItself);
        }
        if from == path {
            return find(&mut self.document, from.names()).map(drop);
        }
        let value = self.remove(from)?;
        self.add(path, value)
    }

    fn copy(&mut self, from: &Pointer, path: &Pointer) -> Result<(), Fault> {
        let found = find(&mut self.document, from.names())?;
        let bytes = json_bytes(found, self.copy_bytes).ok_or(Fault::Copies(self.limits.copy_bytes_max))?;
        self.copy_bytes -= bytes;
        let value = found.clone();
        self.add(path, value)
    }

    /// Whether the value may be there: what is too deep could be written, and then not be read again.
    fn fits(&mut self, path: &Pointer, value: &Value) -> Result<(), Fault> {
        path.check(self.limits.path_bytes_max, self.limits.depth_max)?;
        let spent = self.spent();
        let inside = self.steps.take_whole(value).map_err(|Spent| spent)?;
        if path.depth() + inside > self.limits.depth_max {
            return Err(Fault::Depth(self.limits.depth_max));
        }
        Ok(())
    }

    fn spent(&self) -> Fault {
        Fault::Steps(self.limits.steps_max)
    }
}

fn find<'v, 'n>(
    mut value: &'v mut Value,
    names: impl Iterator<Item = Cow<'n, str>>,
) -> Result<&'v mut Value, Fault> {
    for name in names {
        value = match value {
            Value::Object(members) => members.get_mut(&*name).ok_or(Fault::Missing)?,
            Value::Array(items) => {
                let at = index(&name, items.len())?;
                &mut items[at]
            }
            _ => return Err(Fault::Missing),
        };
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fault(document: &Value, patch: &Value, limits: &PatchLimits) -> Option<(usize, Fault)> {
        let patch = Patch::parse(&patch.to_string(), &PatchLimits::default()).expect("a patch");
        match apply(document, &patch, limits) {
            Ok(_) => None,
            Err(PatchError::Op { at, fault }) => Some((at, fault)),
            Err(other) => panic!("{other}"),
        }
    }

    fn check(document: Value, patch: Value, expected: Option<(usize, Fault)>) {
        let found = fault(&document, &patch, &PatchLimits::default());
        assert_eq!(found, expected, "{:.500} {:.500}", document.to_string(), patch.to_string());
    }

    #[test]
    fn an_error_says_which_operation_and_why() {
        let test = json!({ "op": "test", "path": "/a", "value": 1.0 });
        check(json!({ "a": 1 }), json!([test, { "op": "remove", "path": "/b" }]), Some((1, Fault::Missing)));
        check(json!({ "a": 2 }), json!([test]), Some((0, Fault::Test)));
        check(json!([1]), json!([{ "op": "add", "path": "/2", "value": 1 }]), Some((0, Fault::Index)));
        check(json!(1), json!([{ "op": "add", "path": "/a", "value": 1 }]), Some((0, Fault::Missing)));
        check(json!(1), json!([{ "op": "remove", "path": "" }]), Some((0, Fault::Root)));
        check(json!({}), json!([{ "op": "move", "from": "", "path": "/a" }]), Some((0, Fault::IntoItself)));
    }

    #[test]
    fn copies_of_copies_are_bounded() {
        let twice = json!({ "op": "copy", "from": "/a", "path": "/a/-" });
        let doubled = |times: usize| json!(vec![&twice; times]);
        let document = json!({ "a": ["0123456789"] });
        // The copies have 14, 29, 59, ... bytes.
        check(document.clone(), doubled(14), None);
        check(document, doubled(15), Some((14, Fault::Copies(256 * 1024))));
        let large = json!({ "a": [], "b": "x".repeat(256 * 1024 - 2) });
        check(large.clone(), json!([{ "op": "copy", "from": "/b", "path": "/c" }]), None);
        let copy = |path: &str| json!({ "op": "copy", "from": "/b", "path": path });
        check(large, json!([copy("/c"), copy("/d")]), Some((1, Fault::Copies(256 * 1024))));
    }

    #[test]
    fn nothing_is_put_deeper_than_it_could_be_read() {
        let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
        let add = |levels: usize| json!([{ "op": "add", "path": "/a", "value": nested(levels) }]);
        check(json!({}), add(63), None);
        check(json!({}), add(64), Some((0, Fault::Depth(64))));
        let moved = json!([{ "op": "move", "from": "/a", "path": "/b/c" }]);
        check(json!({ "a": nested(62), "b": {} }), moved.clone(), None);
        check(json!({ "a": nested(63), "b": {} }), moved, Some((0, Fault::Depth(64))));
        // Each takes what is there one deeper: `copy` into itself.
        let deeper = json!({ "op": "copy", "from": "", "path": "/a" });
        check(json!({ "a": 1 }), json!(vec![&deeper; 12]), None);
        let many = PatchLimits { copy_bytes_max: usize::MAX, steps_max: 100_000, ..PatchLimits::default() };
        let found = fault(&json!({ "a": 1 }), &json!(vec![&deeper; 100]), &many);
        assert_eq!(found, Some((63, Fault::Depth(64))));
    }

    #[test]
    fn steps_are_bounded_where_a_list_is_shifted_again_and_again() {
        let document: Value = (0..100_000).collect();
        let shift = json!({ "op": "move", "from": "/0", "path": "/-" });
        check(document.clone(), json!(vec![&shift; 100]), None);
        let limit = PatchLimits::default().steps_max;
        let shifts = 4 * limit / 100_000;
        check(document.clone(), json!(vec![&shift; 1000]), Some((shifts, Fault::Steps(limit))));
        let insert = json!({ "op": "add", "path": "/0", "value": 1 });
        check(document, json!(vec![&insert; 1000]), Some((shifts, Fault::Steps(limit))));
    }

    #[test]
    fn more_operations_than_allowed_are_not_begun() {
        let limits = PatchLimits { ops_max: 1, ..PatchLimits::default() };
        let remove = Op::Remove { path: Pointer::new("/a").expect("a pointer") };
        let patch = Patch::new(vec![remove; 2]);
        assert_eq!(apply(&json!({ "a": 1 }), &patch, &limits), Err(PatchError::TooManyOps(1)));
    }
}
