//! When two values are equal: for `test`, and for `diff`.

use serde_json::{Number, Value};

use super::steps::{Spent, Steps};

/// Whether two values are equal as JavaScript sees them, which is the rule of `test`: numbers by the double nearest to
/// them, objects without regard to order. Looks no further than the smaller of the two.
pub fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => double(a) == double(b),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

fn double(number: &Number) -> f64 {
    // There is always one, unless a crate turns on arbitrary precision for all of the program.
    number.as_f64().unwrap_or(f64::NAN)
}

/// Whether two values are the same to [`diff`](super::diff), as `==` has it, in so many steps.
pub(super) fn same(a: &Value, b: &Value, steps: &mut Steps) -> Result<bool, Spent> {
    steps.take(1)?;
    match (a, b) {
        (Value::String(a), Value::String(b)) if a.len() == b.len() => {
            steps.take_text(a)?;
            Ok(a == b)
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (a, b) in a.iter().zip(b) {
                if !same(a, b, steps)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Object(a), Value::Object(b)) if a.len() == b.len() => {
            for (name, a) in a {
                steps.take_text(name)?;
                let Some(b) = b.get(name) else { return Ok(false) };
                if !same(a, b, steps)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::String(_), _) | (Value::Array(_), _) | (Value::Object(_), _) => Ok(false),
        _ => Ok(a == b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        serde_json::from_str(json).expect("JSON")
    }

    /// What `test` says, and what `diff` says.
    fn check(a: &str, b: &str, expected: (bool, bool)) {
        let (a, b) = (value(a), value(b));
        for (a, b) in [(&a, &b), (&b, &a)] {
            let is_same = same(a, b, &mut Steps::new(1000)).expect("enough");
            assert_eq!((equal(a, b), is_same), expected, "{a} {b}");
            assert_eq!(is_same, a == b, "{a} {b}");
        }
    }

    #[test]
    fn numbers_are_equal_where_their_doubles_are() {
        check("1", "1.0", (true, false));
        check("100", "1e2", (true, false));
        check("0", "-0", (true, false));
        check("0.0", "-0.0", (true, true));
        check("9007199254740992", "9007199254740993", (true, false));
        check("18446744073709551615", "18446744073709551616", (true, false));
        check("9007199254740992", "9007199254740994", (false, false));
        check("0.1", "0.10000000000000001", (true, true));
        check("0.1", "0.10000000000000002", (false, false));
        check("1", "-1", (false, false));
        check("1", "\"1\"", (false, false));
        check("1", "true", (false, false));
        check("0", "null", (false, false));
    }

    #[test]
    fn the_order_of_members_is_no_difference_and_that_of_items_is() {
        check(r#"{"a":1,"b":[2]}"#, r#"{"b":[2],"a":1}"#, (true, true));
        check(r#"{"a":1}"#, r#"{"a":1,"b":null}"#, (false, false));
        check(r#"{"a":1,"b":null}"#, r#"{"a":1,"c":null}"#, (false, false));
        check(r#"{"a":[1.0]}"#, r#"{"a":[1]}"#, (true, false));
        check("[1,2]", "[2,1]", (false, false));
        check("[]", "{}", (false, false));
        check("\"a\"", "\"b\"", (false, false));
    }

    #[test]
    fn a_double_is_read_as_it_was_written() {
        // Without `float_roundtrip` this one is read as its neighbour, and JavaScript would see another number.
        for text in ["0.013599999999999999", "51.24817837550540", "7.1e-10", "1.7976931348623157e308"] {
            let exact: f64 = text.parse().expect("a double");
            assert_eq!(value(text), Value::from(exact), "{text}");
            assert_eq!(value(&value(text).to_string()), value(text), "{text}");
        }
    }
}
