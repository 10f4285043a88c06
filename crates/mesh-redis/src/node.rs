//! One Redis and the connection that commands go through: made anew, endlessly, whenever it is lost or in doubt.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh_backend::BackendError;
use mesh_proto::Entropy;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, ConnectionAddr, PushKind, RedisError, Value};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use crate::dial::{Dial, Pushed};
use crate::error::{is_doubtful, said, unavailable};
use crate::io::{Spawner, Task};
use crate::place::Place;

/// The longest wait between two attempts to connect.
const BACKOFF_MAX: Duration = Duration::from_millis(500);

/// Time between two looks at whether the connection answers.
const PING_EVERY: Duration = Duration::from_secs(1);

/// A connection that does not answer for so long is made anew.
const SILENCE_MAX: Duration = Duration::from_millis(2000);

/// One Redis.
pub(crate) struct Node {
    shared: Arc<Shared>,
    _task: Task,
}

struct Shared {
    dial: Dial,
    place: Place,
    entropy: Arc<Entropy>,
    state: Mutex<State>,
    /// Wakes whoever waits for the first connection, and says how often there was one.
    made: watch::Sender<u64>,
    /// Which of the connections made should be made anew.
    doubted: AtomicU64,
    doubt: Notify,
}

enum State {
    /// The how-manieth connection made.
    Up(MultiplexedConnection, u64),
    Down(String),
}

impl Node {
    /// Begins to connect at once.
    pub(crate) fn new(spawner: &Spawner, dial: Dial, place: Place, entropy: Arc<Entropy>) -> Self {
        let state = Mutex::new(State::Down("not connected yet".to_owned()));
        let shared = Shared {
            dial,
            place,
            entropy,
            state,
            made: watch::Sender::new(0),
            doubted: AtomicU64::new(0),
            doubt: Notify::new(),
        };
        let shared = Arc::new(shared);
        let task = spawner.spawn(supervise(shared.clone()));
        Self { shared, _task: task }
    }

    /// For messages, and to tell nodes apart.
    pub(crate) fn name(&self) -> String {
        self.shared.place.to_string()
    }

    /// Its address, if that never changes.
    pub(crate) fn address(&self) -> Option<&ConnectionAddr> {
        self.shared.place.address()
    }

    /// Another connection to the same Redis, for somebody else to look after.
    pub(crate) async fn dial(&self, pushed: Pushed) -> Result<MultiplexedConnection, String> {
        let address = self.shared.place.resolve(&self.shared.dial).await?;
        self.shared.dial.dial(&address, pushed).await.map_err(|error| said(&error))
    }

    /// Why there is no connection, if there is none.
    pub(crate) fn down(&self) -> Option<String> {
        self.shared.with(|state| match state {
            State::Up(..) => None,
            State::Down(why) => Some(why.clone()),
        })
    }

    /// Wait for a connection, at most so long.
    pub(crate) async fn connected(&self, wait: Duration) {
        let mut made = self.shared.made.subscribe();
        let _ = timeout(wait, made.wait_for(|made| *made > 0)).await;
    }

    /// What the node answers. An error that it answers is an error.
    pub(crate) async fn ask(&self, command: &Cmd, deadline: Duration) -> Result<Value, Answer> {
        let (mut connection, number) = self.shared.with(|state| match state {
            State::Up(connection, number) => Ok((connection.clone(), *number)),
            State::Down(why) => Err(Answer::None(format!("no connection to {}: {why}", self.shared.place))),
        })?;
        let answer = timeout(deadline, connection.send_packed_command(command)).await;
        let error = match answer {
            Err(_) => {
                return Err(Answer::None(format!(
                    "{} did not answer within {deadline:?}",
                    self.shared.place
                )));
            }
            Ok(Ok(Value::ServerError(error))) => RedisError::from(error),
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => error,
        };
        if is_doubtful(&error) {
            self.shared.doubted.fetch_max(number, Ordering::Relaxed);
            self.shared.doubt.notify_one();
        }
        Err(Answer::Error(error))
    }
}

/// Why there is no answer that could be used.
#[derive(Debug)]
pub(crate) enum Answer {
    /// None came.
    None(String),
    /// It is an error.
    Error(RedisError),
}

impl From<Answer> for BackendError {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::None(why) => unavailable(why),
            Answer::Error(error) => unavailable(said(&error)),
        }
    }
}

impl Shared {
    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("place", &self.shared.place).finish_non_exhaustive()
    }
}

async fn supervise(shared: Arc<Shared>) {
    let mut backoff = Backoff::default();
    loop {
        let ended = Arc::new(Notify::new());
        match connect(&shared, &ended).await {
            Ok((connection, address)) => {
                backoff = Backoff::default();
                let number = *shared.made.borrow() + 1;
                shared.with(|state| *state = State::Up(connection.clone(), number));
                shared.made.send_replace(number);
                let why = watch_over(&shared, connection, number, &address, &ended).await;
                tracing::warn!("lost the connection to {}: {why}", shared.place);
                shared.with(|state| *state = State::Down(why));
            }
            Err(why) => shared.with(|state| *state = State::Down(why)),
        }
        sleep(backoff.next(&shared.entropy)).await;
    }
}

async fn connect(
    shared: &Shared,
    ended: &Arc<Notify>,
) -> Result<(MultiplexedConnection, ConnectionAddr), String> {
    let address = shared.place.resolve(&shared.dial).await?;
    let ended = ended.clone();
    let pushed: Pushed = Arc::new(move |push| {
        if push.kind == PushKind::Disconnection {
            ended.notify_one();
        }
    });
    let connection = shared.dial.dial(&address, pushed).await.map_err(|error| said(&error))?;
    Ok((connection, address))
}

/// Comes back with the reason why the connection is to be made anew.
async fn watch_over(
    shared: &Shared,
    mut connection: MultiplexedConnection,
    number: u64,
    address: &ConnectionAddr,
    ended: &Notify,
) -> String {
    let ping = redis::cmd("PING");
    loop {
        tokio::select! {
            biased;
            () = ended.notified() => return "it was closed".to_owned(),
            () = shared.doubt.notified() => {
                // A doubt about the connection before is none about this one.
                if shared.doubted.load(Ordering::Relaxed) < number {
                    continue;
                }
                return "what it answered puts it in doubt".to_owned();
            }
            () = sleep(PING_EVERY) => {}
        }
        match timeout(SILENCE_MAX, connection.send_packed_command(&ping)).await {
            Err(_) => return format!("no answer within {SILENCE_MAX:?}"),
            Ok(Err(error)) if error.is_unrecoverable_error() => return said(&error),
            Ok(_) => {}
        }
        if let Some(other) = shared.place.moved(address).await {
            return format!("the master is now at {other}");
        }
    }
}

/// Waits between attempts: the first short, each longer, none the same on two instances.
#[derive(Debug, Default)]
pub(crate) struct Backoff(u32);

impl Backoff {
    pub(crate) fn next(&mut self, entropy: &Entropy) -> Duration {
        let longest = BACKOFF_MAX.min(Duration::from_millis(20) * 2_u32.pow(self.0.min(6)));
        self.0 += 1;
        longest.mul_f64(0.5 + (entropy.u64() >> 33) as f64 / f64::from(1_u32 << 31) / 2.0)
    }
}
