//! Cells: comparing, storing, keeping and announcing k entries are one step.

use mesh_proto::{Position, Tag};

use super::World;
use super::support::{
    KEEP, Peer, all, at, bytes, entry, kept, offsets, other, record, tell, text, told, write,
};
use crate::{CellValue, Entry, Expect, Keep, Kind, Variants, Wire, Write, Written};

fn there(position: Position, value: Option<&str>) -> Option<CellValue> {
    Some(CellValue { position, value: value.map(bytes) })
}

pub async fn the_first_write_expects_nothing_and_makes_version_one(world: &impl World) {
    let (a, b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    let cell = record("r");
    assert_eq!(a.link.load(&cell).await, Ok(None));
    let Written::At(position) = a.step(&cell, Expect::Absent, Some("one")).await else {
        panic!("a conflict")
    };
    assert_eq!(position.offset, 1);
    assert_eq!(b.link.load(&cell).await, Ok(there(position, Some("one"))));
    let again = b.step(&cell, Expect::Absent, Some("another")).await;
    assert_eq!(again, Written::Conflict(there(position, Some("one"))));
}

pub async fn a_write_over_the_version_expected_takes_place(world: &impl World) {
    let peers = Peer::attach_all(world, 2).await;
    let cell = record("r");
    let first = peers[0].put(&cell, Some("1")).await;
    let mut last = first;
    for version in 2..=20 {
        let peer = &peers[version as usize % 2];
        let value = version.to_string();
        let Written::At(position) = peer.step(&cell, at(last), Some(&value)).await else {
            panic!("a conflict")
        };
        assert_eq!((position.epoch, position.offset), (first.epoch, version));
        assert_eq!(peers[0].link.load(&cell).await, Ok(there(position, Some(&value))));
        last = position;
    }
}

pub async fn a_write_over_another_version_conflicts_and_changes_nothing(world: &impl World) {
    let mut peer = Peer::attach(world, 1).await;
    let cell = record("r");
    peer.link.subscribe(&cell).await.unwrap();
    let old = peer.put(&cell, Some("old")).await;
    let new = peer.put(&cell, Some("new")).await;
    for expect in [at(old), Expect::Version(new.epoch, 3), Expect::Version(new.epoch, 0), Expect::Absent] {
        let entries = vec![told(&cell, "never", 1), told(&cell, "never", 2)];
        let written = peer.link.write(&cell, write(expect, Some("never"), entries)).await;
        assert_eq!(written, Ok(Written::Conflict(there(new, Some("new")))), "{expect:?}");
    }
    assert_eq!(peer.link.load(&cell).await, Ok(there(new, Some("new"))));
    assert_eq!(peer.newest(&cell, 10).await.newest, 2);
    peer.silent(world).await;
}

pub async fn a_write_over_another_life_conflicts(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let cell = record("r");
    let position = peer.put(&cell, Some("x")).await;
    let expect = Expect::Version(other(position.epoch), position.offset);
    assert_eq!(peer.step(&cell, expect, None).await, Written::Conflict(there(position, Some("x"))));
}

pub async fn a_version_of_nothing_conflicts_with_nothing(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let position = peer.put(&record("another"), Some("x")).await;
    assert_eq!(peer.step(&record("r"), at(position), Some("y")).await, Written::Conflict(None));
    let zero = Expect::Version(position.epoch, 0);
    assert_eq!(peer.step(&record("r"), zero, Some("y")).await, Written::Conflict(None));
    assert_eq!(peer.link.load(&record("r")).await, Ok(None));
    assert_eq!(peer.newest(&record("r"), 10).await.epoch, None);
}

pub async fn a_write_of_several_steps_makes_a_version_each(world: &impl World) {
    let (a, mut b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    let cell = record("r");
    b.link.subscribe(&cell).await.unwrap();
    let mut expect = Expect::Absent;
    let mut version = 0;
    for steps in [1_u32, 5, 2, 128] {
        let tags = version + 1..=version + steps;
        // Where the announcement says it goes does not matter.
        let entries = tags.clone().map(|tag| told(&record("elsewhere"), &format!("to {tag}"), tag)).collect();
        let value = format!("version {}", version + steps);
        let written = a.link.write(&cell, write(expect, Some(&value), entries)).await.unwrap();
        let Written::At(last) = written else { panic!("a conflict") };
        version += steps;
        assert_eq!((last.offset, last.tag), (version.into(), Tag(version)));
        assert_eq!(a.link.load(&cell).await, Ok(there(last, Some(&value))));
        for tag in tags {
            let arrival = b.next().await;
            let position = Position { offset: tag.into(), tag: Tag(tag), ..last };
            assert_eq!(
                (arrival.position, arrival.n, arrival.topic),
                (Some(position), tag.into(), cell.clone())
            );
            assert_eq!(arrival.full, Some(bytes(&format!("to {tag}"))));
        }
        expect = at(last);
    }
    let page = a.newest(&cell, 1000).await;
    assert_eq!(offsets(&page), (1..=136).collect::<Vec<_>>());
    assert_eq!(kept(&page), (1..=136).map(|tag| format!("to {tag}")).collect::<Vec<_>>());
    assert!(page.entries.iter().all(|logged| u64::from(logged.tag.0) == logged.offset));
    b.silent(world).await;
}

pub async fn each_step_is_joined_with_its_own_position(world: &impl World) {
    let mut peer = Peer::attach(world, 1).await;
    let cell = record("r");
    peer.link.subscribe(&cell).await.unwrap();
    let seam = || Wire::Seam { before: bytes("{"), after: bytes("}") };
    let step = |tag| {
        let variants = Some(Variants { full: Some(seam()), patch: Some(seam()) });
        Entry {
            tag: Tag(tag),
            kept: bytes(""),
            announce: Some(crate::Announce { variants, ..tell(&cell, "") }),
        }
    };
    let written = peer.link.write(&cell, write(Expect::Absent, Some("x"), (1..=3).map(step).collect())).await;
    let Ok(Written::At(last)) = written else { panic!("{written:?}") };
    for offset in 1..=3 {
        let arrival = peer.next().await;
        let joined = format!(r#"{{"epoch":"{:016x}","offset":{offset}}}"#, last.epoch.0);
        assert_eq!((text(&arrival.full.unwrap()), text(&arrival.patch.unwrap())), (joined.clone(), joined));
    }
}

pub async fn a_step_announced_by_its_patch_alone_arrives_without_a_full_value(world: &impl World) {
    let mut peer = Peer::attach(world, 1).await;
    let cell = record("r");
    peer.link.subscribe(&cell).await.unwrap();
    let text = |text: String| Wire::Final(text.into());
    let step = |tag: u32, full| {
        let variants = Some(Variants { full, patch: Some(text(format!("patch {tag}"))) });
        Entry { announce: Some(crate::Announce { variants, ..tell(&cell, "") }), ..told(&cell, "x", tag) }
    };
    let entries = vec![step(1, None), step(2, None), step(3, Some(text("full".into())))];
    peer.link.write(&cell, write(Expect::Absent, Some("x"), entries)).await.unwrap();
    for (version, full) in [(1, None), (2, None), (3, Some("full"))] {
        let arrival = peer.next().await;
        assert_eq!(arrival.position.map(|position| position.offset), Some(version));
        assert_eq!(
            (arrival.full, arrival.patch),
            (full.map(bytes), Some(bytes(&format!("patch {version}"))))
        );
    }
}

pub async fn a_removal_is_a_version_and_leaves_no_value(world: &impl World) {
    let mut peer = Peer::attach(world, 1).await;
    let cell = record("r");
    let first = peer.put(&cell, Some("x")).await;
    peer.link.subscribe(&cell).await.unwrap();
    let written = peer.link.write(&cell, write(at(first), None, vec![told(&cell, "gone", 9)])).await.unwrap();
    let gone = Position { offset: 2, tag: Tag(9), ..first };
    assert_eq!(written, Written::At(gone));
    assert_eq!(peer.link.load(&cell).await, Ok(there(gone, None)));
    assert_eq!(peer.next().await.position, Some(gone));
    assert_eq!(peer.newest(&cell, 10).await.newest, 2, "the log stays");
}

pub async fn versions_never_go_back_over_removal(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let cell = record("r");
    let first = peer.put(&cell, Some("x")).await;
    for version in 2..=9 {
        let before = peer.link.load(&cell).await.unwrap();
        let absent = peer.step(&cell, Expect::Absent, Some("never")).await;
        assert_eq!(absent, Written::Conflict(before), "what was removed was written once");
        let value = (version % 2 == 1).then_some("again");
        let position = peer.put(&cell, value).await;
        assert_eq!((position.epoch, position.offset), (first.epoch, version));
    }
}

pub async fn an_empty_value_is_a_value(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let position = peer.put(&record("r"), Some("")).await;
    assert_eq!(peer.link.load(&record("r")).await, Ok(there(position, Some(""))));
    assert_eq!(peer.link.cells(Kind::Record, "", None, 10).await.unwrap().len(), 1);
}

pub async fn a_value_of_a_mebibyte_comes_back(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let value = "0123456789\0bcdef".repeat(65_536);
    peer.put(&record("r"), Some(&value)).await;
    let loaded = peer.link.load(&record("r")).await.unwrap().unwrap();
    assert!(loaded.value == Some(bytes(&value)));
}

pub async fn a_cells_log_is_bounded(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let cell = record("r");
    let entries = (1..=20).map(|tag| told(&cell, &tag.to_string(), tag)).collect();
    let keep = Keep { count_max: 5, ..KEEP };
    let write = Write { expect: Expect::Absent, value: Some(bytes("x")), entries, keep, insist: false };
    peer.link.write(&cell, write).await.unwrap();
    let page = peer.newest(&cell, 100).await;
    assert_eq!((offsets(&page), page.oldest), ((16..=20).collect(), 16));
}

pub async fn exactly_one_of_many_writes_over_one_version_takes_place(world: &impl World) {
    let peers = Peer::attach_all(world, 4).await;
    let cell = record("r");
    let mut expect = Expect::Absent;
    for version in 1..=10 {
        let writes = (0..20).map(|number: usize| {
            let (link, cell) = (peers[number % 4].link.clone(), cell.clone());
            async move {
                link.write(&cell, write(expect, Some(&number.to_string()), vec![entry("x")])).await.unwrap()
            }
        });
        let mut taken = Vec::new();
        let mut refused = 0;
        for written in all(writes.collect::<Vec<_>>()).await {
            match written {
                Written::At(position) => taken.push(position),
                Written::Conflict(there) => {
                    assert_eq!(there.unwrap().position.offset, version, "a conflict tells what was first");
                    refused += 1;
                }
                Written::Busy => panic!("nobody insisted"),
            }
        }
        assert_eq!((taken.len(), refused, taken[0].offset), (1, 19, version));
        expect = at(taken[0]);
    }
}

pub async fn what_has_arrived_can_be_loaded(world: &impl World) {
    let (a, mut b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    let cell = record("r");
    b.link.subscribe(&cell).await.unwrap();
    let mut expect = Expect::Absent;
    for version in 1..=30 {
        let entries = vec![told(&cell, "x", version)];
        let written = a.link.write(&cell, write(expect, Some(&version.to_string()), entries)).await.unwrap();
        let arrival = b.next().await;
        let loaded = b.link.load(&cell).await.unwrap().unwrap();
        assert_eq!(
            (Some(loaded.position), loaded.value),
            (arrival.position, Some(bytes(&version.to_string())))
        );
        let Written::At(position) = written else { panic!("a conflict") };
        expect = at(position);
    }
}

pub async fn lists_show_what_has_a_value(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    peer.put(&record("b"), Some("2")).await;
    peer.put(&record("a"), Some("1")).await;
    peer.put(&record("gone"), Some("x")).await;
    peer.put(&record("gone"), None).await;
    peer.append(&record("log only"), "x", KEEP).await;
    let listed = peer.link.cells(Kind::Record, "", None, 10).await.unwrap();
    let values = |listed: &[(std::sync::Arc<str>, CellValue)]| {
        listed
            .iter()
            .map(|(name, there)| (name.to_string(), text(there.value.as_ref().unwrap())))
            .collect::<Vec<_>>()
    };
    assert_eq!(values(&listed), [("a".into(), "1".into()), ("b".into(), "2".into())]);
    assert_eq!(listed[1].1.position.offset, 1);
    peer.put(&record("gone"), Some("back")).await;
    peer.put(&record("a"), None).await;
    let listed = peer.link.cells(Kind::Record, "", None, 10).await.unwrap();
    assert_eq!(values(&listed), [("b".into(), "2".into()), ("gone".into(), "back".into())]);
    assert_eq!(peer.link.cells(Kind::RoomMetadata, "", None, 10).await, Ok(vec![]));
}

pub async fn lists_come_in_pages(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    for number in (0..25).rev() {
        peer.put(&record(&format!("p:{number:02}")), Some("x")).await;
        peer.put(&record(&format!("q:{number:02}")), Some("x")).await;
    }
    let mut names = Vec::new();
    loop {
        let after = names.last().cloned();
        let page = peer.link.cells(Kind::Record, "p:", after.as_deref(), 10).await.unwrap();
        if page.is_empty() {
            break;
        }
        names.extend(page.into_iter().map(|(name, _)| name.to_string()));
    }
    assert_eq!(names, (0..25).map(|number| format!("p:{number:02}")).collect::<Vec<_>>());
    // From before the first, from within, from behind the last, and none at all.
    for (after, limit, expected) in [("a", 2, 2), ("p:23x", 9, 1), ("q", 9, 0), ("p:", 0, 0)] {
        assert_eq!(
            peer.link.cells(Kind::Record, "p:", Some(after), limit).await.unwrap().len(),
            expected,
            "{after}"
        );
    }
}
