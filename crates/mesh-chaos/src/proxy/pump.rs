//! One direction of one connection.

use std::sync::atomic::Ordering;
use std::time::Duration;

use mesh_server::Entropy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Link, Shared, Weather};

/// Bytes of a piece at most.
const PIECE_BYTES_MAX: usize = 16 * 1024;
/// Pieces on their way at most.
const PIECES_MAX: usize = 64;
/// On a link with little capacity, a piece takes no longer than this, so that a change is felt.
const THROTTLE_STEP: Duration = Duration::from_millis(20);

/// Bytes on their way.
struct Piece {
    due: Instant,
    bytes: Vec<u8>,
}

/// Passes on what comes from one end to the other.
pub(super) struct Pump<'a> {
    pub(super) link: watch::Receiver<Link>,
    pub(super) weather: fn(&Link) -> Weather,
    pub(super) entropy: Entropy,
    pub(super) shared: &'a Shared,
}

impl Pump<'_> {
    /// Ends when either end has, or it is shut.
    pub(super) async fn run(&self, from: ReadHalf<'_>, to: WriteHalf<'_>, mark: Option<u64>) {
        let (take, taken) = mpsc::channel(PIECES_MAX);
        tokio::join!(self.read(from, take, mark), self.write(to, taken));
    }

    fn now(&self) -> Weather {
        (self.weather)(&self.link.borrow())
    }

    /// Come back once something holds of the weather.
    async fn wait(&self, holds: impl Fn(Weather) -> bool) {
        let mut link = self.link.clone();
        if link.wait_for(|link| holds((self.weather)(link))).await.is_err() {
            // Nobody steers any more.
            std::future::pending::<()>().await;
        }
    }

    /// `mark`: the number of the connection, where it may have to be marked.
    async fn read(&self, mut from: ReadHalf<'_>, take: mpsc::Sender<Piece>, mut mark: Option<u64>) {
        let mut last = Instant::now();
        // The end of what was read before: a word may be cut anywhere.
        let mut tail = Vec::new();
        loop {
            let mut bytes = vec![0; PIECE_BYTES_MAX];
            let Ok(read) = from.read(&mut bytes).await else { return };
            if read == 0 {
                return;
            }
            bytes.truncate(read);
            if let Some(number) = mark {
                tail.extend_from_slice(&bytes);
                let word = self.shared.mark;
                if tail.windows(word.len()).any(|window| window == word) {
                    self.shared.mark(number);
                    mark = None;
                }
                tail.drain(..tail.len().saturating_sub(word.len()));
            }
            last = last.max(Instant::now() + self.way(self.now()));
            // The other half ends when the receiver is gone, or told that nothing more comes.
            if take.send(Piece { due: last, bytes }).await.is_err() {
                return;
            }
        }
    }

    /// How long the next piece takes.
    fn way(&self, weather: Weather) -> Duration {
        let chance = (self.entropy.u64() >> 32) as f64 / f64::from(u32::MAX);
        weather.delay + weather.jitter.mul_f64(chance)
    }

    async fn write(&self, mut to: WriteHalf<'_>, mut taken: mpsc::Receiver<Piece>) {
        let passing = async {
            while let Some(piece) = taken.recv().await {
                sleep_until(piece.due).await;
                if self.pass(&piece.bytes, &mut to).await.is_err() {
                    return;
                }
            }
            self.wait(|weather| !weather.black_hole).await;
        };
        tokio::select! {
            biased;
            () = self.wait(|weather| weather.shut) => {}
            () = passing => {}
        }
        // The receiver may be gone.
        let _ = to.shutdown().await;
    }

    async fn pass(&self, mut bytes: &[u8], to: &mut WriteHalf<'_>) -> std::io::Result<()> {
        while !bytes.is_empty() {
            self.wait(|weather| !weather.black_hole).await;
            let weather = self.now();
            let mut now = bytes.len();
            if let Some(rate) = weather.bytes_per_second {
                let rate = f64::from(rate.max(1));
                now = now.min((rate * THROTTLE_STEP.as_secs_f64()).max(1.0) as usize);
                sleep(Duration::from_secs_f64(now as f64 / rate)).await;
            }
            if weather.one_byte_slices {
                for byte in &bytes[..now] {
                    to.write_all(std::slice::from_ref(byte)).await?;
                }
            } else {
                to.write_all(&bytes[..now]).await?;
            }
            self.shared.passed.fetch_add(now as u64, Ordering::Relaxed);
            bytes = &bytes[now..];
        }
        Ok(())
    }
}
