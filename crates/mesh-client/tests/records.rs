//! Records: patches are applied, what does not fit is read anew, and a slow watcher sees the newest value.

mod support;

use std::time::Duration;

use mesh_client::patch::{Op, Patch, Pointer};
use mesh_client::{Code, Watch};
use serde_json::{Value, json};
use support::{Link, connected, settle};

const EPOCH: &str = "9b1f0c52d3a87e64";
const OTHER_EPOCH: &str = "0000000000000001";
const SUBSCRIBE: &str = "mesh/subscribe-record";

fn tag(version: u64) -> String {
    format!("{version:08x}")
}

/// The answer to a subscription, or to a question for the record.
fn record(value: Value, version: u64) -> Value {
    json!({"success": true, "record": value, "version": version, "epoch": EPOCH, "tag": tag(version)})
}

fn question(after: Option<u64>) -> Value {
    let mut question = json!({"recordId": "p:1", "mode": "patch"});
    if let Some(version) = after {
        question["after"] = json!({"epoch": EPOCH, "offset": version, "tag": tag(version)});
    }
    question
}

async fn full(link: &mut Link, value: Value, version: u64) {
    let payload = json!({
        "recordId": "p:1", "full": value, "version": version, "tag": tag(version), "epoch": EPOCH,
        "offset": version,
    });
    link.push("mesh/record-update", payload).await;
}

/// `n` becomes the version.
async fn patch(link: &mut Link, from: u64, version: u64) {
    let patch = json!([{"op": "replace", "path": "/n", "value": version}]);
    let payload = json!({
        "recordId": "p:1", "patch": patch, "from": from, "version": version, "tag": tag(version),
        "epoch": EPOCH, "offset": version,
    });
    link.push("mesh/record-update", payload).await;
}

/// What the stream has at once: `{"n":8}@8`.
async fn seen(watch: &mut Watch<Value>) -> Vec<String> {
    settle().await;
    let mut seen = Vec::new();
    while let Ok(event) = tokio::time::timeout(Duration::from_millis(1), watch.next()).await {
        seen.push(match event {
            Some(Ok(event)) => {
                let value = event.value.map_or("none".to_owned(), |value| value.to_string());
                let (own, deleted) =
                    (if event.own { "!" } else { "" }, if event.deleted { " deleted" } else { "" });
                format!("{value}@{}{own}{deleted}", event.version)
            }
            Some(Err(error)) => format!("error {}", error.code()),
            None => {
                seen.push("end".to_owned());
                break;
            }
        });
    }
    seen
}

/// A stream that the server has let in at that version.
async fn watching(client: &mesh_client::Client, link: &mut Link, version: u64) -> Watch<Value> {
    let mut watch = client.record("p:1").watch::<Value>();
    let server = async {
        let id = link.expect(SUBSCRIBE, question(None)).await;
        link.answer(id, record(json!({"n": version}), version)).await;
    };
    tokio::join!(watch.ready(), server).0.expect("let in");
    assert_eq!(seen(&mut watch).await, [format!("{{\"n\":{version}}}@{version}")]);
    watch
}

