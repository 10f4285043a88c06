//! Random documents, and random edits of them: the same for the same seed, whatever the versions of other crates.
#![allow(dead_code, reason = "no test uses all of it")]

use serde_json::{Map, Value, json};

/// Names that a program might trip over, among plain ones.
const NAMES: &[&str] = &[
    "id",
    "name",
    "x",
    "tags",
    "state",
    "items",
    "",
    "0",
    "1",
    "01",
    "-",
    "a/b",
    "~",
    "~1",
    "__proto__",
    "constructor",
    "toString",
    "length",
    "é \"\n",
];

const TEXTS: &[&str] =
    &["", "a", "on", "é\u{1F600}\u{7f}\u{1}", "</script>\\", "a text that is somewhat longer than most"];

/// SplitMix64, after Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators" (2014).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    fn number(&mut self) -> Value {
        match self.below(8) {
            0 => json!(self.next()),
            1 => json!(self.next() as i64),
            2 => json!(9_007_199_254_740_990 + self.below(6)),
            3 => json!(f64::from_bits(self.next())), // `null` where it is not finite.
            4 => json!(self.below(10) as f64 / 10.0),
            5 => json!(-(self.below(2) as f64)),
            _ => json!(self.below(10)),
        }
    }

    fn scalar(&mut self) -> Value {
        match self.below(8) {
            0 => Value::Null,
            1 => json!(self.one_in(2)),
            2..5 => self.number(),
            _ => json!(self.pick(TEXTS)),
        }
    }

    /// A value with at most so many brackets around what is innermost.
    pub(crate) fn value(&mut self, depth: usize) -> Value {
        match if depth == 0 { 9 } else { self.below(10) } {
            0..3 => {
                let len_max = if self.one_in(4) { 20 } else { 5 };
                let len = self.below(len_max);
                (0..len).map(|_| self.value(depth - 1)).collect()
            }
            3..6 => {
                let len = self.below(6);
                let member = |_| (self.pick(NAMES).to_owned(), self.value(depth - 1));
                Value::Object((0..len).map(member).collect())
            }
            _ => self.scalar(),
        }
    }

    /// Rows as a table has them, which look alike.
    fn rows(&mut self, len: usize) -> Value {
        (0..len)
            .map(|id| json!({ "id": id, "name": self.pick(TEXTS), "x": self.below(3), "tags": ["a", "b"] }))
            .collect()
    }

    /// A document: any value, or one that is large enough for its edits to be small.
    pub(crate) fn document(&mut self) -> Value {
        match self.below(6) {
            0 => self.value(0),
            1 | 2 => self.value(4),
            3 => {
                let len = self.below(30);
                self.rows(len)
            }
            _ => {
                let len = self.below(12);
                json!({ "rows": self.rows(len), "more": self.value(3), "list": (0..self.below(20)).collect::<Vec<_>>() })
            }
        }
    }

    /// Change something, somewhere.
    pub(crate) fn edit(&mut self, value: &mut Value) {
        let goes_on = !self.one_in(4);
        match value {
            Value::Array(items) if goes_on && !items.is_empty() => {
                let at = self.below(items.len());
                self.edit(&mut items[at]);
            }
            Value::Object(members) if goes_on && !members.is_empty() => {
                let at = self.below(members.len());
                self.edit(members.values_mut().nth(at).expect("one of them"));
            }
            Value::Array(items) => self.edit_list(items),
            Value::Object(members) => self.edit_object(members),
            _ => *value = self.value(2),
        }
    }

    fn edit_list(&mut self, items: &mut Vec<Value>) {
        let at = self.below(items.len() + 1);
        let new = self.value(2);
        match self.below(12) {
            0..3 => items.insert(at, new),
            3 => items.push(new),
            _ if items.is_empty() => items.push(new),
            4..7 => drop(items.remove(at.min(items.len() - 1))),
            7 => {
                // What slides: a window over what is newest.
                items.remove(0);
                items.push(new);
            }
            8 => {
                let item = items.remove(at.min(items.len() - 1));
                items.insert(self.below(items.len() + 1), item);
            }
            9 => items.reverse(),
            10 => items.truncate(at),
            _ => {
                let twice = items[at.min(items.len() - 1)].clone();
                items.insert(at, twice);
            }
        }
    }

    fn edit_object(&mut self, members: &mut Map<String, Value>) {
        let name = self.pick(NAMES).to_owned();
        match self.below(4) {
            0 | 1 => {
                let new = self.value(2);
                members.insert(name, new);
            }
            2 => drop(members.remove(&name)),
            _ => {
                if let Some(known) = members.keys().next().cloned() {
                    let value = members.remove(&known).expect("it is known");
                    members.insert(name, value);
                }
            }
        }
    }

    /// Some operations, as JSON, of which most apply.
    pub(crate) fn operations(&mut self, document: &Value) -> Value {
        (0..=self.below(4))
            .map(|_| {
                let (path, from) = (self.path(document), self.path(document));
                let value = if self.one_in(2) {
                    document.pointer(&path).cloned().unwrap_or_default()
                } else {
                    self.value(1)
                };
                match self.pick(&["add", "remove", "replace", "move", "copy", "test"]) {
                    op @ "remove" => json!({ "op": op, "path": path }),
                    op @ ("move" | "copy") => json!({ "op": op, "from": from, "path": path }),
                    op => json!({ "op": op, "path": path, "value": value }),
                }
            })
            .collect()
    }

    /// Where something is in the document, or nearly.
    fn path(&mut self, document: &Value) -> String {
        let mut path = String::new();
        let mut value = document;
        while !self.one_in(4) {
            let name = match value {
                Value::Array(items) if !items.is_empty() => self.below(items.len()).to_string(),
                Value::Object(members) if !members.is_empty() => {
                    members.keys().nth(self.below(members.len())).expect("one of them").clone()
                }
                _ => break,
            };
            path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
            value = document.pointer(&path).expect("it was just found");
        }
        if self.one_in(6) {
            let name = self.pick(NAMES).replace('~', "~0").replace('/', "~1");
            path = format!("{path}/{name}");
        }
        path
    }
}
