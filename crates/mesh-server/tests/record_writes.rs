//! Records are written: by clients and by the server, guarded, and with bad input. On memory, on a paused clock.

#[path = "support/records.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mesh_server::{Mesh, Record, RecordChange, any};
use serde_json::{Value, json};
use support::{cluster, greeted, subscribe, updates};

#[tokio::test(start_paused = true)]
async fn clients_write_in_every_way_and_the_answer_bears_the_version() {
    let (cluster, _) = cluster(2).await;
    let (mut writer, mut reader) = (greeted(&cluster, 0).await, greeted(&cluster, 1).await);
    subscribe(&mut reader, json!({}), "doc:1").await;
    let mut write = async |command: &str, mut payload: Value| {
        payload["recordId"] = "doc:1".into();
        writer.ask(command, payload).await
    };
    let publish = "mesh/publish-record-update";
    assert_eq!(write(publish, json!({"newValue": {"a": {"x": 1}, "n": 0}, "txn": "w1"})).await["version"], 1);
    let merge = json!({"newValue": {"b": 2}, "options": {"strategy": "merge"}});
    assert_eq!(write(publish, merge).await["version"], 2);
    let deep = json!({"newValue": {"a": {"y": 2}}, "options": {"strategy": "deepMerge"}});
    assert_eq!(write(publish, deep).await["version"], 3);
    let ops = json!([{"op": "test", "path": "/a/x", "value": 1.0}, {"op": "remove", "path": "/b"}]);
    assert_eq!(write("mesh/patch-record", json!({"patch": ops})).await["version"], 4);
    let added = write("mesh/increment-record", json!({"path": "/n", "by": 5})).await;
    assert_eq!((&added["version"], &added["value"]), (&json!(5), &json!(5)));
    assert_eq!(write(publish, json!({"newValue": {"n": 7}, "ifVersion": 5})).await["version"], 6);
    let refused = write(publish, json!({"newValue": 8, "ifVersion": 5})).await;
    assert_eq!(refused["code"], "conflict");
    assert_eq!(refused["details"], json!({"version": 6, "record": {"n": 7}}));
    let failed = json!([{"op": "add", "path": "/z", "value": 1}, {"op": "test", "path": "/n", "value": 8}]);
    assert_eq!(write("mesh/patch-record", json!({"patch": failed})).await["code"], "bad_payload");
    assert_eq!(write("mesh/delete-record", json!({"ifVersion": 5})).await["code"], "conflict");
    assert_eq!(write("mesh/delete-record", json!({})).await["version"], 7);
    assert_eq!(write("mesh/delete-record", json!({})).await["version"], 7, "nothing changes");
    assert_eq!(write(publish, json!({"newValue": {"n": 7}, "ifVersion": 0})).await["code"], "conflict");
    assert_eq!(write(publish, json!({"newValue": {"n": 7}})).await["version"], 8, "it never goes back");
    let told = updates(&mut reader).await;
    assert_eq!(told[0]["txn"], "w1");
    let seen: Vec<_> =
        told.iter().map(|update| (update["version"].as_u64(), update["full"].clone())).collect();
    assert_eq!(seen[4].1, json!({"a": {"x": 1, "y": 2}, "n": 5}));
    assert_eq!(told[6].get("deleted"), Some(&json!(true)));
    assert_eq!(seen[6..], [(Some(7), json!(null)), (Some(8), json!({"n": 7}))]);
    assert_eq!(told.len(), 8, "contiguous, and the failed patch left nothing half done");
}

#[tokio::test(start_paused = true)]
async fn trap_s_reading_and_writing_are_guarded_apart() {
    let (cluster, _) = cluster(1).await;
    let mut client = greeted(&cluster, 0).await;
    let write = json!({"recordId": "both", "newValue": 1});
    assert_eq!(client.ask("mesh/publish-record-update", write).await["version"], 1);
    for command in ["mesh/subscribe-record", "mesh/get-record"] {
        let refused = client.ask(command, json!({"recordId": "both"})).await;
        assert_eq!(refused["code"], "forbidden", "its read guard says no, whatever the write guard says");
    }
    assert_eq!(subscribe(&mut client, json!({}), "locked:1").await["success"], true);
    for (command, payload) in [
        ("mesh/publish-record-update", json!({"newValue": 1})),
        ("mesh/patch-record", json!({"patch": []})),
        ("mesh/increment-record", json!({})),
        ("mesh/delete-record", json!({})),
    ] {
        for record in ["locked:1", "other", "panics", "hangs", "connections:1", "v:doc:1"] {
            let mut payload = payload.clone();
            payload["recordId"] = record.into();
            assert_eq!(client.ask(command, payload).await["code"], "forbidden", "{command} {record}");
        }
    }
    for record in ["other", "panics", "hangs"] {
        assert_eq!(subscribe(&mut client, json!({}), record).await["code"], "forbidden", "{record}");
    }
    let mut origin = cluster.client(0);
    let refused =
        origin.ask("mesh/publish-record-update", json!({"recordId": "locked:1", "newValue": 1})).await;
    assert_eq!(refused["error"], "Record \"locked:1\" is not writable by this connection.");
}

