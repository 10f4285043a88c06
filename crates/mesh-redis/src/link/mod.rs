//! One instance's link: each operation is one script, so one step, so one round trip.

mod cells;
mod leases;
mod lists;
mod logs;
mod rosters;
mod topics;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mesh_backend::{
    Announce, Beat, CellValue, Described, Done, Entered, Entry, Inbox, Keep, Key, Kind, Left, Link, LogPage,
    LogRead, Member, Orphan, Result, Roll, Write, Written, WrittenAll,
};
use mesh_proto::{ConnId, Entropy, Incarnation, Position};

use crate::Life;
use crate::call::{Call, Commands};
use crate::ears::Ears;
use crate::key::Shard;
use crate::message;
use crate::script::Script;

/// One instance's link.
pub(crate) struct RedisLink {
    me: Incarnation,
    /// The same, as scripts get it.
    my_name: String,
    commands: Commands,
    entropy: Arc<Entropy>,
    inbox: Inbox,
    ears: Ears,
    strays: leases::Strays,
    /// Kept, because the connections live there.
    _life: Arc<Life>,
}

impl RedisLink {
    /// Attached, and listening.
    pub(crate) async fn attach(
        me: Incarnation,
        lease: Duration,
        inbox: Inbox,
        commands: Commands,
        life: Arc<Life>,
        entropy: Arc<Entropy>,
    ) -> Result<Self> {
        leases::attach(&commands, me, lease).await?;
        let ears =
            Ears::open(me, inbox.clone(), commands.clone(), life.io.spawner(), entropy.clone()).await?;
        let my_name = me.to_string();
        Ok(Self {
            me,
            my_name,
            commands,
            entropy,
            inbox,
            ears,
            strays: leases::Strays::default(),
            _life: life,
        })
    }

    #[cfg(feature = "testing")]
    pub(crate) fn settler(&self) -> crate::ears::Settler {
        self.ears.settler()
    }

    fn call(&self, script: &'static Script, shard: Shard) -> Call {
        self.commands.call(script, shard, &self.my_name)
    }

    /// The verb to publish with, and on which channel.
    fn on_channel(&self, call: Call, topic: &Key) -> Call {
        call.arg(self.commands.verbs.publish).arg(self.commands.keys.channel(topic))
    }

    fn blob(&self, announce: &Announce) -> Bytes {
        message::encode(self.me, announce, None)
    }
}

impl fmt::Debug for RedisLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLink").field("me", &self.me).finish_non_exhaustive()
    }
}

/// Dropping a link is like dying: it hears nothing more, and its lease runs out.
impl Drop for RedisLink {
    fn drop(&mut self) {
        self.ears.close();
        self.inbox.close();
    }
}

impl Link for RedisLink {
    fn subscribe<'a>(&'a self, topic: &'a Key) -> Done<'a, ()> {
        Box::pin(self.do_subscribe(topic))
    }

    fn unsubscribe<'a>(&'a self, topic: &'a Key) -> Done<'a, ()> {
        Box::pin(self.do_unsubscribe(topic))
    }

    fn publish(&self, announce: Announce) -> Done<'_, ()> {
        Box::pin(async move { self.do_publish(&announce).await })
    }

    fn append<'a>(&'a self, log: &'a Key, entry: Entry, keep: Keep) -> Done<'a, Position> {
        Box::pin(self.do_append(log, entry, keep))
    }

    fn read<'a>(&'a self, log: &'a Key, read: LogRead) -> Done<'a, LogPage> {
        Box::pin(self.do_read(log, read))
    }

    fn load<'a>(&'a self, cell: &'a Key) -> Done<'a, Option<CellValue>> {
        Box::pin(self.do_load(cell))
    }

    fn write<'a>(&'a self, cell: &'a Key, write: Write) -> Done<'a, Written> {
        assert!(!write.entries.is_empty(), "a write has at least one entry");
        Box::pin(self.do_write(cell, write))
    }

    fn write_all(&self, writes: Vec<(Key, Write)>) -> Done<'_, WrittenAll> {
        Box::pin(self.do_write_all(writes))
    }

    fn cells<'a>(
        &'a self,
        kind: Kind,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> Done<'a, Vec<(Arc<str>, CellValue)>> {
        Box::pin(self.list_cells(kind, prefix, after, limit))
    }

    fn enter<'a>(
        &'a self,
        roster: &'a Key,
        who: ConnId,
        value: Option<Bytes>,
        announce: Option<Announce>,
    ) -> Done<'a, Entered> {
        Box::pin(self.do_enter(roster, who, value, announce))
    }

    fn leave<'a>(&'a self, roster: &'a Key, who: ConnId, announce: Option<Announce>) -> Done<'a, Left> {
        Box::pin(self.do_leave(roster, who, announce))
    }

    fn roll<'a>(&'a self, roster: &'a Key, after: u64, limit: usize) -> Done<'a, Roll> {
        Box::pin(self.do_roll(roster, after, limit))
    }

    fn find<'a>(&'a self, wanted: &'a [(Key, ConnId)]) -> Done<'a, Vec<Option<Member>>> {
        Box::pin(self.do_find(wanted))
    }

    fn rosters<'a>(
        &'a self,
        kind: Kind,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> Done<'a, Vec<(Arc<str>, u64)>> {
        Box::pin(self.list_rosters(kind, prefix, after, limit))
    }

    fn described<'a>(&'a self, roster: &'a Key, after: u64, limit: usize) -> Done<'a, Described> {
        Box::pin(self.do_described(roster, after, limit))
    }

    fn mine<'a>(&'a self, after: Option<&'a (Key, ConnId)>, limit: usize) -> Done<'a, Vec<(Key, ConnId)>> {
        Box::pin(self.do_mine(after, limit))
    }

    fn beat(&self) -> Done<'_, Beat> {
        Box::pin(self.do_beat())
    }

    fn orphans(&self, limit: usize) -> Done<'_, Vec<Orphan>> {
        Box::pin(self.do_orphans(limit))
    }

    fn trouble(&self) -> Option<String> {
        let down = |node: &Arc<crate::node::Node>| {
            node.down().map(|why| format!("no connection to {}: {why}", node.name()))
        };
        let map = self.commands.map.borrow().clone();
        map.nodes().iter().find_map(down).or_else(|| self.ears.trouble())
    }
}
