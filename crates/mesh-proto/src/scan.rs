//! The linear scan that comes before any parser: a parser that recurses or allocates per bracket is never shown a
//! text that could hurt it.

use memchr::memchr2;

/// What a text has too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Excess {
    /// Brackets inside brackets.
    #[error("nested deeper than {0}")]
    Depth(usize),
    /// Members of objects.
    #[error("more than {0} members")]
    Members(usize),
}

/// Count brackets and members of a JSON text in one pass, without memory of its own. The text need not be valid JSON:
/// what is not, the parser after this will find.
pub fn scan(json: &str, depth_max: usize, members_max: usize) -> Result<(), Excess> {
    let bytes = json.as_bytes();
    let (mut at, mut depth, mut members) = (0, 0usize, 0usize);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'{' | b'[' => {
                depth += 1;
                if depth > depth_max {
                    return Err(Excess::Depth(depth_max));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b':' => {
                members += 1;
                if members > members_max {
                    return Err(Excess::Members(members_max));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Where the string that began before `at` is over.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found + 1;
        if bytes[at - 1] == b'"' {
            return at;
        }
        at += 1; // The escaped character, whatever it is.
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, depth: usize, members: usize) -> Result<(), Excess> {
        scan(json, depth, members)
    }

    #[test]
    fn depth_is_counted_outside_strings_only() {
        assert_eq!(check("[[]]", 2, 0), Ok(()));
        assert_eq!(check("[[[]]]", 2, 0), Err(Excess::Depth(2)));
        assert_eq!(check(r#"["[[[[", "\"[[[["]"#, 1, 0), Ok(()));
        assert_eq!(check("[][][]", 1, 0), Ok(()), "side by side is not deep");
        assert_eq!(check(&"[".repeat(1_000_000), 64, 0), Err(Excess::Depth(64)));
    }

    #[test]
    fn members_are_counted_over_all_objects() {
        assert_eq!(check(r#"{"a":1,"b":{"c":":::"}}"#, 9, 3), Ok(()));
        assert_eq!(check(r#"{"a":1,"b":{"c":2,"d":3}}"#, 9, 3), Err(Excess::Members(3)));
    }

    #[test]
    fn an_open_end_is_no_panic() {
        for text in ["\"", "\"\\", "\"\\\"", "{\"a\\", "]]]]", ""] {
            assert_eq!(check(text, 2, 2), Ok(()), "{text}");
        }
    }
}
