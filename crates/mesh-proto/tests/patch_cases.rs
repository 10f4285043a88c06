//! The cases in `protocol/patches/`, which clients check as well.

mod support;

use std::path::PathBuf;

use mesh_proto::PatchLimits;
use mesh_proto::patch::{Patch, PatchError, apply, diff, diff_of_any_size};
use serde_json::{Value, json};
use support::Random;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../protocol/patches").join(name)
}

fn cases(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(file(name)).expect("the file of cases");
    serde_json::from_str(&text).expect("a list of cases")
}

fn applied(document: &Value, patch: &Value) -> Result<Value, PatchError> {
    let limits = PatchLimits::default();
    apply(document, &Patch::parse(&patch.to_string(), &limits)?, &limits)
}

/// Check the cases of a file, and give how many there were.
fn check(name: &str, left_out: &[&str]) -> usize {
    let mut checked = 0;
    for case in cases(name) {
        let comment = case["comment"].as_str().unwrap_or_default();
        if case.get("patch").is_none() || left_out.contains(&comment) {
            continue;
        }
        let document = case["doc"].clone();
        let found = applied(&document, &case["patch"]);
        if case.get("error").is_some() {
            assert!(found.is_err(), "{case}: {found:?}");
        } else {
            assert_eq!(
                found.as_ref().ok(),
                Some(case.get("expected").unwrap_or(&document)),
                "{case}: {found:?}"
            );
        }
        assert_eq!(document, case["doc"]);
        checked += 1;
    }
    checked
}

#[test]
fn the_cases_of_the_rfc_hold() {
    // Left out, as there: an operation with a member given twice, of which the last one counts here.
    assert_eq!(check("rfc6902/spec_tests.json", &["A.13 Invalid JSON Patch Document"]), 16);
    assert_eq!(check("rfc6902/tests.json", &["duplicate ops"]), 77);
}

#[test]
fn the_cases_that_both_ends_agree_on_hold() {
    assert_eq!(check("apply.json", &[]), 261);
}

const SEED: u64 = 6902;
const DIFFS: usize = 300;

/// Changes between small documents, of which those with a patch that is worth it come first.
fn diffs() -> Vec<Value> {
    let limits = PatchLimits::default();
    let mut random = Random::new(SEED);
    let mut found = Vec::new();
    while found.len() < DIFFS {
        let old = random.document();
        let mut new = old.clone();
        for _ in 0..=random.below(4) {
            random.edit(&mut new);
        }
        let bytes = old.to_string().len() + new.to_string().len();
        let is_worth_it =
            found.len() >= DIFFS / 3 || diff(&old, &new, &limits).is_some_and(|patch| !patch.is_empty());
        if old == new || bytes > 600 || !is_worth_it {
            continue;
        }
        let patch = diff_of_any_size(&old, &new, &limits).expect("within bounds");
        found.push(json!({ "old": old, "patch": patch, "new": new }));
    }
    found
}

#[test]
fn the_changes_that_clients_check_are_what_the_seed_gives() {
    let lines: Vec<String> = diffs().iter().map(Value::to_string).collect();
    let text = format!("[\n{}\n]\n", lines.join(",\n"));
    if std::env::var_os("MESH_PATCH_WRITE").is_some() {
        std::fs::write(file("diffs.json"), &text).expect("written");
    }
    let known = std::fs::read_to_string(file("diffs.json")).unwrap_or_default();
    assert!(known == text, "MESH_PATCH_WRITE=1 writes the file anew; look at it, and commit it");
    for case in cases("diffs.json") {
        assert_eq!(applied(&case["old"], &case["patch"]).as_ref(), Ok(&case["new"]), "{case}");
    }
}
