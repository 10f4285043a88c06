//! An asynchronous replica: the same keys as they were some writes ago.

use std::collections::VecDeque;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::commands::{self, Context};
use super::keyspace::Keyspace;
use super::resp::request::Request;

/// How many writes a failover can lose at most.
pub(crate) const LAG_WRITES_MAX: usize = 4096;

/// What one command changed, or one script: a replica has all of it or nothing.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) now: u64,
    /// The commands, each with its database.
    pub(crate) commands: Vec<(usize, Request)>,
}

/// The keys as they were before the writes that it still has to make.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replica {
    keyspace: Keyspace,
    lag: VecDeque<Write>,
}

impl Replica {
    /// In step with the primary.
    pub(crate) fn of(keyspace: &Keyspace) -> Self {
        Self { keyspace: keyspace.clone(), lag: VecDeque::new() }
    }

    pub(crate) fn record(&mut self, write: Write) {
        self.lag.push_back(write);
        if self.lag.len() > LAG_WRITES_MAX {
            self.catch_up(1);
        }
    }

    /// The keys of the primary but for the last `lose` writes, and how many it really lost.
    pub(crate) fn promote(mut self, lose: usize) -> (Keyspace, usize) {
        self.catch_up(self.lag.len().saturating_sub(lose));
        (self.keyspace, self.lag.len())
    }

    pub(crate) fn keyspace(&mut self) -> &mut Keyspace {
        &mut self.keyspace
    }

    fn catch_up(&mut self, writes: usize) {
        // What a replica is told to write has no chance in it.
        let mut rng = StdRng::seed_from_u64(0);
        for write in self.lag.drain(..writes) {
            for (database, request) in write.commands {
                let Some(command) = commands::find(&request[0]) else { continue };
                let keyspace = &mut self.keyspace;
                let mut context = Context { keyspace, database, now: write.now, rng: &mut rng };
                // It succeeded on the primary, so it does here.
                let _reply = (command.run)(&mut context, &request);
            }
        }
    }
}
