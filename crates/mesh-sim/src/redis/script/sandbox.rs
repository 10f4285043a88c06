//! The Lua of scripts: 5.1, with `string`, `table`, `math` and `redis`, and nothing that reaches outside.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use mlua::{Function, HookTriggers, Lua, LuaOptions, LuaString, MultiValue, StdLib, Table, Value, VmState};

use super::{convert, sha1hex};
use crate::redis::commands::{Answer, Failure};
use crate::redis::resp::Reply;
use crate::redis::server::is_of_session;
use crate::redis::world::{Caller, WRONG_COUNT, World};

/// How much a script may work before it is ended. Redis would answer `BUSY` to all others and go on.
const INSTRUCTIONS_MAX: u64 = 20_000_000;

/// How often that is looked at.
const INSTRUCTIONS_STEP: u32 = 10_000;

/// How much memory all scripts may hold.
const MEMORY_BYTES_MAX: usize = 256 << 20;

/// What the chances of a script begin with, as `srand48(0)` sets it.
const RANDOM_SEED: u64 = 0x330e;

#[derive(Debug)]
pub(super) struct Sandbox {
    lua: Lua,
    /// Holds `call`, the way from a script to the commands.
    host: Table,
    globals: Table,
    environment: Table,
    run: Function,
    random: Arc<AtomicU64>,
    instructions: Arc<AtomicU64>,
}

impl Sandbox {
    pub(super) fn new() -> mlua::Result<Self> {
        let lua = Lua::new_with(StdLib::STRING | StdLib::TABLE | StdLib::MATH, LuaOptions::default())?;
        lua.set_memory_limit(MEMORY_BYTES_MAX)?;
        let instructions = Arc::new(AtomicU64::new(0));
        let spent = Arc::clone(&instructions);
        lua.set_global_hook(HookTriggers::new().every_nth_instruction(INSTRUCTIONS_STEP), move |_, _| {
            let spent = spent.fetch_add(u64::from(INSTRUCTIONS_STEP), Ordering::Relaxed);
            if spent > INSTRUCTIONS_MAX {
                return Err(mlua::Error::runtime("the script works for too long"));
            }
            Ok(VmState::Continue)
        })?;
        let random = Arc::new(AtomicU64::new(RANDOM_SEED));
        let host = lua.create_table()?;
        let sha1 = lua.create_function(|_, text: LuaString| Ok(sha1hex(&text.as_bytes())))?;
        let state = Arc::clone(&random);
        let next = lua.create_function(move |_, ()| Ok(next_random(&state)))?;
        let state = Arc::clone(&random);
        let seed = lua.create_function(move |_, seed: f64| {
            let seed = convert::truncated(seed).cast_unsigned() & 0xffff_ffff;
            state.store((seed << 16) | RANDOM_SEED, Ordering::Relaxed);
            Ok(())
        })?;
        let chunk = lua.load(include_str!("sandbox.lua")).set_name("=sandbox");
        let (globals, environment, run) = chunk.call((host.clone(), sha1, next, seed))?;
        Ok(Self { lua, host, globals, environment, run, random, instructions })
    }

    pub(super) fn compile(&self, body: &[u8]) -> Result<Function, Failure> {
        let chunk = self.lua.load(body).set_name("@user_script").set_mode(mlua::chunk::ChunkMode::Text);
        chunk.set_environment(self.environment.clone()).into_function().map_err(|error| {
            Failure::from(format!("ERR Error compiling script (new function): {}", one_line(&error)))
        })
    }

    pub(super) fn run(
        &self,
        script: &Function,
        hash: &str,
        world: &mut World,
        database: usize,
        keys: &[Bytes],
        args: &[Bytes],
    ) -> Answer {
        self.random.store(RANDOM_SEED, Ordering::Relaxed);
        self.instructions.store(0, Ordering::Relaxed);
        let world = RefCell::new(world);
        let outcome = self.lua.scope(|scope| {
            let call = scope.create_function(|lua, args: MultiValue| {
                let reply = match arguments(&args) {
                    Ok(args) => call(&mut world.borrow_mut(), database, &args),
                    Err(failure) => Reply::Error(failure.0),
                };
                convert::to_lua(lua, &reply)
            })?;
            self.host.raw_set("call", call)?;
            self.globals.raw_set("KEYS", self.strings(keys)?)?;
            self.globals.raw_set("ARGV", self.strings(args)?)?;
            self.run.call::<(bool, Value)>(script)
        });
        match outcome {
            Ok((true, value)) => Ok(convert::from_lua(&value)),
            Ok((false, failure)) => Err(Failure(convert::failure(&failure, hash))),
            Err(error) => Err(Failure::from(format!("ERR {}", one_line(&error)))),
        }
    }

    fn strings(&self, texts: &[Bytes]) -> mlua::Result<Table> {
        let strings = texts.iter().map(|text| self.lua.create_string(text));
        self.lua.create_sequence_from(strings.collect::<mlua::Result<Vec<LuaString>>>()?)
    }
}

fn call(world: &mut World, database: usize, args: &[Bytes]) -> Reply {
    let is = |name: &str| args[0].eq_ignore_ascii_case(name.as_bytes());
    let answer = match args {
        [_] if is("ping") => Ok(Reply::Status("PONG".into())),
        [_, text] if is("ping") || is("echo") => Ok(Reply::Bulk(text.clone())),
        _ if is("ping") || is("echo") => Err(WRONG_COUNT),
        _ if is_of_session(&args[0]) => {
            Err(Failure::told("ERR This Redis command is not allowed from script"))
        }
        _ => world.call(database, args, Caller::Script),
    };
    answer.unwrap_or_else(|Failure(text)| Reply::Error(text))
}

fn arguments(args: &MultiValue) -> Result<Vec<Bytes>, Failure> {
    if args.is_empty() {
        return Err(Failure::told("ERR Please specify at least one argument for this redis.call() call"));
    }
    let strings: Option<Vec<Bytes>> = args.iter().map(convert::argument).collect();
    strings.ok_or(Failure::told("ERR Lua redis lib command arguments must be strings or integers"))
}

/// The next of `lrand48`, between 0 and 1.
fn next_random(state: &AtomicU64) -> f64 {
    const MODULUS: u64 = 1 << 48;
    let old = state.load(Ordering::Relaxed);
    let new = old.wrapping_mul(0x5_deec_e66d).wrapping_add(0xb) % MODULUS;
    state.store(new, Ordering::Relaxed);
    let bits = u32::try_from(new >> 17).unwrap_or_default();
    f64::from(bits % 0x7fff_ffff) / f64::from(0x7fff_ffff_u32)
}

fn one_line(error: &mlua::Error) -> String {
    error.to_string().replace(['\r', '\n'], " ")
}
