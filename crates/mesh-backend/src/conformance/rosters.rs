//! Rosters: an entry belongs to the incarnation that put it there, and has its place in order of entering.

use std::collections::BTreeSet;

use super::World;
use super::support::{Peer, all, bytes, conn, room, tell};
use crate::{Entered, Key, Kind, Left};

fn presence(name: &str) -> Key {
    Key::new(Kind::Presence, name)
}

pub async fn members_come_in_order_of_entering(world: &impl World) {
    let peers = Peer::attach_all(world, 3).await;
    let roster = room("r");
    // Neither in order of ids nor of owners.
    for number in 0..30 {
        let entered = peers[number as usize % 3].enter(&roster, conn(number), &number.to_string()).await;
        assert!(entered.new);
    }
    let roll = peers[0].link.roll(&roster, 0, 100).await.unwrap();
    assert_eq!(roll.count, 30);
    for (number, member) in (0..).zip(&roll.members) {
        assert_eq!((member.who, member.owner), (conn(number), peers[number as usize % 3].me));
        assert_eq!(member.value, Some(bytes(&number.to_string())));
    }
    assert!(roll.members.is_sorted_by(|a, b| a.offset < b.offset));
    assert!(roll.members[0].offset > 0);
}

pub async fn pages_go_through_all_of_them(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let roster = room("r");
    for number in 0..25 {
        peer.enter(&roster, conn(number), "").await;
    }
    peer.leave(&roster, conn(7)).await;
    let mut seen = Vec::new();
    let mut after = 0;
    loop {
        let roll = peer.link.roll(&roster, after, 10).await.unwrap();
        assert_eq!(roll.count, 24);
        let Some(last) = roll.members.last() else { break };
        after = last.offset;
        // One that was shown already goes, which moves no page.
        if seen.is_empty() {
            peer.leave(&roster, conn(0)).await;
            peer.enter(&roster, conn(99), "").await;
        }
        seen.extend(roll.members.into_iter().map(|member| member.who));
    }
    let expected = (0..25).filter(|number| *number != 7).chain([99]).map(conn);
    assert_eq!(seen, expected.collect::<Vec<_>>());
    assert_eq!(peer.link.roll(&roster, 0, 0).await.unwrap().members, []);
    assert_eq!(peer.link.roll(&roster, u64::MAX, 10).await.unwrap().members, []);
    assert_eq!(peer.link.roll(&room("nobody"), 0, 10).await.unwrap().count, 0);
}

pub async fn entering_again_replaces_the_value_in_place(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let roster = room("r");
    let first = peer.enter(&roster, conn(1), "old").await;
    peer.enter(&roster, conn(2), "two").await;
    let again = peer.enter(&roster, conn(1), "new").await;
    assert_eq!(again, Entered { new: false, offset: first.offset });
    assert_eq!(peer.members(&roster).await, [(conn(1), "new".into()), (conn(2), "two".into())]);
    assert_eq!(peer.link.roll(&roster, 0, 1).await.unwrap().count, 2);
}

