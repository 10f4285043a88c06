//! The commands that work on keys. Each is a function of the database, the time and its arguments, so that a replica
//! which runs the same commands holds the same keys.

mod expiry;
mod hashes;
mod keys;
mod sets;
mod streams;
mod strings;
mod zrange;
mod zsets;

use bytes::Bytes;
use rand::rngs::StdRng;

use super::keyspace::{Entry, Keyspace, Kind, Value};
use super::number;
use super::resp::Reply;

/// An error reply, which begins with its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure(pub(crate) Bytes);

impl Failure {
    pub(crate) const SYNTAX: Self = Self::told("ERR syntax error");
    pub(crate) const WRONG_TYPE: Self =
        Self::told("WRONGTYPE Operation against a key holding the wrong kind of value");
    pub(crate) const NOT_INTEGER: Self = Self::told("ERR value is not an integer or out of range");
    pub(crate) const NOT_FLOAT: Self = Self::told("ERR value is not a valid float");

    pub(crate) const fn told(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }

    pub(crate) fn arity(name: &str) -> Self {
        Self(format!("ERR wrong number of arguments for '{name}' command").into())
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

/// What a command answers.
pub(crate) type Answer = Result<Reply, Failure>;

/// What a command works on.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) keyspace: &'a mut Keyspace,
    pub(crate) database: usize,
    /// Milliseconds since 1970, the same throughout a script.
    pub(crate) now: u64,
    pub(crate) rng: &'a mut StdRng,
}

impl Context<'_> {
    fn entry(&mut self, key: &[u8]) -> Option<&mut Entry> {
        self.keyspace.entry(self.database, key, self.now)
    }

    /// The value of a key, if it is there.
    fn find<K: Kind>(&mut self, key: &[u8]) -> Result<Option<&mut K>, Failure> {
        match self.entry(key) {
            Some(entry) => K::of(&mut entry.value).map(Some).ok_or(Failure::WRONG_TYPE),
            None => Ok(None),
        }
    }

    /// The value of a key, made empty where it is not there. Whoever asks must put something in.
    fn find_or_new<K: Kind>(&mut self, key: &Bytes) -> Result<&mut K, Failure> {
        let _gone = self.entry(key);
        let database = self.keyspace.database(self.database);
        let entry = database
            .entry(key.clone())
            .or_insert_with(|| Entry { value: K::default().wrap(), expires_at: None });
        K::of(&mut entry.value).ok_or(Failure::WRONG_TYPE)
    }

    /// Lets go of a key whose last element went.
    fn drop_if_nothing<K: Kind>(&mut self, key: &[u8]) {
        let is_nothing =
            self.entry(key).and_then(|entry| K::of(&mut entry.value)).is_some_and(|v| v.is_nothing());
        if is_nothing {
            self.keyspace.database(self.database).remove(key);
        }
    }

    fn put(&mut self, key: &Bytes, value: Value, expires_at: Option<u64>) {
        self.keyspace.database(self.database).insert(key.clone(), Entry { value, expires_at });
        self.changed(1);
    }

    fn remove(&mut self, key: &[u8]) -> bool {
        let was_there =
            self.entry(key).is_some() && self.keyspace.database(self.database).remove(key).is_some();
        self.changed(usize::from(was_there));
        was_there
    }

    fn changed(&mut self, by: usize) {
        self.keyspace.changes += by as u64;
    }
}

/// What a command may not be used for, and what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Changes nothing.
    Read,
    /// Changes keys, and makes no more of them.
    Write,
    /// May need more memory, so it is refused where there is none.
    Grow,
}

/// A command by its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Command {
    pub(crate) name: &'static str,
    /// How many arguments there are with the name; at least as many where negative.
    arity: i32,
    pub(crate) effect: Effect,
    pub(crate) run: fn(&mut Context<'_>, &[Bytes]) -> Answer,
}

impl Command {
    /// Whether so many arguments, with the name, are right.
    pub(crate) fn takes(&self, count: usize) -> bool {
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        if self.arity < 0 { count >= -self.arity } else { count == self.arity }
    }
}

