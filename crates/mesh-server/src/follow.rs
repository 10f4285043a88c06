//! One thing in the backend that follows what local memory wants, one operation at a time.
//!
//! Joins, departures and closes of one connection may overlap; whatever their order, the last wish wins, and the backend
//! ends up where local memory is. Plain data: whoever owns the lock around it runs the operations.

use tokio::sync::oneshot;

use crate::error::{MeshError, Result};

#[derive(Debug)]
pub(crate) struct Follow<W> {
    want: W,
    /// Counts wishes; an operation settles all wishes up to the one it took.
    version: u64,
    settled: u64,
    busy: bool,
    waiting: Vec<(u64, oneshot::Sender<Result<()>>)>,
}

/// What to do after wishing.
pub(crate) struct Wish {
    /// Resolves when this wish, or a later one, was carried out.
    pub(crate) done: oneshot::Receiver<Result<()>>,
    /// Nobody carries wishes out: the caller has to start.
    pub(crate) start: bool,
}

impl<W: Clone> Follow<W> {
    /// A follower whose thing is already as wanted.
    pub(crate) fn new(want: W) -> Self {
        Self { want, version: 0, settled: 0, busy: false, waiting: Vec::new() }
    }

    pub(crate) fn wanted(&self) -> &W {
        &self.want
    }

    /// Everything wished for was carried out.
    pub(crate) fn is_settled(&self) -> bool {
        !self.busy
    }

    pub(crate) fn wish(&mut self, want: W) -> Wish {
        let (tell, done) = oneshot::channel();
        self.want = want;
        self.version += 1;
        self.waiting.push((self.version, tell));
        Wish { done, start: !std::mem::replace(&mut self.busy, true) }
    }

    /// Wish once more for what is wanted: the thing may no longer be so.
    pub(crate) fn again(&mut self) -> Wish {
        self.wish(self.want.clone())
    }

    /// For whoever carries out: the next operation, or `None` when all is settled.
    pub(crate) fn next(&mut self) -> Option<(W, u64)> {
        if self.settled == self.version {
            self.busy = false;
            return None;
        }
        Some((self.want.clone(), self.version))
    }

    /// The operation for wishes up to `version` is over.
    pub(crate) fn done(&mut self, version: u64, result: Result<()>) {
        self.settled = version;
        for (_, tell) in self.waiting.extract_if(.., |(wish, _)| *wish <= version) {
            let result = match &result {
                Ok(()) => Ok(()),
                Err(error) => Err(MeshError::new(error.code.clone(), error.message.clone())),
            };
            // Whoever stopped waiting does not need to know.
            let _ = tell.send(result);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_wish_wins_and_each_is_answered() {
        let mut follow = Follow::new(false);
        let mut first = follow.wish(true);
        assert!(first.start);
        let (want, version) = follow.next().expect("one wish");
        let mut second = follow.wish(false);
        let mut third = follow.wish(true);
        assert!(want && !second.start && !third.start, "one operation at a time");
        follow.done(version, Ok(()));
        assert!(matches!(first.done.try_recv(), Ok(Ok(()))));
        assert!(second.done.try_recv().is_err(), "not carried out yet");
        let (want, version) = follow.next().expect("the others");
        assert!(want, "the one between is skipped");
        follow.done(version, Err(MeshError::gone()));
        assert!(matches!(second.done.try_recv(), Ok(Err(_))));
        assert!(matches!(third.done.try_recv(), Ok(Err(_))));
        assert!(follow.next().is_none() && follow.is_settled());
    }
}
