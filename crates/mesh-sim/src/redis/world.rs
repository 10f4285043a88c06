//! Everything a command may touch: the keys, the clients, the clock, the rules of what goes wrong.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;

use super::clients::{Clients, OUTBOX_BYTES_MAX};
use super::commands::{self, Answer, Command, Context, Effect, Failure};
use super::keyspace::Keyspace;
use super::pubsub::{self, PubSub};
use super::replica::{Replica, Write};
use super::resp::Reply;
use super::resp::request::Request;
use super::rules::{Direction, Rules};
use super::settings::Settings;
use super::trail::Trail;

/// When the clock of a simulated server begins: in November 2023, as good as any other.
const BEGINNING_MS: u64 = 1_700_000_000_000;

/// What a script is told that calls a command with too few arguments, or too many.
pub(crate) const WRONG_COUNT: Failure =
    Failure::told("ERR Wrong number of args calling Redis command from script");

/// Who calls a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    Client,
    Script,
}

/// All but the scripts, which work on it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) keyspace: Keyspace,
    pub(crate) replica: Replica,
    pub(crate) clients: Clients,
    pub(crate) pubsub: PubSub,
    pub(crate) rules: Rules,
    pub(crate) settings: Settings,
    pub(crate) rng: StdRng,
    pub(crate) trail: Trail,
    /// Changes with each start.
    pub(crate) run_id: String,
    started: Instant,
    /// How far the clock was set forward, in milliseconds; negative where back.
    pub(crate) skew_ms: i64,
    /// The time of the command that runs.
    now: u64,
    /// What the command that runs wrote, for the replica.
    written: Vec<(usize, Request)>,
    /// The script that runs has begun to write, so it may go on where memory is short.
    script_wrote: bool,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let run_id = new_run_id(&mut rng);
        Self {
            keyspace: Keyspace::default(),
            replica: Replica::default(),
            clients: Clients::default(),
            pubsub: PubSub::default(),
            rules: Rules::default(),
            settings: Settings::default(),
            rng,
            trail: Trail::default(),
            run_id,
            started: Instant::now(),
            skew_ms: 0,
            now: BEGINNING_MS,
            written: Vec::new(),
            script_wrote: false,
        }
    }

    /// A world with these keys and the same time, apart from this one.
    pub(crate) fn split(&mut self, keyspace: Keyspace) -> Self {
        let mut other = Self::new(self.rng.random());
        other.replica = Replica::of(&keyspace);
        other.keyspace = keyspace;
        other.settings = self.settings.clone();
        (other.started, other.skew_ms) = (self.started, self.skew_ms);
        other
    }

    /// Milliseconds since 1970 by the clock of the server.
    pub(crate) fn clock(&self) -> u64 {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        (BEGINNING_MS + elapsed).saturating_add_signed(self.skew_ms)
    }

    /// Fixes the time for the command that comes: in a script it stands still.
    pub(crate) fn begin(&mut self) {
        self.now = self.clock();
        self.script_wrote = false;
    }

    /// Hands what the command wrote to the replica.
    pub(crate) fn commit(&mut self) {
        if !self.written.is_empty() {
            let commands = std::mem::take(&mut self.written);
            self.replica.record(Write { now: self.now, commands });
        }
    }

    /// Runs a command on keys or channels.
    pub(crate) fn call(&mut self, database: usize, args: &[Bytes], caller: Caller) -> Answer {
        let name = &args[0];
        if self.settings.forbids(name) {
            return Err(match caller {
                Caller::Client => {
                    let name = name.escape_ascii().to_string().to_ascii_lowercase();
                    Failure::from(format!("NOPERM this user has no permissions to run the '{name}' command"))
                }
                Caller::Script => {
                    Failure::told("ERR The user executing the script can't run this command or subcommand")
                }
            });
        }
        let arity = |is_right: bool| match (is_right, caller) {
            (true, _) => Ok(()),
            (false, Caller::Client) => {
                Err(Failure::arity(&name.escape_ascii().to_string().to_ascii_lowercase()))
            }
            (false, Caller::Script) => Err(WRONG_COUNT),
        };
        for (word, is_sharded) in [("publish", false), ("spublish", true)] {
            if name.eq_ignore_ascii_case(word.as_bytes()) {
                arity(args.len() == 3)?;
                return Ok(pubsub::publish(self, args, is_sharded));
            }
        }
        let Some(command) = commands::find(name) else { return Err(unknown(args, caller)) };
        arity(command.takes(args.len()))?;
        self.allow(command.effect, caller)?;
        self.apply(command, database, args)
    }

    /// Runs a command that may run, and keeps what it wrote for the replica.
    fn apply(&mut self, command: &Command, database: usize, args: &[Bytes]) -> Answer {
        let before = self.keyspace.changes;
        let mut context =
            Context { keyspace: &mut self.keyspace, database, now: self.now, rng: &mut self.rng };
        let answer = (command.run)(&mut context, args);
        if command.effect != Effect::Read && self.keyspace.changes != before {
            self.written.push((database, args.to_vec()));
        }
        answer
    }

    fn allow(&mut self, effect: Effect, caller: Caller) -> Result<(), Failure> {
        if effect == Effect::Read {
            return Ok(());
        }
        if self.rules.is_read_only {
            return Err(Failure::told("READONLY You can't write against a read only replica."));
        }
        if effect == Effect::Grow && self.rules.is_out_of_memory && !self.script_wrote {
            return Err(Failure::told("OOM command not allowed when used memory > 'maxmemory'."));
        }
        self.script_wrote |= caller == Caller::Script;
        Ok(())
    }

    /// Removes a key as memory pressure does, which the replica hears of as a deletion.
    pub(crate) fn evict(&mut self, database: usize, key: &Bytes) {
        self.begin();
        let request = [Bytes::from_static(b"DEL"), key.clone()];
        if let Some(del) = commands::find(b"del") {
            let _count = self.apply(del, database, &request);
        }
        self.commit();
    }

    /// Deletes what has expired, and the replica hears of it: whatever the clock does next, it must not come back.
    pub(crate) fn settle_expired(&mut self) {
        self.begin();
        for (database, key) in self.keyspace.sweep(self.now) {
            self.written.push((database, vec![Bytes::from_static(b"DEL"), key]));
        }
        self.commit();
    }

    /// Puts a reply or a push on its way. A client that leaves too much unread is cut off.
    pub(crate) fn send(&mut self, id: u64, reply: &Reply) {
        let (delay, now) = (self.delay(id, Direction::ToClient), self.clock());
        let Some(client) = self.clients.find(id) else { return };
        let mut bytes = BytesMut::new();
        reply.encode(client.proto, &mut bytes);
        self.trail.reply(now, id, reply, &bytes);
        let unread = client.push(Instant::now() + delay, bytes.freeze());
        let unread_max =
            if client.is_pubsub() { self.rules.pubsub_unread_bytes_max } else { OUTBOX_BYTES_MAX };
        if unread > unread_max {
            self.kill(id);
        }
    }

    /// How long what goes in a direction takes, drawn from the range that a rule gives.
    pub(crate) fn delay(&mut self, id: u64, direction: Direction) -> Duration {
        let Some(client) = self.clients.find(id) else { return Duration::ZERO };
        match self.rules.delay(id, client, direction) {
            Some(range) => self.rng.random_range(range),
            None => Duration::ZERO,
        }
    }

    pub(crate) fn is_hole(&mut self, id: u64, direction: Direction) -> bool {
        let Some(client) = self.clients.find(id) else { return false };
        self.rules.is_hole(id, client, direction)
    }

    pub(crate) fn loses_message(&mut self, id: u64) -> bool {
        let Some(client) = self.clients.find(id) else { return true };
        let percent = self.rules.lost_percent(id, client);
        percent > 0 && self.rng.random_range(0..100) < percent
    }

    /// Ends a connection at once; what it had not read is lost.
    pub(crate) fn kill(&mut self, id: u64) {
        if let Some(client) = self.clients.remove(id) {
            for channel in &client.channels {
                self.pubsub.remove(channel, id);
            }
        }
    }

    pub(crate) fn kill_all(&mut self) {
        let ids: Vec<u64> = self.clients.iter().map(|(id, _)| id).collect();
        for id in ids {
            self.kill(id);
        }
    }

    pub(crate) fn renew_run_id(&mut self) {
        self.run_id = new_run_id(&mut self.rng);
    }
}

fn new_run_id(rng: &mut StdRng) -> String {
    format!("{:040x}", rng.random::<u128>())
}

fn unknown(args: &[Bytes], caller: Caller) -> Failure {
    if caller == Caller::Script {
        return Failure::told("ERR Unknown Redis command called from script");
    }
    let quoted = |bytes: &Bytes| format!("'{}' ", bytes.escape_ascii());
    let rest: String = args[1..].iter().take(8).map(quoted).collect();
    Failure::from(format!(
        "ERR unknown command '{}', with args beginning with: {rest}",
        args[0].escape_ascii()
    ))
}
