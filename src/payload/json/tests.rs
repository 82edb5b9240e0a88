use std::collections::BTreeMap;
use std::fmt;

use proptest::prelude::*;
use serde::Serializer;
use serde::ser::{Error, SerializeMap, SerializeSeq, SerializeStruct};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;
use crate::process::catch_panic::catch_panic;

fn written(data: &impl Serialize, limit: usize) -> Result<String, RefusalReason> {
    let mut json = Json::after(Box::default(), limit);
    json.write_object(data)?;
    let mut text = Vec::new();
    expand(json.out.bytes(), &mut text).unwrap();
    Ok(String::from_utf8(text).unwrap())
}

/// Another member beside the value makes it an object.
#[derive(Serialize)]
struct Beside<T> {
    before: u8,
    it: T,
}

#[track_caller]
fn assert_same_as_serde_json(it: impl Serialize) {
    let data = Beside { before: 1, it };
    let theirs = serde_json::to_string(&data).map_err(|_| RefusalReason::InvalidData);
    assert_eq!(written(&data, usize::MAX), theirs);
}

#[derive(Serialize)]
enum Kind<'a> {
    Unit,
    Newtype(&'a str),
    Tuple(u8, f64),
    #[serde(rename = "with \"quotes\"")]
    Struct {
        a: i8,
        b: Option<()>,
    },
}

#[derive(Serialize)]
struct Newtype<T>(T);

#[derive(Serialize)]
struct Nothing;

#[derive(Serialize)]
struct Pair(u8, &'static str);

#[derive(Serialize)]
struct Bytes(#[serde(serialize_with = "as_bytes")] Vec<u8>);

fn as_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

#[test]
fn every_kind_of_value_is_written_as_serde_json_does() {
    assert_same_as_serde_json((
        true,
        'x',
        '"',
        "größe",
        "",
        "a\"b\\c/d\n\r\t\u{8}\u{c}\u{0}\u{1f}\u{7f}\u{2028}",
    ));
    assert_same_as_serde_json((u8::MAX, u16::MAX, u32::MAX, u64::MAX, u128::MAX));
    assert_same_as_serde_json((i8::MIN, i16::MIN, i32::MIN, i64::MIN, i128::MIN));
    assert_same_as_serde_json((0.1_f32, f32::MAX, f32::NAN, f32::MIN_POSITIVE));
    assert_same_as_serde_json((0.1, -0.0, 1e300, f64::MAX, f64::MIN_POSITIVE, f64::NAN, f64::NEG_INFINITY));
    assert_same_as_serde_json((None::<u8>, Some(1.5), (), Nothing, Newtype(Newtype(Nothing)), Pair(1, "2")));
    assert_same_as_serde_json([
        Kind::Unit,
        Kind::Newtype("x"),
        Kind::Tuple(1, 2.5),
        Kind::Struct { a: -1, b: None },
    ]);
    assert_same_as_serde_json((
        Vec::<u8>::new(),
        BTreeMap::<u8, u8>::new(),
        Bytes(vec![0, 255]),
        [[[0_u8; 0]; 2]; 2],
    ));
    assert_same_as_serde_json(
        json!({"": {}, "\u{0}": [null, {"a": [1.25e-7, "b"]}], "longer than eight": "\\"}),
    );
    assert_same_as_serde_json(serde_json::from_str::<Box<RawValue>>(r#"{"raw" : [1.0,"\u0000"]}"#).unwrap());
    assert_same_as_serde_json(serde_json::value::to_raw_value(&["\n\t\\\"", "é\u{2028}"]).unwrap());
    assert_same_as_serde_json(format_args!("{}-{:?}", 1, "a\nb"));
}

/// A map with one entry.
struct Key<K>(K);

impl<K: Serialize> Serialize for Key<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(&self.0, "value")?;
        map.end()
    }
}

#[test]
fn every_kind_of_key_is_written_as_serde_json_does() {
    assert_same_as_serde_json((Key("a"), Key('b'), Key("\"\n"), Key(Kind::Unit), Key(Newtype("c"))));
    assert_same_as_serde_json((
        Key(true),
        Key(-1),
        Key(u64::MAX),
        Key(i128::MIN),
        Key(0.1_f32),
        Key(-1.5e300),
    ));
    assert_same_as_serde_json(Key(Newtype(7)));
    assert_same_as_serde_json(Key(format_args!("{}", 1)));
    assert_same_as_serde_json(Key(f64::NAN));
    assert_same_as_serde_json(Key(()));
    assert_same_as_serde_json(Key([1]));
    assert_same_as_serde_json(Key(Kind::Newtype("x")));
    assert_same_as_serde_json(Key(json!({})));
}

fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof!["[a-z_]{0,20}", r"[\x00-\x22\\\PC]{0,12}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0..4_u8).prop_map(|short| Value::from(f64::from(short))),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(text.clone(), inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_value_is_written_as_serde_json_does_and_fits_if_its_text_fits(value in any_json()) {
        let value = if value.is_null() { json!([value]) } else { value }; // by itself it becomes {}, which is shorter
        let text = match &value {
            Value::Object(_) => value.to_string(),
            _ => json!({"value": value}).to_string(),
        };
        prop_assert_eq!(written(&value, text.len()), Ok(text.clone()));
        prop_assert_eq!(written(&value, text.len() - 1), Err(RefusalReason::TooLarge));
    }
}

#[test]
fn floats_that_are_shorter_as_text_fit_if_their_text_fits() {
    for count in 1..400 {
        for float in [0.0, 0.5, -12.25, f64::MAX, f64::NAN] {
            let data = Beside { before: 1, it: vec![float; count] };
            let text = serde_json::to_string(&data).unwrap();
            assert_eq!(written(&data, text.len()), Ok(text.clone()), "{count} of {float}");
            assert_eq!(written(&data, text.len() - 1), Err(RefusalReason::TooLarge), "{count} of {float}");
        }
    }
}

#[test]
fn eight_bytes_at_once_give_the_same_result_as_one_by_one() {
    for byte in 0..=u8::MAX {
        for at in 0..23 {
            for len in at + 1..=23 {
                let mut text = vec![b'~'; len];
                text[at] = byte;
                assert_eq!(is_plain(&text), !is_special(byte), "{byte} at {at} of {len}");
                assert_eq!(
                    plain_len(&text),
                    if is_special(byte) { at } else { len },
                    "{byte} at {at} of {len}"
                );
            }
        }
    }
    assert!(is_plain(b""));
}

/// A list whose code ignores that an element fails.
struct Careless<T>(T);

impl<T: Serialize> Serialize for Careless<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        let _ = list.serialize_element(&self.0);
        list.end()
    }
}

