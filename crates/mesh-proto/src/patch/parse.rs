//! Reading a patch that somebody else wrote.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de::Error};
use serde_json::Value;

use super::{Fault, Op, Patch, PatchError, Pointer};
use crate::limits::PatchLimits;

impl Patch {
    /// Read the JSON of RFC 6902 within bounds. Stops at the first operation too many, before it is kept. Values are as
    /// deep as the parser goes (128), so a text is [scanned](crate::scan()) before.
    ///
    /// Members that an operation does not know are ignored. Of a member given twice the last one counts, as in a frame.
    pub fn parse(json: &str, limits: &PatchLimits) -> Result<Self, PatchError> {
        let mut fault = None;
        let mut reader = serde_json::Deserializer::from_str(json);
        let read = Ops { limits, fault: &mut fault }
            .deserialize(&mut reader)
            .and_then(|patch| reader.end().map(|()| patch));
        read.map_err(|error| fault.unwrap_or_else(|| PatchError::Malformed(error.to_string())))
    }
}

/// Within the default bounds.
impl<'de> Deserialize<'de> for Patch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ops { limits: &PatchLimits::default(), fault: &mut None }.deserialize(deserializer)
    }
}

/// Reads the list. What serde can only say as a text is put into `fault` as well.
struct Ops<'a> {
    limits: &'a PatchLimits,
    fault: &'a mut Option<PatchError>,
}

impl<'de> DeserializeSeed<'de> for Ops<'_> {
    type Value = Patch;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Patch, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Ops<'_> {
    type Value = Patch;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of operations")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Patch, S::Error> {
        let mut ops = Vec::new();
        let mut fail = |error: PatchError| {
            let text = S::Error::custom(&error);
            *self.fault = Some(error);
            text
        };
        while ops.len() < self.limits.ops_max {
            let Some(members) = seq.next_element::<Members>()? else { return Ok(Patch { ops }) };
            let op =
                members.op(self.limits).map_err(|fault| fail(PatchError::Op { at: ops.len(), fault }))?;
            ops.push(op);
        }
        match seq.next_element::<IgnoredAny>()? {
            None => Ok(Patch { ops }),
            Some(_) => Err(fail(PatchError::TooManyOps(self.limits.ops_max))),
        }
    }
}

/// The members of one operation, before it is known which one it is.
#[derive(Default)]
struct Members {
    op: Option<Value>,
    path: Option<Value>,
    from: Option<Value>,
    value: Option<Value>,
}

impl Members {
    fn op(mut self, limits: &PatchLimits) -> Result<Op, Fault> {
        let Some(Value::String(op)) = self.op.take() else { return Err(Fault::Member("op")) };
        let path = pointer(self.path.take(), "path", limits)?;
        Ok(match op.as_str() {
            "add" => Op::Add { path, value: self.value()? },
            "remove" => Op::Remove { path },
            "replace" => Op::Replace { path, value: self.value()? },
            "move" => Op::Move { path, from: pointer(self.from, "from", limits)? },
            "copy" => Op::Copy { path, from: pointer(self.from, "from", limits)? },
            "test" => Op::Test { path, value: self.value()? },
            _ => return Err(Fault::Unknown),
        })
    }

    fn value(self) -> Result<Value, Fault> {
        self.value.ok_or(Fault::Member("value"))
    }
}

