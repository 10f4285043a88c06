//! Transactions: several cells are written in one step, and what that announces arrives as one.

use mesh_proto::{Position, Tag};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::World;
use super::support::{Peer, all, at, bytes, entry, record, room, tell, text, told, write};
use crate::{
    Arrival, BackendError, CellValue, Expect, Group, Key, Kind, TRANSACTION_MAX, Write, Written, WrittenAll,
};

/// A cell that can be written together with the others of this name.
fn cell(name: &str) -> Key {
    record(&format!("{{t}}{name}"))
}

fn cells<const N: usize>() -> [Key; N] {
    std::array::from_fn(|number| cell(&number.to_string()))
}

/// A write of one step that is announced by its value.
fn step(cell: &Key, expect: Expect, value: &str) -> (Key, Write) {
    (cell.clone(), write(expect, Some(value), vec![told(cell, value, 7)]))
}

async fn written(peer: &Peer, writes: Vec<(Key, Write)>) -> Vec<Position> {
    match peer.link.write_all(writes).await.unwrap() {
        WrittenAll::At(positions) => positions,
        WrittenAll::Conflict(cell, there) => panic!("a conflict at {cell:?} with {there:?}"),
    }
}

async fn loaded(peer: &Peer, cell: &Key) -> Option<(Position, Option<String>)> {
    let there = peer.link.load(cell).await.unwrap();
    there.map(|CellValue { position, value }| (position, value.as_ref().map(text)))
}

/// The next transaction that arrives, checked to be whole: what arrived, and its id.
async fn transaction(peer: &mut Peer) -> (Vec<Arrival>, u64) {
    let first = peer.next().await;
    let Group { id, of, .. } = first.group.expect("a part of a transaction");
    let mut parts = vec![first];
    for _ in 1..of {
        // All of it is there at once.
        let part = peer.next().await;
        parts.push(part);
    }
    for (index, part) in (0..).zip(&parts) {
        assert_eq!(part.group, Some(Group { id, index, of }));
    }
    (parts, id)
}

fn texts(parts: &[Arrival]) -> Vec<String> {
    parts.iter().map(|part| text(part.full.as_ref().unwrap())).collect()
}

