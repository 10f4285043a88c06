//! What must hold of channels and records when a world was left in peace: I1 to I4 of GUARANTEES.md. What must hold on the
//! way, clients and the ledger compare themselves.

use std::time::Duration;

use mesh_server::{Mesh, Position, Tag};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::ledger::{Book, Outcome};
use super::reader::Follow;
use super::run::World;
use super::streams::{ACCOUNT, CHANNELS, COUNT, Change, Flavour, KEPT, LIVE, RECORDS, Topic};
use super::transfers::{self, Transfer};

/// For what is written now to arrive, also at those who are given two a second.
const ARRIVAL: Duration = Duration::from_secs(3);
/// For an instance to forget those that hung up.
const FORGOTTEN: Duration = Duration::from_secs(5);

/// What there is of a topic now.
struct There {
    topic: Topic,
    position: Position,
    /// Of a record, whose epoch and mark nobody tells.
    value: Option<Value>,
}

pub(super) async fn judge(world: &mut World, found: &mut Vec<String>) {
    let Some(&from) = world.stage.cluster.alive().last() else { return };
    let mesh = world.stage.cluster.mesh(from).clone();
    // What was lost without a word is noticed by what comes next.
    if !world.lost && !world.evicted {
        compare(world, &mesh, true, found).await;
    }
    say_something(world, from);
    sleep(ARRIVAL).await;
    compare(world, &mesh, false, found).await;
    // By now each instance knows what it missed: who follows several accounts is told of each transaction at once.
    world.ledger.with(|book| book.calm = Some(Instant::now()));
    move_something(world, from);
    sleep(ARRIVAL).await;
    compare(world, &mesh, false, found).await;
    world.ledger.with(|book| {
        found.append(&mut book.violations);
        if !book.lossy {
            totals(book, found);
        }
    });
    if let Err(error) = kept(world, &mesh, found).await {
        found.push(format!("what is kept cannot be read: {error}"));
    }
    if !world.evicted
        && let Err(error) = transfers::judge(&mesh, &world.ledger, found).await
    {
        found.push(format!("accounts cannot be read: {error}"));
    }
    if !world.lost {
        unnumbered(world, found);
    }
    // Reading what is kept taught something, too.
    world.ledger.with(|book| found.append(&mut book.violations));
}

/// One more entry everywhere.
fn say_something(world: &mut World, from: usize) {
    (0..CHANNELS.len()).for_each(|channel| world.publish(from, channel));
    (0..ACCOUNT).for_each(|record| {
        let change = if record == COUNT { Change::Increment } else { Change::Set };
        world.write(from, record, change);
    });
    move_something(world, from);
}

/// A version more of each account, by one transaction.
fn move_something(world: &mut World, from: usize) {
    world.transfer(from, Transfer::Spread { from: 0, amount: 0 });
}

/// First when the world was left in peace, then when everybody was told something new.
async fn compare(world: &World, mesh: &Mesh, is_first: bool, found: &mut Vec<String>) {
    for topic in (0..LIVE).map(Topic::Channel).chain((0..RECORDS.len()).map(Topic::Record)) {
        match there(mesh, topic).await {
            Ok(there) => followers(world, &there, is_first, found),
            Err(error) => found.push(format!("{} cannot be read: {error}", topic.name())),
        }
    }
}

async fn there(mesh: &Mesh, topic: Topic) -> mesh_server::Result<There> {
    let mut position = Position::START;
    if let Topic::Record(_) = topic {
        let there = mesh.record(topic.name()).get_versioned::<Value>().await?;
        position.offset = there.version;
        return Ok(There { topic, position, value: Some(there.value.unwrap_or_default()) });
    }
    let page = mesh.channel(topic.name()).history::<Value>(1).await?;
    if let Some(epoch) = page.epoch {
        let tag = page.messages.last().map_or(Tag(0), |message| message.tag);
        position = Position { epoch, offset: page.newest, tag };
    }
    Ok(There { topic, position, value: None })
}

/// Everybody who follows it is where it is.
fn followers(world: &World, there: &There, is_first: bool, found: &mut Vec<String>) {
    let when = if is_first { "left in peace" } else { "told something new" };
    let name = there.topic.name();
    let lossy = world.ledger.with(|book| book.lossy);
    each_follow(world, there.topic, |who, is_origin, follow| {
        if follow.on.is_none() {
            found.push(format!("{when}, client {who} cannot follow {name}"));
        }
        let at = follow.position.unwrap_or(Position::START);
        let is_there = match &there.value {
            // Where something was lost one is told, an origin client is not, and both have what comes next.
            None => at == there.position || is_first && (follow.awaits() || is_origin && lossy),
            Some(value) => at.offset == there.position.offset && *value == follow.value,
        };
        if !is_there {
            let (has, is) = (&follow.value, &there.value);
            found.push(format!(
                "{when}, client {who} is at {at:?} of {name} with {has}, which is at {:?} with {is:?}",
                there.position
            ));
        }
    });
}

