//! Topics: at most once, in order per publisher and topic, to every instance subscribed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::World;
use super::support::{Peer, all, bytes, channel, conn, room, tell, text};
use crate::{Announce, Audience, Control, Key, Kind, Variants, Wire};

pub async fn a_publication_arrives_at_every_subscriber_and_at_the_publisher(world: &impl World) {
    let mut peers = Peer::attach_all(world, 3).await;
    let topic = room("r");
    for peer in &peers {
        peer.link.subscribe(&topic).await.unwrap();
    }
    let from = peers[0].me;
    peers[0].link.publish(tell(&topic, "hello")).await.unwrap();
    for peer in &mut peers {
        let arrival = peer.next().await;
        assert_eq!((arrival.topic, arrival.from, arrival.full), (topic.clone(), from, Some(bytes("hello"))));
        peer.silent(world).await;
    }
}

pub async fn what_arrives_is_what_was_published(world: &impl World) {
    let (a, mut b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    let topic = Key::new(Kind::Everybody, "");
    b.link.subscribe(&topic).await.unwrap();
    let ids: Arc<[_]> = (1..=3).map(conn).collect();
    let (full, patch) = (Wire::Final(bytes("full")), Wire::Final(bytes("patch")));
    let patch_alone = Some(Variants { full: None, patch: Some(patch.clone()) });
    let announcements = [
        Announce {
            topic: topic.clone(),
            audience: Audience::Except(ids.clone()),
            txn: Some("mark".into()),
            variants: Some(Variants { full: Some(full), patch: Some(patch) }),
            control: None,
        },
        Announce { variants: patch_alone, ..Announce::text(topic.clone(), bytes("")) },
        Announce::control(topic.clone(), Audience::Only(ids.clone()), Control::Close(4000)),
        Announce::control(topic.clone(), Audience::Only([].into()), Control::ClearRoom),
        Announce::control(topic.clone(), Audience::All, Control::Ask(u64::MAX, bytes("{\"a\":\"\u{0}\"}"))),
        Announce::control(topic.clone(), Audience::All, Control::Answer(0, bytes(""))),
        Announce::text(topic.clone(), bytes("")),
    ];
    for (n, sent) in (1..).zip(announcements) {
        a.link.publish(sent.clone()).await.unwrap();
        let got = b.next().await;
        assert_eq!((got.from, got.n, got.position), (a.me, n, None));
        assert_eq!((got.topic, got.audience, got.txn), (sent.topic, sent.audience, sent.txn));
        assert_eq!(got.control, sent.control);
        let (full, patch) = sent.variants.map_or((None, None), |variants| (variants.full, variants.patch));
        assert_eq!((got.full.map(Wire::Final), got.patch.map(Wire::Final)), (full, patch));
    }
}

pub async fn nobody_else_hears_it(world: &impl World) {
    let (mut a, mut b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    b.link.subscribe(&room("other")).await.unwrap();
    b.link.subscribe(&channel("r")).await.unwrap();
    a.link.publish(tell(&room("r"), "hello")).await.unwrap();
    a.silent(world).await;
    b.silent(world).await;
}

pub async fn subscribing_twice_delivers_once(world: &impl World) {
    let mut peer = Peer::attach(world, 1).await;
    let topic = room("r");
    peer.link.subscribe(&topic).await.unwrap();
    peer.link.subscribe(&topic).await.unwrap();
    peer.link.publish(tell(&topic, "hello")).await.unwrap();
    peer.next().await;
    peer.silent(world).await;
}

pub async fn unsubscribing_ends_it_and_is_idempotent(world: &impl World) {
    let mut peer = Peer::attach(world, 1).await;
    let topic = room("r");
    peer.link.unsubscribe(&topic).await.unwrap();
    peer.link.subscribe(&topic).await.unwrap();
    peer.link.subscribe(&topic).await.unwrap();
    peer.link.unsubscribe(&topic).await.unwrap();
    peer.link.unsubscribe(&topic).await.unwrap();
    peer.link.publish(tell(&topic, "hello")).await.unwrap();
    peer.silent(world).await;
}

pub async fn one_that_unsubscribes_leaves_others_subscribed(world: &impl World) {
    let (mut a, mut b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    let topic = room("r");
    a.link.subscribe(&topic).await.unwrap();
    b.link.subscribe(&topic).await.unwrap();
    a.link.unsubscribe(&topic).await.unwrap();
    a.link.publish(tell(&topic, "hello")).await.unwrap();
    b.next().await;
    a.silent(world).await;
}

pub async fn subscribing_anew_hears_what_comes_next(world: &impl World) {
    let (a, mut b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    let topic = room("r");
    for round in ["1", "2", "3"] {
        b.link.subscribe(&topic).await.unwrap();
        a.link.publish(tell(&topic, round)).await.unwrap();
        assert_eq!(b.next().await.full, Some(bytes(round)));
        b.link.unsubscribe(&topic).await.unwrap();
        a.link.publish(tell(&topic, "unheard")).await.unwrap();
    }
    b.silent(world).await;
}

pub async fn publications_of_one_publisher_arrive_in_order(world: &impl World) {
    let (a, mut b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    let topic = room("r");
    b.link.subscribe(&topic).await.unwrap();
    for number in 1..=500 {
        a.link.publish(tell(&topic, &number.to_string())).await.unwrap();
    }
    for number in 1..=500 {
        assert_eq!(b.next().await.full, Some(bytes(&number.to_string())));
    }
}

pub async fn counts_have_no_gaps_per_publisher_and_topic(world: &impl World) {
    const EACH: u64 = 60;
    let mut peers = Peer::attach_all(world, 3).await;
    let topics = [room("a"), room("b")];
    for topic in &topics {
        peers[0].link.subscribe(topic).await.unwrap();
    }
    let publishing = peers.iter().flat_map(|peer| {
        topics.clone().map(|topic| {
            let link = peer.link.clone();
            async move {
                for _ in 0..EACH {
                    link.publish(tell(&topic, "x")).await.unwrap();
                }
            }
        })
    });
    all(publishing.collect::<Vec<_>>()).await;
    let mut seen = BTreeMap::new();
    for arrival in peers[0].next_all(6 * EACH as usize).await {
        let last = seen.entry((arrival.from, arrival.topic)).or_insert(0);
        assert_eq!(arrival.n, *last + 1);
        *last = arrival.n;
    }
    assert_eq!(seen.into_values().collect::<Vec<_>>(), [EACH; 6]);
}

pub async fn each_topic_is_its_own(world: &impl World) {
    let (a, mut b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    for number in 0..100 {
        b.link.subscribe(&room(&number.to_string())).await.unwrap();
    }
    for number in 50..150 {
        a.link.publish(tell(&room(&number.to_string()), &number.to_string())).await.unwrap();
    }
    let mut heard: Vec<_> =
        b.next_all(50).await.into_iter().map(|arrival| (arrival.topic, arrival.full)).collect();
    heard.sort_by_key(|(_, full)| full.as_ref().map(text));
    let expected = (50..100).map(|number: u64| (room(&number.to_string()), Some(bytes(&number.to_string()))));
    assert_eq!(heard, expected.collect::<Vec<_>>());
    b.silent(world).await;
}

pub async fn any_text_arrives_byte_for_byte(world: &impl World) {
    let (a, mut b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    let topic = room("r");
    b.link.subscribe(&topic).await.unwrap();
    let every_char: String = (0..=0x2ff).chain(0x1f600..0x1f610).filter_map(char::from_u32).collect();
    for sent in ["", "\0", "\r\n", "null", r#"{"epoch":"0"}"#, "%s {} \\u0000 \u{2028}", &every_char] {
        a.link.publish(Announce { txn: Some(sent.into()), ..tell(&topic, sent) }).await.unwrap();
        let arrival = b.next().await;
        assert_eq!((arrival.full, arrival.txn.as_deref()), (Some(bytes(sent)), Some(sent)));
    }
}

pub async fn a_text_of_a_mebibyte_arrives_whole(world: &impl World) {
    let (a, mut b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    let topic = room("r");
    b.link.subscribe(&topic).await.unwrap();
    let text = "0123456789abcdef".repeat(65_536);
    a.link.publish(tell(&topic, &text)).await.unwrap();
    assert!(b.next().await.full == Some(bytes(&text)));
}

pub async fn dropping_a_link_closes_its_inbox(world: &impl World) {
    let (a, b) = (Peer::attach(world, 1).await, Peer::attach(world, 2).await);
    let topic = room("r");
    b.link.subscribe(&topic).await.unwrap();
    let Peer { link, mut arrivals, .. } = b;
    drop(link);
    a.link.publish(tell(&topic, "unheard")).await.unwrap();
    world.settle().await;
    let end = tokio::time::timeout(world.lease() * 10, arrivals.recv()).await;
    assert_eq!(end.expect("an inbox is closed in time"), None);
}
