//! Keeps `json!`: it makes the same value as `serde_json::json!`, and it neither moves nor copies the caller's values.

use std::collections::BTreeMap;

use serde_json::to_value;
use tinker_telemetry::{Reporter, Severity, json};

/// Both macros make the same value from a literal.
macro_rules! assert_same {
    ($($literal:tt)+) => { assert_eq!(to_value(json!($($literal)+)).unwrap(), serde_json::json!($($literal)+)) };
}

#[test]
fn literals_are_the_same_as_those_of_serde_json() {
    assert_same!(null);
    assert_same!({});
    assert_same!([]);
    assert_same!({"step": 1200, "loss": 0.4213});
    assert_same!({"step": 1200, "loss": 0.4213,});
    assert_same!([1, "two", 3.5, null, true, [], {}, [null], {"a": null},]);
    assert_same!({"a": {"b": {"c": [1, [2, {"d": null}]]}}, "e": [], "f": {}});
    assert_same!(1 + 2);
    assert_same!("text");
    assert_same!({"null": null, "a \"quoted\" name": '\u{1}', "": ""});
}

#[test]
fn values_are_expressions_of_any_type_that_fits() {
    let (name, list, map) = (String::from("name"), vec![1, 2], BTreeMap::from([("a", 1)]));
    let nested = serde_json::json!({"tree": [1]});
    assert_same!({"len": list.len() + 1, "call": i32::max(1, 2), "list": list, "map": map});
    assert_same!({"if": if list.is_empty() { 1 } else { 2 }, "tree": nested});
    assert_same!([list, map, Some(1), None::<u8>, (1, "a"), -1, !0_u8, Severity::Info]);
    assert_eq!((name.as_str(), list.len()), ("name", 2), "the caller still has its values");
}

#[test]
fn a_value_of_json_can_be_stored_and_logged_twice() {
    let path = String::from("runs/a");
    let data = json!({"path": path, "length": path.len(), "parts": [path.as_str(), null]});
    let reporter = Reporter::disabled();
    assert!(!reporter.log("saved", data, Severity::Info));
    assert!(!reporter.log("saved", data, Severity::Info));
    assert_eq!(
        to_value(data).unwrap(),
        serde_json::json!({"path": path, "length": 6, "parts": [path, null]})
    );
}

#[test]
fn long_literals_stay_within_the_compilers_recursion_limit() {
    macro_rules! tens { ($($name:literal)*) => { json!({$($name: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),*}) }; }
    let value =
        to_value(tens!("a" "b" "c" "d" "e" "f" "g" "h" "i" "j" "k" "l" "m" "n" "o" "p" "q" "r" "s" "t"))
            .unwrap();
    assert_eq!(value.as_object().unwrap().len(), 20);
    assert_eq!(value["t"].as_array().unwrap().len(), 10);
}
