//! Transactions: several records change together, and are told of together. On memory, on a paused clock.

#[path = "support/records.rs"]
mod support;

use std::time::Duration;

use mesh_server::testing::{Client, Cluster};
use mesh_server::{Mesh, MeshError, Result, Transaction};
use serde_json::{Value, json};
use support::{Reader, cluster, greeted, subscribe, updates};

async fn pushes(client: &mut Client) -> Vec<(String, Value)> {
    let mut pushes = Vec::new();
    while let Some(push) = client.push().await {
        pushes.push(push);
    }
    pushes
}

/// Move so much from one account to another, if it is there.
async fn transfer(mesh: &Mesh, from: &str, to: &str, amount: i64) -> Result<bool> {
    mesh.transaction(&[from, to], |tx| {
        let (a, b): (i64, i64) = (tx.get(from)?.unwrap_or(0), tx.get(to)?.unwrap_or(0));
        if a < amount {
            return Ok(false);
        }
        tx.set(from, &(a - amount))?;
        tx.set(to, &(b + amount))?;
        Ok(true)
    })
    .await
}

/// Each call takes a while, so that others come between.
fn slow_backend(cluster: &Cluster<()>) {
    for n in cluster.alive() {
        cluster.faults(n).delay(Duration::from_millis(1)..Duration::from_millis(5));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_transaction_wrote_reaches_a_subscriber_of_several_records_in_one_frame() {
    let (cluster, log) = cluster(2).await;
    let text = "x".repeat(200);
    for n in 1..=3 {
        let value = json!({"n": 0, "text": text});
        cluster.mesh(0).record(&format!("watched:{n}")).set(&value).await.expect("written");
    }
    let (mut all, mut one, mut origin) =
        (greeted(&cluster, 1).await, greeted(&cluster, 1).await, cluster.client(1));
    let mut readers = Vec::new();
    for (n, mode) in [(1, "full"), (2, "patch"), (3, "patch")] {
        let answer = subscribe(&mut all, json!({"mode": mode}), &format!("watched:{n}")).await;
        readers.push(Reader::of(&answer));
        subscribe(&mut origin, json!({}), &format!("watched:{n}")).await;
    }
    subscribe(&mut one, json!({}), "watched:2").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let names = ["watched:3", "watched:1", "watched:2"];
    let run = |tx: &mut Transaction| {
        for name in names {
            let mut value: Value = tx.get(name)?.unwrap_or_default();
            value["n"] = json!(1);
            tx.set(name, &value)?;
        }
        Ok(())
    };
    cluster.mesh(0).transaction(&names, run).await.expect("written");
    let told = pushes(&mut all).await;
    assert_eq!(told.len(), 1, "one frame: {told:?}");
    assert_eq!(told[0].0, "mesh/record-updates");
    let updates = told[0].1["updates"].as_array().expect("updates");
    let of: Vec<_> = updates.iter().map(|update| update["recordId"].as_str().expect("a name")).collect();
    assert_eq!(of, names, "in the order of the transaction");
    for (update, reader) in updates.iter().zip([2, 0, 1]) {
        readers[reader].take(update);
        assert_eq!((&readers[reader].value["n"], readers[reader].version), (&json!(1), 2));
    }
    assert_eq!((readers[0].wholes, readers[1].patches), (1, 1), "each in its own form");
    let told = pushes(&mut one).await;
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&*told[0].0, &told[0].1["recordId"]),
        ("mesh/record-update", &json!("watched:2")),
        "its own alone"
    );
    let told = pushes(&mut origin).await;
    assert!(told.len() == 3 && told.iter().all(|(command, _)| command == "mesh/record-update"), "{told:?}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let log = log.lock().expect("a log");
    assert_eq!(log.iter().filter(|line| line.contains(" 2 ")).count(), 3, "hooks hear of each");
}

#[tokio::test(start_paused = true)]
async fn transfers_between_accounts_on_three_instances_lose_and_make_nothing() {
    let (cluster, _) = cluster(3).await;
    let accounts = ["doc:a", "doc:b", "doc:c", "doc:d"];
    for account in accounts {
        cluster.mesh(0).record(account).set(&100).await.expect("written");
    }
    slow_backend(&cluster);
    let mut moving = Vec::new();
    for n in 0..12_usize {
        let mesh = cluster.mesh(n % 3).clone();
        moving.push(tokio::spawn(async move {
            for m in 0..20_usize {
                let (from, to) = (accounts[(n + m) % 4], accounts[(n * 3 + m + 1) % 4]);
                if from != to {
                    transfer(&mesh, from, to, 7).await.expect("moved or not");
                    mesh.record(to).increment("", 1).await.expect("written");
                    mesh.record(to).increment("", -1).await.expect("written");
                }
            }
        }));
    }
    for moving in moving {
        moving.await.expect("moved");
    }
    let mut sum = 0;
    for account in accounts {
        let value = cluster.mesh(1).record(account).get::<i64>().await.expect("read").expect("a number");
        assert!(value >= 0, "nobody owes: {value}");
        sum += value;
    }
    assert_eq!(sum, 400);
}

#[tokio::test(start_paused = true)]
async fn what_a_transaction_only_reads_is_what_there_is_when_it_writes() {
    // One of the two has to stay. Each leaves if the other is there, a hundred times at once.
    for _ in 0..50 {
        let (cluster, _) = cluster(2).await;
        slow_backend(&cluster);
        for who in ["doc:a", "doc:b"] {
            cluster.mesh(0).record(who).set(&true).await.expect("written");
        }
        let leave = |n: usize, me: &'static str, other: &'static str| {
            let mesh = cluster.mesh(n).clone();
            async move {
                let leave = |tx: &mut Transaction| {
                    if tx.get::<bool>(other)? == Some(true) { tx.set(me, &false) } else { Ok(()) }
                };
                mesh.transaction(&[me, other], leave).await.expect("left or stayed");
            }
        };
        tokio::join!(leave(0, "doc:a", "doc:b"), leave(1, "doc:b", "doc:a"));
        let there = async |who| cluster.mesh(0).record(who).get::<bool>().await.expect("read");
        assert_ne!(there("doc:a").await, there("doc:b").await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_transaction_sees_all_of_its_records_as_they_were_at_one_moment() {
    let (cluster, _) = cluster(2).await;
    let names = ["doc:a", "doc:b"];
    for name in names {
        cluster.mesh(0).record(name).set(&50).await.expect("written");
    }
    slow_backend(&cluster);
    let moving = async {
        for n in 0..200 {
            let (from, to) = if n % 2 == 0 { (names[0], names[1]) } else { (names[1], names[0]) };
            assert!(transfer(cluster.mesh(0), from, to, 30).await.expect("moved"));
        }
    };
    let looking = async {
        for n in 0..200 {
            // Also what it refuses is refused for what there was.
            let sum = cluster.mesh(1).transaction(&names, |tx| {
                let sum = tx.get::<i64>(names[0])?.unwrap_or(0) + tx.get::<i64>(names[1])?.unwrap_or(0);
                if n % 2 == 0 { Ok(sum) } else { Err(MeshError::app("sum", sum.to_string())) }
            });
            let sum = sum.await.unwrap_or_else(|error| error.message.parse().expect("a sum"));
            assert_eq!(sum, 100);
        }
    };
    tokio::join!(moving, looking);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_fails_writes_nothing() {
    let (cluster, _) = cluster(1).await;
    let mesh = cluster.mesh(0);
    mesh.record("doc:a").set(&1).await.expect("written");
    let mut client = greeted(&cluster, 0).await;
    subscribe(&mut client, json!({}), "doc:a").await;
    let names = ["doc:a", "doc:b"];
    let refused = mesh
        .transaction(&names, |tx| -> Result<()> {
            tx.set("doc:a", &2)?;
            assert_eq!(tx.get::<i64>("doc:a")?, Some(2), "it sees what it wrote");
            tx.delete("doc:a")?;
            assert_eq!(tx.get::<i64>("doc:a")?, None);
            Err(MeshError::app("enough", "enough"))
        })
        .await;
    assert_eq!(refused.expect_err("its own error").code.as_str(), "enough");
    let panics = mesh.transaction(&names, |_| -> Result<()> { panic!("on purpose") }).await;
    assert_eq!(panics.expect_err("it panics").code.as_str(), "internal");
    let too_large = mesh
        .transaction(&names, |tx| {
            tx.set("doc:a", &3)?;
            tx.set("doc:b", &"x".repeat(1024 * 1024))
        })
        .await;
    assert_eq!(too_large.expect_err("too large").code.as_str(), "too_large");
    let many: Vec<_> = (0..17).map(|n| format!("doc:{n}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    for names in [&[][..], &["doc:a", "doc:a"], &["doc:\n"], &many] {
        let refused = mesh.transaction(names, |_| Ok(())).await.expect_err("refused");
        assert_eq!(refused.code.as_str(), "bad_payload");
    }
    let unnamed = mesh.transaction(&names, |tx| tx.set("doc:c", &1)).await.expect_err("refused");
    assert_eq!(unnamed.code.as_str(), "bad_payload");
    mesh.transaction(&names, |tx| tx.set("doc:a", &1)).await.expect("nothing changes");
    assert_eq!(updates(&mut client).await, [json!(null); 0]);
    assert_eq!(mesh.record("doc:a").get_versioned::<i64>().await.expect("read").version, 1);
}
