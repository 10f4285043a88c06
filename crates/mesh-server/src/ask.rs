//! What one instance asks another about a connection it owns, and waits for.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use mesh_proto::{Code, ConnId, RoomName};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use crate::error::{MeshError, Result};
use crate::lock::Lock;

/// Answers waited for at once by one instance. Over it: `unavailable`.
const WAITING_MAX: usize = 10_000;

/// What is asked. The owner does it as if it had been asked there.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Ask {
    Enter { conn: ConnId, room: RoomName },
    Exit { conn: ConnId, room: RoomName },
    ExitAll { conn: ConnId },
    Recheck { conn: ConnId },
    SetMetadata { conn: ConnId, metadata: Box<RawValue> },
}

/// The answer: whether something changed, or the code and message of an error.
pub(crate) type Answer = Result<bool, (String, String)>;

/// Answers that are waited for.
#[derive(Debug, Default)]
pub(crate) struct Asked(Lock<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    numbers: u64,
    by_number: BTreeMap<u64, oneshot::Sender<Bytes>>,
}

/// Forgets a question whose asker stopped waiting.
struct Waits<'a>(&'a Asked, u64);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.0.with(|waiting| waiting.by_number.remove(&self.1));
    }
}

impl Asked {
    /// Ask, by what `publish` makes of the number that the answer has to bear and the body, and wait for so long.
    ///
    /// # Errors
    /// What is answered; `unavailable` if nothing is in time, when it may have been done all the same.
    pub(crate) async fn ask<F: Future<Output = Result<()>>>(
        &self,
        ask: &Ask,
        timeout: Duration,
        publish: impl FnOnce(u64, Bytes) -> F,
    ) -> Result<bool> {
        let (waits, told) = self.expect()?;
        publish(waits.1, serde_json::to_vec(ask)?.into()).await?;
        let silent = || MeshError::new(Code::Unavailable, "the connection's instance did not answer");
        let told = tokio::time::timeout(timeout, told).await.map_err(|_| silent())?;
        match serde_json::from_slice::<Answer>(&told.map_err(|_| silent())?)? {
            Ok(changed) => Ok(changed),
            Err((code, message)) => Err(MeshError::new(Code::from_wire(code), message)),
        }
    }

    fn expect(&self) -> Result<(Waits<'_>, oneshot::Receiver<Bytes>)> {
        let (tell, told) = oneshot::channel();
        let number = self.0.with(|waiting| {
            if waiting.by_number.len() >= WAITING_MAX {
                return Err(MeshError::new(Code::Unavailable, "too many questions to other instances wait"));
            }
            waiting.numbers += 1;
            waiting.by_number.insert(waiting.numbers, tell);
            Ok(waiting.numbers)
        })?;
        Ok((Waits(self, number), told))
    }

    /// An answer came. One that nobody waits for any more is let go.
    pub(crate) fn answered(&self, number: u64, body: Bytes) {
        if let Some(waiting) = self.0.with(|waiting| waiting.by_number.remove(&number)) {
            // Whoever asked may have stopped waiting just now.
            let _ = waiting.send(body);
        }
    }
}