#[test]
fn an_error_that_the_callers_code_ignores_still_refuses_the_value() {
    struct Fails;
    impl Serialize for Fails {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(S::Error::custom("cannot"))
        }
    }
    struct NeverEnds;
    impl Serialize for NeverEnds {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let _ = serializer.serialize_seq(None)?;
            Err(S::Error::custom("never mind"))
        }
    }
    struct Displayed;
    impl fmt::Display for Displayed {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            Err(fmt::Error)
        }
    }
    struct Displays;
    impl Serialize for Displays {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&Displayed)
        }
    }
    for limit in [1_000, usize::MAX] {
        assert_eq!(written(&Careless(Fails), limit), Err(RefusalReason::InvalidData));
        assert_eq!(written(&Careless(NeverEnds), limit), Err(RefusalReason::InvalidData));
        assert_eq!(written(&Careless(Displays), limit), Err(RefusalReason::InvalidData));
        assert_eq!(written(&Careless(Key([1])), limit), Err(RefusalReason::InvalidData));
    }
    assert_eq!(written(&Careless("x".repeat(1_000)), 1_000), Err(RefusalReason::TooLarge));
}

#[test]
fn an_endless_value_takes_little_memory() {
    struct Endless<T>(T);
    impl<T: Serialize> Serialize for Endless<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(std::iter::repeat(&self.0))
        }
    }
    const LIMIT: usize = 1_000;
    let most_memory = |data: &dyn Fn(&mut Json) -> Result<(), RefusalReason>| {
        let mut json = Json::after(Box::default(), LIMIT);
        assert_eq!(data(&mut json), Err(RefusalReason::TooLarge));
        json.out.len() + json.out.room().len()
    };
    assert!(most_memory(&|json| json.write_object(&Endless(0))) < 10 * LIMIT);
    assert!(most_memory(&|json| json.write_object(&Endless(0.5))) < 10 * LIMIT);
    assert!(most_memory(&|json| json.write_object(&Endless("text"))) < 10 * LIMIT);
    assert!(most_memory(&|json| json.write_object(&"x".repeat(LIMIT))) < 2 * LIMIT);
}

