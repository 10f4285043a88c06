//! Random runs: one after the other against the model, and many at once against what must hold.

use std::collections::BTreeMap;

use mesh_proto::{Epoch, Position, Tag};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::World;
use super::support::{
    INBOX_BYTES_MAX, KEEP, Peer, all, at, bytes, channel, conn, record, room, tell, told, write,
};
use crate::{
    Arrival, CellQueue, Decision, Expect, Keep, Key, Kind, LogPage, LogRead, Memory, Outcome, Received, Seen,
    Write, Written, WrittenAll, inbox,
};

const SEEDS: u64 = 8;
const STEPS: usize = 300;

/// Epochs are random: in the order of their first appearance they are alike.
#[derive(Default)]
struct Alike {
    epochs: Vec<Epoch>,
    /// Of each log or cell: the positions that were seen.
    seen: BTreeMap<Key, Vec<Position>>,
}

impl Alike {
    fn epoch(&mut self, epoch: Epoch) -> Epoch {
        let known = self.epochs.iter().position(|known| *known == epoch);
        Epoch(known.unwrap_or_else(|| {
            self.epochs.push(epoch);
            self.epochs.len() - 1
        }) as u64)
    }

    fn position(&mut self, position: Position) -> Position {
        Position { epoch: self.epoch(position.epoch), ..position }
    }
}

/// One step, as drawn: the same for the backend and for the model, whose positions differ.
#[derive(Clone, Debug)]
enum Step {
    Subscribe(Key),
    Unsubscribe(Key),
    Publish(Key, String),
    Append(Key, u32, Keep),
    Newest(Key, usize),
    Before(Key, u64, usize),
    /// After the i-th position seen of this log, with this change to its offset and tag.
    After(Key, usize, u64, u32, usize),
    /// Over the version there is, plus this.
    Write(Key, u64, u32, Option<String>, Keep),
    /// The same of several, each as far off.
    WriteAll(Vec<(Key, u64, u32, Option<String>)>, Keep),
    Cells(String, usize),
    Enter(Key, u64, Option<String>),
    Leave(Key, u64),
    Roll(Key, usize, usize),
    Find(Vec<(Key, u64)>),
    Rosters(String, usize),
}

fn draw(rng: &mut StdRng) -> Step {
    let name = ["a", "ab", "b", "a:b", "", "{t}", "{t}b"][rng.random_range(0..7)];
    let topic = [room(name), channel(name), record(name)][rng.random_range(0..3)].clone();
    let limit = rng.random_range(0..6);
    let keep = Keep { count_max: rng.random_range(0..8), bytes_max: rng.random_range(5..60), ..KEEP };
    let text = |rng: &mut StdRng| "x".repeat(rng.random_range(0..8));
    match rng.random_range(0..17) {
        0 => Step::Subscribe(topic),
        1 => Step::Unsubscribe(topic),
        2 => Step::Publish(topic, text(rng)),
        3 | 4 => Step::Append(channel(name), rng.random_range(1..9), keep),
        5 => Step::Newest([channel(name), record(name)][limit % 2].clone(), limit),
        6 => Step::Before([channel(name), record(name)][limit % 2].clone(), rng.random_range(0..20), limit),
        7 => {
            let log = [channel(name), record(name)][limit % 2].clone();
            Step::After(
                log,
                rng.random_range(0..1000),
                rng.random_range(0..4) / 3,
                rng.random_range(0..4) / 3,
                limit,
            )
        }
        8 | 9 => {
            let value = rng.random_bool(0.7).then(|| text(rng));
            Step::Write(record(name), rng.random_range(0..5) / 4, rng.random_range(1..5), value, keep)
        }
        10 => Step::Cells(name.into(), limit),
        11 => Step::Enter(room(name), rng.random_range(0..6), rng.random_bool(0.7).then(|| text(rng))),
        12 => Step::Leave(room(name), rng.random_range(0..6)),
        13 => Step::Roll(room(name), rng.random_range(0..4), limit),
        14 => Step::Find((0..limit as u64).map(|who| (topic.clone(), who)).collect()),
        15 => {
            let mut writes = Vec::new();
            for name in ["{t}", "{t}b", "a{t}"] {
                if rng.random_bool(0.6) {
                    let value = rng.random_bool(0.7).then(|| text(rng));
                    writes.push((record(name), rng.random_range(0..9) / 8, rng.random_range(0..3), value));
                }
            }
            Step::WriteAll(writes, keep)
        }
        _ => Step::Rosters(name.into(), limit),
    }
}