#[tokio::test(start_paused = true)]
async fn bad_input_is_answered_and_harms_nobody() {
    let (cluster, _) = cluster(1).await;
    let (mut client, mut other) = (greeted(&cluster, 0).await, greeted(&cluster, 0).await);
    cluster.mesh(0).record("doc:1").set(&json!({"a": [1]})).await.expect("written");
    subscribe(&mut other, json!({}), "doc:1").await;
    let patch = |ops: Value| ("mesh/patch-record", json!({"recordId": "doc:1", "patch": ops}));
    let many: Vec<_> = (0..1001).map(|_| json!({"op": "test", "path": "", "value": 1})).collect();
    let cases = [
        ("mesh/subscribe-record", json!({}), "bad_payload"),
        ("mesh/subscribe-record", json!({"recordId": "doc:1", "mode": "fast"}), "bad_payload"),
        ("mesh/subscribe-record", json!({"recordId": "doc:1", "maxRate": -1}), "bad_payload"),
        ("mesh/subscribe-record", json!({"recordId": "doc:1", "after": {"version": 1}}), "bad_payload"),
        ("mesh/publish-record-update", json!({"recordId": "doc:1"}), "bad_payload"),
        (
            "mesh/publish-record-update",
            json!({"recordId": "doc:1", "newValue": 1, "options": {"strategy": "x"}}),
            "bad_payload",
        ),
        (
            "mesh/publish-record-update",
            json!({"recordId": "doc:1", "newValue": 1, "ifVersion": 99}),
            "conflict",
        ),
        (
            "mesh/publish-record-update",
            json!({"recordId": "doc:1", "newValue": 1, "ifVersion": -1}),
            "bad_payload",
        ),
        ("mesh/publish-record-update", json!({"recordId": "doc:\n", "newValue": 1}), "bad_payload"),
        ("mesh/increment-record", json!({"recordId": "doc:1", "by": "1"}), "bad_payload"),
        ("mesh/increment-record", json!({"recordId": "doc:1", "path": "a"}), "bad_payload"),
        ("mesh/increment-record", json!({"recordId": "doc:1", "path": "/a"}), "bad_payload"),
        ("mesh/unsubscribe-record", json!({"recordId": 1}), "bad_payload"),
    ];
    let patches = [
        json!({}),
        json!([1]),
        json!([{"op": "jump", "path": "/a"}]),
        json!([{"op": "remove", "path": "/b"}]),
        json!([{"op": "add", "path": "/a/1000000000", "value": 1}]),
        json!([{"op": "remove", "path": ""}]),
        json!([{"op": "add", "path": "/a/x/y", "value": 1}]),
        json!([{"op": "test", "path": "/a", "value": 1}]),
        json!([{"op": "replace", "path": "/__proto__/x", "value": 1}]),
        json!(many),
    ];
    let patches = patches.into_iter().map(patch).map(|(command, payload)| (command, payload, "bad_payload"));
    for (command, payload, code) in cases.into_iter().chain(patches) {
        let refused = client.ask(command, payload.clone()).await;
        assert_eq!(refused["code"], code, "{command} {payload} {refused}");
    }
    let mesh = cluster.mesh(0);
    let refused = mesh.record("doc:1").set(&"x".repeat(1024 * 1024)).await.expect_err("too large");
    assert_eq!(refused.code.as_str(), "too_large");
    let deep = (0..65).fold(json!(1), |inner, _| json!([inner]));
    assert_eq!(mesh.record("doc:1").set(&deep).await.expect_err("too deep").code.as_str(), "bad_payload");
    mesh.record("doc:2").set(&"x".repeat(200 * 1024)).await.expect("the server may");
    let doubled = json!([{"op": "replace", "path": "", "value": ["x".repeat(100 * 1024)]}]);
    client.ask("mesh/patch-record", json!({"recordId": "doc:3", "patch": doubled})).await;
    for size in [2, 3] {
        let copy = json!([{"op": "copy", "from": "/0", "path": "/-"}]);
        let answer = client.ask("mesh/patch-record", json!({"recordId": "doc:3", "patch": copy})).await;
        assert_eq!(answer.get("code").is_some(), size == 3, "256 KiB from a client: {answer}");
    }
    let panics = mesh.record("doc:1").update(|_| panic!("on purpose")).await.expect_err("it panics");
    assert_eq!(panics.code.as_str(), "internal");
    assert_eq!(updates(&mut other).await, [json!(null); 0]);
    mesh.record("doc:1").set(&json!(1)).await.expect("written");
    assert_eq!(updates(&mut other).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_server_updates_by_functions_and_conditions() {
    let (cluster, _) = cluster(2).await;
    let record = cluster.mesh(0).record("doc:1");
    record.update(|now| json!({"was": now.clone()})).await.expect("written");
    record.update(|now| json!({"was": now.clone()})).await.expect("written");
    assert_eq!(record.get::<Value>().await.expect("read"), Some(json!({"was": {"was": null}})));
    let again = cluster.mesh(1).record("doc:1");
    again.compare_and_set(2, &json!(3)).await.expect("it is at 2");
    let conflict = record.compare_and_set(2, &json!(4)).await.expect_err("it is at 3");
    assert_eq!(conflict.code.as_str(), "conflict");
    assert_eq!(conflict.details.expect("details").get(), r#"{"version":3,"record":3}"#);
    record.merge(&json!({"a": {"b": 1}})).await.expect("written");
    record.deep_merge(&json!({"a": {"c": 2}})).await.expect("written");
    assert_eq!(again.get::<Value>().await.expect("read"), Some(json!({"a": {"b": 1, "c": 2}})));
    record.delete().await.expect("removed");
    let gone = again.get_versioned::<Value>().await.expect("read");
    assert_eq!((gone.value, gone.version), (None, 6));
    for n in 0..5 {
        cluster.mesh(0).record(&format!("doc:list:{n}")).set(&n).await.expect("written");
    }
    cluster.mesh(0).record("doc:list:3").delete().await.expect("removed");
    let listed = cluster.mesh(1).records::<u32>("doc:list:", Some("doc:list:0")).await.expect("listed");
    let listed: Vec<_> = listed.iter().map(|(name, it)| (name.as_str(), it.value, it.version)).collect();
    assert_eq!(listed, [("doc:list:1", Some(1), 1), ("doc:list:2", Some(2), 1), ("doc:list:4", Some(4), 1)]);
}

#[tokio::test(start_paused = true)]
async fn hooks_hear_of_each_version_once_on_the_instance_that_wrote_it() {
    let (cluster, log) = cluster(3).await;
    cluster.mesh(0).record("watched:1").set(&json!(1)).await.expect("written");
    cluster.mesh(1).record("watched:1").set(&json!(1)).await.expect("the same");
    let mut client = greeted(&cluster, 2).await;
    client.ask("mesh/publish-record-update", json!({"recordId": "watched:1", "newValue": 2})).await;
    cluster.mesh(1).record("watched:1").delete().await.expect("removed");
    cluster.mesh(1).record("doc:1").set(&json!(1)).await.expect("written");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let log = log.lock().expect("a log").clone();
    assert_eq!(log, ["watched:1 1 1 server", "watched:1 2 2 client", "watched:1 3 removed"]);
}

#[tokio::test(start_paused = true)]
async fn hooks_that_hang_hold_up_writers_rather_than_memory() {
    let begun = Arc::new(AtomicUsize::new(0));
    let counted = begun.clone();
    let hangs = Record::open().on_update(async move |_: RecordChange| {
        counted.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<()>().await;
    });
    let mesh = Mesh::builder().record(any(), hangs).build().await.expect("a server");
    let writing: Vec<_> = (0..3000)
        .map(|n| {
            let mesh = mesh.clone();
            tokio::spawn(async move { mesh.record(&n.to_string()).set(&n).await.map(drop) })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(begun.load(Ordering::SeqCst), 1024);
    // Each is given up after 5 s, and makes room.
    for writing in writing {
        writing.await.expect("a task").expect("written");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(begun.load(Ordering::SeqCst), 3000, "none is left out");
    let names: Vec<_> = (0..16).map(|n| format!("t{n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let write = |tx: &mut mesh_server::Transaction| names.iter().try_for_each(|name| tx.set(name, &1));
    mesh.transaction(&names, write).await.expect("written");
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(begun.load(Ordering::SeqCst), 3016);
}
