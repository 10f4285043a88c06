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
