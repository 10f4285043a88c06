//! Replies as Lua values, and back, by the rules of Redis.

use bytes::Bytes;
use mlua::{Lua, Table, Value};

use crate::redis::number;
use crate::redis::resp::Reply;

/// How deep a table that a script gives back may nest.
const DEPTH_MAX: usize = 200;

/// What `redis.call` gives: no value is `false`, and what RESP2 has no type for is what RESP2 makes of it.
pub(super) fn to_lua(lua: &Lua, reply: &Reply) -> mlua::Result<Value> {
    let string = |bytes: &[u8]| lua.create_string(bytes).map(Value::String);
    let field = |name: &str, text: &[u8]| -> mlua::Result<Value> {
        let table = lua.create_table()?;
        table.raw_set(name, string(text)?)?;
        Ok(Value::Table(table))
    };
    match reply {
        Reply::Status(text) => field("ok", text),
        Reply::Error(text) => field("err", text),
        Reply::Integer(value) => Ok(Value::Number(*value as f64)),
        Reply::Bulk(bytes) | Reply::Verbatim(bytes) => string(bytes),
        Reply::Nil | Reply::NilArray => Ok(Value::Boolean(false)),
        Reply::Double(value) => string(number::double(*value).as_bytes()),
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => sequence(lua, items),
        Reply::Map(pairs) => {
            let table = lua.create_table_with_capacity(pairs.len() * 2, 0)?;
            for (key, value) in pairs {
                table.raw_push(to_lua(lua, key)?)?;
                table.raw_push(to_lua(lua, value)?)?;
            }
            Ok(Value::Table(table))
        }
        Reply::Scored(pairs) => {
            let table = lua.create_table_with_capacity(pairs.len() * 2, 0)?;
            for (member, score) in pairs {
                table.raw_push(string(member)?)?;
                table.raw_push(number::double(*score))?;
            }
            Ok(Value::Table(table))
        }
    }
}

fn sequence(lua: &Lua, items: &[Reply]) -> mlua::Result<Value> {
    let table = lua.create_table_with_capacity(items.len(), 0)?;
    for item in items {
        table.raw_push(to_lua(lua, item)?)?;
    }
    Ok(Value::Table(table))
}

/// An argument of `redis.call`.
pub(super) fn argument(value: &Value) -> Option<Bytes> {
    match value {
        Value::String(text) => Some(Bytes::copy_from_slice(&text.as_bytes())),
        Value::Integer(value) => Some(number::double(*value as f64).into()),
        Value::Number(value) => Some(number::double(*value).into()),
        _ => None,
    }
}

/// What a script gives back.
pub(super) fn from_lua(value: &Value) -> Reply {
    nested(value, DEPTH_MAX)
}

fn nested(value: &Value, depth: usize) -> Reply {
    match value {
        Value::String(text) => Reply::Bulk(Bytes::copy_from_slice(&text.as_bytes())),
        Value::Integer(value) => Reply::Integer(truncated(*value as f64)),
        Value::Number(value) => Reply::Integer(truncated(*value)),
        Value::Boolean(true) => Reply::Integer(1),
        Value::Table(table) => match depth.checked_sub(1) {
            Some(depth) => from_table(table, depth),
            None => Reply::error("ERR reached lua stack limit"),
        },
        _ => Reply::Nil,
    }
}

fn from_table(table: &Table, depth: usize) -> Reply {
    let field = |name: &str| table.raw_get::<Value>(name).unwrap_or(Value::Nil);
    if let Value::String(text) = field("err") {
        return Reply::Error(Bytes::copy_from_slice(&text.as_bytes()));
    }
    if let Value::String(text) = field("ok") {
        return Reply::Status(Bytes::copy_from_slice(&text.as_bytes()));
    }
    match field("double") {
        Value::Number(value) => return Reply::Double(value),
        Value::Integer(value) => return Reply::Double(value as f64),
        _ => {}
    }
    let mut items = Vec::new();
    // The first hole ends an array.
    for at in 1_i64.. {
        match table.raw_get::<Value>(at) {
            Ok(Value::Nil) | Err(_) => break,
            Ok(item) => items.push(nested(&item, depth)),
        }
    }
    Reply::Array(items)
}

/// As C turns a double into a `long long` on the machines Redis runs on.
pub(super) fn truncated(value: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&value) { value as i64 } else { i64::MIN }
}

/// The error that a script ended with.
pub(super) fn failure(value: &Value, hash: &str) -> Bytes {
    let text = match value {
        Value::Table(table) => match table.raw_get::<Value>("err") {
            Ok(Value::String(text)) => Bytes::copy_from_slice(&text.as_bytes()),
            _ => Bytes::from_static(b"ERR unknown error"),
        },
        _ => Bytes::from_static(b"ERR unknown error"),
    };
    [&text[..], b" script: ", hash.as_bytes(), b", on @user_script."].concat().into()
}
