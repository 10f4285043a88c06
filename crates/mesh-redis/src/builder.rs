//! What a Redis backend can be told.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mesh_proto::Entropy;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use tokio::sync::watch;

use crate::Redis;
use crate::call::{Commands, Verbs};
use crate::check::Check;
use crate::dial::{DIAL_MAX, Dial};
use crate::error::ConnectError;
use crate::io::Io;
use crate::key::Keys;
use crate::map::Map;
use crate::node::Node;
use crate::place::Place;

/// The bytes of a namespace at most.
const NAMESPACE_BYTES_MAX: usize = 64;

/// What a Redis backend can be told before it connects. Made by [`Redis::builder`].
#[must_use = "nothing connects before `build`"]
#[derive(Clone)]
pub struct Builder {
    url: String,
    user: Option<String>,
    password: Option<String>,
    database: Option<i64>,
    namespace: Option<String>,
    deadline: Duration,
    entropy: Option<Arc<Entropy>>,
}

impl Builder {
    pub(crate) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            user: None,
            password: None,
            database: None,
            namespace: None,
            deadline: Duration::from_secs(1),
            entropy: None,
        }
    }

    /// The user, in place of the address' own.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// The password, in place of the address' own.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// The number of the database (0), in place of the address' own.
    pub fn database(mut self, number: i64) -> Self {
        self.database = Some(number);
        self
    }

    /// A part of this Redis that instances of another namespace do not see: 1 to 64 letters, digits, `-`, `_` and `.`.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// How long any one operation may take (1 s). Over it: `Unavailable`.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Where randomness comes from. By default the operating system.
    pub fn entropy(mut self, entropy: Arc<Entropy>) -> Self {
        self.entropy = Some(entropy);
        self
    }

    /// Connect, and look at what is there.
    ///
    /// # Errors
    /// If it cannot work, with a sentence that says what to do.
    pub async fn build(self) -> Result<Redis, ConnectError> {
        let no_thread =
            |error| ConnectError::BadOption(format!("no thread for the connections to Redis: {error}"));
        let io = Io::apart().map_err(no_thread)?;
        self.on(io, |dial| dial).await
    }

    /// The same through streams of the caller's, on the caller's runtime.
    #[cfg(feature = "testing")]
    pub(crate) async fn over(self, over: crate::dial::Over) -> Result<Redis, ConnectError> {
        self.on(Io::here(), |dial| dial.over(over)).await
    }

    async fn on(self, io: Io, through: impl FnOnce(Dial) -> Dial) -> Result<Redis, ConnectError> {
        let (address, dial) = self.address()?;
        let dial = through(dial);
        let entropy = self.entropy.clone().unwrap_or_else(|| Arc::new(Entropy::from_os()));
        let keys = Keys::new(self.checked_namespace()?, 1);
        let verbs = Verbs::PLAIN;
        let mark = entropy.u64();
        let check = Check { dial: dial.clone(), address: address.clone(), keys: keys.clone(), verbs, mark };
        io.run(check.run())
            .await
            .unwrap_or_else(|| Err(ConnectError::BadOption("the runtime ends".to_owned())))?;
        let node = Arc::new(Node::new(&io, dial, Place::At(address), entropy.clone()));
        node.connected(DIAL_MAX).await;
        let map = watch::Sender::new(Arc::new(Map::one(node)));
        let commands = Commands { keys, verbs, deadline: self.deadline, map: map.subscribe() };
        Ok(Redis::new(io, commands, map, entropy))
    }

    fn address(&self) -> Result<(ConnectionAddr, Dial), ConnectError> {
        // Neither the address nor what the parser says of it goes into the error: there may be a password in it.
        let bad = "the address of Redis is not one; write redis://user:password@host:6379/0";
        let info: ConnectionInfo = self.url.as_str().into_connection_info().map_err(|_| {
            let tls = self.url.starts_with("rediss:") && !cfg!(feature = "tls");
            let bad = if tls { "rediss:// needs the feature `tls` of mesh-redis" } else { bad };
            ConnectError::BadOption(bad.to_owned())
        })?;
        let mut login = info.redis_settings().clone();
        if let Some(user) = &self.user {
            login = login.set_username(user);
        }
        if let Some(password) = &self.password {
            login = login.set_password(password);
        }
        if let Some(database) = self.database {
            login = login.set_db(database);
        }
        Ok((info.addr().clone(), Dial::new(login)))
    }

    fn checked_namespace(&self) -> Result<Option<&str>, ConnectError> {
        let Some(namespace) = self.namespace.as_deref() else { return Ok(None) };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if namespace.is_empty() || namespace.len() > NAMESPACE_BYTES_MAX || !namespace.bytes().all(plain) {
            let bad = format!("a namespace is 1 to {NAMESPACE_BYTES_MAX} letters, digits, `-`, `_` and `.`");
            return Err(ConnectError::BadOption(bad));
        }
        Ok(Some(namespace))
    }
}

/// Without the address, the user and the password.
impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
