//! Who writes what many write: nobody loses for ever.

mod support;

use std::time::Duration;

use mesh_backend::{CellQueue, CellValue, Decision, Expect, Key, Kind, Seen, Write, Written};
use support::{KEEP, Peer, Server, entry};

fn over(there: &CellValue, insist: bool) -> Write {
    let expect = Expect::Version(there.position.epoch, there.position.offset);
    Write { expect, value: Some("x".into()), entries: vec![entry("x")], keep: KEEP, insist }
}

#[tokio::test]
async fn who_lost_often_has_its_turn_before_anybody_else_for_100_ms_at_most() {
    let server = Server::redis().await;
    let (a, b) = (Peer::at(&server.url()).await.link, Peer::at(&server.url()).await.link);
    let cell = Key::new(Kind::Record, "r");
    let first =
        Write { expect: Expect::Absent, value: None, entries: vec![entry("x")], keep: KEEP, insist: false };
    a.write(&cell, first).await.unwrap();
    let old = a.load(&cell).await.unwrap().unwrap();
    a.write(&cell, over(&old, false)).await.unwrap();
    let Written::Conflict(Some(now)) = b.write(&cell, over(&old, true)).await.unwrap() else { panic!() };
    assert_eq!(a.write(&cell, over(&now, true)).await.unwrap(), Written::Busy);
    let Written::At(position) = b.write(&cell, over(&now, true)).await.unwrap() else { panic!() };
    let now = CellValue { position, value: None };
    assert!(matches!(a.write(&cell, over(&now, false)).await.unwrap(), Written::At(_)), "its turn is over");
    // One that never comes back holds nobody up for long.
    let Written::Conflict(Some(now)) = b.write(&cell, over(&now, true)).await.unwrap() else { panic!() };
    assert_eq!(a.write(&cell, over(&now, false)).await.unwrap(), Written::Busy);
    let served = async { while a.write(&cell, over(&now, false)).await.unwrap() == Written::Busy {} };
    tokio::time::timeout(Duration::from_secs(5), served).await.expect("its turn ends");
}

#[tokio::test]
async fn writers_of_eight_instances_are_all_served_though_some_are_slower() {
    let server = Server::redis().await;
    let cell = Key::new(Kind::Record, "r");
    let mut writing = Vec::new();
    for instance in 0..8_u64 {
        let queue = CellQueue::new(Peer::at(&server.url()).await.link.clone());
        for _ in 0..4 {
            let (queue, cell) = (queue.clone(), cell.clone());
            writing.push(tokio::spawn(async move {
                for _ in 0..50 {
                    let add = move |seen: &Seen| {
                        // It takes some of them longer to turn around.
                        let until = tokio::time::Instant::now() + Duration::from_micros(100 * instance);
                        while tokio::time::Instant::now() < until {
                            std::hint::spin_loop();
                        }
                        let now = seen
                            .value
                            .as_ref()
                            .map_or(0, |text| std::str::from_utf8(text).unwrap().parse::<u64>().unwrap());
                        (Decision::Store((now + 1).to_string().into(), entry("x")), ())
                    };
                    queue.edit(cell.clone(), KEEP, add).await.unwrap();
                }
            }));
        }
    }
    for writing in writing {
        writing.await.expect("served");
    }
    let link = Peer::at(&server.url()).await.link;
    assert_eq!(link.load(&cell).await.unwrap().unwrap().value.as_deref(), Some(b"1600".as_slice()));
}
