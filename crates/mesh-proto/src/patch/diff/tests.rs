use serde_json::json;

use super::*;

fn patch(old: &Value, new: &Value) -> Value {
    let patch = diff_of_any_size(old, new, &PatchLimits::default()).expect("within bounds");
    serde_json::to_value(patch).expect("JSON")
}

fn check(old: Value, new: Value, expected: Value) {
    assert_eq!(patch(&old, &new), expected, "{old} {new}");
}

fn replaced(path: &str, value: impl Into<Value>) -> Value {
    json!({ "op": "replace", "path": path, "value": value.into() })
}

fn added(path: &str, value: impl Into<Value>) -> Value {
    json!({ "op": "add", "path": path, "value": value.into() })
}

fn removed(path: &str) -> Value {
    json!({ "op": "remove", "path": path })
}

#[test]
fn the_same_value_has_no_changes() {
    for value in [json!(null), json!(1), json!("a"), json!([1, [2]]), json!({ "a": { "b": [] } })] {
        check(value.clone(), value.clone(), json!([]));
        assert!(diff(&value, &value, &PatchLimits::default()).expect("no bound").is_empty());
    }
}

#[test]
fn members_are_removed_replaced_and_added() {
    let text = "x".repeat(200);
    let old = json!({ "a": 1, "b": { "c": 2, "d": text }, "z": text });
    let new = json!({ "b": { "c": 9, "d": text }, "e": null, "z": text });
    check(old, new, json!([removed("/a"), replaced("/b/c", 9), added("/e", json!(null))]));
    let odd = |x: u32| json!({ "a/b": x, "~": x, "": x, "z": text });
    check(odd(1), odd(2), json!([replaced("/", 2), replaced("/a~1b", 2), replaced("/~0", 2)]));
}

#[test]
fn a_change_of_type_is_one_replacement() {
    check(json!({ "a": { "x": 1, "y": 2 } }), json!({ "a": [1, 2] }), json!([replaced("/a", json!([1, 2]))]));
    check(json!({ "a": [1] }), json!({ "a": { "0": 1 } }), json!([replaced("/a", json!({ "0": 1 }))]));
    for (old, new) in
        [(json!(null), json!([1])), (json!([1]), json!({})), (json!(1), json!("1")), (json!({}), json!(0))]
    {
        check(old, new.clone(), json!([replaced("", new)]));
    }
}

#[test]
fn numbers_that_rust_tells_apart_are_changes() {
    check(json!({ "a": 1 }), json!({ "a": 1.0 }), json!([replaced("/a", 1.0)]));
    let (a, b) = (9_007_199_254_740_992_u64, 9_007_199_254_740_993_u64);
    check(json!([a]), json!([b]), json!([replaced("/0", b)]));
    check(json!([0.0]), json!([-0.0]), json!([]));
}

#[test]
fn the_head_of_a_long_list_goes_in_one_operation() {
    let row = |id: u32| json!({ "id": id, "name": format!("device {id}"), "online": id.is_multiple_of(2) });
    let old: Value = (0..500).map(row).collect();
    let new: Value = (1..500).map(row).collect();
    check(old.clone(), new.clone(), json!([removed("/0")]));
    check(new, old, json!([added("/0", row(0))]));
}

#[test]
fn a_window_that_slides_is_two_operations() {
    let old: Value = (0..5000).map(Value::from).collect();
    let new: Value = (1..5001).map(Value::from).collect();
    check(old, new, json!([removed("/0"), added("/4999", 5000)]));
}

#[test]
fn each_edit_of_a_list_is_one_operation() {
    let row = |id: u32| json!({ "id": id, "name": format!("device {id}"), "tags": ["a", "b", "c"] });
    let rows: Vec<Value> = (0..100).map(row).collect();
    let mut edited = rows.clone();
    edited[90]["name"] = json!("another");
    edited.insert(60, row(1000));
    edited.drain(40..42);
    edited.remove(10);
    edited.insert(0, row(1001));
    check(
        rows.into(),
        edited.into(),
        json!([
            removed("/41"),
            removed("/40"),
            removed("/10"),
            added("/0", row(1001)),
            added("/58", row(1000)),
            replaced("/89/name", "another"),
        ]),
    );
}

