//! The handle.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use mesh_proto::ConnId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::Status;
use crate::builder::Builder;
use crate::call::Call;
use crate::channel::Channel;
use crate::driver::Shared;
use crate::error::{ClientError, Result};
use crate::lock::Lock;
use crate::pushes::Pushes;
use crate::record::Record;
use crate::room::Room;
use crate::session::{Pace, Session, Turn, Write};

/// A client of a Mesh server: a cheap handle on one connection, which is made again when it breaks. Clone it into any
/// task.
///
/// The connection lives as long as a handle does, streams included. Commands that were not sent when it broke wait for the
/// next one, at most 1,000 of them; what was sent fails with `unavailable`. Rooms are joined again, and subscriptions
/// go on where they were.
///
/// ```no_run
/// # async fn run() -> mesh_client::Result<()> {
/// let client = mesh_client::Client::connect("ws://localhost:3000/mesh").await?;
/// let answer: String = client.command("echo", &"Hello!").await?;
/// assert_eq!(answer, "echo: Hello!");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client {
    handle: Arc<Handle>,
    timeout: Option<Duration>,
}

/// When the last of it is dropped, the connection ends.
struct Handle {
    shared: Arc<Shared>,
    task: Lock<Option<JoinHandle<()>>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.session.with(Session::close);
        self.shared.wake.notify_one();
    }
}

impl Client {
    pub(crate) fn new(shared: Arc<Shared>, timeout: Option<Duration>, task: JoinHandle<()>) -> Self {
        Self { handle: Arc::new(Handle { shared, task: Lock::new(Some(task)) }), timeout }
    }

