//! Why a patch is none, or does not apply.

/// A patch that cannot be read or applied. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatchError {
    /// It is no list of objects.
    #[error("not a JSON patch: {0}")]
    Malformed(String),
    /// It has more than so many operations.
    #[error("a patch has at most {0} operations")]
    TooManyOps(usize),
    /// One of its operations is at fault.
    #[error("operation {at}: {fault}")]
    Op {
        /// Which one, counted from 0.
        at: usize,
        /// What is wrong with it.
        fault: Fault,
    },
}

/// What is wrong with an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// `op` is none of the six.
    #[error("`op` is none of add, remove, replace, move, copy and test")]
    Unknown,
    /// A member that the operation needs is missing, or is no string where it must be one.
    #[error("`{0}` is missing or of the wrong type")]
    Member(&'static str),
    /// A path is no JSON pointer: it must be empty or begin with `/`, and `~` must be followed by `0` or `1`.
    #[error("the path is no JSON pointer")]
    Pointer,
    /// A path has more bytes than that.
    #[error("a path has at most {0} bytes")]
    PathBytes(usize),
    /// A path has more names than that, or the value would be inside more brackets than that.
    #[error("deeper than {0}")]
    Depth(usize),
    /// Nothing is there.
    #[error("nothing is there")]
    Missing,
    /// In a list, a name must be the index of an item: digits without leading zeros, and in range.
    #[error("no index of that list")]
    Index,
    /// The document itself cannot be removed: nothing would be left.
    #[error("the document itself cannot be removed")]
    Root,
    /// A value cannot be moved into itself.
    #[error("a value cannot be moved into itself")]
    IntoItself,
    /// `test` found another value.
    #[error("another value is there")]
    Test,
    /// The `copy` operations add more JSON bytes than that.
    #[error("copies of more than {0} bytes")]
    Copies(usize),
    /// The patch takes more steps than that.
    #[error("more than {0} steps")]
    Steps(usize),
}
