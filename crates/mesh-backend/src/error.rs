//! What can go wrong between an instance and what it shares.

/// The result of an operation of a [`Link`](crate::Link).
pub type Result<T, E = BackendError> = std::result::Result<T, E>;

/// Why an operation did not take place, or may not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The backend cannot be reached, or did not answer in time. Whether the operation took place is not known.
    #[error("the backend is unavailable: {0}")]
    Unavailable(String),
    /// This incarnation was declared dead and its entries may be gone: attach again and enter everything anew.
    #[error("this instance was declared dead; it must attach again")]
    Fenced,
    /// The function given to [`CellQueue::edit`](crate::CellQueue::edit) panicked, with this message. It wrote nothing.
    #[error("an edit panicked: {0}")]
    EditPanicked(String),
    /// Nothing was done: what was asked for cannot be done as one step, now or later.
    #[error("{0}")]
    Refused(String),
    /// Over a bound of the backend's own.
    #[error("{0}")]
    TooLarge(String),
}
