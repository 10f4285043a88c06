//! Lists of names: a part of each shard's index, merged.

use std::sync::Arc;

use mesh_backend::{Kind, Result};

use super::RedisLink;
use crate::key::{letter, range};
use crate::reply::Reply;
use crate::script::Script;

/// Names of one page of a list at most, of each shard: a bound on one answer.
const LIST_MAX: usize = 100_000;

impl RedisLink {
    /// What `script` gives for the names of an index that begin with `prefix` and come after `after`, in their order.
    /// `next` takes one of them out of an answer.
    pub(super) async fn list<T>(
        &self,
        script: &'static Script,
        index: &str,
        (kind, prefix, after): (Kind, &str, Option<&str>),
        limit: usize,
        next: impl Fn(&mut Reply) -> Result<(Arc<str>, T)>,
    ) -> Result<Vec<(Arc<str>, T)>> {
        let limit = limit.min(LIST_MAX);
        let (from, to) = range(prefix, after);
        let call = |shard| {
            self.call(script, shard)
                .key(self.commands.keys.index(shard, index, kind))
                .arg(letter(kind).to_string())
                .arg(from.clone())
                .arg(to.clone())
                .number(limit as u64)
        };
        let mut found = Vec::new();
        for (_, mut reply) in self.commands.run_everywhere(call).await? {
            let mut list = reply.list()?;
            while !list.is_empty() {
                found.push(next(&mut list)?);
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found.truncate(limit);
        Ok(found)
    }
}

/// The next name of a list.
pub(super) fn name(list: &mut Reply) -> Result<Arc<str>> {
    list.text().map(Arc::from)
}