pub async fn entering_is_announced_when_it_is_new(world: &impl World) {
    let (a, mut b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    let roster = room("r");
    b.link.subscribe(&roster).await.unwrap();
    for round in ["first", "second"] {
        a.link.enter(&roster, conn(1), None, Some(tell(&roster, round))).await.unwrap();
    }
    let arrival = b.next().await;
    assert_eq!((arrival.full, arrival.from, arrival.n), (Some(bytes("first")), a.me, 1));
    b.silent(world).await;
    a.link.enter(&roster, conn(2), None, None).await.unwrap();
    b.silent(world).await;
}

pub async fn an_announcement_goes_where_it_says(world: &impl World) {
    let mut peer = Peer::attach(world, 1).await;
    for topic in [room("r"), presence("r")] {
        peer.link.subscribe(&topic).await.unwrap();
    }
    peer.link.enter(&room("r"), conn(1), None, Some(tell(&presence("r"), "in"))).await.unwrap();
    peer.link.leave(&room("r"), conn(1), Some(tell(&presence("r"), "out"))).await.unwrap();
    for text in ["in", "out"] {
        let arrival = peer.next().await;
        assert_eq!((arrival.topic, arrival.full), (presence("r"), Some(bytes(text))));
    }
    peer.silent(world).await;
}

pub async fn an_entry_of_another_incarnation_is_taken_over(world: &impl World) {
    let (a, mut b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    let roster = room("r");
    b.link.subscribe(&roster).await.unwrap();
    let first = a.enter(&roster, conn(1), "of a").await;
    let over =
        b.link.enter(&roster, conn(1), Some(bytes("of b")), Some(tell(&roster, "never"))).await.unwrap();
    assert_eq!(over, Entered { new: false, offset: first.offset });
    let roll = a.link.roll(&roster, 0, 10).await.unwrap();
    assert_eq!((roll.members[0].owner, &roll.members[0].value), (b.me, &Some(bytes("of b"))));
    assert_eq!(roll.count, 1);
    b.silent(world).await;
}

pub async fn leaving_is_announced_when_it_was_in(world: &impl World) {
    let (a, mut b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    let roster = room("r");
    b.link.subscribe(&roster).await.unwrap();
    a.enter(&roster, conn(1), "").await;
    a.enter(&roster, conn(2), "").await;
    for (who, expected) in [
        (1, Left { was_in: true, count: 1 }),
        (1, Left { was_in: false, count: 1 }),
        (3, Left { was_in: false, count: 1 }),
        (2, Left { was_in: true, count: 0 }),
        (2, Left { was_in: false, count: 0 }),
    ] {
        let left = a.link.leave(&roster, conn(who), Some(tell(&roster, &who.to_string()))).await;
        assert_eq!(left, Ok(expected), "{who}");
    }
    assert_eq!(b.next().await.full, Some(bytes("1")));
    assert_eq!(b.next().await.full, Some(bytes("2")));
    b.silent(world).await;
}

pub async fn anybody_may_take_an_entry_out(world: &impl World) {
    let (a, b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    let roster = room("r");
    a.enter(&roster, conn(1), "").await;
    assert_eq!(b.leave(&roster, conn(1)).await, Left { was_in: true, count: 0 });
    assert_eq!(a.members(&roster).await, []);
    assert_eq!(a.leave(&roster, conn(1)).await, Left { was_in: false, count: 0 });
}

pub async fn entering_after_leaving_is_new_and_last(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let roster = room("r");
    let first = peer.enter(&roster, conn(1), "").await;
    let second = peer.enter(&roster, conn(2), "").await;
    peer.leave(&roster, conn(1)).await;
    let again = peer.enter(&roster, conn(1), "").await;
    assert!(again.new && first.offset < second.offset && second.offset < again.offset);
    assert_eq!(peer.members(&roster).await, [(conn(2), String::new()), (conn(1), String::new())]);
    // Of an empty roster nothing stays.
    peer.leave(&roster, conn(1)).await;
    peer.leave(&roster, conn(2)).await;
    assert!(peer.enter(&roster, conn(2), "").await.new);
    assert_eq!(peer.members(&roster).await, [(conn(2), String::new())]);
}

pub async fn exactly_one_of_many_concurrent_enters_is_new(world: &impl World) {
    let mut peers = Peer::attach_all(world, 4).await;
    peers[0].link.subscribe(&room("r")).await.unwrap();
    for round in 0..10 {
        let enters =
            (0..16).map(|number: usize| {
                let link = peers[number % 4].link.clone();
                async move {
                    link.enter(&room("r"), conn(round), None, Some(tell(&room("r"), "in"))).await.unwrap()
                }
            });
        let entered = all(enters.collect::<Vec<_>>()).await;
        assert_eq!(entered.iter().filter(|entered| entered.new).count(), 1);
        assert_eq!(entered.iter().map(|entered| entered.offset).collect::<BTreeSet<_>>().len(), 1);
        peers[0].next().await;
    }
    peers[0].silent(world).await;
}

pub async fn exactly_one_of_many_concurrent_leaves_was_in(world: &impl World) {
    let mut peers = Peer::attach_all(world, 4).await;
    peers[0].link.subscribe(&room("r")).await.unwrap();
    for round in 0..10 {
        peers[1].enter(&room("r"), conn(round), "").await;
        let leaves = (0..16).map(|number: usize| {
            let link = peers[number % 4].link.clone();
            async move { link.leave(&room("r"), conn(round), Some(tell(&room("r"), "out"))).await.unwrap() }
        });
        let left = all(leaves.collect::<Vec<_>>()).await;
        assert_eq!(left.iter().filter(|left| left.was_in).count(), 1);
        assert!(left.iter().all(|left| left.count == 0));
        peers[0].next().await;
    }
    peers[0].silent(world).await;
}

pub async fn concurrent_enters_have_an_order(world: &impl World) {
    let peers = Peer::attach_all(world, 4).await;
    let enters = (0..100).map(|number: u64| {
        let link = peers[number as usize % 4].link.clone();
        async move { (link.enter(&room("r"), conn(number), None, None).await.unwrap().offset, conn(number)) }
    });
    let mut entered = all(enters.collect::<Vec<_>>()).await;
    entered.sort();
    let roll = peers[0].link.roll(&room("r"), 0, 1000).await.unwrap();
    let seen: Vec<_> = roll.members.into_iter().map(|member| (member.offset, member.who)).collect();
    assert_eq!((seen, roll.count), (entered, 100));
}

pub async fn no_value_and_an_empty_value_differ(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let every_byte: bytes::Bytes = (0..=255).collect::<Vec<u8>>().into();
    for (number, value) in (0..).zip([None, Some(bytes("")), Some(bytes("0")), Some(every_byte)]) {
        peer.link.enter(&room("r"), conn(number), value.clone(), None).await.unwrap();
        let found = peer.link.find(&[(room("r"), conn(number))]).await.unwrap();
        assert_eq!(found[0].as_ref().unwrap().value, value);
    }
    // What was brought is no longer there when one enters again without.
    peer.link.enter(&room("r"), conn(2), None, None).await.unwrap();
    assert_eq!(peer.link.roll(&room("r"), 0, 10).await.unwrap().members[2].value, None);
}

pub async fn who_has_arrived_is_in(world: &impl World) {
    let (a, mut b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    let roster = room("r");
    b.link.subscribe(&roster).await.unwrap();
    for number in 0..20 {
        a.link.enter(&roster, conn(number), None, Some(tell(&roster, "in"))).await.unwrap();
        b.next().await;
        assert!(b.link.find(&[(roster.clone(), conn(number))]).await.unwrap()[0].is_some());
        a.link.leave(&roster, conn(number), Some(tell(&roster, "out"))).await.unwrap();
        b.next().await;
        assert!(b.link.find(&[(roster.clone(), conn(number))]).await.unwrap()[0].is_none());
    }
}

pub async fn entries_are_found_in_the_order_asked(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    for (roster, number) in [("a", 1), ("a", 2), ("b", 1)] {
        peer.enter(&room(roster), conn(number), &format!("{roster}{number}")).await;
    }
    let wanted = [("b", 1), ("a", 2), ("b", 2), ("a", 1), ("a", 1), ("c", 1)];
    let keys: Vec<_> = wanted.iter().map(|(roster, number)| (room(roster), conn(*number))).collect();
    let found = peer.link.find(&keys).await.unwrap();
    let values: Vec<_> =
        found.iter().map(|member| member.as_ref().and_then(|member| member.value.clone())).collect();
    let expected = ["b1", "a2", "", "a1", "a1", ""].map(|value| (!value.is_empty()).then(|| bytes(value)));
    assert_eq!(values, expected);
    assert!(found.iter().flatten().all(|member| member.owner == peer.me));
    assert_eq!(peer.link.find(&[]).await, Ok(vec![]));
}

pub async fn rosters_are_listed_while_somebody_is_in(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    peer.enter(&room("b"), conn(1), "").await;
    peer.enter(&room("b"), conn(2), "").await;
    peer.enter(&room("a"), conn(1), "").await;
    peer.enter(&presence("c"), conn(1), "").await;
    let list = async || peer.link.rosters(Kind::Room, "", None, 10).await.unwrap();
    assert_eq!(list().await, [("a".into(), 1), ("b".into(), 2)]);
    peer.leave(&room("a"), conn(1)).await;
    peer.leave(&room("b"), conn(1)).await;
    assert_eq!(list().await, [("b".into(), 1)]);
    peer.enter(&room("a"), conn(9), "").await;
    assert_eq!(list().await, [("a".into(), 1), ("b".into(), 1)]);
}

pub async fn lists_of_rosters_come_in_pages(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    for number in (0..25).rev() {
        peer.enter(&room(&format!("p:{number:02}")), conn(1), "").await;
        peer.enter(&room(&format!("q:{number:02}")), conn(1), "").await;
    }
    let mut names = Vec::new();
    loop {
        let after = names.last().cloned();
        let page = peer.link.rosters(Kind::Room, "p:", after.as_deref(), 10).await.unwrap();
        if page.is_empty() {
            break;
        }
        names.extend(page.into_iter().map(|(name, _)| name.to_string()));
    }
    assert_eq!(names, (0..25).map(|number| format!("p:{number:02}")).collect::<Vec<_>>());
    for (after, limit, expected) in [("a", 2, 2), ("p:23x", 9, 1), ("q", 9, 0), ("p:", 0, 0)] {
        assert_eq!(
            peer.link.rosters(Kind::Room, "p:", Some(after), limit).await.unwrap().len(),
            expected,
            "{after}"
        );
    }
}

pub async fn what_is_mine_is_what_i_put_in_and_is_in(world: &impl World) {
    let peers = Peer::attach_all(world, 2).await;
    let mine = async |peer: &Peer| {
        let mut mine = peer.link.mine(None, 100).await.unwrap();
        mine.sort();
        mine
    };
    assert_eq!(mine(&peers[0]).await, []);
    for (roster, number) in [(room("a"), 1), (room("a"), 2), (presence("a"), 1), (room("b c"), 1)] {
        peers[0].enter(&roster, conn(number), "").await;
    }
    peers[1].enter(&room("a"), conn(3), "").await;
    peers[1].enter(&room("b c"), conn(1), "taken over").await;
    peers[1].leave(&room("a"), conn(2)).await;
    assert_eq!(mine(&peers[0]).await, [(room("a"), conn(1)), (presence("a"), conn(1))]);
    assert_eq!(mine(&peers[1]).await, [(room("a"), conn(3)), (room("b c"), conn(1))]);
}

pub async fn what_is_mine_comes_in_pages(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let mut all = Vec::new();
    for number in 0..25 {
        for roster in [room(&format!("r{}", number % 7)), presence("p")] {
            peer.enter(&roster, conn(number), "").await;
            all.push((roster, conn(number)));
        }
    }
    let mut found = Vec::new();
    loop {
        let page = peer.link.mine(found.last(), 10).await.unwrap();
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 10);
        found.extend(page);
    }
    found.sort();
    all.sort();
    assert_eq!(found, all, "each once");
}

pub async fn members_are_described_by_what_they_brought_to_the_list_of_connections(world: &impl World) {
    let peers = Peer::attach_all(world, 2).await;
    for number in [1, 2, 70, 3] {
        peers[0].enter(&room("r"), conn(number), "").await;
    }
    // The list of connections is in shards; what is known of one is wherever its id says.
    for (peer, number, value) in [(0, 1, "one"), (1, 70, "seventy"), (1, 3, "three"), (0, 9, "elsewhere")] {
        peers[peer].enter(&Key::connections_with(conn(number)), conn(number), value).await;
    }
    let described = peers[1].link.described(&room("r"), 0, 3).await.unwrap();
    assert_eq!(described.roll, peers[1].link.roll(&room("r"), 0, 3).await.unwrap());
    let values = |connections: &[Option<crate::Member>]| {
        let value = |member: &Option<crate::Member>| member.as_ref().and_then(|member| member.value.clone());
        connections.iter().map(value).collect::<Vec<_>>()
    };
    assert_eq!(values(&described.connections), [Some(bytes("one")), None, Some(bytes("seventy"))]);
    assert_eq!(described.connections[2].as_ref().map(|member| member.owner), Some(peers[1].me));
    let after = described.roll.members[2].offset;
    let rest = peers[1].link.described(&room("r"), after, 3).await.unwrap();
    assert_eq!((rest.roll.count, values(&rest.connections)), (4, vec![Some(bytes("three"))]));
    let none = peers[1].link.described(&room("nobody"), 0, 3).await.unwrap();
    assert_eq!((none.roll.count, none.connections), (0, vec![]));
}
