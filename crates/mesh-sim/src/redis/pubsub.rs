//! Who listens to which channel.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::commands::Failure;
use super::resp::Reply;
use super::server::{Server, Told};
use super::world::World;

/// A channel. Sharded ones are apart from the others, even where they have the same name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Channel {
    pub(crate) is_sharded: bool,
    pub(crate) name: Bytes,
}

/// The listeners of all channels that have one.
#[derive(Debug, Default)]
pub(crate) struct PubSub(BTreeMap<Channel, BTreeSet<u64>>);

impl PubSub {
    pub(crate) fn listeners(&self, channel: &Channel) -> Vec<u64> {
        self.0.get(channel).map_or_else(Vec::new, |ids| ids.iter().copied().collect())
    }

    pub(crate) fn channels(&self) -> impl Iterator<Item = (&Channel, usize)> {
        self.0.iter().map(|(channel, ids)| (channel, ids.len()))
    }

    fn add(&mut self, channel: Channel, id: u64) {
        self.0.entry(channel).or_default().insert(id);
    }

    pub(crate) fn remove(&mut self, channel: &Channel, id: u64) {
        if let Some(ids) = self.0.get_mut(channel) {
            ids.remove(&id);
            if ids.is_empty() {
                self.0.remove(channel);
            }
        }
    }
}

pub(super) fn subscribe(server: &mut Server, id: u64, args: &[Bytes]) -> Result<Told, Failure> {
    enter(server, id, args, false)
}

pub(super) fn ssubscribe(server: &mut Server, id: u64, args: &[Bytes]) -> Result<Told, Failure> {
    enter(server, id, args, true)
}

pub(super) fn unsubscribe(server: &mut Server, id: u64, args: &[Bytes]) -> Result<Told, Failure> {
    leave(server, id, args, false)
}

pub(super) fn sunsubscribe(server: &mut Server, id: u64, args: &[Bytes]) -> Result<Told, Failure> {
    leave(server, id, args, true)
}

fn enter(server: &mut Server, id: u64, args: &[Bytes], is_sharded: bool) -> Result<Told, Failure> {
    let world = &mut server.world;
    for name in &args[1..] {
        let channel = Channel { is_sharded, name: name.clone() };
        let Some(client) = world.clients.find(id) else { break };
        client.channels.insert(channel.clone());
        world.pubsub.add(channel, id);
        confirm(world, id, if is_sharded { "ssubscribe" } else { "subscribe" }, Some(name), is_sharded);
    }
    Ok(Told::Already)
}

fn leave(server: &mut Server, id: u64, args: &[Bytes], is_sharded: bool) -> Result<Told, Failure> {
    let world = &mut server.world;
    let Some(client) = world.clients.find(id) else { return Ok(Told::Already) };
    let mut names = args[1..].to_vec();
    if names.is_empty() {
        let of_kind = client.channels.iter().filter(|channel| channel.is_sharded == is_sharded);
        names = of_kind.map(|channel| channel.name.clone()).collect();
    }
    let word = if is_sharded { "sunsubscribe" } else { "unsubscribe" };
    if names.is_empty() {
        confirm(world, id, word, None, is_sharded);
    }
    for name in &names {
        let channel = Channel { is_sharded, name: name.clone() };
        let Some(client) = world.clients.find(id) else { break };
        client.channels.remove(&channel);
        world.pubsub.remove(&channel, id);
        confirm(world, id, word, Some(name), is_sharded);
    }
    Ok(Told::Already)
}

fn confirm(world: &mut World, id: u64, word: &'static str, name: Option<&Bytes>, is_sharded: bool) {
    let Some(client) = world.clients.find(id) else { return };
    let left = client.channels.iter().filter(|channel| channel.is_sharded == is_sharded).count();
    let name = name.map_or(Reply::Nil, |name| Reply::Bulk(name.clone()));
    world.send(id, &Reply::Push(vec![Reply::bulk(word), name, Reply::count(left)]));
}

/// Hands a message to all who listen; to how many.
pub(super) fn publish(world: &mut World, args: &[Bytes], is_sharded: bool) -> Reply {
    let channel = Channel { is_sharded, name: args[1].clone() };
    let listeners = world.pubsub.listeners(&channel);
    let word = if is_sharded { "smessage" } else { "message" };
    let words = [Bytes::from_static(word.as_bytes()), channel.name, args[2].clone()];
    let push = Reply::Push(words.into_iter().map(Reply::Bulk).collect());
    for id in &listeners {
        if !world.loses_message(*id) {
            world.send(*id, &push);
        }
    }
    Reply::count(listeners.len())
}

/// `PUBSUB CHANNELS`, `NUMSUB` and their like for shards.
pub(super) fn pubsub(server: &mut Server, _: u64, args: &[Bytes]) -> Result<Told, Failure> {
    let pubsub = &server.world.pubsub;
    let word = args[1].to_ascii_lowercase();
    let is_sharded = word.starts_with(b"shard");
    let reply = match word.as_slice() {
        b"channels" | b"shardchannels" => {
            let of_kind = pubsub.channels().filter(|(channel, _)| channel.is_sharded == is_sharded);
            Reply::Array(of_kind.map(|(channel, _)| Reply::Bulk(channel.name.clone())).collect())
        }
        b"numsub" | b"shardnumsub" => {
            let count = |name: &Bytes| {
                let channel = Channel { is_sharded, name: name.clone() };
                [Reply::Bulk(name.clone()), Reply::count(pubsub.listeners(&channel).len())]
            };
            Reply::Array(args[2..].iter().flat_map(count).collect())
        }
        _ => {
            return Err(Failure::told(
                "ERR unknown subcommand or wrong number of arguments. Try PUBSUB HELP.",
            ));
        }
    };
    Ok(Told::Reply(reply))
}