#[test]
fn a_struct_that_poses_as_raw_json_cannot_smuggle_in_a_float() {
    #[derive(Serialize)]
    #[serde(rename = "$serde_json::private::RawValue")]
    struct Poses<T> {
        #[serde(rename = "$serde_json::private::RawValue")]
        raw: T,
    }
    assert_eq!(written(&Poses { raw: "\u{1}12345678" }, 100), Err(RefusalReason::InvalidData));
    assert_eq!(written(&Poses { raw: "12345678" }, 100).unwrap(), r#"{"value":12345678}"#);
    assert_eq!(written(&Poses { raw: 1 }, 100), Err(RefusalReason::InvalidData));
    assert_eq!(written(&Poses { raw: ["a"] }, 100), Err(RefusalReason::InvalidData));
    assert_eq!(written(&Poses { raw: 0.5 }, 100), Err(RefusalReason::InvalidData));
}

#[test]
fn the_limit_on_depth_holds_for_raw_json_too() {
    let nested =
        |depth| format!(r#"{{"[[\"[[": [1, "\\"], "in": {}"]["{}}}"#, "[".repeat(depth), "]".repeat(depth));
    let written = |depth| {
        let data = RawValue::from_string(nested(depth)).unwrap();
        (written(&[&data], usize::MAX), written(&data, usize::MAX).map(drop))
    };
    let (as_an_element, alone) = written(MAX_DEPTH - 2);
    serde_json::from_str::<Value>(&as_an_element.unwrap()).unwrap();
    assert_eq!(alone, Ok(()));
    assert_eq!(written(MAX_DEPTH - 1), (Err(RefusalReason::InvalidData), Ok(())));
    assert_eq!(written(100_000).1, Err(RefusalReason::InvalidData));
}

#[test]
fn the_limit_on_size_counts_raw_json_without_escapes() {
    let quotes = serde_json::value::to_raw_value(&vec!["\"\\"; 1_000]).unwrap();
    let text = format!(r#"{{"value":{}}}"#, quotes.get());
    assert_eq!(written(&quotes, text.len()), Ok(text.clone()));
    assert_eq!(written(&quotes, text.len() - 1), Err(RefusalReason::TooLarge));
}

/// What a wrong `Serialize` does with a map.
#[derive(Clone, Copy, Debug)]
enum MapStep {
    Key,
    Value,
    KeyThatPanics,
    ValueThatPanics,
}

#[derive(Debug)]
struct StepwiseMap<'a>(&'a [MapStep]);

struct Panics;

impl Serialize for Panics {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("while serialising, on purpose")
    }
}

impl Serialize for StepwiseMap<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for step in self.0 {
            // It goes on whatever happens.
            let _ = catch_panic(|| match step {
                MapStep::Key => map.serialize_key("key"),
                MapStep::Value => map.serialize_value(&1),
                MapStep::KeyThatPanics => map.serialize_key(&Panics),
                MapStep::ValueThatPanics => map.serialize_value(&Panics),
            });
        }
        map.end()
    }
}

#[test]
fn a_map_is_written_only_if_each_key_has_one_value() {
    use MapStep::{Key, KeyThatPanics, Value, ValueThatPanics};
    assert_eq!(written(&StepwiseMap(&[]), 100).unwrap(), "{}");
    assert_eq!(written(&StepwiseMap(&[Key, Value]), 100).unwrap(), r#"{"key":1}"#);
    assert_eq!(written(&StepwiseMap(&[Key, Value, Key, Value]), 100).unwrap(), r#"{"key":1,"key":1}"#);
    for steps in [
        &[Key][..],
        &[Value],
        &[Key, Key],
        &[Key, Key, Value],
        &[Key, Value, Value],
        &[Key, Value, Key],
        &[Value, Key],
        &[KeyThatPanics],
        &[KeyThatPanics, Value],
        &[KeyThatPanics, Key, Value],
        &[Key, ValueThatPanics],
        &[Key, ValueThatPanics, Value],
        &[Key, ValueThatPanics, Key, Value],
    ] {
        let map = StepwiseMap(steps);
        assert_eq!(written(&map, 100), Err(RefusalReason::InvalidData), "{map:?}");
        assert_eq!(written(&[&map], 100), Err(RefusalReason::InvalidData), "{map:?} in a list");
    }
}

#[test]
fn a_list_or_a_struct_that_goes_on_after_a_panic_is_refused() {
    struct List(bool);
    impl Serialize for List {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut list = serializer.serialize_seq(None)?;
            let _ = catch_panic(|| list.serialize_element(&Panics));
            if self.0 {
                list.serialize_element(&1)?;
            }
            list.end()
        }
    }
    struct Struct(bool);
    impl Serialize for Struct {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut object = serializer.serialize_struct("Struct", 2)?;
            let _ = catch_panic(|| object.serialize_field("panics", &(1, Panics)));
            if self.0 {
                object.serialize_field("next", &1)?;
            }
            object.end()
        }
    }
    for goes_on in [false, true] {
        assert_eq!(written(&List(goes_on), 100), Err(RefusalReason::InvalidData));
        assert_eq!(written(&[List(goes_on)], 100), Err(RefusalReason::InvalidData));
        assert_eq!(written(&Struct(goes_on), 100), Err(RefusalReason::InvalidData));
    }
}