/// Take one step, and give what can be compared.
async fn take(peer: &Peer, alike: &mut Alike, step: &Step) -> String {
    let link = &peer.link;
    let page = |alike: &mut Alike, page: LogPage| {
        format!("{:?}", LogPage { epoch: page.epoch.map(|epoch| alike.epoch(epoch)), ..page })
    };
    match step.clone() {
        Step::Subscribe(topic) => format!("{:?}", link.subscribe(&topic).await),
        Step::Unsubscribe(topic) => format!("{:?}", link.unsubscribe(&topic).await),
        Step::Publish(topic, text) => format!("{:?}", link.publish(tell(&topic, &text)).await),
        Step::Append(log, tag, keep) => {
            let position = link.append(&log, told(&log, &"e".repeat(tag as usize), tag), keep).await.unwrap();
            alike.seen.entry(log).or_default().push(position);
            format!("{:?}", alike.position(position))
        }
        Step::Newest(log, limit) => page(alike, link.read(&log, LogRead::Newest { limit }).await.unwrap()),
        Step::Before(log, offset, limit) => {
            page(alike, link.read(&log, LogRead::Before { offset, limit }).await.unwrap())
        }
        Step::After(log, which, offset, tag, limit) => {
            let Some(seen) = alike.seen.get(&log) else { return String::new() };
            let mut position = seen[which % seen.len()];
            position.offset += offset;
            position.tag = Tag(position.tag.0 ^ tag);
            page(alike, link.read(&log, LogRead::After { position, limit }).await.unwrap())
        }
        Step::Write(cell, off, steps, value, keep) => {
            let write = write_over(peer, &cell, off, steps, value.as_deref(), keep).await;
            match link.write(&cell, write).await.unwrap() {
                Written::At(position) => {
                    alike.seen.entry(cell).or_default().push(position);
                    format!("{:?}", alike.position(position))
                }
                Written::Conflict(there) => {
                    let there = there.map(|there| (alike.position(there.position), there.value));
                    format!("{there:?}")
                }
                Written::Busy => panic!("nobody insisted"),
            }
        }
        Step::WriteAll(cells, keep) => {
            let mut writes = Vec::new();
            for (cell, off, steps, value) in &cells {
                let write = write_over(peer, cell, *off, *steps, value.as_deref(), keep).await;
                writes.push((cell.clone(), write));
            }
            match link.write_all(writes).await {
                Ok(WrittenAll::At(positions)) => {
                    let changed = cells.into_iter().filter(|(_, _, steps, _)| *steps > 0);
                    for ((cell, ..), position) in changed.zip(&positions) {
                        alike.seen.entry(cell).or_default().push(*position);
                    }
                    let positions = positions.into_iter().map(|position| alike.position(position));
                    format!("{:?}", positions.collect::<Vec<_>>())
                }
                Ok(WrittenAll::Conflict(cell, there)) => {
                    let there = there.map(|there| (alike.position(there.position), there.value));
                    format!("{cell:?} {there:?}")
                }
                Err(error) => format!("{error:?}"),
            }
        }
        Step::Cells(prefix, limit) => {
            let cells = link.cells(Kind::Record, &prefix, None, limit).await.unwrap();
            let cells =
                cells.into_iter().map(|(name, there)| (name, alike.position(there.position), there.value));
            format!("{:?}", cells.collect::<Vec<_>>())
        }
        Step::Enter(roster, who, value) => {
            let announce = Some(tell(&roster, &format!("in {who}")));
            let entered = link.enter(&roster, conn(who), value.as_deref().map(bytes), announce).await;
            format!("{:?}", entered.unwrap().new)
        }
        Step::Leave(roster, who) => {
            let announce = Some(tell(&roster, &format!("out {who}")));
            format!("{:?}", link.leave(&roster, conn(who), announce).await.unwrap())
        }
        Step::Roll(roster, skip, limit) => {
            // Offsets are only comparable within one roster: after the i-th one.
            let whole = link.roll(&roster, 0, 100).await.unwrap();
            let after = skip
                .checked_sub(1)
                .and_then(|skip| whole.members.get(skip))
                .map_or(0, |member| member.offset);
            let roll = link.roll(&roster, after, limit).await.unwrap();
            let members = roll.members.into_iter().map(|member| (member.who, member.owner, member.value));
            format!("{:?} of {}", members.collect::<Vec<_>>(), roll.count)
        }
        Step::Find(wanted) => {
            let wanted: Vec<_> = wanted.into_iter().map(|(roster, who)| (roster, conn(who))).collect();
            let found = link.find(&wanted).await.unwrap().into_iter();
            format!("{:?}", found.map(|m| m.map(|m| (m.who, m.owner, m.value))).collect::<Vec<_>>())
        }
        Step::Rosters(prefix, limit) => {
            let after = Some("a").filter(|_| limit % 2 == 0);
            format!("{:?}", link.rosters(Kind::Room, &prefix, after, limit).await.unwrap())
        }
    }
}

