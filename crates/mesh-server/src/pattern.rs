//! Which names a policy covers.

use regex::Regex;

/// A set of names. A plain string is one exact name, never a glob; see [`prefix`] and [`any`].
#[derive(Clone, Debug)]
pub enum Pattern {
    /// This name.
    Exact(Box<str>),
    /// Names that begin with this.
    Prefix(Box<str>),
    /// Names that a regular expression finds something in: anchor it with `^` and `$`. Time is linear; there is no
    /// look-around.
    Regex(Regex),
    /// Every name.
    Any,
}

/// Names that begin with `text`.
pub fn prefix(text: &str) -> Pattern {
    Pattern::Prefix(text.into())
}

/// Every name.
pub fn any() -> Pattern {
    Pattern::Any
}

impl Pattern {
    pub(crate) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => **exact == *name,
            Self::Prefix(prefix) => name.starts_with(&**prefix),
            Self::Regex(regex) => regex.is_match(name),
            Self::Any => true,
        }
    }
}

impl From<&str> for Pattern {
    fn from(exact: &str) -> Self {
        Self::Exact(exact.into())
    }
}

impl From<Regex> for Pattern {
    fn from(regex: Regex) -> Self {
        Self::Regex(regex)
    }
}

/// Policies in the order written; the first that covers a name decides.
#[derive(Debug)]
pub(crate) struct Policies<P>(Vec<(Pattern, P)>);

impl<P> Default for Policies<P> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<P> Policies<P> {
    pub(crate) fn push(&mut self, pattern: Pattern, policy: P) {
        self.0.push((pattern, policy));
    }

    pub(crate) fn find(&self, name: &str) -> Option<&P> {
        self.0.iter().find(|(pattern, _)| pattern.matches(name)).map(|(_, policy)| policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_policy_that_covers_a_name_decides() {
        let mut policies = Policies::default();
        policies.push("room:vip".into(), 1);
        policies.push(prefix("room:"), 2);
        policies.push(Regex::new(r"^product:\d+$").expect("a pattern").into(), 3);
        let found = |name| policies.find(name).copied();
        assert_eq!(found("room:vip"), Some(1));
        assert_eq!(found("room:vip2"), Some(2));
        assert_eq!(found("product:17"), Some(3));
        assert_eq!(found("product:17 "), None);
        assert_eq!(found("lobby"), None, "nothing is open by default");
    }

    #[test]
    fn trap_y_a_pattern_has_no_state_and_no_bad_input() {
        let evil = Pattern::from(Regex::new(r"^(a+)+$").expect("a pattern"));
        let name = format!("{}!", "a".repeat(255));
        assert!((0..1000).all(|_| !evil.matches(&name)), "linear, whatever the name");
        let word = Pattern::from(Regex::new("x").expect("a pattern"));
        assert!(word.matches("x") && word.matches("x"), "the second look sees what the first saw");
    }
}
