//! Subscribing and publishing.

use mesh_backend::{Announce, BackendError, Key, Kind, Result};

use super::RedisLink;
use crate::key::is_foreign;
use crate::script::{CHECK, PUBLISH};

impl RedisLink {
    pub(super) async fn do_subscribe(&self, topic: &Key) -> Result<()> {
        if topic.kind == Kind::Bridge && !is_foreign(&topic.name) {
            // What is published there is not for clients, whatever a policy says of the name.
            let why = format!(
                "{:?} cannot be bridged: names that begin with `mesh:` or `__` are not for others",
                topic.name
            );
            return Err(BackendError::Refused(why));
        }
        let shard = self.commands.keys.shard(topic);
        let check = self.commands.run(shard, self.call(&CHECK, shard));
        let (checked, heard) = tokio::join!(check, self.ears.subscribe(topic));
        checked?;
        heard
    }

    pub(super) async fn do_unsubscribe(&self, topic: &Key) -> Result<()> {
        let shard = self.commands.keys.shard(topic);
        let check = self.commands.run(shard, self.call(&CHECK, shard));
        let (checked, unheard) = tokio::join!(check, self.ears.unsubscribe(topic));
        checked?;
        unheard
    }

    pub(super) async fn do_publish(&self, announce: &Announce) -> Result<()> {
        let (keys, topic) = (&self.commands.keys, &announce.topic);
        let shard = keys.shard(topic);
        let call = self.call(&PUBLISH, shard).key(keys.counts(topic));
        let call = self.on_channel(call, topic).arg(self.blob(announce));
        self.commands.run(shard, call).await?;
        Ok(())
    }
}
