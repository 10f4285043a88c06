//! JSON patches: what changed between two values, after RFC 6902.
//!
//! [`diff`] says it with `add`, `remove` and `replace`; [`apply`] and [`Patch::parse`] know all six operations, since
//! applications send patches too. `packages/client/src/patch.ts` applies them by the same rules, and both are held to
//! the cases in `protocol/patches/`.
//!
//! # When two numbers are equal
//!
//! A number is the double nearest to it, which is all that JavaScript sees: `1`, `1.0` and `1e0` are equal, so are `0`
//! and `-0`, and so are 2^53 and 2^53 + 1. `test` goes by this rule, here and in TypeScript ([`equal`]).
//!
//! `diff` is stricter, because a reader in Rust sees more: it tells integers from floats, and all integers apart, as
//! `==` of [`Value`] does. Whoever applies its patches has at each version what `==` calls the stored
//! value, and therefore what `equal` does. Only the sign of a zero that is a float is told by neither.

mod apply;
mod common;
mod diff;
mod equal;
mod error;
mod list;
mod parse;
mod pointer;
mod size;
mod steps;

use serde::{Serialize, Serializer};
use serde_json::Value;

pub use apply::apply;
pub use diff::{diff, diff_of_any_size};
pub use equal::equal;
pub use error::{Fault, PatchError};
pub use pointer::Pointer;

/// Operations, to be applied one after the other, or none of them. Serializes to the JSON of RFC 6902.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patch {
    ops: Vec<Op>,
}

/// One operation of a [`Patch`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Op {
    /// Put a value in: a member that is new or replaced, an item before the one that has the index now, or, with `-`,
    /// behind the last.
    Add {
        /// Where it is afterwards.
        path: Pointer,
        /// What is put there.
        value: Value,
    },
    /// Take away what is there.
    Remove {
        /// Where it is.
        path: Pointer,
    },
    /// Put a value where there is one.
    Replace {
        /// Where it is.
        path: Pointer,
        /// What is put there.
        value: Value,
    },
    /// Remove, then add what was removed.
    Move {
        /// Where it is.
        from: Pointer,
        /// Where it is afterwards, once it is gone from where it was.
        path: Pointer,
    },
    /// Add what is elsewhere, too.
    Copy {
        /// Where it is.
        from: Pointer,
        /// Where it is afterwards as well.
        path: Pointer,
    },
    /// Apply nothing unless this is there.
    Test {
        /// Where it is.
        path: Pointer,
        /// What is there.
        value: Value,
    },
}

impl Patch {
    /// A patch of these operations. Bounds are kept when it is applied.
    pub fn new(ops: Vec<Op>) -> Self {
        Self { ops }
    }

    /// Its operations, in order.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// Whether it changes nothing, because there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }
}

impl Serialize for Patch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.ops.serialize(serializer)
    }
}
