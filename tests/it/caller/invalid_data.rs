//! Keeps a batch valid where the data of one event is not JSON: such an event is refused as `invalid_data`.

use serde::ser::{SerializeMap, SerializeSeq, SerializeStruct};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use tinker_telemetry::Severity::Info;
use tinker_telemetry::collector::Collector;

use crate::support::{LIMIT, Panics, assert_adds_up, names, sessionless};

struct KeyWithoutValue;

impl Serialize for KeyWithoutValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_key("key")?;
        map.end()
    }
}

struct TwoKeys;

impl Serialize for TwoKeys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_key("one")?;
        map.serialize_key("two")?;
        map.serialize_value(&1)?;
        map.end()
    }
}

struct ValueWithoutKey;

impl Serialize for ValueWithoutKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_value(&1)?;
        map.end()
    }
}

/// A raw value of `serde_json`, by its name, with a text that is not JSON.
struct NotJson;

impl Serialize for NotJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("$serde_json::private::RawValue", 1)?;
        object.serialize_field("$serde_json::private::RawValue", "{]")?;
        object.end()
    }
}

/// Catches the panic of an element and continues without the element.
struct CatchesPanic;

impl Serialize for CatchesPanic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        let element = std::panic::AssertUnwindSafe(|| list.serialize_element(&Panics));
        let _ = std::panic::catch_unwind(element);
        list.end()
    }
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

#[test]
fn an_event_with_data_that_is_not_json_is_refused_and_the_others_are_delivered() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).start().unwrap();
    assert!(reporter.log("before", (), Info));
    assert!(!reporter.log("a key without a value", KeyWithoutValue, Info));
    assert!(!reporter.log("two keys", [TwoKeys], Info));
    assert!(!reporter.log("a value without a key", Some([ValueWithoutKey]), Info));
    assert!(!reporter.log("not JSON", NotJson, Info));
    assert!(!reporter.log("after a panic", CatchesPanic, Info));
    assert!(!reporter.log("too large a number", raw("[1e999]"), Info));
    assert!(!reporter.log("half a surrogate pair", raw(r#"{"half": "\ud83d"}"#), Info));
    assert!(reporter.log("raw", raw(r#"{"pair": "\ud83d\ude00"}"#), Info));
    assert!(reporter.log("after", (), Info));
    assert!(reporter.stop(LIMIT));
    // The accepted events share one request, and the collector parses it.
    assert_eq!(collector.requests().len(), 1);
    assert_eq!(names(&collector.events()), ["before", "raw", "after"]);
    let stats = reporter.stats();
    assert_adds_up(stats);
    assert_eq!((stats.refused.invalid_data, stats.refused.total(), stats.delivered), (7, 7, 3));
}