fn pointer(text: Option<Value>, member: &'static str, limits: &PatchLimits) -> Result<Pointer, Fault> {
    let Some(Value::String(text)) = text else { return Err(Fault::Member(member)) };
    let pointer = Pointer::new(text)?;
    pointer.check(limits.path_bytes_max, limits.depth_max)?;
    Ok(pointer)
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "lowercase")]
        enum Member {
            Op,
            Path,
            From,
            Value,
            #[serde(other)]
            Other,
        }

        impl<'de> Visitor<'de> for Object {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an operation")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members, M::Error> {
                let mut members = Members::default();
                while let Some(member) = map.next_key()? {
                    let place = match member {
                        Member::Op => &mut members.op,
                        Member::Path => &mut members.path,
                        Member::From => &mut members.from,
                        Member::Value => &mut members.value,
                        Member::Other => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    // `null` is a value like any other, not a member that is missing.
                    *place = Some(map.next_value()?);
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(json: &str) -> Result<Patch, PatchError> {
        Patch::parse(json, &PatchLimits::default())
    }

    fn fault(json: &str) -> Fault {
        match parse(json) {
            Err(PatchError::Op { at: 0, fault }) => fault,
            other => panic!("{json}: {other:?}"),
        }
    }

    #[test]
    fn all_six_operations_are_read_and_written() {
        let json = json!([
            { "op": "add", "path": "/a", "value": null },
            { "op": "remove", "path": "/a~1b" },
            { "op": "replace", "path": "", "value": { "x": [1] } },
            { "op": "move", "from": "/a", "path": "/b" },
            { "op": "copy", "from": "/a", "path": "/b/-" },
            { "op": "test", "path": "/a/0", "value": 1.5 },
        ]);
        let patch = parse(&json.to_string()).expect("a patch");
        assert_eq!(patch.ops().len(), 6);
        assert_eq!(serde_json::to_value(&patch).expect("JSON"), json);
        assert_eq!(serde_json::from_value::<Patch>(json).expect("a patch"), patch);
        let text = r#"[{"op":"add","path":"/a","value":1}]"#;
        assert_eq!(serde_json::to_string(&parse(text).expect("a patch")).expect("JSON"), text);
    }

    #[test]
    fn what_is_no_operation_is_told_with_its_place() {
        assert_eq!(fault(r#"[{"op":"spam","path":"","value":1}]"#), Fault::Unknown);
        assert_eq!(fault(r#"[{"path":"","value":1}]"#), Fault::Member("op"));
        assert_eq!(fault(r#"[{"op":"remove"}]"#), Fault::Member("path"));
        assert_eq!(fault(r#"[{"op":"remove","path":null}]"#), Fault::Member("path"));
        assert_eq!(fault(r#"[{"op":"add","path":"/a"}]"#), Fault::Member("value"));
        assert_eq!(fault(r#"[{"op":"move","path":"/a","from":1}]"#), Fault::Member("from"));
        assert_eq!(fault(r#"[{"op":"remove","path":"a"}]"#), Fault::Pointer);
        assert_eq!(
            parse(r#"[{"op":"remove","path":"/a"},{"op":"remove","path":"a"}]"#),
            Err(PatchError::Op { at: 1, fault: Fault::Pointer })
        );
        for text in ["", "{}", "null", "[1]", "[[]]", "[] 1", r#"[{"op":"remove","path":"/a"}"#] {
            assert!(matches!(parse(text), Err(PatchError::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn other_members_are_ignored_and_the_last_of_two_counts() {
        let patch = parse(r#"[{"op":"add","x":{"y":[]},"from":5,"path":"/a","op":"remove","value":1}]"#);
        let path = Pointer::new("/a").expect("a pointer");
        assert_eq!(patch, Ok(Patch::new(vec![Op::Remove { path }])));
    }

    #[test]
    fn a_patch_is_bounded_before_it_is_kept() {
        let limits = PatchLimits { ops_max: 2, path_bytes_max: 8, depth_max: 3, ..PatchLimits::default() };
        let parse = |json: &str| Patch::parse(json, &limits);
        let ops = |n: usize| format!("[{}]", vec![r#"{"op":"remove","path":"/a"}"#; n].join(","));
        assert!(parse(&ops(2)).is_ok());
        assert_eq!(parse(&ops(3)), Err(PatchError::TooManyOps(2)));
        let path = |path: &str| match parse(&json!([{ "op": "remove", "path": path }]).to_string()) {
            Err(PatchError::Op { fault, .. }) => Some(fault),
            other => other.map(|_| None).expect("no other error"),
        };
        assert_eq!(path("/a/b/c"), None);
        assert_eq!(path("/a/b/c/d"), Some(Fault::Depth(3)));
        assert_eq!(path("/a2345678"), Some(Fault::PathBytes(8)));
        let many = format!("[{}", r#"{"op":"remove","path":"/a"},"#.repeat(1001));
        assert_eq!(Patch::parse(&many, &PatchLimits::default()), Err(PatchError::TooManyOps(1000)));
        let error = serde_json::from_str::<Patch>(&ops(1001)).expect_err("too many");
        assert!(error.to_string().contains("at most 1000 operations"), "{error}");
    }
}