/// Of each client that is connected and wants a topic.
fn each_follow(world: &World, topic: Topic, mut f: impl FnMut(usize, bool, &Follow)) {
    for (who, caller) in world.callers.iter().enumerate() {
        let Some(caller) = caller else { continue };
        let seen = caller.seen();
        if seen.id.is_none() || seen.ended.is_some() {
            continue;
        }
        caller.reader(|reader| {
            let follow = reader.follows.get(&topic).filter(|follow| follow.wanted.is_some());
            if let Some(follow) = follow {
                f(who, reader.is_origin, follow);
            }
        });
    }
}

/// Where nothing was lost: what was acknowledged is there, and nothing that nobody wrote.
fn totals(book: &Book, found: &mut Vec<String>) {
    for (channel, name) in CHANNELS.iter().enumerate().filter(|(channel, _)| *channel != LIVE) {
        let outcomes = book.outcomes(channel);
        let newest = book.newest(Topic::Channel(channel));
        if !(outcomes.done..=outcomes.done + outcomes.unknown).contains(&newest) {
            found.push(format!("{name} has {newest} messages, and of those published {outcomes:?}"));
        }
    }
}

/// What is kept can be read from one end to the other, and the sum is right.
async fn kept(world: &World, mesh: &Mesh, found: &mut Vec<String>) -> mesh_server::Result<()> {
    for (channel, name) in CHANNELS.iter().enumerate().filter(|(channel, _)| *channel != LIVE) {
        let topic = Topic::Channel(channel);
        let newest = mesh.channel(name).history::<Value>(0).await?;
        let mut offset = newest.oldest - 1;
        while offset < newest.newest {
            let page = mesh.channel(name).history_after::<Value>(offset, 7).await?;
            let from = offset;
            for message in page.messages {
                if let Some(epoch) = newest.epoch.filter(|_| message.offset == offset + 1) {
                    let at = Position { epoch, offset: message.offset, tag: message.tag };
                    world.ledger.with(|book| book.learn(topic, at, message.message.get("n")));
                    offset = message.offset;
                }
            }
            if offset == from {
                found.push(format!("{name} cannot be read on from {offset} to {}", newest.newest));
                break;
            }
        }
        let count = newest.newest + 1 - newest.oldest;
        if !world.ledger.with(|book| book.lossy) && count != newest.newest.min(KEPT[channel] as u64) {
            found.push(format!("{name} keeps {count} of {}", newest.newest));
        }
    }
    let there = mesh.record(RECORDS[COUNT]).get::<Value>().await?.unwrap_or_default();
    let sum = there["n"].as_u64().unwrap_or_default();
    world.ledger.with(|book| {
        let added = book.added;
        if !book.lossy && !(added.done..=added.done + added.unknown).contains(&sum) {
            found.push(format!("{} is {sum} after {added:?}", RECORDS[COUNT]));
        }
    });
    Ok(())
}

/// Where nothing has a number: who was subscribed all the time heard everything, or was told that something is missing.
fn unnumbered(world: &World, found: &mut Vec<String>) {
    each_follow(world, Topic::Channel(LIVE), |who, is_origin, follow| {
        let (Some(since), Some(Flavour::Whole | Flavour::Patch)) = (follow.on, follow.wanted) else { return };
        world.ledger.with(|book| {
            if is_origin && book.faulted {
                return;
            }
            for (number, it) in &book.published {
                let is_done = it.channel == LIVE && matches!(it.outcome, Outcome::Done(_));
                let told = book.faulted && follow.gaps.iter().any(|gap| *gap >= it.began);
                if is_done && it.began >= since && !told && !follow.heard.contains(number) {
                    found.push(format!("client {who} did not hear {number}, and was told of no gap"));
                }
            }
        });
    });
}

/// Everybody hangs up: from then on nobody is told anything, and instances listen to nothing.
pub(super) async fn leftovers(world: &mut World, found: &mut Vec<String>) {
    (0..world.callers.len()).for_each(|client| world.forget(client, true));
    let Some(&from) = world.stage.cluster.alive().last() else { return };
    sleep(FORGOTTEN).await;
    // What was not given up while the store was away is found to be of no use when something arrives on it.
    say_something(world, from);
    sleep(ARRIVAL).await;
    let heard = |world: &World| {
        let alive = world.stage.cluster.alive().into_iter();
        let stats = alive.map(|instance| (instance, world.stage.cluster.mesh(instance).stats()));
        stats.map(|(instance, stats)| (instance, stats.delivered, stats.arrivals)).collect::<Vec<_>>()
    };
    let before = heard(world);
    say_something(world, from);
    sleep(ARRIVAL).await;
    for ((instance, delivered, arrivals), now) in before.into_iter().zip(heard(world)) {
        if now.1 != delivered {
            found.push(format!("instance {instance} told {} after all had hung up", now.1 - delivered));
        }
        // Over a link that loses calls an instance may stay subscribed to what it does not need.
        if now.2 != arrivals && !world.cut {
            found.push(format!("instance {instance} hears {} though nobody listens", now.2 - arrivals));
        }
    }
}
