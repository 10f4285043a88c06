//! Reading what a script gave. Whatever it is, nothing panics.

use std::str::FromStr;

use bytes::Bytes;
use mesh_backend::{BackendError, Result};
use mesh_proto::{Epoch, Position, Tag};
use redis::Value;

use crate::error::unavailable;
use crate::script::Script;

/// What is left of an answer, from its front.
#[derive(Debug)]
pub(crate) struct Reply {
    script: &'static Script,
    rest: std::vec::IntoIter<Value>,
}

impl Reply {
    /// Scripts give 0 to whom is not alive, else 1, or a list that begins with a number that is not 0.
    pub(crate) fn of(script: &'static Script, value: Value) -> Result<Self> {
        let rest = match value {
            Value::Int(0) => return Err(BackendError::Fenced),
            Value::Int(1) => vec![Value::Int(1)],
            Value::Array(values) => values,
            _ => return Err(strange(script)),
        };
        let mut reply = Self { script, rest: rest.into_iter() };
        // Most scripts begin with a 1 that says no more than: not fenced.
        if matches!(reply.rest.as_slice().first(), Some(Value::Int(1))) {
            reply.rest.next();
        }
        Ok(reply)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    /// An answer that this crate's scripts do not give.
    pub(crate) fn strange(&self) -> BackendError {
        strange(self.script)
    }

    fn value(&mut self) -> Result<Value> {
        self.rest.next().ok_or_else(|| strange(self.script))
    }

    pub(crate) fn maybe_bytes(&mut self) -> Result<Option<Bytes>> {
        match self.value()? {
            Value::Nil => Ok(None),
            Value::BulkString(bytes) => Ok(Some(bytes.into())),
            Value::SimpleString(text) => Ok(Some(text.into())),
            Value::Okay => Ok(Some(Bytes::from_static(b"OK"))),
            Value::Int(number) => Ok(Some(number.to_string().into())),
            _ => Err(self.strange()),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<Bytes> {
        self.maybe_bytes()?.ok_or_else(|| self.strange())
    }

    pub(crate) fn text(&mut self) -> Result<String> {
        let bytes = self.bytes()?;
        String::from_utf8(bytes.into()).map_err(|_| self.strange())
    }

    pub(crate) fn parse<T: FromStr>(&mut self) -> Result<T> {
        self.text()?.parse().map_err(|_| self.strange())
    }

    pub(crate) fn is_one(&mut self) -> Result<bool> {
        Ok(self.parse::<u64>()? == 1)
    }

    pub(crate) fn epoch(&mut self) -> Result<Epoch> {
        u64::from_str_radix(&self.text()?, 16).map(Epoch).map_err(|_| self.strange())
    }

    pub(crate) fn tag(&mut self) -> Result<Tag> {
        u32::from_str_radix(&self.text()?, 16).map(Tag).map_err(|_| self.strange())
    }

    /// Epoch, offset and tag.
    pub(crate) fn position(&mut self) -> Result<Position> {
        Ok(Position { epoch: self.epoch()?, offset: self.parse()?, tag: self.tag()? })
    }

    pub(crate) fn list(&mut self) -> Result<Reply> {
        match self.value()? {
            Value::Array(values) | Value::Set(values) => {
                Ok(Self { script: self.script, rest: values.into_iter() })
            }
            _ => Err(self.strange()),
        }
    }
}

fn strange(script: &'static Script) -> BackendError {
    unavailable(format!("Redis gave an answer to the script {} that it does not give", script.name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::LOAD;

    #[test]
    fn a_strange_answer_is_an_error() {
        for value in [Value::Nil, Value::Okay, Value::Double(1.0), Value::Int(7), Value::Boolean(true)] {
            assert!(matches!(Reply::of(&LOAD, value), Err(BackendError::Unavailable(_))));
        }
        let mut reply =
            Reply::of(&LOAD, Value::Array(vec![Value::Int(1), Value::BulkString(vec![0xff])])).unwrap();
        assert!(reply.text().is_err());
        assert!(reply.text().is_err(), "and nothing is left");
        let mut reply = Reply::of(&LOAD, Value::Array(vec![Value::Int(2), Value::Nil])).unwrap();
        assert_eq!(reply.parse(), Ok(2_u64));
        assert!(reply.list().is_err());
    }

    #[test]
    fn zero_is_fenced() {
        assert_eq!(Reply::of(&LOAD, Value::Int(0)).unwrap_err(), BackendError::Fenced);
    }
}
