//! Seeded worlds: servers, clients and what happens to them are drawn from a seed, run on a paused clock, and compared with
//! what must hold. A seed that fails prints itself, runs the same way again, and shrinks to the steps that matter.

mod caller;
mod followed;
mod ledger;
mod plan;
mod reader;
mod run;
mod shrink;
mod stage;
mod streams;
mod transfers;
mod verdict;

pub use plan::{Act, Plan, Scale, Step, StoreFault};
pub use run::{Outcome, run};
pub use shrink::shrink;
pub use stage::{Bug, Kind};
pub use streams::{Change, Flavour, Topic};
pub use transfers::Transfer;