    /// A client that is connected to the server at that `ws://` address, or `wss://` with the feature `tls`.
    ///
    /// # Errors
    /// `bad_url`, or what the attempt failed with.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::builder(url).connect().await
    }

    /// A client with a credential, other bounds or its own way to the server.
    pub fn builder(url: &str) -> Builder {
        Builder::new(url)
    }

    /// Waits until the attempt under way has succeeded; at once if there is a connection.
    ///
    /// # Errors
    /// What the attempt failed with, though more of them follow; or what the client has given up with.
    pub async fn connected(&self) -> Result<()> {
        let (tell, told) = oneshot::channel();
        self.session(|session| session.connected(tell));
        told.await.unwrap_or_else(|_| Err(ClientError::closed()))
    }

    /// Send a command and wait for its answer: [`Call`] is awaited, and may be given another
    /// [timeout](Call::timeout) before. The payload is taken as it is now.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn run(client: mesh_client::Client) -> mesh_client::Result<()> {
    /// let sum: i64 = client.command("add", &[1, 2]).timeout(Duration::from_secs(5)).await?;
    /// let sum = client.command::<_, i64>("add", &[1, 2]).await?;
    /// # Ok(()) }
    /// ```
    pub fn command<P: Serialize + ?Sized, R: DeserializeOwned>(&self, name: &str, payload: &P) -> Call<R> {
        let body = serde_json::to_string(payload).map(Some).map_err(|error| ClientError::encoding(&error));
        self.call(name, body)
    }

    /// The same for a command that takes nothing: no payload is sent, which is `null` to the server.
    pub fn command_without_payload<R: DeserializeOwned>(&self, name: &str) -> Call<R> {
        self.call(name, Ok(None))
    }

    /// Write in that way, and tell the answer and the mark of what left.
    pub(crate) async fn write<R: DeserializeOwned + 'static>(
        &self,
        write: Write,
        pace: Pace,
    ) -> Result<(R, String)> {
        if !pace.is_set() {
            let mark = self.session(Session::next_mark);
            let body = write.body(&mark);
            return Ok((self.call(&write.subject.command, Ok(body)).await?, mark));
        }
        let (answer, mark) = self.write_at(write, pace, self.timeout).await?;
        let answer = serde_json::from_str(answer.get()).map_err(|error| ClientError::decoding(&error))?;
        Ok((answer, mark))
    }

    /// Write where others may wait to be written.
    pub(crate) async fn write_at(
        &self,
        write: Write,
        pace: Pace,
        timeout: Option<Duration>,
    ) -> Result<(Box<RawValue>, String)> {
        let turn = self.session(|session| session.write(write, pace, timeout, Instant::now()))?;
        let Turn { mut outcome, mark } = turn;
        let answer = match outcome.wait_for(Option::is_some).await {
            Ok(answer) => answer.clone(),
            Err(_) => None,
        };
        Ok((answer.unwrap_or_else(|| Err(ClientError::closed()))?, mark))
    }

    pub(crate) fn call<R: DeserializeOwned>(&self, name: &str, body: Result<Option<String>>) -> Call<R> {
        Call {
            client: self.clone(),
            command: name.to_owned(),
            body,
            timeout: self.timeout,
            room: None,
            pace: Pace::default(),
            answer: PhantomData,
        }
    }

    /// Asks the server for nothing, to see whether it is there.
    ///
    /// # Errors
    /// As those of [`command`](Self::command).
    pub async fn noop(&self) -> Result<bool> {
        self.call(mesh_proto::command::NOOP, Ok(None)).await
    }

    /// How this client stands to its server.
    pub fn status(&self) -> Status {
        self.handle.shared.session.with(|session| session.status())
    }

    /// The same, to watch.
    ///
    /// ```no_run
    /// # async fn run(client: mesh_client::Client) {
    /// let mut status = client.status_changes();
    /// while status.changed().await.is_ok() {
    ///     let now = *status.borrow_and_update();
    ///     // Show it.
    /// }
    /// # }
    /// ```
    pub fn status_changes(&self) -> watch::Receiver<Status> {
        self.handle.shared.status.subscribe()
    }

    /// The id of the connection; `None` while there is none. A new connection has another.
    pub fn id(&self) -> Option<ConnId> {
        self.handle.shared.session.with(|session| session.connection_id())
    }

    /// The last round trip, as the server measured it over this connection; it measures every few seconds.
    pub fn latency(&self) -> Option<Duration> {
        self.handle.shared.session.with(|session| session.latency())
    }

    /// Why there is no connection, if there is none.
    pub fn reason(&self) -> Option<ClientError> {
        self.handle.shared.session.with(|session| session.reason())
    }

    /// What is pushed under that name, from now on, to this connection, its rooms or everybody. Names of the protocol
    /// (`mesh/..`, `ping`, `latency`, ..) are no pushes.
    ///
    /// At most 1,024 of them, and 1 MiB, wait to be read; what comes then is dropped, and told as an error `lagged` in its
    /// place. What is pushed while there is no connection does not come later: that is what channels are for.
    ///
    /// ```no_run
    /// # #[derive(serde::Deserialize)] struct Cursor { x: i32, y: i32 }
    /// # async fn run(client: mesh_client::Client) -> mesh_client::Result<()> {
    /// let mut cursors = client.on_push::<Cursor>("cursor");
    /// while let Some(cursor) = cursors.next().await {
    ///     let Cursor { x, y } = cursor?;
    /// }
    /// # Ok(()) }
    /// ```
    pub fn on_push<T: DeserializeOwned>(&self, name: &str) -> Pushes<T> {
        Pushes::new(self.clone(), name)
    }

    /// A room by its name.
    pub fn room(&self, name: &str) -> Room {
        Room::new(self.clone(), name)
    }

    /// A channel by its name.
    pub fn channel(&self, name: &str) -> Channel {
        Channel::new(self.clone(), name)
    }

    /// A record by its name.
    pub fn record(&self, name: &str) -> Record {
        Record::new(self.clone(), name)
    }

    /// Ends the connection for good, for all handles: streams end, and commands fail with `closed`. Dropping the last handle
    /// does the same, without waiting for it.
    pub async fn close(&self) {
        self.session(Session::close);
        if let Some(task) = self.handle.task.with(Option::take) {
            // A task that was cut off with its runtime is over as well.
            let _ = task.await;
        }
    }

    /// Look at the session or change it, then let the task do what follows.
    pub(crate) fn session<R>(&self, f: impl FnOnce(&mut Session) -> R) -> R {
        let result = self.handle.shared.session.with(f);
        self.handle.shared.wake.notify_one();
        result
    }

    /// The same, where most often nothing follows; `f` also says whether something does.
    pub(crate) fn peek<R>(&self, f: impl FnOnce(&mut Session) -> (R, bool)) -> R {
        let (result, has_work) = self.handle.shared.session.with(f);
        if has_work {
            self.handle.shared.wake.notify_one();
        }
        result
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("status", &self.status()).finish_non_exhaustive()
    }
}
