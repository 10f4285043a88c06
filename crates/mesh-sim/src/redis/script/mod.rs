//! Scripts: compiled once, run whole, with the world in their hands while they do.

mod convert;
mod sandbox;

use std::collections::BTreeMap;

use bytes::Bytes;
use sha1::{Digest, Sha1};

use super::commands::{Answer, Failure};
use super::number;
use super::resp::Reply;
use super::server::{Server, Told};
use super::world::World;
use sandbox::Sandbox;

/// How many scripts are kept before all are forgotten, which a client must bear at any time.
const SCRIPTS_MAX: usize = 10_000;

/// The scripts by their hashes.
#[derive(Debug)]
pub(crate) struct Scripts {
    sandbox: Sandbox,
    compiled: BTreeMap<String, mlua::Function>,
}

impl Default for Scripts {
    fn default() -> Self {
        Self {
            sandbox: Sandbox::new().expect("the sandbox is a program that works"),
            compiled: BTreeMap::new(),
        }
    }
}

impl Scripts {
    /// Keeps a script and tells its hash.
    fn load(&mut self, body: &[u8]) -> Result<String, Failure> {
        let hash = sha1hex(body);
        if !self.compiled.contains_key(&hash) {
            if self.compiled.len() >= SCRIPTS_MAX {
                self.compiled.clear();
            }
            self.compiled.insert(hash.clone(), self.sandbox.compile(body)?);
        }
        Ok(hash)
    }

    fn run(&self, hash: &str, world: &mut World, database: usize, keys: &[Bytes], args: &[Bytes]) -> Answer {
        let script = self.compiled.get(hash);
        let script = script.ok_or(Failure::told("NOSCRIPT No matching script. Please use EVAL."))?;
        self.sandbox.run(script, hash, world, database, keys, args)
    }
}

/// The SHA-1 in hexadecimal.
pub(crate) fn sha1hex(bytes: &[u8]) -> String {
    Sha1::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn eval(server: &mut Server, id: u64, args: &[Bytes]) -> Result<Told, Failure> {
    let (keys, rest) = split(args)?;
    let hash = server.scripts.load(&args[1])?;
    let database = server.database(id);
    server.scripts.run(&hash, &mut server.world, database, keys, rest).map(Told::Reply)
}

pub(super) fn evalsha(server: &mut Server, id: u64, args: &[Bytes]) -> Result<Told, Failure> {
    let (keys, rest) = split(args)?;
    let hash = args[1].escape_ascii().to_string().to_ascii_lowercase();
    let database = server.database(id);
    server.scripts.run(&hash, &mut server.world, database, keys, rest).map(Told::Reply)
}

/// The keys and the arguments behind them.
fn split(args: &[Bytes]) -> Result<(&[Bytes], &[Bytes]), Failure> {
    let count = number::integer(&args[2]).ok_or(Failure::NOT_INTEGER)?;
    let count = usize::try_from(count);
    let count = count.map_err(|_| Failure::told("ERR Number of keys can't be negative"))?;
    let too_many = Failure::told("ERR Number of keys can't be greater than number of args");
    args[3..].split_at_checked(count).ok_or(too_many)
}

pub(super) fn script(server: &mut Server, _: u64, args: &[Bytes]) -> Result<Told, Failure> {
    let scripts = &mut server.scripts;
    let word = args[1].to_ascii_lowercase();
    Ok(Told::Reply(match (word.as_slice(), &args[2..]) {
        (b"load", [body]) => Reply::bulk(scripts.load(body)?),
        (b"exists", hashes @ [_, ..]) => {
            let is_known = |hash: &Bytes| {
                scripts.compiled.contains_key(&hash.escape_ascii().to_string().to_ascii_lowercase())
            };
            Reply::Array(hashes.iter().map(|hash| Reply::flag(is_known(hash))).collect())
        }
        (b"flush", []) => {
            scripts.compiled.clear();
            Reply::OK
        }
        (b"flush", [mode]) if mode.eq_ignore_ascii_case(b"sync") || mode.eq_ignore_ascii_case(b"async") => {
            scripts.compiled.clear();
            Reply::OK
        }
        (b"flush", _) => return Err(Failure::told("ERR SCRIPT FLUSH only support SYNC|ASYNC option")),
        (b"kill", []) => return Err(Failure::told("NOTBUSY No scripts in execution right now.")),
        _ => {
            let word = args[1].escape_ascii();
            let text =
                format!("ERR unknown subcommand or wrong number of arguments for '{word}'. Try SCRIPT HELP.");
            return Err(Failure::from(text));
        }
    }))
}
