//! What a test does to the server. All of it takes effect at once and stays until it is taken back.

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use rand::Rng;
use tokio::time::Instant;

use super::Redis;
use super::keyspace::Keyspace;
use super::replica::Replica;
use super::rules::{Direction, Moment, Whom};
use super::script::Scripts;
use super::server::Server;

/// What a server has after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// All it had.
    Kept,
    /// Nothing.
    Lost,
}

/// A connection, as the server sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSeen {
    /// Its id.
    pub id: u64,
    /// Its name, if it told one.
    pub name: Bytes,
    /// Whether it has a subscription.
    pub is_pubsub: bool,
}

/// Connections.
impl Redis {
    /// Who is connected.
    pub fn clients(&self) -> Vec<ClientSeen> {
        self.with(|server| {
            let clients = server.world.clients.iter();
            let seen = |(id, client): (u64, &super::clients::Connected)| ClientSeen {
                id,
                name: client.name.clone(),
                is_pubsub: client.is_pubsub(),
            };
            clients.map(seen).collect()
        })
    }

    /// Cuts connections, with what was on its way in both directions; how many.
    pub fn cut(&self, whom: &Whom) -> usize {
        self.with(|server| {
            let met = server.world.clients.iter().filter(|(id, client)| whom.is_met(*id, client));
            let ids: Vec<u64> = met.map(|(id, _)| id).collect();
            ids.iter().for_each(|id| server.world.kill(*id));
            ids.len()
        })
    }

    /// Cuts the connection whose request the trap tells, once: before the request is carried out, or before its reply
    /// is sent.
    pub fn cut_at(&self, moment: Moment, trap: impl FnMut(&[Bytes]) -> bool + Send + 'static) {
        self.with(|server| server.world.rules.trap = Some((moment, Box::new(trap))));
    }

    /// Nothing gets through in a direction, and nobody is told: the connection stays. What was said waits, as TCP
    /// keeps it, and gets through after [`Redis::heal`]: towards the server late, towards the client late.
    pub fn black_hole(&self, whom: Whom, direction: Direction) {
        self.with(|server| {
            server.world.rules.holes.insert((whom, direction));
        });
    }

    /// Takes back each [`Redis::black_hole`], [`Redis::delay`] and [`Redis::lose_messages`].
    pub fn heal(&self) {
        self.with(|server| {
            let rules = &mut server.world.rules;
            rules.holes.clear();
            rules.delays.clear();
            rules.lost.clear();
            server.world.clients.wake();
        });
    }

    /// What goes in a direction takes a time from a range, and stays in order.
    pub fn delay(&self, whom: Whom, direction: Direction, range: RangeInclusive<Duration>) {
        self.with(|server| {
            server.world.rules.delays.insert((direction, whom), range);
        });
    }

    /// So many of a hundred published messages do not reach a listener, who is not told.
    pub fn lose_messages(&self, whom: Whom, percent: u32) {
        self.with(|server| {
            server.world.rules.lost.insert(whom, percent);
        });
    }

    /// Whether new connections are refused.
    pub fn refuse_connections(&self, is_refusing: bool) {
        self.with(|server| server.world.rules.is_refusing = is_refusing);
    }

    /// A listener that leaves more bytes unread than this is cut off. 32 MiB unless told.
    pub fn limit_pubsub_output(&self, unread_bytes_max: usize) {
        self.with(|server| server.world.rules.pubsub_unread_bytes_max = unread_bytes_max);
    }
}

/// The server as a whole.
impl Redis {
    /// Carries out no request until [`Redis::resume`], or for a time: `CLIENT PAUSE`, or a machine that swaps.
    pub fn pause(&self, time: Option<Duration>) {
        self.with(|server| server.world.rules.pause = Some(time.map(|time| Instant::now() + time)));
    }

    /// Goes on after [`Redis::pause`].
    pub fn resume(&self) {
        self.with(|server| {
            server.world.rules.pause = None;
            server.world.clients.wake();
        });
    }

    /// Goes down: connections drop, new ones are refused.
    pub fn stop(&self) {
        self.with(|server| {
            server.world.rules.is_refusing = true;
            server.world.kill_all();
        });
    }

    /// Comes up after [`Redis::stop`], as another run: scripts are forgotten.
    pub fn start(&self, data: Data) {
        self.with(|server| {
            if data == Data::Lost {
                let jitter = server.world.keyspace.jitter;
                server.world.keyspace = Keyspace::new(jitter);
                server.world.replica = Replica::of(&server.world.keyspace);
            }
            begin_anew(server);
        });
    }

    /// Goes down and comes up at once.
    pub fn restart(&self, data: Data) {
        self.stop();
        self.start(data);
    }

    /// The replica becomes the server, as another run. It had not yet heard of the last `lose` writes, where a script
    /// counts as one; how many really were lost, which is at most all there were since the last start, and at most
    /// 4096.
    pub fn fail_over(&self, lose: usize) -> usize {
        self.with(|server| {
            let replica = std::mem::take(&mut server.world.replica);
            let (keyspace, lost) = replica.promote(lose);
            server.world.replica = Replica::of(&keyspace);
            server.world.keyspace = keyspace;
            server.world.kill_all();
            begin_anew(server);
            lost
        })
    }

