//! Records are followed: every version once, in order, or the newest value. On memory, on a paused clock.

#[path = "support/records.rs"]
mod support;

use std::time::Duration;

use mesh_server::testing::Client;
use serde_json::{Value, json};
use support::{Reader, cluster, greeted, subscribe, updates};

#[tokio::test(start_paused = true)]
async fn a_record_is_set_read_and_followed_in_full_and_by_patches() {
    let (cluster, _) = cluster(2).await;
    let (mut full, mut patch) = (greeted(&cluster, 0).await, greeted(&cluster, 1).await);
    for (client, mode) in [(&mut full, "full"), (&mut patch, "patch")] {
        let answer = subscribe(client, json!({"mode": mode}), "doc:1").await;
        assert_eq!(answer, json!({"success": true, "record": null, "version": 0}));
    }
    let record = cluster.mesh(0).record("doc:1");
    let text = "a text that is long enough for a patch to be shorter";
    let one = json!({"name": "Ada", "n": 1, "text": text});
    assert_eq!(record.set(&one).await.expect("written").version, 1);
    let unchanged = record.set(&one).await.expect("written");
    assert_eq!((unchanged.version, unchanged.changed), (1, false), "no change, no version");
    record.increment("/n", 1).await.expect("written");
    let two = json!({"name": "Ada", "n": 2, "text": text});
    let read = cluster.mesh(1).record("doc:1").get_versioned::<Value>().await.expect("read");
    assert_eq!((read.value, read.version), (Some(two.clone()), 2));
    let wholes = updates(&mut full).await;
    assert_eq!(wholes.len(), 2);
    assert_eq!(
        (&wholes[0]["full"], &wholes[0]["version"], &wholes[0]["offset"]),
        (&one, &json!(1), &json!(1))
    );
    assert_eq!((&wholes[1]["full"], &wholes[1]["version"]), (&two, &json!(2)));
    let patches = updates(&mut patch).await;
    assert_eq!(patches[0]["full"], one, "nothing there to differ from");
    assert_eq!(patches[1]["patch"], json!([{"op": "replace", "path": "/n", "value": 2}]));
    assert_eq!((&patches[1]["from"], &patches[1]["version"]), (&json!(1), &json!(2)));
    assert_eq!(patches[1]["epoch"], wholes[0]["epoch"]);
}

#[tokio::test(start_paused = true)]
async fn trap_c_a_hundred_writers_on_four_instances_make_versions_1_to_n_and_lose_nothing() {
    let (cluster, _) = cluster(4).await;
    let mut readers = Vec::new();
    for number in 0..4 {
        for mode in ["full", "patch"] {
            let mut client = greeted(&cluster, number).await;
            let reader = Reader::of(&subscribe(&mut client, json!({"mode": mode}), "doc:1").await);
            readers.push((client, reader));
        }
    }
    let mut writing = Vec::new();
    for writer in 0..100 {
        let mesh = cluster.mesh(writer % 4).clone();
        writing.push(tokio::spawn(async move {
            let mut versions = Vec::new();
            for _ in 0..20 {
                let written = mesh.record("doc:1").increment("/n", 1).await.expect("written");
                versions.push(written.version);
                tokio::task::yield_now().await;
            }
            versions
        }));
    }
    let mut versions = Vec::new();
    for written in writing {
        let of_one = written.await.expect("written");
        assert!(of_one.is_sorted());
        versions.extend(of_one);
    }
    versions.sort_unstable();
    assert_eq!(versions, (1..=2000).collect::<Vec<_>>(), "each version is one write's");
    for (mut client, mut reader) in readers {
        updates(&mut client).await.iter().for_each(|update| reader.take(update));
        assert_eq!((&reader.value, reader.version), (&json!({"n": 2000}), 2000));
    }
}

#[tokio::test(start_paused = true)]
async fn trap_j_any_value_becomes_any_other_and_patch_readers_have_it_at_every_version() {
    let (cluster, _) = cluster(2).await;
    let mut client = greeted(&cluster, 1).await;
    let mut reader = Reader::of(&subscribe(&mut client, json!({"mode": "patch"}), "doc:1").await);
    let long = "x".repeat(100);
    let values = [
        json!([1, 2, 3]),
        json!([1, 3]),
        json!("text"),
        json!(7),
        json!(null),
        json!({"a": long, "b": [1]}),
        json!({"a": long, "b": [1, 2]}),
        json!([{"a": long}, {"b": 1}]),
        json!([{"b": 1}]),
        json!(false),
        json!({"__proto__": {"x": long}}),
        json!({"__proto__": {"x": long}, "constructor": 1}),
        json!({}),
        json!([]),
    ];
    for (version, value) in (1..).zip(values) {
        let written = cluster.mesh(0).record("doc:1").set(&value).await.expect("written");
        assert_eq!(written.version, version);
        updates(&mut client).await.iter().for_each(|update| reader.take(update));
        assert_eq!((&reader.value, reader.version), (&value, version));
    }
    assert!(reader.patches >= 2 && reader.wholes >= 5, "{reader:?}");
}

