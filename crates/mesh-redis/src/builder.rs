//! What a Redis backend can be told.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mesh_proto::Entropy;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};

use crate::Redis;
use crate::connect::Connect;
use crate::dial::Dial;
use crate::error::ConnectError;
use crate::io::Io;
use crate::place::{Place, parse};
use crate::sentinel::Sentinels;

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
    cluster: Option<Vec<String>>,
    sentinel: Option<Sentinel>,
    trusts_network: bool,
    #[cfg(feature = "tls")]
    certificates: crate::tls::Certificates,
}

/// What is known of sentinels.
#[derive(Clone, Default)]
struct Sentinel {
    addresses: Vec<String>,
    master: String,
    user: Option<String>,
    password: Option<String>,
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
            cluster: None,
            sentinel: None,
            trusts_network: false,
            #[cfg(feature = "tls")]
            certificates: Default::default(),
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

    /// The Redis is a node of a Redis Cluster (7.0 or newer), and these are others, as `host:port`. One that answers is
    /// enough to find all. User, password and TLS are as the address says, for every node.
    pub fn cluster<S: Into<String>>(mut self, nodes: impl IntoIterator<Item = S>) -> Self {
        self.cluster = Some(nodes.into_iter().map(Into::into).collect());
        self
    }

    /// The Redis is the master that these sentinels, as `host:port`, know by this name. Host and port of the address do
    /// not count; user, password, database and TLS do.
    pub fn sentinel<S: Into<String>>(
        mut self,
        sentinels: impl IntoIterator<Item = S>,
        master: impl Into<String>,
    ) -> Self {
        let sentinel = self.sentinel.get_or_insert_default();
        sentinel.addresses = sentinels.into_iter().map(Into::into).collect();
        sentinel.master = master.into();
        self
    }

    /// The sentinels' own user and password, if they have any.
    pub fn sentinel_login(mut self, user: Option<&str>, password: &str) -> Self {
        let sentinel = self.sentinel.get_or_insert_default();
        sentinel.user = user.map(str::to_owned);
        sentinel.password = Some(password.to_owned());
        self
    }

    /// Send the password over a network without TLS. Without this word it goes to this machine alone, or through
    /// `rediss://`.
    pub fn trust_network(mut self) -> Self {
        self.trusts_network = true;
        self
    }

    /// Trust this root certificate (PEM) alone, in place of those that the system trusts.
    #[cfg(feature = "tls")]
    pub fn tls_root(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificates.root = Some(pem.into());
        self
    }

    /// Show this certificate to Redis, with its key (both PEM).
    #[cfg(feature = "tls")]
    pub fn tls_client(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.certificates.client = Some((certificate.into(), key.into()));
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
        self.on(Io::here(), |dial| dial.over(over.clone())).await
    }

    async fn on(self, io: Io, through: impl Fn(Dial) -> Dial) -> Result<Redis, ConnectError> {
        let (address, login) = self.address()?;
        let nodes = parse_all(self.cluster.as_deref().unwrap_or_default(), &address)?;
        let sentinels = self.sentinel.as_ref().map_or(&[][..], |sentinel| &sentinel.addresses);
        let sentinels = parse_all(sentinels, &address)?;
        // With sentinels the address' own host does not count.
        let url = self.sentinel.is_none().then(|| address.clone());
        let all: Vec<_> = url.into_iter().chain(nodes.clone()).chain(sentinels.clone()).collect();
        self.check_password(&login, &all)?;
        let dial = through(Dial::new(login));
        let entropy = self.entropy.clone().unwrap_or_else(|| Arc::new(Entropy::from_os()));
        let connect = Connect {
            namespace: self.checked_namespace()?.map(str::to_owned),
            deadline: self.deadline,
            address,
            dial,
            entropy,
            io,
        };
        match (&self.cluster, &self.sentinel) {
            (None, None) => {
                let place = Place::At(connect.address.clone());
                connect.one(place).await
            }
            (None, Some(sentinel)) => {
                let mut login = RedisConnectionInfo::default();
                if let Some(user) = &sentinel.user {
                    login = login.set_username(user);
                }
                if let Some(password) = &sentinel.password {
                    login = login.set_password(password);
                }
                self.check_password(&login, &sentinels)?;
                let dial = through(Dial::new(login));
                let name = sentinel.master.clone();
                let sentinels = Sentinels::new(sentinels, name, dial, connect.address.clone());
                connect.one(Place::Master(Arc::new(sentinels))).await
            }
            (Some(_), None) => {
                let seeds = std::iter::once(connect.address.clone()).chain(nodes).collect();
                connect.cluster(seeds).await
            }
            (Some(_), Some(_)) => Err(ConnectError::BadOption("a Redis Cluster has no sentinels".to_owned())),
        }
    }

    fn address(&self) -> Result<(ConnectionAddr, RedisConnectionInfo), ConnectError> {
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
        if self.cluster.is_some() && login.db() != 0 {
            return Err(ConnectError::BadOption("a Redis Cluster has no database but 0".to_owned()));
        }
        let address = info.addr().clone();
        #[cfg(feature = "tls")]
        let address = self.certificates.put_into(address)?;
        Ok((address, login))
    }

    /// A password may be read by whoever is on the way.
    fn check_password(
        &self,
        login: &RedisConnectionInfo,
        all: &[ConnectionAddr],
    ) -> Result<(), ConnectError> {
        let far = all.iter().find(|address| !is_near(address));
        let has_one = login.password().is_some();
        match far.filter(|_| has_one && !self.trusts_network) {
            None => Ok(()),
            Some(far) => Err(ConnectError::BadOption(format!(
                "the password would go to {far} as plain text: use rediss://, or say `trust_network` if nobody else is \
                 on that network"
            ))),
        }
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

/// Whether nobody is on the way, or nobody who can read.
fn is_near(address: &ConnectionAddr) -> bool {
    match address {
        ConnectionAddr::Tcp(host, _) => {
            let is_loopback = |ip: std::net::IpAddr| ip.is_loopback();
            host == "localhost" || host.parse().is_ok_and(is_loopback)
        }
        _ => true,
    }
}

fn parse_all(texts: &[String], like: &ConnectionAddr) -> Result<Vec<ConnectionAddr>, ConnectError> {
    let bad = |text| ConnectError::BadOption(format!("`{text}` is no address; write host:port"));
    texts.iter().map(|text| parse(text, like).ok_or_else(|| bad(text))).collect()
}

/// Without the address, the user and the password.
impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