    /// The replica becomes a server of its own while this one goes on: two that each hold themselves for the only one,
    /// as for the clients on either side of a partition. The other one had not yet heard of the last `lose` writes.
    /// A test chooses whom a client reaches by whom it dials, and ends it with [`Redis::stop`] of one of them.
    pub fn split(&self, lose: usize) -> Self {
        self.with(|server| {
            let (keyspace, _) = server.world.replica.clone().promote(lose);
            let world = server.world.split(keyspace);
            Self(Arc::new(Mutex::new(Server { world, scripts: Scripts::default() })))
        })
    }

    /// Sets the clock forward, or back, as a failover to a machine with another clock does.
    pub fn jump_clock(&self, by_ms: i64) {
        self.with(|server| {
            server.world.settle_expired();
            server.world.skew_ms += by_ms;
        });
    }

    /// Milliseconds since 1970 by the clock of the server.
    pub fn now_ms(&self) -> u64 {
        self.with(|server| server.world.clock())
    }

    /// What tells this run from others.
    pub fn run_id(&self) -> String {
        self.with(|server| server.world.run_id.clone())
    }

    /// Forgets all scripts, as a restart does.
    pub fn forget_scripts(&self) {
        self.with(|server| server.scripts = Scripts::default());
    }
}

/// What was said.
impl Redis {
    /// A digest of every request and all that was answered and pushed, in order and with the times of requests. Two runs
    /// of one seed have the same.
    pub fn digest(&self) -> u64 {
        self.with(|server| server.world.trail.digest())
    }

    /// The last 256 requests and replies, for a test that fails: the time, the client, what was said.
    pub fn trail(&self) -> Vec<String> {
        self.with(|server| server.world.trail.lines())
    }
}

/// Answers and keys.
impl Redis {
    /// Writes that need memory answer `OOM`.
    pub fn be_out_of_memory(&self, is_out_of_memory: bool) {
        self.with(|server| server.world.rules.is_out_of_memory = is_out_of_memory);
    }

    /// Writes answer `READONLY`, as on a primary that was demoted.
    pub fn be_read_only(&self, is_read_only: bool) {
        self.with(|server| server.world.rules.is_read_only = is_read_only);
    }

    /// Every request but those that set up a connection answers this error (`LOADING …`, `BUSY …`, `MASTERDOWN …`).
    pub fn answer_all_with(&self, error: Option<&'static str>) {
        self.with(|server| server.world.rules.refusal = error.map(Bytes::from));
    }

    /// Evicts the keys that are told, of all databases; which they were.
    pub fn evict(&self, is_evicted: impl Fn(&[u8]) -> bool) -> Vec<Bytes> {
        let keys: Vec<(usize, Bytes)> =
            self.snapshot().into_keys().filter(|(_, key)| is_evicted(key)).collect();
        self.with(|server| keys.iter().for_each(|(database, key)| server.world.evict(*database, key)));
        keys.into_iter().map(|(_, key)| key).collect()
    }

    /// Evicts one key, by chance.
    pub fn evict_random(&self) -> Option<Bytes> {
        let mut keys: Vec<(usize, Bytes)> = self.snapshot().into_keys().collect();
        if keys.is_empty() {
            return None;
        }
        self.with(|server| {
            let at = server.world.rng.random_range(0..keys.len());
            let (database, key) = keys.swap_remove(at);
            server.world.evict(database, &key);
            Some(key)
        })
    }

    /// Keys go up to so much later than their deadline. Set it before there are keys.
    pub fn expire_late(&self, by_max: Duration) {
        self.with(|server| {
            let seed = server.world.rng.random();
            let ms_max = u64::try_from(by_max.as_millis()).unwrap_or(u64::MAX - 1);
            for keyspace in [&mut server.world.keyspace, server.world.replica.keyspace()] {
                keyspace.jitter.seed = seed;
                keyspace.jitter.ms_max = ms_max;
            }
        });
    }
}

/// Configuration.
impl Redis {
    /// The version that `INFO` and `HELLO` tell.
    pub fn set_version(&self, version: &str) {
        self.with(|server| version.clone_into(&mut server.world.settings.version));
    }

    /// What `INFO` tells of `maxmemory-policy`.
    pub fn set_maxmemory_policy(&self, policy: &str) {
        self.with(|server| policy.clone_into(&mut server.world.settings.maxmemory_policy));
    }

    /// Connections that come need a password from now on.
    pub fn set_password(&self, password: Option<&str>) {
        self.with(|server| {
            server.world.settings.password =
                password.map(|password| Bytes::copy_from_slice(password.as_bytes()));
        });
    }

    /// The user may not run these commands from now on.
    pub fn forbid(&self, commands: &[&str]) {
        self.with(|server| {
            let names = commands.iter().map(|name| name.to_ascii_lowercase().into_bytes());
            server.world.settings.forbidden = names.collect();
        });
    }
}

fn begin_anew(server: &mut Server) {
    server.world.renew_run_id();
    server.world.rules.is_refusing = false;
    server.scripts = Scripts::default();
}