#[tokio::test(start_paused = true)]
async fn trap_d_who_subscribes_while_it_is_written_misses_no_version() {
    let (cluster, _) = cluster(2).await;
    let mesh = cluster.mesh(0).clone();
    let writing = tokio::spawn(async move {
        for n in 1..=1000 {
            mesh.record("doc:1").set(&json!({"n": n, "text": "x".repeat(100)})).await.expect("written");
            tokio::task::yield_now().await;
        }
    });
    let mut joining = Vec::new();
    for n in 0..100_usize {
        let mut client = greeted(&cluster, n % 2).await;
        joining.push(tokio::spawn(async move {
            for _ in 0..n * 5 {
                tokio::task::yield_now().await;
            }
            let mut reader = Reader::of(&subscribe(&mut client, json!({"mode": "patch"}), "doc:1").await);
            while reader.version < 1000 {
                let (_, update) = client.push().await.expect("there is more to come");
                reader.take(&update);
            }
            reader
        }));
    }
    writing.await.expect("written");
    for joined in joining {
        let reader = joined.await.expect("no gap");
        assert_eq!(reader.value["n"], 1000);
        assert!(reader.wholes <= 1, "a whole value where nothing was missed: {}", reader.wholes);
    }
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_gets_the_value_only_if_it_is_another() {
    let (cluster, _) = cluster(2).await;
    cluster.mesh(0).record("doc:1").set(&json!(1)).await.expect("written");
    let mut client = greeted(&cluster, 1).await;
    let first = subscribe(&mut client, json!({}), "doc:1").await;
    let after = json!({"epoch": first["epoch"], "offset": first["version"], "tag": first["tag"]});
    let same = subscribe(&mut client, json!({"after": after}), "doc:1").await;
    let expected = json!({"success": true, "unchanged": true, "version": 1, "epoch": first["epoch"], "tag": first["tag"]});
    assert_eq!(same, expected);
    cluster.mesh(0).record("doc:1").set(&json!(2)).await.expect("written");
    let other = subscribe(&mut client, json!({"after": after}), "doc:1").await;
    assert_eq!((&other["record"], &other["version"]), (&json!(2), &json!(2)));
    assert_eq!(updates(&mut client).await, [json!(null); 0]);
}

#[tokio::test(start_paused = true)]
async fn what_an_instance_missed_while_cut_off_is_healed_by_one_whole_value() {
    let (cluster, _) = cluster(2).await;
    let mut client = greeted(&cluster, 1).await;
    let mut reader = Reader::of(&subscribe(&mut client, json!({"mode": "patch"}), "doc:1").await);
    let value = |n: u32| json!({"n": n, "text": "x".repeat(100)});
    for n in 1..=3 {
        cluster.mesh(0).record("doc:1").set(&value(n)).await.expect("written");
    }
    updates(&mut client).await.iter().for_each(|update| reader.take(update));
    cluster.black_hole(1, Duration::from_secs(60));
    for n in 4..=9 {
        cluster.mesh(0).record("doc:1").set(&value(n)).await.expect("written");
    }
    cluster.heal(1);
    tokio::time::sleep(Duration::from_secs(12)).await;
    cluster.mesh(0).record("doc:1").set(&value(10)).await.expect("written");
    updates(&mut client).await.iter().for_each(|update| reader.take(update));
    assert_eq!((&reader.value, reader.version), (&value(10), 10));
}

#[tokio::test(start_paused = true)]
async fn who_came_while_its_instance_was_deaf_is_given_no_version_twice() {
    let (cluster, _) = cluster(2).await;
    let (mut early, mut late) = (greeted(&cluster, 1).await, greeted(&cluster, 1).await);
    subscribe(&mut early, json!({}), "doc:1").await;
    let second = Duration::from_secs(1);
    cluster.faults(1).delay_arrivals(second..second);
    cluster.mesh(0).record("doc:1").set(&json!(1)).await.expect("written");
    assert_eq!(subscribe(&mut late, json!({}), "doc:1").await["version"], 1);
    cluster.partition(1);
    tokio::time::sleep(2 * second).await;
    cluster.heal(1);
    let versions = |updates: Vec<Value>| updates.iter().map(|it| it["version"].clone()).collect::<Vec<_>>();
    assert_eq!(versions(updates(&mut early).await), [1]);
    assert_eq!(versions(updates(&mut late).await), [0; 0], "it has that");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_updates_a_second_into_a_rate_of_ten_come_at_ten_with_the_last_one() {
    let (cluster, _) = cluster(2).await;
    for mode in ["full", "patch"] {
        let record = format!("doc:{mode}");
        let mut client = greeted(&cluster, 1).await;
        subscribe(&mut client, json!({"mode": mode, "maxRate": 10}), &record).await;
        for n in 1..=3000 {
            cluster.mesh(0).record(&record).set(&json!({"n": n})).await.expect("written");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        let updates = updates(&mut client).await;
        assert!((29..=32).contains(&updates.len()), "{mode}: {}", updates.len());
        assert_eq!(updates.last().expect("one")["full"], json!({"n": 3000}));
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_of_records_is_given_the_newest_and_not_disconnected() {
    let (cluster, _) = cluster(1).await;
    for mode in ["full", "patch"] {
        let record = format!("doc:{mode}");
        let mut slow = Client::dial_with(cluster.mesh(0), true, 1);
        slow.ask("mesh/hello", json!({"protocol": 1})).await;
        let mut reader = Reader::of(&subscribe(&mut slow, json!({"mode": mode}), &record).await);
        let value = |n: u32| json!({"n": n, "text": "x".repeat(4000)});
        // 12 MB, of which the outbox takes one at most.
        for n in 1..=3000 {
            cluster.mesh(0).record(&record).set(&value(n)).await.expect("written");
        }
        while reader.version < 3000 {
            let (_, update) = slow.push().await.expect("it stays open");
            reader.take(&update);
        }
        assert_eq!(reader.value, value(3000));
        assert!(reader.wholes + reader.patches < 2000, "{} {}", reader.wholes, reader.patches);
    }
}

#[tokio::test(start_paused = true)]
async fn trap_bb_an_origin_client_gets_the_freshest_value_once_its_library_listens() {
    let (cluster, _) = cluster(1).await;
    let mut origin = cluster.client(0);
    assert_eq!(subscribe(&mut origin, json!({"mode": "patch"}), "doc:1").await["version"], 0);
    for n in 1..=5 {
        cluster
            .mesh(0)
            .record("doc:1")
            .set(&json!({"n": n, "text": "x".repeat(100)}))
            .await
            .expect("written");
    }
    let frame = origin.recv().await.expect("a push");
    assert_eq!((&frame["payload"]["version"], &frame["payload"]["full"]["n"]), (&json!(5), &json!(5)));
    cluster.mesh(0).record("doc:1").increment("/n", 1).await.expect("written");
    let (_, update) = origin.push().await.expect("live");
    assert_eq!((&update["version"], update["patch"].is_array()), (&json!(6), true));
}

#[tokio::test(start_paused = true)]
async fn an_update_is_encoded_once_in_full_and_once_as_a_patch_for_a_thousand_readers() {
    let (cluster, _) = cluster(1).await;
    cluster.mesh(0).record("doc:1").set(&json!({"n": 0, "text": "x".repeat(4000)})).await.expect("written");
    let mut readers = Vec::new();
    for n in 0..1000 {
        let mut client = greeted(&cluster, 0).await;
        let mode = if n % 10 == 0 { "full" } else { "patch" };
        let reader = Reader::of(&subscribe(&mut client, json!({"mode": mode}), "doc:1").await);
        readers.push((client, reader));
    }
    let before = cluster.mesh(0).stats();
    for _ in 0..5 {
        cluster.mesh(0).record("doc:1").increment("/n", 1).await.expect("written");
    }
    for (client, reader) in &mut readers {
        updates(client).await.iter().for_each(|update| reader.take(update));
        assert_eq!((&reader.value["n"], reader.version), (&json!(5), 6));
    }
    let after = cluster.mesh(0).stats();
    assert_eq!((after.encodes - before.encodes, after.delivered - before.delivered), (10, 5000));
}