#[test]
fn a_part_that_changed_all_over_is_replaced() {
    let old = json!({ "a": (0..20).collect::<Vec<_>>(), "b": "x".repeat(1000) });
    let new = json!({ "a": (50..70).collect::<Vec<_>>(), "b": "x".repeat(1000) });
    check(old, new.clone(), json!([replaced("/a", new["a"].clone())]));
}

#[test]
fn a_value_that_is_smaller_in_full_is_not_patched() {
    let limits = PatchLimits::default();
    let full = |old: Value, new: Value| diff(&old, &new, &limits).is_none();
    assert!(full(json!({ "a": 1 }), json!({ "a": 2 })));
    assert!(full(json!(1), json!(2)));
    assert!(full(json!(null), json!({})));
    assert!(full(json!([1, 2, 3]), json!({ "a": "x".repeat(1000) })));
    let text = "x".repeat(100);
    assert!(!full(json!({ "a": 1, "b": text }), json!({ "a": 2, "b": text })));
    // At the same size, full is what every reader takes.
    let (old, change) = (json!({ "a": 1 }), json!([replaced("/a", 2)]));
    let pad = change.to_string().len() - json!({ "a": 2, "b": "" }).to_string().len();
    let with = |a: u32, pad: usize| json!({ "a": a, "b": "x".repeat(pad) });
    assert_eq!(old["a"], with(1, 0)["a"]);
    assert!(full(with(1, pad), with(2, pad)));
    assert!(!full(with(1, pad + 1), with(2, pad + 1)));
}

#[test]
fn too_many_operations_say_a_larger_part_at_once() {
    let limits = PatchLimits { ops_max: 10, ..PatchLimits::default() };
    let rows = |x: u32| -> Value {
        (0..20).map(|id| json!({ "name": "x".repeat(100), "id": id, "x": x })).collect()
    };
    let with = |x: u32| json!({ "a": x, "b": "x".repeat(1000), "rows": rows(x), "z": x });
    let (old, new) = (with(1), with(2));
    let patch = diff_of_any_size(&old, &new, &limits).expect("a patch");
    let paths: Vec<Value> =
        patch.ops().iter().map(|op| serde_json::to_value(op).expect("JSON")["path"].clone()).collect();
    assert_eq!(paths, ["/a", "/rows", "/z"]);
}

#[test]
fn the_last_operation_allowed_is_used() {
    let object = |x: usize, len: usize| -> Value {
        let members = (0..len).map(|at| (at.to_string(), json!(x)));
        members.chain([("text".to_owned(), json!("x".repeat(2000)))]).collect::<Map<_, _>>().into()
    };
    let limits = PatchLimits { ops_max: 10, ..PatchLimits::default() };
    for (changes, expected) in [(9, 9), (10, 10), (11, 1)] {
        let patch = diff_of_any_size(&object(1, changes), &object(2, changes), &limits).expect("a patch");
        assert_eq!(patch.ops().len(), expected);
    }
}

#[test]
fn paths_too_long_say_a_larger_part_at_once_and_too_deep_ones_nothing() {
    let limits = PatchLimits { depth_max: 3, path_bytes_max: 10, ..PatchLimits::default() };
    let said =
        |old: Value, new: Value| serde_json::to_value(diff_of_any_size(&old, &new, &limits)).expect("JSON");
    let deep = |x: u32| json!({ "a": { "b": { "c": x } }, "d": 1 });
    assert_eq!(said(deep(1), deep(2)), json!([replaced("/a/b/c", 2)]));
    let long = |x: u32| json!({ "a": { "a name that is long": x } });
    assert_eq!(said(long(1), long(2)), json!([replaced("/a", json!({ "a name that is long": 2 }))]));
    let too_deep = |x: u32| json!({ "a": { "b": { "c": { "d": x } } } });
    assert_eq!(said(too_deep(1), too_deep(2)), json!(null), "what it would put in place is too deep");
    let gone = json!({ "a": { "b": { "c": {} } } });
    assert_eq!(said(too_deep(1), gone), json!(null), "a reader would refuse the path");
}

