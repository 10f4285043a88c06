//! The one task that serves the line of one cell, for as long as there is one.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use mesh_proto::{Position, Tag};

use super::batch::Batch;
use super::job::Job;
use super::{ATTEMPTS_MAX, BATCH_MAX, BUSY_MAX, BUSY_PAUSE, Decision, LOSSES_MAX, Outcome, Seen, Shared};
use crate::{BackendError, CellValue, Expect, Key, Result, Write, Written};

pub(super) struct Worker {
    shared: Arc<Shared>,
    cell: Key,
    /// Taken from the line, in order, and not settled.
    pending: VecDeque<Box<dyn Job>>,
    /// What the last write left, unless there is doubt.
    known: Option<Option<CellValue>>,
    /// Whether the line is gone.
    done: bool,
}

/// What one attempt wants to write.
struct Draft {
    /// Of each edit of the batch: how many steps there are after it, and what it saw or made.
    settled: Vec<Ruled>,
    batch: Batch,
    value: Option<Bytes>,
}

struct Ruled {
    wrote: bool,
    version: u64,
    tag: Tag,
    value: Option<Bytes>,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, cell: Key) -> Self {
        Self { shared, cell, pending: VecDeque::new(), known: None, done: false }
    }

    pub(super) async fn run(mut self) {
        while self.gather() {
            match self.confirm().await {
                Ok((draft, base)) => self.settle(draft, base),
                Err((taken, error)) => {
                    self.known = None;
                    self.pending.drain(..taken).for_each(|job| job.settle(Err(error.clone())));
                }
            }
            // A backend that is never waited for would leave nobody the time to get in line.
            tokio::task::yield_now().await;
        }
    }

    /// Take the next ones from the line; without any, the line ends.
    fn gather(&mut self) -> bool {
        let Self { shared, cell, pending, done, .. } = self;
        shared.with(|lines| {
            if let Some(line) = lines.get_mut(cell) {
                let more = line.len().min(BATCH_MAX - pending.len());
                pending.extend(line.drain(..more));
            }
            if pending.is_empty() {
                lines.remove(cell);
                *done = true;
            }
        });
        !self.done
    }

    /// Have a batch decided, and written over what it saw. Gives what was written and the position of its last step;
    /// or how many edits it was to be, and why it failed.
    async fn confirm(&mut self) -> Result<(Draft, Option<Position>), (usize, BackendError)> {
        let link = self.shared.link.clone();
        // Of what was only loaded nobody knows how long it holds; but it held when the batch was already waiting.
        let mut fresh = self.known.is_none();
        let mut base = match self.known.take() {
            Some(known) => known,
            None => link.load(&self.cell).await.map_err(|error| (self.pending.len(), error))?,
        };
        let (mut losses, mut busy) = (0, 0);
        while losses < ATTEMPTS_MAX && busy < BUSY_MAX {
            let mut draft = self.draft(base.as_ref());
            let taken = draft.settled.len();
            let fail = |error| (taken, error);
            if draft.batch.is_empty() {
                // What the last write left may be old news by now; no write will find out.
                let now = if fresh { base.clone() } else { link.load(&self.cell).await.map_err(fail)? };
                if now == base {
                    self.known = Some(base.clone());
                    return Ok((draft, base.map(|there| there.position)));
                }
                (base, fresh) = (now, true);
                losses += 1;
                continue;
            }
            let expect = base
                .as_ref()
                .map_or(Expect::Absent, |there| Expect::Version(there.position.epoch, there.position.offset));
            let keep = self.pending[taken - 1].keep();
            let entries = std::mem::take(&mut draft.batch).into_entries();
            let insist = losses >= LOSSES_MAX;
            let write = Write { expect, value: draft.value.clone(), entries, keep, insist };
            match link.write(&self.cell, write).await.map_err(fail)? {
                Written::At(position) => {
                    self.known = Some(Some(CellValue { position, value: draft.value.take() }));
                    return Ok((draft, Some(position)));
                }
                Written::Conflict(there) => {
                    (base, fresh) = (there, true);
                    losses += 1;
                }
                Written::Busy => {
                    busy += 1;
                    tokio::time::sleep(BUSY_PAUSE).await;
                }
            }
        }
        let taken = self.pending.len();
        Err((taken, BackendError::Unavailable("others were always first to write this value".into())))
    }

    /// Have the pending edits decide one after the other, each on the outcome of the one before, until a batch is full.
    fn draft(&mut self, base: Option<&CellValue>) -> Draft {
        let mut tag = base.map_or(Tag(0), |there| there.position.tag);
        let mut seen = Seen {
            epoch: base.map(|there| there.position.epoch),
            version: base.map_or(0, |there| there.position.offset),
            value: base.and_then(|there| there.value.clone()),
        };
        let mut draft =
            Draft { settled: Vec::with_capacity(self.pending.len()), batch: Batch::default(), value: None };
        for job in &mut self.pending {
            let step = match job.run(&seen) {
                Some(Decision::Store(value, entry)) => Some((Some(value), entry)),
                Some(Decision::Remove(entry)) => Some((None, entry)),
                Some(Decision::Keep) | None => None,
            };
            let wrote = step.is_some();
            if let Some((value, entry)) = step {
                let its_tag = entry.tag;
                if !draft.batch.push(entry) {
                    // It decides again, in the next batch.
                    break;
                }
                tag = its_tag;
                seen.version += 1;
                seen.value = value;
            }
            draft.settled.push(Ruled { wrote, version: seen.version, tag, value: seen.value.clone() });
        }
        draft.value = seen.value;
        draft
    }

    fn settle(&mut self, draft: Draft, last: Option<Position>) {
        let batch = self.pending.drain(..draft.settled.len());
        for (job, Ruled { wrote, version, tag, value }) in batch.zip(draft.settled) {
            // The epoch is known by now, also of a cell's first steps.
            let there = last.filter(|_| version > 0).map(|last| {
                let position = Position { epoch: last.epoch, offset: version, tag };
                CellValue { position, value }
            });
            job.settle(match there {
                Some(there) if wrote => Ok(Outcome::Written(there)),
                there => Ok(Outcome::Kept(there)),
            });
        }
    }
}

/// A worker that did not come to its end, because the runtime ended or the link panicked, takes its line along: those
/// that wait learn of it, and the next edit begins a new line.
impl Drop for Worker {
    fn drop(&mut self) {
        if !self.done {
            let line = self.shared.with(|lines| lines.remove(&self.cell));
            // Outside the lock: dropping an edit drops what it captured.
            drop(line);
        }
    }
}
