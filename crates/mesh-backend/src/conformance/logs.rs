//! Logs: minting the position, keeping and announcing are one step, and what is lost is told.

use std::collections::BTreeSet;

use mesh_proto::{Position, Tag};

use super::World;
use super::support::{KEEP, Peer, all, bytes, channel, entry, kept, offsets, other, tell, text, told};
use crate::{Entry, Keep, LogPage, LogRead, Variants, Wire};

const fn count(count_max: usize) -> Keep {
    Keep { count_max, ..KEEP }
}

pub async fn positions_count_from_one_in_one_life(world: &impl World) {
    let peers = Peer::attach_all(world, 2).await;
    let log = channel("c");
    let first = peers[0].append(&log, "1", KEEP).await;
    for offset in 2..=20 {
        let peer = &peers[offset as usize % 2];
        let position = peer.link.append(&log, told(&log, "x", offset), KEEP).await.unwrap();
        let expected = Position { epoch: first.epoch, offset: offset.into(), tag: Tag(offset) };
        assert_eq!(position, expected);
    }
}

pub async fn a_log_nobody_wrote_has_no_life(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let nothing =
        LogPage { epoch: None, newest: 0, tag: Tag(0), oldest: 1, entries: Vec::new(), lost: false };
    assert_eq!(peer.newest(&channel("c"), 10).await, nothing);
    assert_eq!(peer.read(&channel("c"), LogRead::Before { offset: 5, limit: 5 }).await, nothing);
    let position = peer.append(&channel("another"), "x", KEEP).await;
    assert_eq!(peer.after(&channel("c"), position, 10).await, LogPage { lost: true, ..nothing });
}

