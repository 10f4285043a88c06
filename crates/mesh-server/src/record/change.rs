//! What a write makes of a value.

use std::fmt;
use std::sync::Arc;

use mesh_proto::PatchLimits;
use mesh_proto::patch::{self, Patch, Pointer};
use serde_json::{Map, Number, Value};

use crate::error::{MeshError, Result};

#[derive(Clone)]
pub(super) enum Change {
    Set(Value),
    Merge(Value),
    DeepMerge(Value),
    Patch(Patch),
    Increment(Pointer, Number),
    Update(Arc<dyn Fn(&Value) -> Value + Send + Sync>),
    Delete,
}

impl Change {
    /// The value after it, `None` if there is none, and what the caller is told beside the version.
    pub(super) fn make(
        &self,
        now: Option<&Value>,
        limits: &PatchLimits,
    ) -> Result<(Option<Value>, Option<Number>)> {
        const NOTHING: Value = Value::Null;
        let now = now.unwrap_or(&NOTHING);
        let value = match self {
            Self::Set(value) => value.clone(),
            Self::Merge(fields) => merged(now, fields),
            Self::DeepMerge(fields) => deeply_merged(now, fields),
            Self::Patch(patch) => patch::apply(now, patch, limits)
                .map_err(|error| MeshError::bad_payload(format!("the patch does not apply: {error}")))?,
            Self::Increment(path, by) => {
                let mut value = now.clone();
                let sum = increment(&mut value, path, by)?;
                return Ok((Some(value), Some(sum)));
            }
            Self::Update(update) => update(now),
            Self::Delete => return Ok((None, None)),
        };
        Ok((Some(value), None))
    }
}

fn merged(now: &Value, fields: &Value) -> Value {
    match (now, fields) {
        (Value::Object(now), Value::Object(fields)) => {
            let mut merged = now.clone();
            merged.extend(fields.iter().map(|(name, value)| (name.clone(), value.clone())));
            Value::Object(merged)
        }
        _ => fields.clone(),
    }
}

/// Recurses no deeper than both values are deep, which has a bound.
fn deeply_merged(now: &Value, fields: &Value) -> Value {
    let (Value::Object(now), Value::Object(fields)) = (now, fields) else { return fields.clone() };
    let mut merged = now.clone();
    for (name, value) in fields {
        let value = now.get(name).map_or_else(|| value.clone(), |now| deeply_merged(now, value));
        merged.insert(name.clone(), value);
    }
    Value::Object(merged)
}

fn increment(root: &mut Value, path: &Pointer, by: &Number) -> Result<Number> {
    let missing = || MeshError::bad_payload(format!("nothing holds {:?}", path.as_str()));
    let mut names = path.names().peekable();
    if root.is_null() && names.peek().is_some() {
        *root = Value::Object(Map::new());
    }
    let mut place = root;
    while let Some(name) = names.next() {
        place = match place {
            Value::Object(members) => match names.peek() {
                Some(_) => members.get_mut(&*name).ok_or_else(missing)?,
                None => members.entry(name.into_owned()).or_insert_with(|| 0.into()),
            },
            Value::Array(items) => {
                let index = name.parse::<usize>().ok().filter(|index| index.to_string() == *name);
                index.and_then(|index| items.get_mut(index)).ok_or_else(missing)?
            }
            _ => return Err(missing()),
        };
    }
    let sum = match place {
        Value::Null => by.clone(),
        Value::Number(now) => {
            sum(now, by).ok_or_else(|| MeshError::bad_payload("the sum is out of range"))?
        }
        _ => return Err(MeshError::bad_payload(format!("no number is at {:?}", path.as_str()))),
    };
    *place = Value::Number(sum.clone());
    Ok(sum)
}

/// Exact for integers; between others as doubles.
fn sum(a: &Number, b: &Number) -> Option<Number> {
    if let (Some(a), Some(b)) = (a.as_i128(), b.as_i128()) {
        let sum = a.checked_add(b)?;
        return i64::try_from(sum).map(Number::from).or_else(|_| u64::try_from(sum).map(Number::from)).ok();
    }
    Number::from_f64(a.as_f64()? + b.as_f64()?)
}

impl fmt::Debug for Change {
    /// Without the values, which belong in no log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Set(_) => "Set",
            Self::Merge(_) => "Merge",
            Self::DeepMerge(_) => "DeepMerge",
            Self::Patch(_) => "Patch",
            Self::Increment(..) => "Increment",
            Self::Update(_) => "Update",
            Self::Delete => "Delete",
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn make(change: &Change, now: &Value) -> Result<Value> {
        change.make(Some(now), &PatchLimits::default()).map(|(value, _)| value.unwrap_or_default())
    }

    #[test]
    fn a_merge_replaces_members_and_a_deep_one_goes_into_objects() {
        let now = json!({"a": {"x": 1, "y": [1]}, "b": 2});
        let fields = json!({"a": {"y": [2], "z": null}, "c": 3});
        let merged = make(&Change::Merge(fields.clone()), &now).expect("merged");
        assert_eq!(merged, json!({"a": {"y": [2], "z": null}, "b": 2, "c": 3}));
        let merged = make(&Change::DeepMerge(fields.clone()), &now).expect("merged");
        assert_eq!(merged, json!({"a": {"x": 1, "y": [2], "z": null}, "b": 2, "c": 3}));
        for other in [json!(null), json!([1]), json!("text"), json!(7)] {
            assert_eq!(make(&Change::Merge(fields.clone()), &other).expect("merged"), fields);
            assert_eq!(make(&Change::DeepMerge(other.clone()), &now).expect("merged"), other);
        }
    }

    #[test]
    fn increments_are_exact_and_what_is_no_number_refuses_them() {
        let add = |now: Value, path: &str, by: Value| {
            let Value::Number(by) = by else { panic!("a number") };
            make(&Change::Increment(Pointer::new(path).expect("a pointer"), by), &now)
        };
        assert_eq!(add(json!(null), "", json!(2)).expect("a sum"), json!(2));
        assert_eq!(add(json!(null), "/n", json!(2)).expect("a sum"), json!({"n": 2}));
        assert_eq!(
            add(json!({"n": 9_007_199_254_740_993_u64}), "/n", json!(2)).expect("a sum"),
            json!({"n": 9_007_199_254_740_995_u64})
        );
        assert_eq!(
            add(json!({"a": [1, {"n": -5}]}), "/a/1/n", json!(1)).expect("a sum"),
            json!({"a": [1, {"n": -4}]})
        );
        assert_eq!(add(json!(0.5), "", json!(1)).expect("a sum"), json!(1.5));
        assert_eq!(add(json!(i64::MAX), "", json!(1)).expect("a sum"), json!(9_223_372_036_854_775_808_u64));
        for (now, path, by) in [
            (json!(u64::MAX), "", json!(1)),
            (json!(i64::MIN), "", json!(-1)),
            (json!(f64::MAX), "", json!(f64::MAX)),
            (json!("7"), "", json!(1)),
            (json!({"n": {}}), "/n", json!(1)),
            (json!({}), "/a/b", json!(1)),
            (json!([1]), "/1", json!(1)),
            (json!([1]), "/-", json!(1)),
            (json!([1]), "/00", json!(1)),
        ] {
            assert_eq!(add(now, path, by).expect_err(path).code.as_str(), "bad_payload");
        }
    }
}