const fn command(
    name: &'static str,
    arity: i32,
    effect: Effect,
    run: fn(&mut Context<'_>, &[Bytes]) -> Answer,
) -> Command {
    Command { name, arity, effect, run }
}

use Effect::{Grow, Read, Write};

/// All of them, in groups.
const COMMANDS: &[Command] = &[
    command("time", 1, Read, keys::time),
    command("del", -2, Write, keys::del),
    command("unlink", -2, Write, keys::del),
    command("exists", -2, Read, keys::exists),
    command("type", 2, Read, keys::kind),
    command("dbsize", 1, Read, keys::dbsize),
    command("keys", 2, Read, keys::keys),
    command("scan", -2, Read, keys::scan),
    command("flushall", -1, Write, keys::flushall),
    command("flushdb", -1, Write, keys::flushdb),
    command("expire", -3, Write, expiry::expire),
    command("pexpire", -3, Write, expiry::pexpire),
    command("expireat", -3, Write, expiry::expireat),
    command("pexpireat", -3, Write, expiry::pexpireat),
    command("persist", 2, Write, expiry::persist),
    command("ttl", 2, Read, expiry::ttl),
    command("pttl", 2, Read, expiry::pttl),
    command("get", 2, Read, strings::get),
    command("set", -3, Grow, strings::set),
    command("incr", 2, Grow, strings::incr),
    command("decr", 2, Grow, strings::decr),
    command("incrby", 3, Grow, strings::incrby),
    command("decrby", 3, Grow, strings::decrby),
    command("hget", 3, Read, hashes::hget),
    command("hset", -4, Grow, hashes::hset),
    command("hsetnx", 4, Grow, hashes::hsetnx),
    command("hmget", -3, Read, hashes::hmget),
    command("hdel", -3, Write, hashes::hdel),
    command("hgetall", 2, Read, hashes::hgetall),
    command("hkeys", 2, Read, hashes::hkeys),
    command("hexists", 3, Read, hashes::hexists),
    command("hincrby", 4, Grow, hashes::hincrby),
    command("hlen", 2, Read, hashes::hlen),
    command("sadd", -3, Grow, sets::sadd),
    command("srem", -3, Write, sets::srem),
    command("sismember", 3, Read, sets::sismember),
    command("smembers", 2, Read, sets::smembers),
    command("scard", 2, Read, sets::scard),
    command("srandmember", -2, Read, sets::srandmember),
    command("zadd", -4, Grow, zsets::zadd),
    command("zincrby", 4, Grow, zsets::zincrby),
    command("zrem", -3, Write, zsets::zrem),
    command("zscore", 3, Read, zsets::zscore),
    command("zcard", 2, Read, zsets::zcard),
    command("zrank", 3, Read, zsets::zrank),
    command("zcount", 4, Read, zrange::zcount),
    command("zlexcount", 4, Read, zrange::zlexcount),
    command("zrange", -4, Read, zrange::zrange),
    command("zrangebyscore", -4, Read, zrange::zrangebyscore),
    command("zrevrangebyscore", -4, Read, zrange::zrevrangebyscore),
    command("zrangebylex", -4, Read, zrange::zrangebylex),
    command("zrevrangebylex", -4, Read, zrange::zrevrangebylex),
    command("zremrangebyscore", 4, Write, zrange::zremrangebyscore),
    command("zremrangebylex", 4, Write, zrange::zremrangebylex),
    command("xadd", -5, Grow, streams::xadd),
    command("xrange", -4, Read, streams::xrange),
    command("xrevrange", -4, Read, streams::xrevrange),
    command("xdel", -3, Write, streams::xdel),
    command("xtrim", -4, Write, streams::xtrim),
    command("xlen", 2, Read, streams::xlen),
];

/// The command of a name, whatever its case.
pub(crate) fn find(name: &[u8]) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name.as_bytes().eq_ignore_ascii_case(name))
}

fn integer(text: &[u8]) -> Result<i64, Failure> {
    number::integer(text).ok_or(Failure::NOT_INTEGER)
}

fn is(word: &[u8], expected: &str) -> bool {
    word.eq_ignore_ascii_case(expected.as_bytes())
}