/// A write over the version there is, plus `off`.
async fn write_over(peer: &Peer, cell: &Key, off: u64, steps: u32, value: Option<&str>, keep: Keep) -> Write {
    let expect = match peer.link.load(cell).await.unwrap() {
        Some(there) if off == 0 => at(there.position),
        Some(there) => Expect::Version(there.position.epoch, there.position.offset + off),
        None => Expect::Absent,
    };
    let entries = (0..steps).map(|step| told(cell, &format!("{step}"), step)).collect();
    Write { keep, ..write(expect, value, entries) }
}

/// What arrived: in order per publisher and topic, which is all that is promised.
fn arrived(peer: &mut Peer, alike: &mut Alike) -> BTreeMap<String, Vec<String>> {
    let mut arrived = BTreeMap::<_, Vec<_>>::new();
    while let Some(received) = peer.arrivals.try_recv() {
        let Received::Arrival(arrival) = received else { panic!("continuity was lost") };
        let Arrival { topic, from, position, full, .. } = arrival;
        let said = format!("{:?} {full:?}", position.map(|position| alike.position(position)));
        arrived.entry(format!("{topic:?} {from:?}")).or_default().push(said);
    }
    arrived
}

pub async fn random_runs_agree_with_memory(world: &impl World) {
    // One world for all runs: what one left behind, the model has too.
    let model = Memory::from_seed(0);
    let (mut real_alike, mut model_alike) = (Alike::default(), Alike::default());
    for seed in 0..SEEDS {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut reals, mut models) = (Vec::new(), Vec::new());
        for number in 0..3 {
            let number = 100 + seed * 3 + number;
            reals.push(Peer::attach(world, number).await);
            models.push(Peer::attach_to(&model, world.lease(), number, inbox(INBOX_BYTES_MAX)).await);
        }
        for at in 0..STEPS {
            let (which, step) = (rng.random_range(0..3), draw(&mut rng));
            let real = take(&reals[which], &mut real_alike, &step).await;
            let model = take(&models[which], &mut model_alike, &step).await;
            assert_eq!(real, model, "seed {seed}, step {at}: {step:?}");
        }
        world.settle().await;
        for (real, model) in reals.iter_mut().zip(&mut models) {
            let (real, model) = (arrived(real, &mut real_alike), arrived(model, &mut model_alike));
            assert_eq!(real, model, "seed {seed}");
        }
    }
}