/// What comparing takes, however bad the values are: the steps, where they were enough.
fn steps(old: &Value, new: &Value) -> Option<usize> {
    let limits = PatchLimits::default();
    let draft = Draft::of(old, new, &limits)?;
    Some(limits.steps_max - draft.steps.left())
}

#[test]
fn large_values_take_steps_in_proportion() {
    let row = |id: u32, x: u32| json!({ "id": id, "x": x });
    for rows in [1000, 10_000] {
        let values = 6 * rows as usize;
        let old: Value = (0..rows).map(|id| row(id, 1)).collect();
        let all: Value = (0..rows).map(|id| row(id, 2)).collect();
        let slid: Value = (10..rows + 10).map(|id| row(id, 1)).collect();
        let turned: Value = (0..rows).rev().map(|id| row(id, 1)).collect();
        for new in [&old, &all, &slid, &turned] {
            let taken = steps(&old, new).expect("enough");
            assert!(taken < 4 * values, "{taken} steps for {values} values");
        }
        let limits = PatchLimits::default();
        let draft = Draft::of(&old, &all, &limits).expect("enough");
        assert!(draft.cells_left >= limits.cells_max - 1, "nothing is searched where nothing stayed");
    }
}

#[test]
fn nested_lists_that_differ_at_each_level_stay_within_the_bound() {
    // Each level is compared, hashed and walked into, so that what is innermost is met again and again.
    let nested = |x: u32, leaves: u32| {
        let leaf: Value = (0..leaves).map(|leaf| json!(leaf * 10 + x)).collect();
        (0..62).fold(leaf, |inner, level| json!([level * 10 + x, inner, level * 10 + x]))
    };
    assert!(steps(&nested(1, 1000), &nested(2, 1000)).is_some());
    assert_eq!(steps(&nested(1, 60_000), &nested(2, 60_000)), None);
    assert_eq!(diff(&nested(1, 60_000), &nested(2, 60_000), &PatchLimits::default()), None);
}

#[test]
fn a_bound_on_steps_is_kept_at_every_step() {
    let old = json!({ "a": [1, 2, { "b": [1, 2, 3] }, "x"], "c": { "d": "y" }, "e": 1 });
    let new = json!({ "a": [2, { "b": [1, 3] }, "x", 5], "c": { "d": "z" }, "f": 1 });
    let mut limits = PatchLimits::default();
    let expected = diff_of_any_size(&old, &new, &limits).expect("a patch");
    let needed = (0..1000).find(|steps| {
        limits.steps_max = *steps;
        diff_of_any_size(&old, &new, &limits).is_some_and(|patch| patch == expected)
    });
    assert!((20..200).contains(&needed.expect("enough")), "{needed:?}");
}

#[test]
fn many_lists_share_the_bound_on_cells() {
    // The same items in another order, so that each list alone would take half a million cells.
    let list = |turned: bool| -> Value {
        let item = |at: u32| json!(if turned { 1000 - at } else { at });
        (0..1000).map(item).collect()
    };
    let lists = |turned: bool| -> Value {
        (0..50).map(|at| (at.to_string(), list(turned))).collect::<Map<_, _>>().into()
    };
    let (old, new, limits) = (lists(false), lists(true), PatchLimits::default());
    let draft = Draft::of(&old, &new, &limits).expect("enough steps");
    assert!(draft.cells_left < 10, "{}", draft.cells_left);
}
