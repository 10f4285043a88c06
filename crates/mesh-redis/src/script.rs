//! The scripts: what must be one step is one script. Their text is fixed; names and values are arguments.

use std::sync::LazyLock;

/// One script, and the name Redis knows it by once it has seen it.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) text: &'static str,
    hash: LazyLock<String>,
    name: &'static str,
}

impl Script {
    /// The SHA-1 of its text.
    pub(crate) fn hash(&self) -> &str {
        &self.hash
    }

    /// For messages.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }
}

macro_rules! scripts {
    ($($(#[$doc:meta])* $script:ident = $name:literal: $($part:literal)*;)*) => {
        $(
            $(#[$doc])*
            pub(crate) static $script: Script = Script {
                text: concat!(
                    include_str!("lua/common.lua"),
                    $(include_str!(concat!("lua/", $part, ".lua")),)*
                    include_str!(concat!("lua/", $name, ".lua")),
                ),
                hash: LazyLock::new(|| redis::Script::new($script.text).get_hash().to_owned()),
                name: $name,
            };
        )*

        #[cfg(test)]
        static ALL: &[&Script] = &[$(&$script),*];
    };
}

scripts! {
    /// Nothing, unless fenced.
    CHECK = "check": "alive";
    PUBLISH = "publish": "alive" "say";
    APPEND = "append": "alive" "say" "log";
    READ = "read": "alive" "log";
    LOAD = "load": "alive";
    WRITE = "write": "alive" "say" "log" "cell";
    WRITE_ALL = "write_all": "alive" "say" "log" "cell";
    CELLS = "cells": "alive";
    ENTER = "enter": "alive" "say" "roster";
    LEAVE = "leave": "alive" "say" "roster";
    ROLL = "roll": "alive";
    DESCRIBED = "described": "alive";
    FIND = "find": "alive";
    ROSTERS = "rosters": "alive";
    /// Everything that any script does.
    RIGHTS = "rights":;
    SCHEMA = "schema":;
    ATTACH = "attach":;
    JOIN = "join":;
    BEAT = "beat": "alive";
    LAPSE = "lapse": "alive";
    BURY = "bury": "alive" "roster";
    FORGET = "forget": "alive";
    LIVING = "living": "alive";
    MINE = "mine": "alive" "roster";
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn every_script_has_its_own_hash() {
        let hashes: std::collections::BTreeSet<_> = ALL.iter().map(|script| script.hash()).collect();
        assert_eq!(hashes.len(), ALL.len());
    }

    /// The simulator's Lua has the libraries base, string, table and math alone.
    #[test]
    fn no_script_uses_a_library_of_redis() {
        for script in ALL {
            for word in ["cjson", "cmsgpack", "struct.", "bit.", "KEYS *", "SCAN"] {
                assert!(!script.text.contains(word), "{}: {word}", script.name());
            }
        }
    }
}
