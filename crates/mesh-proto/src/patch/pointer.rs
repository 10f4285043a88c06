//! JSON pointers, after RFC 6901.

use std::borrow::Cow;
use std::fmt;

use serde::{Serialize, Serializer};

use super::Fault;

/// Where in a document: empty for the document itself, else `/` before each name, in which `~1` is `/` and `~0` is `~`.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Pointer(String);

impl Pointer {
    /// Check a text and make it a pointer.
    pub fn new(text: impl Into<String>) -> Result<Self, Fault> {
        let text = text.into();
        let begins = text.is_empty() || text.starts_with('/');
        let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        if begins && escapes { Ok(Self(text)) } else { Err(Fault::Pointer) }
    }

    /// The pointer as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names on the way, outermost first.
    pub fn names(&self) -> impl Iterator<Item = Cow<'_, str>> {
        names(&self.0)
    }

    /// How many names there are.
    pub fn depth(&self) -> usize {
        self.0.bytes().filter(|byte| *byte == b'/').count()
    }

    /// The pointer to what holds this, and the name it has there. `None` for the document itself.
    pub(super) fn split(&self) -> Option<(impl Iterator<Item = Cow<'_, str>>, Cow<'_, str>)> {
        let (parent, name) = self.0.rsplit_once('/')?;
        Some((names(parent), unescape(name)))
    }

    /// Whether `other` is inside what this points to.
    pub(super) fn holds(&self, other: &Self) -> bool {
        // A name is written in one way only, so the texts tell.
        other.0.strip_prefix(&self.0).is_some_and(|rest| rest.starts_with('/'))
    }

    pub(super) fn check(&self, path_bytes_max: usize, depth_max: usize) -> Result<(), Fault> {
        if self.0.len() > path_bytes_max {
            return Err(Fault::PathBytes(path_bytes_max));
        }
        if self.depth() > depth_max {
            return Err(Fault::Depth(depth_max));
        }
        Ok(())
    }

    /// A pointer made of names and indexes.
    pub(super) fn of<'a>(steps: impl IntoIterator<Item = &'a Step<'a>>) -> Self {
        let mut text = String::new();
        for step in steps {
            text.push('/');
            match step {
                Step::Name(name) if name.contains(['~', '/']) => {
                    text.push_str(&name.replace('~', "~0").replace('/', "~1"));
                }
                Step::Name(name) => text.push_str(name),
                Step::Index(index) => text.push_str(&index.to_string()),
            }
        }
        Self(text)
    }
}

/// One step into a document.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'a> {
    Name(&'a str),
    Index(usize),
}

fn names(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    // Before the first `/` there is nothing.
    text.split('/').skip(1).map(unescape)
}

fn unescape(name: &str) -> Cow<'_, str> {
    // `~1` first, so that `~01` is `~1`, and not `/`.
    if name.contains('~') { name.replace("~1", "/").replace("~0", "~").into() } else { name.into() }
}

/// The index that a name is in a list of `len` items: digits without leading zeros, below `len`.
pub(super) fn index(name: &str, len: usize) -> Result<usize, Fault> {
    let is_index = name.bytes().all(|byte| byte.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    let index = if is_index { name.parse().ok() } else { None };
    index.filter(|index| *index < len).ok_or(Fault::Index)
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for Pointer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_of(text: &str) -> Vec<String> {
        Pointer::new(text).expect("a pointer").names().map(Cow::into_owned).collect()
    }

    #[test]
    fn a_pointer_is_taken_apart_as_the_rfc_says() {
        assert!(names_of("").is_empty());
        assert_eq!(names_of("/"), [""]);
        assert_eq!(names_of("/a//b"), ["a", "", "b"]);
        assert_eq!(names_of("/a~1b/m~0n/~01/~10"), ["a/b", "m~n", "~1", "/0"]);
        assert_eq!(names_of("/ /c%d/é"), [" ", "c%d", "é"]);
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for text in ["a", "a/b", "#/a", " /a", "/~", "/~2", "/a~/b", "/~~0"] {
            assert_eq!(Pointer::new(text), Err(Fault::Pointer), "{text}");
        }
    }

    #[test]
    fn names_are_written_as_they_are_read() {
        for name in ["", "/", "~", "~1", "~0", "/~/~", "__proto__", "é"] {
            let steps = [Step::Name(name), Step::Index(7)];
            let pointer = Pointer::of(&steps);
            assert_eq!(Pointer::new(pointer.as_str()), Ok(pointer.clone()));
            assert_eq!(pointer.names().collect::<Vec<_>>(), [name, "7"]);
            assert_eq!(pointer.depth(), 2);
        }
    }

    #[test]
    fn only_digits_without_leading_zeros_are_an_index() {
        assert_eq!(index("0", 1), Ok(0));
        assert_eq!(index("10", 11), Ok(10));
        for name in [
            "",
            "-",
            "-1",
            "+1",
            "01",
            "00",
            "1.0",
            "1e0",
            " 1",
            "0x1",
            "length",
            "٣",
            "18446744073709551616",
        ] {
            assert_eq!(index(name, usize::MAX), Err(Fault::Index), "{name}");
        }
        assert_eq!(index("1", 1), Err(Fault::Index));
    }

    #[test]
    fn a_pointer_holds_what_is_inside_it_and_not_itself() {
        let holds = |a: &str, b: &str| {
            Pointer::new(a).expect("a pointer").holds(&Pointer::new(b).expect("a pointer"))
        };
        assert!(holds("/a", "/a/b"));
        assert!(holds("", "/a"));
        assert!(!holds("/a", "/a"));
        assert!(!holds("/a", "/ab"));
        assert!(!holds("/a/b", "/a"));
    }
}
