//! The work that may be spent, counted instead of timed.

use serde_json::Value;

/// What is left of a bound on work.
#[derive(Debug)]
pub(super) struct Steps {
    left: usize,
}

/// There is nothing left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spent;

impl Steps {
    pub(super) fn new(max: usize) -> Self {
        Self { left: max }
    }

    #[cfg(test)]
    pub(super) fn left(&self) -> usize {
        self.left
    }

    pub(super) fn take(&mut self, steps: usize) -> Result<(), Spent> {
        match self.left.checked_sub(steps) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = 0;
                Err(Spent)
            }
        }
    }

    /// For a text that is compared, hashed or copied: 16 bytes are about as much work as a value.
    pub(super) fn take_text(&mut self, text: &str) -> Result<(), Spent> {
        self.take(text.len() / 16)
    }

    /// For items of a list that move to make or close a gap: moving memory is fast, four are about as much as a value.
    pub(super) fn take_moved(&mut self, items: usize) -> Result<(), Spent> {
        self.take(items / 4)
    }

    /// For a whole value, before something walks all of it. Gives the brackets around what is innermost in it.
    pub(super) fn take_whole(&mut self, value: &Value) -> Result<usize, Spent> {
        self.take(1)?;
        let mut depth = 0;
        match value {
            Value::String(text) => self.take_text(text)?,
            Value::Array(items) => {
                for item in items {
                    depth = depth.max(self.take_whole(item)?);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    self.take_text(name)?;
                    depth = depth.max(self.take_whole(member)?);
                }
            }
            _ => return Ok(0),
        }
        Ok(depth + usize::from(!value.is_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_whole_value_costs_its_values_and_its_text() {
        let cost = |value: Value| {
            let mut steps = Steps::new(1000);
            let depth = steps.take_whole(&value).expect("enough");
            (1000 - steps.left(), depth)
        };
        assert_eq!(cost(json!(null)), (1, 0));
        assert_eq!(cost(json!("x".repeat(160))), (11, 0));
        assert_eq!(cost(json!([1, [2, []], {}])), (6, 3));
        assert_eq!(cost(json!({ "x".repeat(32): { "b": "" } })), (5, 2));
    }

    #[test]
    fn what_is_spent_stays_spent() {
        let mut steps = Steps::new(3);
        assert_eq!(steps.take(3), Ok(()));
        assert_eq!(steps.take(1), Err(Spent));
        assert_eq!(Steps::new(5).take_whole(&json!([1, 2, 3, 4, 5])), Err(Spent));
    }
}
