//! Random documents and edits, against `json-patch` as the oracle.
//!
//! `MESH_PATCH_CASES=1000000 cargo test --release -p mesh-proto --test patch_random` tries more of them, and
//! `MESH_PATCH_SEED=7` only one document; `MESH_PATCH_FROM=1000` is the first seed (0). `MESH_PATCH_LINES=path` writes them
//! down, a line each, for `MESH_PATCH_LINES=path npm test -- test/patch` of the client; `cargo xtask patches` does both.

mod support;

use std::fs::File;
use std::io::{BufWriter, Write};

use mesh_proto::PatchLimits;
use mesh_proto::patch::{Op, Patch, apply, diff, diff_of_any_size, equal};
use serde_json::{Value, json};
use support::Random;

/// How many versions a document goes through.
const VERSIONS: u64 = 10;

/// The seeds of as many documents as have so many versions together: `MESH_PATCH_CASES`, or what takes a few seconds.
fn seeds() -> std::ops::Range<u64> {
    let read = |name| std::env::var(name).ok().map(|value| value.parse::<u64>().expect("a number"));
    match read("MESH_PATCH_SEED") {
        Some(seed) => seed..seed + 1,
        None => {
            let from = read("MESH_PATCH_FROM").unwrap_or(0);
            from..from + read("MESH_PATCH_CASES").unwrap_or(10_000).div_ceil(VERSIONS)
        }
    }
}

/// The patch as it arrives at a client.
fn sent(patch: &Patch) -> Patch {
    let text = serde_json::to_string(patch).expect("JSON");
    let arrived = Patch::parse(&text, &PatchLimits::default()).expect("a patch");
    assert_eq!(&arrived, patch, "{text}");
    arrived
}

fn theirs(document: &Value, patch: &Value) -> Option<Value> {
    let patch: json_patch::Patch = serde_json::from_value(patch.clone()).ok()?;
    let mut document = document.clone();
    // Not `patch`, which panics where it cannot undo a move.
    json_patch::patch_unsafe(&mut document, &patch).ok().map(|()| document)
}

#[test]
fn who_applies_patches_has_the_stored_value_at_every_version() {
    let limits = PatchLimits::default();
    let mut lines = std::env::var_os("MESH_PATCH_LINES")
        .map(|path| BufWriter::new(File::create(path).expect("a file that can be written")));
    let (mut patched, mut in_full, mut our_bytes, mut their_bytes) = (0u64, 0u64, 0, 0);
    for seed in seeds() {
        let mut random = Random::new(seed);
        let mut stored = random.document();
        // One reader gets what is smaller, one gets patches alone, one is another library.
        let (mut reader, mut purist, mut oracle) = (stored.clone(), stored.clone(), stored.clone());
        for version in 1..=VERSIONS {
            let old = stored.clone();
            for _ in 0..=random.below(3) {
                random.edit(&mut stored);
            }
            let at = || format!("seed {seed}, version {version}: {old} to {stored}");

            let patch = diff_of_any_size(&old, &stored, &limits).unwrap_or_else(|| panic!("{}", at()));
            assert!(
                patch
                    .ops()
                    .iter()
                    .all(|op| matches!(op, Op::Add { .. } | Op::Remove { .. } | Op::Replace { .. }))
            );
            assert_eq!(patch.is_empty(), old == stored, "{}", at());
            purist =
                apply(&purist, &sent(&patch), &limits).unwrap_or_else(|error| panic!("{error}: {}", at()));
            let sent_json = serde_json::to_value(&patch).expect("JSON");
            oracle = theirs(&oracle, &sent_json).unwrap_or_else(|| panic!("{sent_json}: {}", at()));

            if let Some(lines) = &mut lines {
                let line = json!({ "old": old, "patch": patch, "new": stored });
                writeln!(lines, "{line}").expect("written");
            }

            let bytes = serde_json::to_vec(&patch).expect("JSON").len();
            let full_bytes = serde_json::to_vec(&stored).expect("JSON").len();
            reader = if let Some(patch) = diff(&old, &stored, &limits) {
                assert!(bytes < full_bytes || patch.is_empty(), "{}", at());
                patched += 1;
                apply(&reader, &sent(&patch), &limits).unwrap_or_else(|error| panic!("{error}: {}", at()))
            } else {
                assert!(bytes >= full_bytes, "{sent_json}: {}", at());
                in_full += 1;
                stored.clone()
            };

            let their_patch = serde_json::to_value(json_patch::diff(&old, &stored)).expect("JSON");
            (our_bytes, their_bytes) = (our_bytes + bytes, their_bytes + their_patch.to_string().len());
            let their_patch = serde_json::from_value(their_patch).expect("a patch");
            assert_eq!(apply(&old, &their_patch, &limits).as_ref(), Ok(&stored), "{}", at());

            assert_eq!(reader, stored, "{}", at());
            assert_eq!(purist, stored, "{}", at());
            assert_eq!(oracle, stored, "{}", at());
            assert!(equal(&reader, &stored));
        }
    }
    println!("{patched} patched, {in_full} in full; {our_bytes} bytes of patches, json-patch {their_bytes}");
    assert!(our_bytes < their_bytes, "{our_bytes} {their_bytes}");
    assert!(patched > in_full / 4 && in_full > patched / 100, "{patched} patched, {in_full} in full");
}

/// What the oracle does otherwise, by rules that are written down here: see `apply` and the module.
fn is_known_to_differ(patch: &Value) -> bool {
    patch.as_array().into_iter().flatten().any(|op| {
        let text = |member| op[member].as_str().unwrap_or_default();
        let is_root_removed = matches!((text("op"), text("path")), ("remove", "")) || op["from"] == "";
        let is_moved_in_place = text("op") == "move" && text("path").starts_with(text("from"));
        is_root_removed || is_moved_in_place
    })
}

/// The same with all numbers as floats, where the oracle's rule for `test`, `==`, and ours are one.
fn in_floats(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().into(),
        Value::Array(items) => items.iter().map(in_floats).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), in_floats(value))).collect()
        }
        other => other.clone(),
    }
}

#[test]
fn operations_of_applications_do_what_another_library_does() {
    let limits = PatchLimits::default();
    let (mut applied, mut refused) = (0u64, 0u64);
    for seed in seeds() {
        let mut random = Random::new(seed);
        let document = in_floats(&random.document());
        for _ in 0..VERSIONS {
            let patch = in_floats(&random.operations(&document));
            if is_known_to_differ(&patch) {
                continue;
            }
            let parsed =
                Patch::parse(&patch.to_string(), &limits).unwrap_or_else(|error| panic!("{error}: {patch}"));
            let ours = apply(&document, &parsed, &limits);
            assert_eq!(
                ours.as_ref().ok(),
                theirs(&document, &patch).as_ref(),
                "seed {seed}: {patch} {document} {ours:?}"
            );
            *(if ours.is_ok() { &mut applied } else { &mut refused }) += 1;
        }
    }
    println!("{applied} applied, {refused} refused");
    assert!(applied > refused / 4 && refused > applied / 20, "{applied} applied, {refused} refused");
}
