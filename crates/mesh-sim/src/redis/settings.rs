//! What a server is told in its configuration, as far as a client can tell.

use std::collections::BTreeSet;

use bytes::Bytes;

/// The configuration.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) version: String,
    pub(crate) maxmemory_policy: String,
    pub(crate) password: Option<Bytes>,
    /// Commands that the user may not run, in lower case.
    pub(crate) forbidden: BTreeSet<Vec<u8>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version: "7.0.15".to_owned(),
            maxmemory_policy: "noeviction".to_owned(),
            password: None,
            forbidden: BTreeSet::new(),
        }
    }
}

impl Settings {
    pub(crate) fn forbids(&self, name: &[u8]) -> bool {
        !self.forbidden.is_empty() && self.forbidden.contains(&name.to_ascii_lowercase())
    }
}