pub async fn random_concurrent_runs_keep_every_promise(world: &impl World) {
    const EACH: usize = 60;
    for seed in 0..SEEDS {
        let (log, cell, roster) =
            (channel(&seed.to_string()), record(&seed.to_string()), room(&seed.to_string()));
        let mut peers = Vec::new();
        for number in 0..4 {
            peers.push(Peer::attach(world, 100 + seed * 4 + number).await);
        }
        let mut watcher = Peer::attach(world, 1000 + seed).await;
        for topic in [&log, &cell, &roster] {
            watcher.link.subscribe(topic).await.unwrap();
        }
        // Each task: how many steps of the log, of the cell and of the roster it was told it made.
        let tasks = peers.iter().enumerate().flat_map(|(number, peer)| {
            let queue = CellQueue::new(peer.link.clone());
            let (log, cell, roster) = (&log, &cell, &roster);
            (0..3).map(move |task| {
                let (link, queue) = (peer.link.clone(), queue.clone());
                let (log, cell, roster) = (log.clone(), cell.clone(), roster.clone());
                let mut rng = StdRng::seed_from_u64(seed * 100 + number as u64 * 10 + task);
                async move {
                    let mut made = [0_u64; 3];
                    for _ in 0..EACH {
                        match rng.random_range(0..4) {
                            0 => {
                                link.append(&log, told(&log, "x", 1), KEEP).await.unwrap();
                                made[0] += 1;
                            }
                            1 => made[1] += u64::from(add(&queue, &cell, rng.random_bool(0.8)).await),
                            2 => {
                                let announce = Some(tell(&roster, "in"));
                                let who = conn(rng.random_range(0..5));
                                made[2] +=
                                    u64::from(link.enter(&roster, who, None, announce).await.unwrap().new);
                            }
                            _ => {
                                let announce = Some(tell(&roster, "out"));
                                let who = conn(rng.random_range(0..5));
                                made[2] +=
                                    u64::from(link.leave(&roster, who, announce).await.unwrap().was_in);
                            }
                        }
                        if rng.random_bool(0.3) {
                            tokio::task::yield_now().await;
                        }
                    }
                    made
                }
            })
        });
        let mut made = [0; 3];
        for by_task in all(tasks.collect::<Vec<_>>()).await {
            (0..3).for_each(|which| made[which] += by_task[which]);
        }
        let mut seen = [0; 3];
        let mut inside = 0_i64;
        let total: u64 = made.iter().sum();
        for arrival in watcher.next_all(total as usize).await {
            let which = [&log, &cell, &roster].iter().position(|topic| **topic == arrival.topic).unwrap();
            seen[which] += 1;
            match arrival.position {
                Some(position) => assert_eq!(position.offset, seen[which], "in order, without a gap"),
                None => inside += if arrival.full == Some(bytes("in")) { 1 } else { -1 },
            }
        }
        assert_eq!(seen, made, "each step is announced once");
        watcher.silent(world).await;
        assert_eq!(watcher.newest(&log, 0).await.newest, made[0]);
        let there = watcher.link.load(&cell).await.unwrap();
        assert_eq!(there.map_or(0, |there| there.position.offset), made[1]);
        assert_eq!(watcher.link.roll(&roster, 0, 0).await.unwrap().count as i64, inside);
    }
}

/// An edit that stores or keeps. Says whether it was a step.
async fn add(queue: &CellQueue, cell: &Key, store: bool) -> bool {
    let topic = cell.clone();
    let edit = move |seen: &Seen| {
        let entry = told(&topic, "x", 1);
        (if store { Decision::Store(bytes(&seen.version.to_string()), entry) } else { Decision::Keep }, ())
    };
    let (outcome, ()) = queue.edit(cell.clone(), KEEP, edit).await.unwrap();
    assert_eq!(matches!(outcome, Outcome::Written(_)), store);
    store
}
