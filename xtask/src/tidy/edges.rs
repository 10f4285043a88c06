//! Who may use whom inside mesh-server, as data. A new module needs a line here; a new edge needs a reason.

/// From the top to the bottom: a module may use those of the lines below its own, not those beside it.
pub(super) const LEVELS: &[&[&str]] = &[
    &["mount", "testing", "admin"],
    &["builder"],
    &["lease"],
    &["answer"],
    &["serve"],
    &["resync", "recheck"],
    &["channel", "room", "presence", "record", "metadata", "broadcast"],
    &["policy", "subscription"],
    &["command"],
    &["join", "mesh"],
    &["fault"],
    &["conn", "instance"],
    &["hub", "schedule", "login", "follow", "ask"],
    &["life"],
    &["error", "pattern", "lock"],
];

/// Edges that go sideways or up all the same, each with the reason why.
pub(super) const EXCEPT: &[(&str, &str, &str)] = &[
    ("presence", "room", "who is present is who is in the room"),
    ("broadcast", "metadata", "a reference to one connection sends to it and tells its metadata"),
    ("mesh", "command", "a server holds the handlers it was built with"),
    ("mesh", "policy", "a server holds the policies it was built with"),
    ("conn", "instance", "a connection leaves the instance that lists it"),
    ("instance", "conn", "an instance lists its connections"),
];

/// The level of a module, 0 at the top.
pub(super) fn level(module: &str) -> Option<usize> {
    LEVELS.iter().position(|level| level.contains(&module))
}

pub(super) fn is_allowed(from: &str, to: &str) -> bool {
    if from == to || EXCEPT.iter().any(|(a, b, _)| (*a, *b) == (from, to)) {
        return true;
    }
    matches!((level(from), level(to)), (Some(from), Some(to)) if from < to)
}

pub(super) fn drawing() -> String {
    let mut lines: Vec<String> = LEVELS.iter().map(|level| format!("    {}", level.join("  "))).collect();
    lines.extend(EXCEPT.iter().map(|(from, to, why)| format!("  and {from} -> {to}: {why}")));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_only_goes_down() {
        assert!(is_allowed("mount", "serve"));
        assert!(is_allowed("mount", "error"));
        assert!(!is_allowed("hub", "serve"));
        assert!(!is_allowed("channel", "room"));
        assert!(is_allowed("presence", "room"));
        assert!(!is_allowed("room", "presence"));
        assert!(!is_allowed("room", "unheard_of"));
    }

    #[test]
    fn a_module_has_one_level() {
        for module in LEVELS.iter().flat_map(|level| level.iter()) {
            assert_eq!(LEVELS.iter().filter(|level| level.contains(module)).count(), 1, "{module}");
        }
    }
}