pub async fn an_entry_is_announced_with_its_position(world: &impl World) {
    let (a, mut b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    let log = channel("c");
    b.link.subscribe(&log).await.unwrap();
    for n in 1..=20 {
        let position = a.link.append(&log, told(&log, &n.to_string(), n), KEEP).await.unwrap();
        let arrival = b.next().await;
        assert_eq!((arrival.position, arrival.n, arrival.from), (Some(position), n.into(), a.me));
        assert_eq!(arrival.full, Some(bytes(&n.to_string())));
    }
    b.silent(world).await;
}

pub async fn an_entry_without_announcement_is_silent(world: &impl World) {
    let mut peer = Peer::attach(world, 1).await;
    peer.link.subscribe(&channel("c")).await.unwrap();
    peer.append(&channel("c"), "x", KEEP).await;
    peer.silent(world).await;
}

pub async fn what_has_arrived_can_be_read(world: &impl World) {
    let (a, mut b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    let log = channel("c");
    b.link.subscribe(&log).await.unwrap();
    let appending = tokio::spawn({
        let (link, log) = (a.link.clone(), log.clone());
        async move {
            for n in 1..=50 {
                link.append(&log, told(&log, &n.to_string(), n), KEEP).await.unwrap();
                tokio::task::yield_now().await;
            }
        }
    });
    for _ in 1..=50 {
        let arrival = b.next().await;
        let position = arrival.position.unwrap();
        let before =
            Position { offset: position.offset - 1, tag: Tag(position.offset as u32 - 1), ..position };
        let page = b.after(&log, before, 1).await;
        assert_eq!((kept(&page), page.lost), (vec![text(&arrival.full.unwrap())], false));
    }
    appending.await.unwrap();
}

pub async fn the_store_joins_the_position_at_the_seam(world: &impl World) {
    let mut peer = Peer::attach(world, 1).await;
    let log = channel("c");
    peer.link.subscribe(&log).await.unwrap();
    for n in 1..=12_u64 {
        let seam = |name: &str| Wire::Seam {
            before: bytes(&format!(r#"{{"{name}":{n},"#)),
            after: bytes(r#","z":"%"}"#),
        };
        let variants = Some(Variants { full: Some(seam("full")), patch: Some(seam("patch")) });
        let announce = Some(crate::Announce { variants, ..tell(&log, "") });
        let position = peer.link.append(&log, Entry { announce, ..entry("x") }, KEEP).await.unwrap();
        let arrival = peer.next().await;
        let joined =
            |name| format!(r#"{{"{name}":{n},"epoch":"{:016x}","offset":{n},"z":"%"}}"#, position.epoch.0);
        assert_eq!(
            (text(&arrival.full.unwrap()), text(&arrival.patch.unwrap())),
            (joined("full"), joined("patch"))
        );
    }
}

pub async fn an_announcement_goes_to_the_logs_own_topic(world: &impl World) {
    let mut peer = Peer::attach(world, 1).await;
    peer.link.subscribe(&channel("c")).await.unwrap();
    peer.link.subscribe(&channel("elsewhere")).await.unwrap();
    peer.link.append(&channel("c"), told(&channel("elsewhere"), "x", 1), KEEP).await.unwrap();
    assert_eq!(peer.next().await.topic, channel("c"));
    peer.silent(world).await;
}

pub async fn a_life_begins_once_however_many_begin_it(world: &impl World) {
    let peers = Peer::attach_all(world, 4).await;
    for round in 0..10 {
        let log = channel(&round.to_string());
        let appends = peers.iter().cycle().take(16).map(|peer| {
            let (link, log) = (peer.link.clone(), log.clone());
            async move { link.append(&log, entry("x"), KEEP).await.unwrap() }
        });
        let positions = all(appends.collect::<Vec<_>>()).await;
        assert_eq!(positions.iter().map(|position| position.epoch).collect::<BTreeSet<_>>().len(), 1);
        let offsets: BTreeSet<_> = positions.iter().map(|position| position.offset).collect();
        assert_eq!(offsets, (1..=16).collect());
    }
}

pub async fn concurrent_appends_get_each_offset_once_and_arrive_in_order(world: &impl World) {
    let mut peers = Peer::attach_all(world, 4).await;
    let log = channel("c");
    peers[0].link.subscribe(&log).await.unwrap();
    let appends =
        (0..200).map(|number: u32| {
            let (link, log) = (peers[number as usize % 4].link.clone(), log.clone());
            async move {
                (link.append(&log, told(&log, &number.to_string(), number), KEEP).await.unwrap(), number)
            }
        });
    let mut appended = all(appends.collect::<Vec<_>>()).await;
    appended.sort_by_key(|(position, _)| position.offset);
    let numbers: Vec<_> = appended.iter().map(|(_, number)| number.to_string()).collect();
    let page = peers[1].newest(&log, 1000).await;
    assert_eq!((offsets(&page), kept(&page)), ((1..=200).collect(), numbers.clone()));
    let arrivals = peers[0].next_all(200).await;
    let positions: Vec<_> = arrivals.iter().filter_map(|arrival| arrival.position).collect();
    assert_eq!(positions, appended.iter().map(|(position, _)| *position).collect::<Vec<_>>());
    assert_eq!(arrivals.into_iter().map(|arrival| text(&arrival.full.unwrap())).collect::<Vec<_>>(), numbers);
}

pub async fn two_logs_have_two_lives(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let a = peer.append(&channel("a"), "x", KEEP).await;
    let b = peer.append(&channel("b"), "x", KEEP).await;
    assert_ne!(a.epoch, b.epoch);
}

pub async fn exactly_so_many_entries_are_kept(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    for keep in [1, 2, 7, 100] {
        let log = channel(&keep.to_string());
        peer.fill(&log, keep + 50, count(keep as usize)).await;
        let page = peer.newest(&log, 1000).await;
        assert_eq!(offsets(&page), (51..=keep + 50).collect::<Vec<_>>());
        assert_eq!((page.oldest, page.newest), (51, keep + 50));
    }
}

pub async fn exactly_so_many_bytes_are_kept(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let log = channel("c");
    let keep = Keep { bytes_max: 100, ..KEEP };
    for _ in 0..20 {
        peer.append(&log, "0123456789", keep).await;
    }
    assert_eq!(offsets(&peer.newest(&log, 100).await), (11..=20).collect::<Vec<_>>());
    peer.append(&log, &"x".repeat(81), keep).await;
    assert_eq!(offsets(&peer.newest(&log, 100).await), [20, 21]);
    peer.append(&log, &"x".repeat(101), keep).await;
    let page = peer.newest(&log, 100).await;
    assert_eq!(
        (offsets(&page), page.oldest, page.newest),
        (vec![], 23, 22),
        "an entry over the bound is not kept"
    );
}

pub async fn what_is_too_old_goes(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let log = channel("c");
    let keep = Keep { age_max: world.lease(), ..KEEP };
    let old = peer.fill(&log, 3, keep).await;
    world.pass(world.lease() * 2).await;
    let page = peer.newest(&log, 100).await;
    assert_eq!((offsets(&page), page.oldest, page.newest), (vec![], 4, 3), "though nothing was appended");
    let new = peer.append(&log, "new", keep).await;
    assert_eq!((new.epoch, new.offset), (old[0].epoch, 4));
    assert_eq!(offsets(&peer.newest(&log, 100).await), [4]);
}

pub async fn a_log_that_keeps_nothing_goes_on_counting(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let log = channel("c");
    let positions = peer.fill(&log, 3, count(0)).await;
    let page = peer.newest(&log, 100).await;
    let expected = LogPage {
        epoch: Some(positions[0].epoch),
        newest: 3,
        tag: positions[2].tag,
        oldest: 4,
        entries: Vec::new(),
        lost: false,
    };
    assert_eq!(page, expected);
    assert_eq!(peer.after(&log, positions[2], 100).await, expected, "the newest position is not lost");
    assert!(peer.after(&log, positions[1], 100).await.lost);
}

pub async fn a_tighter_bound_counts_from_the_next_entry_on(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let log = channel("c");
    peer.fill(&log, 20, KEEP).await;
    peer.append(&log, "x", count(5)).await;
    assert_eq!(offsets(&peer.newest(&log, 100).await), (17..=21).collect::<Vec<_>>());
}

pub async fn the_newest_are_read_oldest_first(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let log = channel("c");
    peer.fill(&log, 10, KEEP).await;
    assert_eq!(kept(&peer.newest(&log, 3).await), ["8", "9", "10"]);
    assert_eq!(kept(&peer.newest(&log, 0).await), [""; 0]);
    assert_eq!(peer.newest(&log, usize::MAX).await.entries.len(), 10);
}

pub async fn pages_go_backwards(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let log = channel("c");
    peer.fill(&log, 12, count(10)).await;
    for (offset, limit, expected) in [
        (13, 4, vec![9, 10, 11, 12]),
        (9, 4, vec![5, 6, 7, 8]),
        (5, 4, vec![3, 4]),
        (3, 4, vec![]),
        (1, 4, vec![]),
        (0, 4, vec![]),
        (99, 2, vec![11, 12]),
        (8, 0, vec![]),
        (u64::MAX, usize::MAX, (3..=12).collect()),
    ] {
        let page = peer.read(&log, LogRead::Before { offset, limit }).await;
        assert_eq!((offsets(&page), page.lost), (expected, false), "before {offset}");
        assert_eq!((page.oldest, page.newest), (3, 12));
    }
}

pub async fn pages_go_forwards(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let log = channel("c");
    let positions = peer.fill(&log, 10, KEEP).await;
    let begin = Position { offset: 0, tag: Tag(0), ..positions[0] };
    assert_eq!(offsets(&peer.after(&log, begin, 4).await), [1, 2, 3, 4]);
    assert_eq!(offsets(&peer.after(&log, positions[3], 4).await), [5, 6, 7, 8]);
    assert_eq!(offsets(&peer.after(&log, positions[7], 4).await), [9, 10]);
    assert_eq!(offsets(&peer.after(&log, positions[9], 4).await), [] as [u64; 0]);
    assert_eq!(offsets(&peer.after(&log, positions[3], 0).await), [] as [u64; 0]);
    assert_eq!(peer.after(&log, begin, usize::MAX).await.entries.len(), 10);
}

pub async fn a_position_of_the_log_is_not_lost(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let log = channel("c");
    let positions = peer.fill(&log, 10, count(5)).await;
    // From the last one that went: everything behind it is there.
    for position in &positions[4..] {
        let page = peer.after(&log, *position, 100).await;
        assert_eq!((page.lost, offsets(&page)), (false, (position.offset + 1..=10).collect()));
    }
}

pub async fn another_life_is_lost(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let log = channel("c");
    for position in peer.fill(&log, 3, KEEP).await {
        let elsewhere = Position { epoch: other(position.epoch), ..position };
        let page = peer.after(&log, elsewhere, 100).await;
        assert_eq!((page.lost, page.entries.len(), page.epoch), (true, 0, Some(position.epoch)));
        let begin = Position { offset: 0, ..elsewhere };
        assert!(peer.after(&log, begin, 100).await.lost, "also from the beginning");
    }
}

pub async fn another_tag_is_lost(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let log = channel("c");
    for position in peer.fill(&log, 3, KEEP).await {
        let fork = Position { tag: Tag(position.tag.0 ^ 1), ..position };
        let page = peer.after(&log, fork, 100).await;
        assert_eq!((page.lost, page.entries.len()), (true, 0));
    }
    let begin = Position { offset: 0, tag: Tag(0xffff_ffff), ..peer.append(&log, "x", KEEP).await };
    assert!(!peer.after(&log, begin, 100).await.lost, "the beginning has no tag");
}

pub async fn another_tag_of_the_newest_is_lost_even_when_it_is_not_kept(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let log = channel("c");
    peer.fill(&log, 3, KEEP).await;
    let newest = peer.append(&log, "x", count(0)).await;
    assert!(!peer.after(&log, newest, 100).await.lost);
    assert!(peer.after(&log, Position { tag: Tag(newest.tag.0 ^ 1), ..newest }, 100).await.lost);
}

pub async fn an_offset_that_was_never_minted_is_lost(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let log = channel("c");
    let newest = peer.fill(&log, 3, KEEP).await[2];
    for offset in [4, 5, 1 << 40] {
        let page = peer.after(&log, Position { offset, ..newest }, 100).await;
        assert_eq!((page.lost, page.entries.len()), (true, 0), "{offset}");
    }
}

pub async fn a_position_whose_successor_went_is_lost(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let log = channel("c");
    for position in &peer.fill(&log, 10, count(5)).await[..4] {
        let page = peer.after(&log, *position, 100).await;
        assert_eq!((page.lost, offsets(&page)), (true, (6..=10).collect()), "what is there comes along");
    }
}

pub async fn the_beginning_is_lost_once_the_first_entry_went(world: &impl World) {
    let peer = Peer::attach(world, 1).await;
    let log = channel("c");
    let begin = Position { offset: 0, ..peer.fill(&log, 5, count(5)).await[0] };
    assert!(!peer.after(&log, begin, 100).await.lost);
    peer.append(&log, "6", count(5)).await;
    let page = peer.after(&log, begin, 100).await;
    assert_eq!((page.lost, offsets(&page)), (true, vec![2, 3, 4, 5, 6]));
}