pub async fn writes_of_several_cells_take_place_together(world: &impl World) {
    let (a, b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    let [x, y, z] = cells();
    let first = written(&a, vec![step(&x, Expect::Absent, "x1"), step(&y, Expect::Absent, "y1")]).await;
    assert_eq!(loaded(&b, &x).await, Some((first[0], Some("x1".into()))));
    assert_eq!(loaded(&b, &y).await, Some((first[1], Some("y1".into()))));
    assert_ne!(first[0].epoch, first[1].epoch, "each has a life of its own");
    // Several steps of one cell, next to one of another.
    let steps = (1..=5).map(|tag| told(&x, "step", tag)).collect();
    let x_write = (x.clone(), write(at(first[0]), Some("x6"), steps));
    let second =
        written(&b, vec![step(&z, Expect::Absent, "z1"), x_write, step(&y, at(first[1]), "y2")]).await;
    assert_eq!(second.iter().map(|at| at.offset).collect::<Vec<_>>(), [1, 6, 2]);
    assert_eq!(second[1], Position { offset: 6, tag: Tag(5), ..first[0] });
    assert_eq!(loaded(&a, &x).await, Some((second[1], Some("x6".into()))));
    assert_eq!(a.newest(&x, 10).await.entries.len(), 6);
    // And with writes of one cell alone.
    let Written::At(third) = a.step(&y, at(second[2]), Some("y3")).await else { panic!("a conflict") };
    assert_eq!(third.offset, 3);
}

pub async fn a_cell_without_steps_is_only_compared(world: &impl World) {
    let mut peer = Peer::attach(world, 1).await;
    let [x, y, z] = cells();
    for topic in [&x, &y, &z] {
        peer.link.subscribe(topic).await.unwrap();
    }
    let first = written(&peer, vec![step(&x, Expect::Absent, "x1"), step(&y, Expect::Absent, "y1")]).await;
    transaction(&mut peer).await;
    let only = |cell: &Key, expect| (cell.clone(), write(expect, None, vec![]));
    // What is as expected lets the others be written, and stays what it is.
    let asked = vec![only(&x, at(first[0])), step(&y, at(first[1]), "y2"), only(&z, Expect::Absent)];
    let second = written(&peer, asked).await;
    assert_eq!(second, [Position { offset: 2, tag: Tag(7), ..first[1] }]);
    assert_eq!(texts(&transaction(&mut peer).await.0), ["y2"]);
    assert_eq!(loaded(&peer, &x).await, Some((first[0], Some("x1".into()))));
    assert_eq!(loaded(&peer, &z).await, None);
    // Nothing but comparisons.
    let all = vec![only(&x, at(first[0])), only(&y, at(second[0])), only(&z, Expect::Absent)];
    assert_eq!(written(&peer, all).await, []);
    // What is not as expected keeps the others from being written.
    for (stale, there) in [(only(&y, at(first[1])), Some(second[0])), (only(&z, at(first[0])), None)] {
        let cell = stale.0.clone();
        let conflict = peer.link.write_all(vec![step(&x, at(first[0]), "x2"), stale]).await.unwrap();
        let WrittenAll::Conflict(named, found) = conflict else { panic!("{conflict:?}") };
        assert_eq!((named, found.map(|found| found.position)), (cell, there));
    }
    assert_eq!(loaded(&peer, &x).await, Some((first[0], Some("x1".into()))));
    peer.silent(world).await;
}

pub async fn creation_change_and_removal_go_together(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let [new, old, gone] = cells();
    let metadata = Key::new(Kind::RoomMetadata, "{t}room");
    let (before, doomed) = (peer.put(&old, Some("1")).await, peer.put(&gone, Some("x")).await);
    let removal = (gone.clone(), write(at(doomed), None, vec![entry("removed")]));
    let positions = written(
        &peer,
        vec![
            step(&new, Expect::Absent, "1"),
            step(&old, at(before), "2"),
            removal,
            step(&metadata, Expect::Absent, "m"),
        ],
    )
    .await;
    assert_eq!(loaded(&peer, &gone).await, Some((positions[2], None)));
    let listed = peer.link.cells(Kind::Record, "{t}", None, 10).await.unwrap();
    assert_eq!(listed.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), [new.name, old.name]);
    assert_eq!(peer.link.cells(Kind::RoomMetadata, "", None, 10).await.unwrap().len(), 1);
}

pub async fn one_conflict_changes_nothing_and_names_the_cell(world: &impl World) {
    let mut peer = Peer::attach(world, 1).await;
    let [x, y, z] = cells();
    for topic in [&x, &y, &z] {
        peer.link.subscribe(topic).await.unwrap();
    }
    let first = written(&peer, vec![step(&x, Expect::Absent, "x"), step(&y, Expect::Absent, "y")]).await;
    transaction(&mut peer).await;
    let (x_there, y_there) = (Some((first[0], Some("x".into()))), Some((first[1], Some("y".into()))));
    let never = |expects: [Expect; 3]| {
        [&x, &y, &z].into_iter().zip(expects).map(|(cell, expect)| step(cell, expect, "never")).collect()
    };
    let ahead = Expect::Version(first[1].epoch, 2);
    let conflict = |cell: &Key, at: Option<Position>, value: &str| {
        Ok(WrittenAll::Conflict(
            cell.clone(),
            at.map(|position| CellValue { position, value: Some(bytes(value)) }),
        ))
    };
    for (expects, outcome) in [
        ([Expect::Absent, at(first[1]), Expect::Absent], conflict(&x, Some(first[0]), "x")),
        ([at(first[0]), ahead, Expect::Absent], conflict(&y, Some(first[1]), "y")),
        ([at(first[0]), at(first[1]), at(first[1])], conflict(&z, None, "")),
    ] {
        assert_eq!(peer.link.write_all(never(expects)).await, outcome);
        assert_eq!(loaded(&peer, &x).await, x_there);
        assert_eq!(loaded(&peer, &y).await, y_there);
        assert_eq!(loaded(&peer, &z).await, None);
    }
    assert_eq!((peer.newest(&x, 9).await.newest, peer.newest(&z, 9).await.epoch), (1, None));
    peer.silent(world).await;
}