/// Has the name of one of `serde_json`'s own structs, and as many fields as it likes.
struct Poses<'a>(&'a [&'a str]);

impl Serialize for Poses<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("$serde_json::private::RawValue", 1)?;
        for text in self.0 {
            object.serialize_field("$serde_json::private::RawValue", text)?;
        }
        object.end()
    }
}

#[test]
fn a_struct_that_poses_as_raw_json_is_written_only_if_it_is_one_json_text() {
    assert_eq!(written(&Poses(&["[1]"]), 100).unwrap(), r#"{"value":[1]}"#);
    assert_eq!(written(&Key(Poses(&["17"])), 100).unwrap(), r#"{"17":"value"}"#);
    assert_eq!(written(&Key(Poses(&[r#""a\nb""#])), 100).unwrap(), r#"{"a\nb":"value"}"#);
    for fields in [
        &[][..],
        &["1", "2"],
        &[""],
        &["nope"],
        &["1,2"],
        &["1]"],
        &["}, {"],
        &["{} "],
        &[" {}"],
        &["1\n"],
        &["{\"a\"}"],
        &["'a'"],
        &["NaN"],
        &["[1,]"],
    ] {
        assert_eq!(written(&Poses(fields), 100), Err(RefusalReason::InvalidData), "{fields:?}");
        assert_eq!(written(&[Poses(fields)], 100), Err(RefusalReason::InvalidData), "[{fields:?}]");
        assert_eq!(written(&Key(Poses(fields)), 100), Err(RefusalReason::InvalidData), "{{{fields:?}: …}}");
    }
}

#[test]
fn raw_json_that_strict_parsers_refuse_is_refused() {
    let written = |json: &str| written(&RawValue::from_string(json.to_owned()).unwrap(), usize::MAX);
    let digits = "1".repeat(400);
    for json in [
        "1e999",
        "[-1e999]",
        &digits,
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800\ud800""#,
        r#""\ud800\n""#,
        r#""\udc00\ud800""#,
        r#"{"\ud800": 1}"#,
    ] {
        assert_eq!(written(json), Err(RefusalReason::InvalidData), "{json}");
    }
    for json in ["1e-999", "-0.0", "1.7e308", r#""\ud83d\ude00\u0000\/""#, r#"{"\uFFFF" : [ ]}"#] {
        let as_value = if json.starts_with('{') { json.to_owned() } else { format!(r#"{{"value":{json}}}"#) };
        assert_eq!(written(json), Ok(as_value));
    }
}

proptest! {
    #[test]
    fn strict_json_is_what_serde_json_reads_as_a_value(
        value in any_json(),
        cut in any::<prop::sample::Index>(),
        junk in r#"[\[\]{},:" \\/ubfnrt0-9a-fA-FeE+.\-]{0,6}"#,
        soup in r#"[\[\]{},:"\\u0-9d8-9cDeE+.\-]{0,12}"#,
    ) {
        let json = value.to_string();
        let mut at = cut.index(json.len());
        while !json.is_char_boundary(at) {
            at -= 1;
        }
        let spliced = format!("{}{junk}{}", &json[..at], &json[at..]);
        for text in [json, spliced, soup, junk] {
            let is_read = serde_json::from_str::<Value>(&text).is_ok() && text.trim() == text;
            prop_assert_eq!(is_strict(text.as_bytes(), MAX_DEPTH), is_read, "{:?}", text);
        }
    }
}