#[tokio::test(start_paused = true)]
async fn the_value_comes_first_then_patches_are_applied() {
    let (client, _server, mut link) = connected().await;
    let mut watch = watching(&client, &mut link, 7).await;
    patch(&mut link, 7, 8).await;
    patch(&mut link, 8, 9).await;
    full(&mut link, json!({"n": 0}), 12).await;
    patch(&mut link, 12, 13).await;
    assert_eq!(seen(&mut watch).await, ["{\"n\":8}@8", "{\"n\":9}@9", "{\"n\":0}@12", "{\"n\":13}@13"]);
    drop(watch);
    link.expect("mesh/unsubscribe-record", json!({"recordId": "p:1"})).await;
    patch(&mut link, 13, 14).await;
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_record_that_was_never_written_is_none_and_a_deletion_is_told() {
    let (client, _server, mut link) = connected().await;
    let mut watch = client.record("p:1").watch::<Value>();
    assert!(seen(&mut watch).await.is_empty());
    let id = link.expect(SUBSCRIBE, question(None)).await;
    link.answer(id, json!({"success": true, "record": null, "version": 0})).await;
    full(&mut link, json!({"n": 1}), 1).await;
    let deleted = json!({
        "recordId": "p:1", "full": null, "deleted": true, "version": 2, "tag": tag(2), "epoch": EPOCH, "offset": 2,
    });
    link.push("mesh/record-update", deleted).await;
    full(&mut link, json!({"n": 3}), 3).await;
    assert_eq!(seen(&mut watch).await, ["none@0", "{\"n\":1}@1", "none@2 deleted", "{\"n\":3}@3"]);
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn what_arrives_around_the_answer_is_neither_lost_nor_doubled() {
    let (client, _server, mut link) = connected().await;
    let mut watch = client.record("p:1").watch::<Value>();
    assert!(seen(&mut watch).await.is_empty());
    let (id, _) = link.expect_any(SUBSCRIBE).await;
    patch(&mut link, 6, 7).await;
    patch(&mut link, 7, 8).await;
    link.answer(id, record(json!({"n": 7}), 7)).await;
    patch(&mut link, 7, 8).await;
    patch(&mut link, 8, 9).await;
    assert_eq!(seen(&mut watch).await, ["{\"n\":7}@7", "{\"n\":8}@8", "{\"n\":9}@9"]);
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_version_or_a_patch_that_does_not_fit_is_made_good_by_one_question() {
    let (client, _server, mut link) = connected().await;
    let mut watch = watching(&client, &mut link, 7).await;
    patch(&mut link, 8, 9).await;
    patch(&mut link, 9, 10).await;
    let id = link.expect(SUBSCRIBE, question(None)).await;
    link.nothing().await;
    link.answer(id, record(json!({"n": 10}), 10)).await;
    patch(&mut link, 10, 11).await;
    assert_eq!(seen(&mut watch).await, ["{\"n\":10}@10", "{\"n\":11}@11"]);

    let odd = json!({
        "recordId": "p:1", "patch": [{"op": "remove", "path": "/gone"}], "from": 11, "version": 12,
        "tag": tag(12), "epoch": EPOCH, "offset": 12,
    });
    link.push("mesh/record-update", odd).await;
    let id = link.expect(SUBSCRIBE, question(None)).await;
    link.answer(id, record(json!({"n": 12}), 12)).await;
    assert_eq!(seen(&mut watch).await, ["{\"n\":12}@12"]);
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_full_value_makes_good_what_was_missed_before_the_question_is_answered() {
    let (client, _server, mut link) = connected().await;
    let mut watch = watching(&client, &mut link, 7).await;
    patch(&mut link, 8, 9).await;
    let (id, _) = link.expect_any(SUBSCRIBE).await;
    link.answer(id, record(json!({"n": 9}), 9)).await;
    full(&mut link, json!({"n": 9}), 9).await;
    full(&mut link, json!({"n": 20}), 20).await;
    assert_eq!(seen(&mut watch).await, ["{\"n\":9}@9", "{\"n\":20}@20"]);
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn after_a_reconnect_only_what_changed_is_told() {
    let (client, mut server, mut link) = connected().await;
    let mut watch = watching(&client, &mut link, 7).await;
    drop(link);
    let mut link = server.welcome().await;
    let id = link.expect(SUBSCRIBE, question(Some(7))).await;
    let unchanged = json!({"success": true, "unchanged": true, "version": 7, "epoch": EPOCH, "tag": tag(7)});
    link.answer(id, unchanged).await;
    patch(&mut link, 7, 8).await;
    assert_eq!(seen(&mut watch).await, ["{\"n\":8}@8"]);
    drop(link);

    let mut link = server.welcome().await;
    let id = link.expect(SUBSCRIBE, question(Some(8))).await;
    // Its store was lost: another life, with versions that count anew.
    let mut anew = record(json!({"n": 2}), 2);
    anew["epoch"] = json!(OTHER_EPOCH);
    link.answer(id, anew).await;
    assert_eq!(seen(&mut watch).await, ["{\"n\":2}@2"]);
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn an_update_of_a_life_that_is_over_does_not_follow_the_answer_that_it_came_before() {
    let (client, _server, mut link) = connected().await;
    let mut watch = watching(&client, &mut link, 7).await;
    patch(&mut link, 8, 9).await;
    let (id, _) = link.expect_any(SUBSCRIBE).await;
    full(&mut link, json!({"n": 47}), 47).await;
    settle().await;
    let mut anew = record(json!({"n": 3}), 3);
    anew["epoch"] = json!(OTHER_EPOCH);
    link.answer(id, anew).await;
    assert_eq!(seen(&mut watch).await, ["{\"n\":3}@3"]);
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn an_update_of_another_life_is_asked_about_so_that_no_value_goes_back() {
    let (client, _server, mut link) = connected().await;
    let mut watch = watching(&client, &mut link, 7).await;
    let other = |version: u64, value: Value| {
        json!({
            "recordId": "p:1", "full": value, "version": version, "tag": tag(version), "epoch": OTHER_EPOCH,
            "offset": version,
        })
    };
    // The one that is over, still on its way.
    link.push("mesh/record-update", other(47, json!({"n": 47}))).await;
    let id = link.expect(SUBSCRIBE, question(None)).await;
    link.answer(id, record(json!({"n": 7}), 7)).await;
    assert!(seen(&mut watch).await.is_empty());
    // One that begins.
    link.push("mesh/record-update", other(1, json!({"n": 1}))).await;
    let id = link.expect(SUBSCRIBE, question(None)).await;
    let mut anew = record(json!({"n": 1}), 1);
    anew["epoch"] = json!(OTHER_EPOCH);
    link.answer(id, anew).await;
    link.push("mesh/record-update", other(2, json!({"n": 2}))).await;
    assert_eq!(seen(&mut watch).await, ["{\"n\":1}@1", "{\"n\":2}@2"]);
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_calls_unchanged_what_nobody_has_is_not_asked_without_end() {
    let (client, _server, mut link) = connected().await;
    let mut watch = client.record("p:1").watch::<Value>();
    assert!(seen(&mut watch).await.is_empty());
    let (id, _) = link.expect_any(SUBSCRIBE).await;
    let unchanged = json!({"success": true, "unchanged": true, "version": 7, "epoch": EPOCH, "tag": tag(7)});
    link.answer(id, unchanged).await;
    link.nothing().await;
    let (id, _) = link.expect_any(SUBSCRIBE).await;
    link.answer(id, record(json!({"n": 7}), 7)).await;
    assert_eq!(seen(&mut watch).await, ["{\"n\":7}@7"]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_watcher_sees_the_newest_value() {
    let (client, _server, mut link) = connected().await;
    let mut slow = watching(&client, &mut link, 1).await;
    let mut quick = client.record("p:1").watch::<Value>();
    quick.ready().await.expect("let in without a question");
    assert_eq!(seen(&mut quick).await, ["{\"n\":1}@1"]);
    let mut versions = 0;
    for version in 2..=500 {
        patch(&mut link, version - 1, version).await;
        if version % 10 == 0 {
            versions += seen(&mut quick).await.len();
        }
    }
    assert_eq!(versions, 499, "who keeps up sees each version");
    let seen = seen(&mut slow).await;
    assert!(seen.len() <= 16, "{}", seen.len());
    assert_eq!(seen.last().map(String::as_str), Some("{\"n\":500}@500"));
    link.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_ends_the_stream() {
    let (client, _server, mut link) = connected().await;
    let mut watch = client.record("p:1").watch::<Value>().max_rate(5.0);
    let server = async {
        let (id, payload) = link.expect_any(SUBSCRIBE).await;
        assert_eq!(payload["maxRate"], json!(5.0));
        link.fail(id, "forbidden", false).await;
    };
    tokio::join!(watch.ready(), server).0.expect_err("refused");
    assert_eq!(seen(&mut watch).await, ["error forbidden", "end"]);
}

#[tokio::test(start_paused = true)]
async fn each_write_says_what_it_means_and_is_known_again() {
    let (client, _server, mut link) = connected().await;
    let mut watch = watching(&client, &mut link, 7).await;
    let record = client.record("p:1");
    let patch = Patch::new(vec![Op::Remove { path: Pointer::new("/n").expect("a pointer") }]);
    let writes = async {
        assert_eq!(record.set(&json!({"n": 8})).await.expect("written").version, 8);
        record.merge(&json!({"a": 1})).await.expect("written");
        record.deep_merge(&json!({"a": 2})).await.expect("written");
        record.patch(&patch).await.expect("written");
        let sum = record.increment("/n", 2).await.expect("written");
        assert_eq!((sum.value.as_i64(), sum.version), (Some(9), 8));
        record.delete().await.expect("written");
        let error = record.compare_and_set(3, &json!({"n": 0})).await.expect_err("too late");
        assert_eq!(error.code(), &Code::Conflict);
        let conflict = error.conflict().expect("details");
        assert_eq!((conflict.version, conflict.record), (8, json!({"n": 8})));
        let now = record.get::<Value>().await.expect("a value");
        assert_eq!((now.value, now.version), (Some(json!({"n": 8})), 8));
        let error = record.get::<Vec<String>>().await.expect_err("another type");
        assert_eq!(error.code(), &Code::BadPayload);
    };
    let server = async {
        let expected = [
            ("mesh/publish-record-update", json!({"recordId": "p:1", "newValue": {"n": 8}})),
            (
                "mesh/publish-record-update",
                json!({"recordId": "p:1", "newValue": {"a": 1}, "options": {"strategy": "merge"}}),
            ),
            (
                "mesh/publish-record-update",
                json!({"recordId": "p:1", "newValue": {"a": 2}, "options": {"strategy": "deepMerge"}}),
            ),
            ("mesh/patch-record", json!({"recordId": "p:1", "patch": [{"op": "remove", "path": "/n"}]})),
            ("mesh/increment-record", json!({"recordId": "p:1", "path": "/n", "by": 2})),
            ("mesh/delete-record", json!({"recordId": "p:1"})),
        ];
        for (number, (command, payload)) in expected.into_iter().enumerate() {
            let (id, mut got) = link.expect_any(command).await;
            let txn = got.as_object_mut().and_then(|got| got.remove("txn")).expect("a mark");
            assert_eq!(got, payload);
            if number == 0 {
                let push = json!({
                    "recordId": "p:1", "full": {"n": 8}, "version": 8, "tag": tag(8), "epoch": EPOCH,
                    "offset": 8, "txn": txn,
                });
                link.push("mesh/record-update", push).await;
            }
            let answer = json!({"success": true, "version": 8, "epoch": EPOCH, "tag": tag(8), "value": 9});
            link.answer(id, answer).await;
        }
        let (id, got) = link.expect_any("mesh/publish-record-update").await;
        assert_eq!(got["ifVersion"], json!(3));
        let details = json!({"version": 8, "record": {"n": 8}});
        let error = json!({"code": "conflict", "message": "too late", "retryable": true, "details": details});
        link.send(json!({"id": id, "command": "", "error": error})).await;
        for _ in 0..2 {
            let id = link.expect("mesh/get-record", json!({"recordId": "p:1"})).await;
            link.answer(id, self::record(json!({"n": 8}), 8)).await;
        }
    };
    tokio::join!(writes, server);
    assert_eq!(seen(&mut watch).await, ["{\"n\":8}@8!"]);
}

#[tokio::test(start_paused = true)]
async fn what_one_transaction_wrote_is_seen_record_by_record() {
    let (client, _server, mut link) = connected().await;
    let mut watch = watching(&client, &mut link, 7).await;
    let push = |name: &str, version: u64| json!({"recordId": name, "full": version, "version": version, "tag": tag(version), "epoch": EPOCH, "offset": version});
    let updates = json!({"updates": [push("other", 3), push("p:1", 8), 7]});
    link.push("mesh/record-updates", updates).await;
    link.push("mesh/record-updates", json!({"updates": 7})).await;
    assert_eq!(seen(&mut watch).await, ["8@8"]);
    link.nothing().await;
}