pub async fn the_first_of_several_conflicts_is_told(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let [x, y, z] = cells();
    let (_, y_at) = (peer.put(&x, Some("x")).await, peer.put(&y, Some("y")).await);
    let writes =
        vec![step(&z, Expect::Absent, "z"), step(&y, Expect::Absent, "y"), step(&x, Expect::Absent, "x")];
    let there = CellValue { position: y_at, value: Some(bytes("y")) };
    assert_eq!(peer.link.write_all(writes).await, Ok(WrittenAll::Conflict(y, Some(there))));
}

pub async fn concurrent_transactions_over_the_same_cells_lose_nothing(world: &impl World) {
    const CELLS: usize = 5;
    const EACH: usize = 12;
    const TASKS: u64 = 9;
    let peers = Peer::attach_all(world, 3).await;
    let mut watcher = Peer::attach(world, 10).await;
    let cells: [Key; CELLS] = cells();
    for cell in &cells {
        watcher.link.subscribe(cell).await.unwrap();
    }
    // Each takes something from one cell and puts it into another, and adds one to a third.
    let tasks = (0..TASKS).map(|task| {
        let (link, cells) = (peers[task as usize % 3].link.clone(), cells.clone());
        let mut rng = StdRng::seed_from_u64(task);
        async move {
            for _ in 0..EACH {
                let first = rng.random_range(0..CELLS);
                let chosen = [first, (first + 1) % CELLS, (first + rng.random_range(2..CELLS)) % CELLS];
                let moved = rng.random_range(1..10);
                loop {
                    let mut writes = Vec::new();
                    for (which, change) in chosen.into_iter().zip([-moved, moved, 1]) {
                        let there = link.load(&cells[which]).await.unwrap();
                        let number = there.as_ref().map_or(0, value);
                        let expect = there.map_or(Expect::Absent, |there| at(there.position));
                        writes.push(step(&cells[which], expect, &(number + change).to_string()));
                    }
                    if matches!(link.write_all(writes).await.unwrap(), WrittenAll::At(_)) {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
        }
    });
    let count = TASKS as usize * EACH;
    all(tasks.collect::<Vec<_>>()).await;
    let (mut sum, mut versions) = (0, 0);
    for cell in &cells {
        let there = watcher.link.load(cell).await.unwrap().unwrap();
        sum += value(&there);
        versions += there.position.offset;
    }
    assert_eq!((sum, versions), (count as i64, 3 * count as u64));
    let mut seen = [0; CELLS];
    for _ in 0..count {
        let (parts, _) = transaction(&mut watcher).await;
        assert_eq!(parts.len(), 3);
        for part in parts {
            let which = cells.iter().position(|cell| *cell == part.topic).unwrap();
            seen[which] += 1;
            assert_eq!(part.position.map(|position| position.offset), Some(seen[which]), "without a gap");
        }
    }
    watcher.silent(world).await;
}

fn value(there: &CellValue) -> i64 {
    there.value.as_ref().map_or(0, |value| text(value).parse().unwrap())
}

pub async fn what_a_transaction_announces_arrives_as_one_in_order(world: &impl World) {
    let mut peers = Peer::attach_all(world, 2).await;
    let [x, y, z] = cells();
    for peer in &peers {
        for topic in [&z, &x, &y] {
            peer.link.subscribe(topic).await.unwrap();
        }
    }
    // Two steps of one, a silent one of another.
    let several = (1..=2).map(|tag| told(&y, &format!("y{tag}"), tag)).chain([entry("silent")]).collect();
    let writes = vec![
        step(&x, Expect::Absent, "x1"),
        (y.clone(), write(Expect::Absent, Some("y3"), several)),
        step(&z, Expect::Absent, "z1"),
    ];
    let positions = written(&peers[0], writes).await;
    let mut ids = Vec::new();
    let from = peers[0].me;
    for peer in &mut peers {
        let (parts, id) = transaction(peer).await;
        ids.push(id);
        assert_eq!(texts(&parts), ["x1", "y1", "y2", "z1"]);
        assert!(parts.iter().all(|part| part.from == from));
        assert_eq!(parts.iter().map(|part| part.n).collect::<Vec<_>>(), [1, 1, 2, 1]);
        let offsets: Vec<_> = parts.iter().map(|part| part.position.unwrap().offset).collect();
        assert_eq!(offsets, [1, 1, 2, 1]);
        assert_eq!(parts[3].position, Some(positions[2]));
    }
    assert_eq!(ids[0], ids[1]);
    written(&peers[1], vec![step(&x, at(positions[0]), "x2"), step(&z, at(positions[2]), "z2")]).await;
    for peer in &mut peers {
        let (parts, id) = transaction(peer).await;
        assert_eq!(texts(&parts), ["x2", "z2"]);
        assert_ne!(id, ids[0]);
        peer.silent(world).await;
    }
}

pub async fn an_instance_gets_of_a_transaction_what_it_is_subscribed_to(world: &impl World) {
    let mut peers = Peer::attach_all(world, 4).await;
    let cells: [Key; 4] = cells();
    let wanted: [&[usize]; 4] = [&[0, 2], &[1], &[3, 1, 2], &[]];
    for (peer, wanted) in peers.iter().zip(wanted) {
        for which in wanted {
            peer.link.subscribe(&cells[*which]).await.unwrap();
        }
    }
    let writes = |expects: &[Expect]| {
        cells.iter().zip(expects).map(|(cell, expect)| step(cell, *expect, &cell.name)).collect()
    };
    let positions = written(&peers[3], writes(&[Expect::Absent; 4])).await;
    let again: Vec<_> = positions.into_iter().map(at).collect();
    written(&peers[0], writes(&again)).await;
    for (peer, wanted) in peers.iter_mut().zip(wanted) {
        let mut wanted: Vec<_> = wanted.iter().map(|which| cells[*which].name.to_string()).collect();
        wanted.sort();
        for _ in 0..if wanted.is_empty() { 0 } else { 2 } {
            let (parts, _) = transaction(peer).await;
            assert_eq!(texts(&parts), wanted);
        }
        peer.silent(world).await;
    }
    // What was given up is not waited for.
    peers[0].link.unsubscribe(&cells[2]).await.unwrap();
    world.settle().await;
    let now = peers[0].link.load(&cells[0]).await.unwrap().unwrap().position;
    let last = peers[0].link.load(&cells[2]).await.unwrap().unwrap().position;
    written(&peers[1], vec![step(&cells[0], at(now), "0"), step(&cells[2], at(last), "2")]).await;
    let (parts, _) = transaction(&mut peers[0]).await;
    assert_eq!(texts(&parts), ["0"]);
}

pub async fn a_transaction_of_which_nothing_else_arrives_does_not_wait(world: &impl World) {
    let (a, mut b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    let [x, y, z] = cells();
    b.link.subscribe(&x).await.unwrap();
    // Somewhere else, and only after this.
    b.link.subscribe(&room("another")).await.unwrap();
    let writes =
        vec![step(&x, Expect::Absent, "x"), step(&y, Expect::Absent, "y"), step(&z, Expect::Absent, "z")];
    written(&a, writes).await;
    let (parts, _) = transaction(&mut b).await;
    assert_eq!(texts(&parts), ["x"]);
    b.silent(world).await;
}

pub async fn transactions_and_other_publications_do_not_mix(world: &impl World) {
    const COUNT: usize = 20;
    let peers = Peer::attach_all(world, 2).await;
    let mut watcher = Peer::attach(world, 10).await;
    let cells: [Key; 4] = cells();
    for topic in cells.iter().chain([&room("{t}r"), &room("elsewhere")]) {
        watcher.link.subscribe(topic).await.unwrap();
    }
    let speaks = |topic: Key| {
        let link = peers[0].link.clone();
        async move {
            for _ in 0..COUNT {
                link.publish(tell(&topic, "word")).await.unwrap();
            }
        }
    };
    let writes = |pair: [Key; 2]| {
        let link = peers[1].link.clone();
        async move {
            let mut expects = [Expect::Absent; 2];
            for _ in 0..COUNT {
                let writes = pair.iter().zip(expects).map(|(cell, expect)| step(cell, expect, "x")).collect();
                let WrittenAll::At(positions) = link.write_all(writes).await.unwrap() else {
                    panic!("alone")
                };
                expects = [at(positions[0]), at(positions[1])];
            }
        }
    };
    let [a, b, c, d] = cells;
    tokio::join!(
        speaks(room("{t}r")),
        speaks(room("elsewhere")),
        writes([a.clone(), b.clone()]),
        writes([c, d])
    );
    let (mut words, mut transactions) = (0, 0);
    while words + transactions < 4 * COUNT {
        let arrival = watcher.next().await;
        let Some(Group { id, index: 0, of: 2 }) = arrival.group else {
            assert_eq!((arrival.group, arrival.full), (None, Some(bytes("word"))));
            words += 1;
            continue;
        };
        let other = watcher.next().await;
        assert_eq!(other.group, Some(Group { id, index: 1, of: 2 }));
        assert_eq!(arrival.topic == a, other.topic == b);
        transactions += 1;
    }
    assert_eq!(words, 2 * COUNT);
    watcher.silent(world).await;
}

pub async fn what_has_arrived_of_a_transaction_can_be_loaded(world: &impl World) {
    let (a, mut b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    let [x, y] = cells();
    b.link.subscribe(&x).await.unwrap();
    let mut expects = [Expect::Absent; 2];
    for number in 1..=20_u64 {
        let value = number.to_string();
        let positions = written(&a, vec![step(&x, expects[0], &value), step(&y, expects[1], &value)]).await;
        expects = [at(positions[0]), at(positions[1])];
        transaction(&mut b).await;
        for (cell, position) in [(&x, positions[0]), (&y, positions[1])] {
            assert_eq!(loaded(&b, cell).await, Some((position, Some(value.clone()))));
        }
    }
}

pub async fn too_many_cells_none_and_the_same_one_twice_are_refused(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let many: [Key; TRANSACTION_MAX + 1] = cells();
    let all: Vec<_> = many.iter().map(|cell| step(cell, Expect::Absent, "never")).collect();
    let twice = vec![all[0].clone(), all[1].clone(), all[0].clone()];
    for refused in [all, twice, Vec::new()] {
        let refused = peer.link.write_all(refused).await;
        assert!(matches!(refused, Err(BackendError::Refused(_))), "{refused:?}");
    }
    assert_eq!(peer.link.cells(Kind::Record, "", None, 10).await, Ok(vec![]));
}

pub async fn sixteen_cells_go_together(world: &impl World) {
    let mut peer = Peer::attach(world, 1).await;
    let cells: [Key; TRANSACTION_MAX] = cells();
    for cell in &cells {
        peer.link.subscribe(cell).await.unwrap();
    }
    written(&peer, cells.iter().map(|cell| step(cell, Expect::Absent, &cell.name)).collect()).await;
    let (parts, _) = transaction(&mut peer).await;
    assert_eq!(parts.into_iter().map(|part| part.topic).collect::<Vec<_>>(), cells);
}
