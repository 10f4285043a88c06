//! Who is alive.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_proto::Incarnation;
use tokio::time::Instant;

use crate::{BackendError, Beat, Inbox, Result};

#[derive(Default)]
pub(super) struct Leases {
    alive: BTreeMap<Incarnation, Lease>,
    /// How many entries of each are still in rosters. Never forgotten: fenced is for ever.
    dead: BTreeMap<Incarnation, usize>,
    lives: u64,
}

struct Lease {
    /// Which attachment holds it.
    life: u64,
    /// None once its link was dropped.
    inbox: Option<Inbox>,
    length: Duration,
    until: Instant,
    /// How many entries it has in rosters.
    entries: usize,
}

impl Leases {
    /// Gives the number of this life, and the inbox of the life that this one takes the place of.
    pub(super) fn attach(
        &mut self,
        who: Incarnation,
        length: Duration,
        inbox: Inbox,
        now: Instant,
    ) -> Result<(u64, Option<Inbox>)> {
        self.check(who)?;
        self.lives += 1;
        let before = self.alive.remove(&who);
        let entries = before.as_ref().map_or(0, |lease| lease.entries);
        let lease = Lease { life: self.lives, inbox: Some(inbox), length, until: now + length, entries };
        self.alive.insert(who, lease);
        Ok((self.lives, before.and_then(|lease| lease.inbox)))
    }

    /// The link of this life was dropped. Says whether it was the one that counts.
    pub(super) fn detach(&mut self, who: Incarnation, life: u64) -> bool {
        let Some(lease) = self.alive.get_mut(&who) else { return self.dead.contains_key(&who) };
        if lease.life != life {
            return false;
        }
        lease.inbox = None;
        if lease.entries == 0 {
            self.alive.remove(&who);
        }
        true
    }

    pub(super) fn check(&self, who: Incarnation) -> Result<()> {
        if self.is_dead(who) { Err(BackendError::Fenced) } else { Ok(()) }
    }

    pub(super) fn is_dead(&self, who: Incarnation) -> bool {
        self.dead.contains_key(&who)
    }

    pub(super) fn beat(&mut self, who: Incarnation, now: Instant) -> Result<Beat> {
        let lease = self.alive.get_mut(&who).ok_or(BackendError::Fenced)?;
        let held = now < lease.until;
        lease.until = now + lease.length;
        Ok(Beat { held })
    }

    /// Declare everybody dead whose lease has run out, but for the one that asks: it is alive enough to ask.
    pub(super) fn bury(&mut self, asks: Incarnation, now: Instant) {
        let lapsed =
            |(who, lease): (&Incarnation, &Lease)| (*who != asks && now >= lease.until).then_some(*who);
        let lapsed: Vec<_> = self.alive.iter().filter_map(lapsed).collect();
        for who in lapsed {
            let entries = self.alive.remove(&who).map_or(0, |lease| lease.entries);
            self.dead.insert(who, entries);
        }
    }

    /// How many entries of the dead there are.
    pub(super) fn orphans_left(&self) -> usize {
        self.dead.values().sum()
    }

    /// An entry went from one owner to another; from or to nobody.
    pub(super) fn moved(&mut self, from: Option<Incarnation>, to: Option<Incarnation>) {
        for (who, more) in [(from, false), (to, true)] {
            let Some(who) = who else { continue };
            let entries = match self.alive.get_mut(&who) {
                Some(lease) => Some(&mut lease.entries),
                None => self.dead.get_mut(&who),
            };
            if let Some(entries) = entries {
                *entries = if more { *entries + 1 } else { *entries - 1 };
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.alive.len() + self.dead.len()
    }
}
