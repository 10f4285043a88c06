//! What the instances of a server share, and how.
//!
//! A [`Backend`] is attached once per life of an instance; all operations are on the [`Link`] this gives, so that
//! fencing, partitions and faults are per instance. Operations are semantic and atomic: storing and announcing are one
//! step. [`Memory`] is the embedded default and the model that every other backend is compared with.

mod error;
mod inbox;
mod key;
mod link;
mod memory;
mod publication;
pub mod queue;

#[cfg(feature = "testing")]
pub mod conformance;
#[cfg(feature = "testing")]
mod faulty;

pub use error::{BackendError, Result};
#[cfg(feature = "testing")]
pub use faulty::{Fault, Faults, Faulty, Op, Partition};
pub use inbox::{Arrivals, Inbox, Received, inbox};
pub use key::{CONNECTION_SHARDS, Key, Kind};
pub use link::{
    Backend, Beat, CellValue, Described, Done, Entered, Entry, Expect, Keep, Left, Link, LogPage, LogRead,
    Logged, Member, Orphan, Roll, TRANSACTION_MAX, Write, Written, WrittenAll, check_together,
};
pub use memory::Memory;
pub use publication::{Announce, Arrival, Audience, Control, Group, Variants, Wire};
pub use queue::{CellQueue, Decision, Outcome, Seen};
