use std::collections::BTreeMap;

use serde::Serializer;
use serde::ser::Error;
use serde_json::json;

use super::*;
use crate::payload::json::{MAX_DEPTH, expand};

const LIMIT: usize = 64;

fn text(data: impl Serialize) -> Result<String, RefusalReason> {
    let expanded = |json: Box<Buffer>| {
        let mut text = Vec::new();
        expand(json.bytes(), &mut text).unwrap();
        String::from_utf8(text).unwrap()
    };
    encode(|_| (), &data, LIMIT).map(expanded)
}

#[test]
fn an_object_stays_nothing_becomes_an_empty_object_and_all_else_a_value() {
    assert_eq!(text(json!({"a": 1, "none": null})).unwrap(), r#"{"a":1,"none":null}"#);
    assert_eq!(text(()).unwrap(), "{}");
    assert_eq!(text(None::<u8>).unwrap(), "{}");
    assert_eq!(text(3).unwrap(), r#"{"value":3}"#);
    assert_eq!(text("null").unwrap(), r#"{"value":"null"}"#);
    assert_eq!(text(["x"]).unwrap(), r#"{"value":["x"]}"#);
    assert_eq!(text(BTreeMap::from([(1, 2)])).unwrap(), r#"{"1":2}"#);
}

#[test]
fn a_float_that_json_does_not_have_becomes_null() {
    let data = BTreeMap::from([("inf", f64::INFINITY), ("nan", f64::NAN)]);
    assert_eq!(text(data).unwrap(), r#"{"inf":null,"nan":null}"#);
    for alone in [f64::NAN, f32::INFINITY.into()] {
        assert_eq!(text(alone).unwrap(), r#"{"value":null}"#, "it is something");
    }
    assert_eq!(text(f32::NAN).unwrap(), r#"{"value":null}"#);
}

#[test]
fn the_limit_is_exact_and_an_endless_value_is_refused_at_it() {
    let fits = "x".repeat(LIMIT - r#"{"value":""}"#.len());
    assert_eq!(text(&fits).unwrap().len(), LIMIT);
    assert_eq!(text(fits + "x"), Err(RefusalReason::TooLarge));

    struct Endless;
    impl Serialize for Endless {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(std::iter::repeat(0))
        }
    }
    assert_eq!(text(Endless), Err(RefusalReason::TooLarge));
}

#[test]
fn data_that_fails_or_panics_is_invalid_and_later_data_is_not() {
    struct Fails;
    impl Serialize for Fails {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(S::Error::custom("cannot"))
        }
    }
    struct Panics;
    impl Serialize for Panics {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("while serialising, on purpose")
        }
    }
    assert_eq!(text(Fails), Err(RefusalReason::InvalidData));
    assert_eq!(text(BTreeMap::from([((1, 2), 3)])), Err(RefusalReason::InvalidData));
    assert_eq!(text(Panics), Err(RefusalReason::InvalidData));
    assert_eq!(text(1).unwrap(), r#"{"value":1}"#);
}

#[test]
fn data_nested_too_deep_is_invalid_and_siblings_do_not_add_up() {
    /// Endless lists in lists: encoding all of it would overflow the stack.
    struct Bottomless;
    impl Serialize for Bottomless {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq([Bottomless])
        }
    }
    let encode = |data: &dyn Fn() -> serde_json::Value| {
        encode(|_| (), &data(), 10_000).map(|json| json.bytes().to_vec())
    };
    let nested = |depth| (1..depth).fold(json!([]), |inner, _| json!([inner]));
    let deepest = encode(&|| nested(MAX_DEPTH)).unwrap();
    serde_json::from_slice::<serde_json::Value>(&deepest).unwrap();
    assert_eq!(encode(&|| nested(MAX_DEPTH + 1)), Err(RefusalReason::InvalidData));
    let bottomless = super::encode(|_| (), &Bottomless, usize::MAX);
    assert_eq!(bottomless.map(drop), Err(RefusalReason::InvalidData));
    assert!(encode(&|| json!(vec![json!({}); 1_000])).is_ok());
    assert!(encode(&|| json!(vec![json!([]); 1_000])).is_ok());
}

#[test]
fn data_that_encodes_other_data_while_it_is_encoded_is_refused_as_reentrant() {
    struct Nested;
    impl Serialize for Nested {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&format_args!("{:?}", text(1)))
        }
    }
    assert_eq!(text(Nested).unwrap(), r#"{"value":"Err(Reentrant)"}"#);
}
