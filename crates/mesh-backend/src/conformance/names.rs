//! Names are any text, and none of them is another key.

use std::collections::BTreeSet;

use super::World;
use super::support::{KEEP, Peer, bytes, channel, conn, kept, room, tell};
use crate::{Key, Kind};

const KINDS: [Kind; 8] = [
    Kind::Everybody,
    Kind::Instance,
    Kind::Connections,
    Kind::Room,
    Kind::RoomMetadata,
    Kind::Channel,
    Kind::Record,
    Kind::Presence,
];

/// Names that would meet if kinds, names and suffixes were put together carelessly.
fn names() -> Vec<String> {
    let mut names: Vec<String> = [
        "",
        ":",
        "::",
        "a",
        "a:",
        ":a",
        "a:b",
        "a::b",
        "a:b:c",
        "a\\:b",
        "a%3Ab",
        "a/b",
        "a.b",
        "a b",
        "a\0",
        "\0a",
        "a\0b",
        "{a}",
        "{a}b",
        "a{b}",
        "{",
        "}",
        "{}",
        "}{",
        "{{a}}",
        "room:a",
        "channel:a",
        "record:a",
        "Room(\"a\")",
        "a:log",
        "a:cell",
        "a:l",
        "a:h",
        "a\n",
        "\r\n",
        "*",
        "a*",
        "?",
        "[a]",
        "[^a]",
        "\\*",
        "$",
        "0",
        "1",
        "00",
        "-1",
        "A",
        "å",
        "a\u{30a}",
        "\u{10ffff}",
        "\u{7f}",
        "__proto__",
        "'; DROP",
        "\" ]",
        "EVAL",
        "nil",
        "a\u{200b}",
    ]
    .map(String::from)
    .into();
    // A bound on names is for the server to set.
    names.push("x".repeat(65_536));
    names.push(format!("{}y", "x".repeat(65_535)));
    names.push("{".repeat(1000));
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "each name once");
    names
}

fn keys() -> Vec<Key> {
    let keys = |kind| names().into_iter().map(move |name| Key::new(kind, name));
    KINDS.into_iter().flat_map(keys).collect()
}

pub async fn trap_z_names_cannot_forge_keys(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let keys = keys();
    for (number, key) in (0..).zip(&keys) {
        let mark = format!("{number}");
        peer.append(&Key::new(Kind::Channel, format!("{:?}{}", key.kind, key.name)), &mark, KEEP).await;
        let entered = peer.enter(key, conn(number), &mark).await;
        assert!(entered.new, "{key:.60?}");
        if key.kind != Kind::Channel {
            assert_eq!(peer.put(key, Some(&mark)).await.offset, 1, "{key:.60?}");
        }
    }
    for (number, key) in (0..).zip(&keys) {
        let mark = format!("{number}");
        let log = peer.newest(&Key::new(Kind::Channel, format!("{:?}{}", key.kind, key.name)), 10).await;
        assert_eq!(kept(&log), std::slice::from_ref(&mark), "{key:.60?}");
        assert_eq!(peer.members(key).await, [(conn(number), mark.clone())], "{key:.60?}");
        if key.kind != Kind::Channel {
            let there = peer.link.load(key).await.unwrap().unwrap();
            assert_eq!(there.value, Some(bytes(&mark)), "{key:.60?}");
        }
    }
    // And taken apart again, nothing goes that was not named.
    for (number, key) in (0..).zip(&keys) {
        assert_eq!(peer.leave(key, conn(number)).await, crate::Left { was_in: true, count: 0 }, "{key:.60?}");
    }
}

pub async fn trap_z_names_cannot_forge_topics(world: &impl World) {
    let (a, mut b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    let keys = keys();
    // Every other one is subscribed to.
    for key in keys.iter().step_by(2) {
        b.link.subscribe(key).await.unwrap();
    }
    for (number, key) in keys.iter().enumerate() {
        a.link.publish(tell(key, &number.to_string())).await.unwrap();
    }
    let heard: BTreeSet<_> = b
        .next_all(keys.len().div_ceil(2))
        .await
        .into_iter()
        .map(|arrival| {
            assert_eq!(arrival.n, 1);
            let number: usize = String::from_utf8(arrival.full.unwrap().to_vec()).unwrap().parse().unwrap();
            assert!(arrival.topic == keys[number], "the topic of an arrival is the key published on");
            number
        })
        .collect();
    assert_eq!(heard, (0..keys.len()).step_by(2).collect());
    b.silent(world).await;
}

pub async fn globs_in_names_are_plain_text(world: &impl World) {
    let (a, mut b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    for glob in ["*", "ab*", "a?c", "[a]bc", "a[^x]c", "\\abc", "{*}"] {
        b.link.subscribe(&room(glob)).await.unwrap();
        a.enter(&room(glob), conn(1), "glob").await;
    }
    a.link.publish(tell(&room("abc"), "x")).await.unwrap();
    a.append(&channel("abc"), "x", KEEP).await;
    b.silent(world).await;
    assert_eq!(a.members(&room("abc")).await, []);
    let listed = a.link.rosters(Kind::Room, "ab*", None, 10).await.unwrap();
    assert_eq!(listed, [("ab*".into(), 1)]);
}

pub async fn lists_take_prefixes_literally_and_go_by_bytes(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    for name in names() {
        peer.enter(&Key::new(Kind::Room, name.as_str()), conn(1), "").await;
        peer.put(&Key::new(Kind::Record, name), Some("value")).await;
    }
    for prefix in ["", "a", "a:", "{", "*", "[", "\\", "a\0", "å", "xx", "no", "\u{10ffff}"] {
        let mut expected: Vec<_> = names().into_iter().filter(|name| name.starts_with(prefix)).collect();
        expected.sort();
        let rosters = peer.link.rosters(Kind::Room, prefix, None, 1000).await.unwrap();
        let rosters: Vec<_> = rosters.into_iter().map(|(name, _)| name.to_string()).collect();
        assert!(rosters == expected, "{prefix:?}");
        // The name that is the prefix is not behind itself.
        let behind = peer.link.rosters(Kind::Room, prefix, Some(prefix), 1000).await.unwrap();
        let expected_behind = expected.iter().filter(|name| *name != prefix).count();
        assert_eq!(behind.len(), expected_behind, "{prefix:?}");
        let cells = peer.link.cells(Kind::Record, prefix, None, 1000).await.unwrap();
        let cells: Vec<_> = cells.into_iter().map(|(name, _)| name.to_string()).collect();
        assert!(cells == expected, "{prefix:?}");
    }
}

pub async fn lists_end_where_the_kind_ends(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    for kind in KINDS {
        peer.enter(&Key::new(kind, "same"), conn(1), "").await;
        peer.put(&Key::new(kind, "same"), Some("value")).await;
    }
    for kind in KINDS {
        assert_eq!(peer.link.rosters(kind, "", None, 10).await.unwrap().len(), 1, "{kind:?}");
        assert_eq!(peer.link.cells(kind, "", None, 10).await.unwrap().len(), 1, "{kind:?}");
    }
}
