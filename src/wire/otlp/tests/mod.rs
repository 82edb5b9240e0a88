//! The types that are generated from the official files read what is written, and have in it what went in.

mod document;

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs};
use proptest::prelude::*;
use prost::Message;
use serde_json::{Map, Value, json};

use super::value::MAX_LEVELS;
use super::*;

const SESSION: &str = "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64";
const PROCESS: &str = "1e9fef80-a3b9-4c25-999e-bc34a9a067b0";
const ID: &str = "e680b1db-f29e-4281-bf51-8f8e4dafdc7c";

fn read(batch_json: &[u8]) -> ResourceLogs {
    let resource = Resource::new(Vec::new(), PROCESS);
    let body = transcode(batch_json, SESSION, &resource);
    let mut request = ExportLogsServiceRequest::decode(&*body).unwrap();
    assert_eq!(request.encoded_len(), body.len(), "it has no field that the official types do not know");
    assert_eq!(request.resource_logs.len(), 1);
    request.resource_logs.remove(0)
}

fn records(batch_json: &[u8]) -> Vec<LogRecord> {
    let mut logs = read(batch_json);
    assert_eq!(logs.scope_logs.len(), 1);
    logs.scope_logs.remove(0).log_records
}

fn record(event: &str) -> LogRecord {
    let mut records = records(event.as_bytes());
    assert_eq!(records.len(), 1);
    records.remove(0)
}

/// The record of a generic event with this data.
fn with_data(data: &str) -> LogRecord {
    record(&format!(
        r#"{{"event":"GENERIC_EVENT","event_id":"{ID}","event_session_index":7,"severity":"INFO","timestamp":"2026-11-23T16:17:23.832966Z","event_name":"step","event_data":{data}}}"#
    ))
}

/// Attributes by their keys, which are unique.
fn by_key(attributes: Vec<KeyValue>) -> BTreeMap<String, any_value::Value> {
    let count = attributes.len();
    let of_attribute =
        |attribute: KeyValue| (attribute.key, attribute.value.unwrap().value.unwrap_or_else(empty));
    let by_key: BTreeMap<_, _> = attributes.into_iter().map(of_attribute).collect();
    assert_eq!(by_key.len(), count, "a key is there twice");
    by_key
}

/// Stands for the empty value, which no other value of these tests is.
fn empty() -> any_value::Value {
    any_value::Value::BytesValue(Vec::new())
}

/// The attributes that come from the data.
fn data(record: LogRecord) -> BTreeMap<String, any_value::Value> {
    let mut attributes = by_key(record.attributes);
    for key in ["log.record.uid", "tinker.event.index"] {
        assert!(attributes.remove(key).is_some(), "{key}");
    }
    attributes
}

fn text(text: &str) -> any_value::Value {
    any_value::Value::StringValue(text.to_owned())
}

fn int(int: i64) -> any_value::Value {
    any_value::Value::IntValue(int)
}

/// The same value as JSON.
fn as_json(value: &any_value::Value) -> Value {
    use any_value::Value as Any;
    match value {
        Any::StringValue(text) => json!(text),
        Any::BoolValue(value) => json!(value),
        Any::IntValue(value) => json!(value),
        Any::DoubleValue(value) => json!(value),
        Any::ArrayValue(list) => list.values.iter().map(of_any).collect(),
        Any::KvlistValue(object) => Value::Object(as_object(&object.values)),
        Any::BytesValue(_) => Value::Null,
        Any::StringValueStrindex(_) => panic!("{value:?} is for profiles alone"),
    }
}

fn of_any(value: &AnyValue) -> Value {
    value.value.as_ref().map_or(Value::Null, as_json)
}

fn as_object(members: &[KeyValue]) -> Map<String, Value> {
    let of_member = |member: &KeyValue| (member.key.clone(), of_any(member.value.as_ref().unwrap()));
    let object: Map<_, _> = members.iter().map(of_member).collect();
    assert_eq!(object.len(), members.len(), "a key is there twice");
    object
}

/// The same value with the numbers that OTLP has.
fn in_otlp(value: Value) -> Value {
    match value {
        Value::Number(number) if number.as_i64().is_none() => json!(number.as_f64().unwrap()),
        Value::Array(list) => list.into_iter().map(in_otlp).collect(),
        Value::Object(object) => object.into_iter().map(|(key, value)| (key, in_otlp(value))).collect(),
        value => value,
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        (0..300_usize).prop_map(|len| Value::from("x".repeat(len))),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            any_object(inner).prop_map(Value::from),
        ]
    })
}

fn any_object(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map("data\\.|session|.{0,5}", value, 0..6)
        .prop_map(|members| members.into_iter().filter(|(key, _)| !key.is_empty()).collect())
}

proptest! {
    #[test]
    fn events_are_equal_after_the_official_types_read_them(
        events in prop::collection::vec((any::<String>(), any_object(any_json()), 0..5_usize, any::<u32>()), 1..4),
    ) {
        let severities = [("DEBUG", 5), ("INFO", 9), ("WARNING", 13), ("ERROR", 17), ("CRITICAL", 21)];
        let batch: Vec<_> = events
            .iter()
            .map(|(name, data, severity, index)| {
                json!({
                    "event": "GENERIC_EVENT", "event_id": ID, "event_session_index": index,
                    "severity": severities[*severity].0, "timestamp": "2026-11-23T16:17:23.832966Z",
                    "event_name": name, "event_data": data,
                }).to_string()
            })
            .collect();
        let records = records(batch.join(",").as_bytes());
        prop_assert_eq!(records.len(), events.len());
        for (record, (name, data, severity, index)) in records.into_iter().zip(events) {
            prop_assert_eq!(record.time_unix_nano, 1_795_450_643_832_966_000);
            prop_assert_eq!(record.observed_time_unix_nano, record.time_unix_nano);
            prop_assert_eq!(record.severity_number, severities[severity].1);
            prop_assert_eq!(record.severity_text, severities[severity].0);
            prop_assert_eq!(&record.event_name, &name);
            prop_assert_eq!(record.body.unwrap().value, Some(text(&name)));
            let mut attributes = as_object(&record.attributes);
            prop_assert_eq!(attributes.remove("log.record.uid"), Some(json!(ID)));
            prop_assert_eq!(attributes.remove("tinker.event.index"), Some(json!(index)));
            prop_assert_eq!(Value::Object(attributes), in_otlp(Value::Object(data)));
        }
    }
}

#[test]
fn what_a_process_is_stands_in_the_resource_and_the_programs_own_attributes_win() {
    let all = by_key(read(b"").resource.unwrap().attributes);
    let keys = ["os.type", "service.instance.id", "service.name", "session.id"];
    let sdk = ["telemetry.sdk.language", "telemetry.sdk.name", "telemetry.sdk.version"];
    assert!(all.keys().eq(keys.iter().chain(&sdk)), "{all:?}");
    assert_eq!(all["service.instance.id"], text(PROCESS));
    assert_eq!(all["session.id"], text(SESSION));
    let any_value::Value::StringValue(service) = &all["service.name"] else { panic!("{all:?}") };
    assert!(service.starts_with("unknown_service:tinker_telemetry"), "{service}");

    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let own = vec![
        pair("service.name", "first"),
        pair("host.name", "a"),
        pair("session.id", "x"),
        pair("service.name", "trainer"),
    ];
    let body = transcode(b"", SESSION, &Resource::new(own, PROCESS));
    let mut logs = ExportLogsServiceRequest::decode(&*body).unwrap().resource_logs;
    let all = by_key(logs.remove(0).resource.unwrap().attributes);
    assert_eq!((&all["service.name"], &all["host.name"]), (&text("trainer"), &text("a")));
    assert_eq!(all["session.id"], text(SESSION));
}

#[test]
fn the_scope_is_this_library() {
    let scope = read(b"").scope_logs.remove(0).scope.unwrap();
    assert_eq!((&*scope.name, &*scope.version), ("tinker-telemetry", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_session_starts_and_ends_by_the_conventions_names() {
    let start = record(&format!(
        r#"{{"event":"SESSION_START","event_id":"{ID}","event_session_index":0,"severity":"INFO","timestamp":"1970-01-01T00:00:00.000001Z"}}"#
    ));
    assert_eq!((&*start.event_name, start.time_unix_nano), ("session.start", 1_000));
    assert!(data(start).is_empty());
    let end = record(&format!(
        r#"{{"event":"SESSION_END","event_id":"{ID}","event_session_index":3,"severity":"INFO","timestamp":"9999-12-31T23:59:59.999999Z","duration":"1:00:01.500000"}}"#
    ));
    assert_eq!((&*end.event_name, end.time_unix_nano), ("session.end", u64::MAX));
    let duration = any_value::Value::DoubleValue(3601.5);
    assert_eq!(data(end), BTreeMap::from([("tinker.session.duration".to_owned(), duration)]));
}

#[test]
fn an_exception_has_its_type_its_message_and_its_stack() {
    let exception = record(&format!(
        r#"{{"event":"UNHANDLED_EXCEPTION","event_id":"{ID}","event_session_index":3,"severity":"CRITICAL","timestamp":"2026-11-23T16:17:23.832966Z","error_type":"std::io::Error","error_message":"no \"file\"","traceback":"a\nb"}}"#
    ));
    assert_eq!((&*exception.event_name, exception.severity_number), ("exception", 21));
    let attributes = data(exception);
    assert_eq!(attributes["exception.type"], text("std::io::Error"));
    assert_eq!(attributes["exception.message"], text("no \"file\""));
    assert_eq!(attributes["exception.stacktrace"], text("a\nb"));
    assert_eq!(attributes.len(), 3);
}

#[test]
fn a_key_that_is_taken_gets_a_prefix_and_of_two_values_the_last_counts() {
    let record = with_data(
        r#"{"session.id":1,"log.record.uid":[],"tinker.event.index":{},"":"","a":{"x":1,"y":2,"x":3},"a":4,"b":{"x":1,"":2,"x":3,"":6},"data.session.id":5}"#,
    );
    let attributes = as_object(&record.attributes);
    assert_eq!(
        attributes.into_iter().filter(|(key, _)| !key.contains("r.")).collect::<Value>(),
        json!({
            "data.": "", "data.session.id": 5, "data.log.record.uid": [],
            "a": 4, "b": {"": 6, "x": 3}, "log.record.uid": ID,
        }),
    );
}

#[test]
fn an_object_with_many_members_keeps_the_last_of_each_key() {
    let members: Vec<_> = (0..2_000).map(|at| format!(r#""key{}":{at}"#, at % 1_500)).collect();
    let attributes = data(with_data(&format!("{{{}}}", members.join(","))));
    assert_eq!(attributes.len(), 1_500);
    assert_eq!((&attributes["key499"], &attributes["key500"]), (&int(1_999), &int(500)));
}

#[test]
fn hex_digits_of_valid_ids_become_the_records_own_ids_and_others_stay_attributes() {
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let record = with_data(&format!(r#"{{"trace_id":"{trace}","span_id":"00f067aa0ba902b7","step":1}}"#));
    assert_eq!(record.trace_id[..3], [0x4b, 0xf9, 0x2f]);
    assert_eq!((record.trace_id.len(), &*record.span_id), (16, &0x00f0_67aa_0ba9_02b7_u64.to_be_bytes()[..]));
    assert_eq!(data(record), BTreeMap::from([("step".to_owned(), int(1))]));
    for other in [
        r#""+bf92f3577b34da6a3ce929d0e0e4736""#,
        r#""4bf92f35""#,
        r#""00000000000000000000000000000000""#,
        "17",
        "{}",
    ] {
        let record = with_data(&format!(r#"{{"trace_id":{other},"span_id":{other}}}"#));
        assert!(record.trace_id.is_empty() && record.span_id.is_empty(), "{other}");
        assert_eq!(data(record).len(), 2, "{other}");
    }
}

#[test]
fn every_depth_is_read_and_what_is_deeper_than_the_limit_is_text() {
    for depth in 1..=100 {
        let [objects, lists] = [("{\"k\":", "}"), ("[", "]")]
            .map(|(open, close)| format!(r#"{{"deep":{}1.5{}}}"#, open.repeat(depth), close.repeat(depth)));
        for json in [objects, lists] {
            let attributes = data(with_data(&json));
            let mut read = as_json(&attributes["deep"]);
            let mut sent = serde_json::from_str::<Value>(&json).unwrap()["deep"].take();
            for _ in 0..depth.min(MAX_LEVELS) {
                for value in [&mut read, &mut sent] {
                    *value = value.get("k").or(value.get(0)).unwrap().clone();
                }
            }
            let sent = if depth > MAX_LEVELS { Value::from(sent.to_string()) } else { sent };
            assert_eq!(read, sent, "{json}");
        }
    }
}

#[test]
fn empty_and_large_values_are_read_as_they_were() {
    let long = "ä".repeat(512 * 1024);
    let sent = json!({
        "long": long, "a": [], "b": {}, "c": [{}, [], null, [[]]], "d": {"": {}}, "e": null, "f": "", "g": 0, "h": false,
        "i": u64::MAX, "j": i64::MIN, "k": -0.0, "l": 1e300,
    });
    let read = data(with_data(&sent.to_string()));
    assert_eq!(read["i"], any_value::Value::DoubleValue(18_446_744_073_709_551_615.0));
    let read = read.iter().map(|(key, value)| (key.clone(), as_json(value))).collect();
    assert_eq!(Value::Object(read), in_otlp(sent));
}

#[test]
fn floats_that_json_cannot_write_are_sent_as_they_are() {
    use crate::payload::record::{EventHeader, OutOfLine, QueuedEvent, Record};
    use crate::wire::context::Context;
    use crate::wire::encode::{Encoder, Floats};
    use crate::wire::session_index::SessionIndex;

    let floats =
        (f64::NAN, f64::INFINITY, -f64::INFINITY, f32::NAN, 0.1_f32, 0.1_f64, -0.0, f64::MIN_POSITIVE);
    let sent = BTreeMap::from([("deep", vec![floats])]);
    let header = EventHeader::now(0, crate::model::event::Severity::Info);
    let Record::Generic(packed) = Record::generic(header, "loss", &sent, 1_000).unwrap() else { panic!() };
    let event = QueuedEvent::OutOfLine(OutOfLine::Generic(packed.bytes().into()));
    let json = |floats| {
        let context = Context::new(&[("release".to_owned(), json!(1.5))]);
        let encoder = Encoder::new(SessionIndex::default()).with_context(context.into());
        let mut json = Vec::new();
        encoder.with_floats(floats).write(&event, &mut json).unwrap();
        json
    };
    let read = |json: &[u8]| {
        let attributes = data(records(json).remove(0));
        assert_eq!(attributes["release"], any_value::Value::DoubleValue(1.5));
        format!("{:?}", attributes["deep"])
            .replace("AnyValue { value: Some(DoubleValue(", "<")
            .replace(")) }", ">")
    };
    let bits = read(&json(Floats::Bits));
    assert!(
        bits.contains("[<NaN>, <inf>, <-inf>, <NaN>, <0.1>, <0.1>, <-0.0>, <2.2250738585072014e-308>]"),
        "{bits}"
    );
    let text = read(&json(Floats::Text)).replace("AnyValue { value: None }", "<>");
    assert!(text.contains("[<>, <>, <>, <>, <0.1>, <0.1>, <-0.0>, <2.2250738585072014e-308>]"), "{text}");
}

#[test]
fn json_of_the_callers_may_have_spaces_and_escapes_anywhere() {
    let record =
        with_data(" { \"a\\u0062\" : [ 1 , { \"x\" : \"\\ud83d\\ude00\\\"\" } , [ ] ] , \"b\" : { } } ");
    let read = Value::Object(as_object(&record.attributes));
    assert_eq!((&read["ab"], &read["b"]), (&json!([1, {"x": "😀\""}, []]), &json!({})));
}

#[test]
fn an_event_of_an_unknown_shape_is_a_record_too() {
    let unknown = r#"{"event":["SPAN",{"a":"}"}],"x":1}"#;
    let known = format!(r#"{{"event":"SESSION_START","event_id":"{ID}","severity":"INFO"}}"#);
    let records = records(format!("{known},{unknown},{known}").as_bytes());
    assert_eq!(records.len(), 3);
    assert_eq!(records[1].body.clone().unwrap().value, Some(text(unknown)));
    assert_eq!((&*records[0].event_name, &*records[2].event_name), ("session.start", "session.start"));
}

/// A session of a full batch in OTLP, as a part of what it takes in a request to Tinker's backend. All its events but the
/// start and the end have these fields, beside those that every event has.
fn part_of_json(fields: &str) -> f64 {
    use crate::model::config::Protocol;
    use crate::wire::envelope::Envelope;

    let event = |index: usize, fields: &str| {
        format!(
            r#"{{"event_id":"{ID}","event_session_index":{index},"severity":"INFO","timestamp":"2026-11-23T16:17:23.832966Z",{fields}}}"#
        )
    };
    let start = event(0, r#""event":"SESSION_START""#);
    let end = event(99, r#""event":"SESSION_END","duration":"0:00:01.500000""#);
    let events: Vec<_> = (1..99).map(|index| event(index, fields)).collect();
    let batch = format!("{start},{},{end}", events.join(","));
    assert!(records(batch.as_bytes()).iter().all(|record| !record.event_name.is_empty()), "{fields}");
    let otlp = transcode(batch.as_bytes(), SESSION, &Resource::new(Vec::new(), PROCESS));
    let of_tinker = Envelope::new(&Protocol::default(), SESSION, PROCESS.parse().unwrap());
    let bytes = |len| f64::from(u32::try_from(len).unwrap());
    bytes(otlp.len()) / bytes(of_tinker.len() + batch.len())
}

#[test]
fn a_full_batch_of_flat_data_is_at_most_nine_tenths_of_its_json() {
    for data in [
        r#""step":7"#,
        r#""step":7,"loss":0.037037037037037035,"rates":[0.1,0.01]"#,
        r#""path":"src/wire/otlp/value.rs","bytes":7262,"sha256":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","release":"0.1.0""#,
    ] {
        let fields = format!(r#""event":"GENERIC_EVENT","event_name":"train.step","event_data":{{{data}}}"#);
        let part = part_of_json(&fields);
        assert!(part <= 0.9, "{part}: {data}");
    }
}

#[test]
fn a_full_batch_of_log_records_or_exceptions_is_no_larger_than_its_json() {
    let record = r#""event":"GENERIC_EVENT","event_name":"trainer::checkpoint","event_data":{"measurements":{"step":1200},"metadata":{"message":"the checkpoint is saved","path":"runs/a"},"origin":{"file":"src/checkpoint.rs","line":106,"target":"trainer::checkpoint","thread":"main"},"release":"0.1.0"}"#;
    let short = r#""event":"UNHANDLED_EXCEPTION","error_type":"std::io::Error","error_message":"checkpoint 1200 is not there","traceback":"checkpoint 1200 is not there""#;
    let frames = r"   7: trainer::checkpoint::load\n             at ./src/checkpoint.rs:106:9\n".repeat(40);
    let long = format!(
        r#""event":"UNHANDLED_EXCEPTION","error_type":"std::io::Error","error_message":"checkpoint 1200 is not there","traceback":"checkpoint 1200 is not there\n\nStack backtrace:\n{frames}""#
    );
    for fields in [record, short, &long] {
        let part = part_of_json(fields);
        assert!(part <= 1.0, "{part}: {fields}");
    }
}

#[test]
fn a_partial_success_is_read_and_any_other_body_is_none() {
    use opentelemetry_proto::tonic::collector::logs::v1::{
        ExportLogsPartialSuccess, ExportLogsServiceResponse,
    };

    let body = |rejected_log_records, message: &str| {
        let error_message = message.to_owned();
        let partial_success = Some(ExportLogsPartialSuccess { rejected_log_records, error_message });
        ExportLogsServiceResponse { partial_success }.encode_to_vec()
    };
    let read = |body: &[u8]| read_response(body).map(|read| (read.rejected, read.message));
    assert_eq!(read(&body(3, "too old")), Some((3, "too old".to_owned())));
    assert_eq!(read(&body(0, "slow down")), Some((0, "slow down".to_owned())));
    assert_eq!(read(&body(-1, "")), Some((0, String::new())));
    assert_eq!(read(&body(i64::MAX, "")), Some((i64::MAX.unsigned_abs(), String::new())));
    let none = [
        &b""[..],
        b"{}",
        b"{\"partialSuccess\":{}}",
        b"<html>",
        &[0x0a],
        &[0x0a, 5, 8],
        &[0x0a, 1, 8],
        &[0xff; 30],
    ];
    for body in none {
        assert_eq!(read(body), None, "{body:?}");
    }
}

#[test]
fn an_answer_of_wrong_shapes_is_none_or_has_what_is_right_in_it() {
    let in_partial_success = |fields: &[u8]| {
        let len = u8::try_from(fields.len()).unwrap();
        read_response(&[&[0x0a, len], fields].concat()).map(|read| (read.rejected, read.message))
    };
    let right = [0x08, 3, 0x12, 1, b'a'];
    assert_eq!(in_partial_success(&right), Some((3, "a".to_owned())));
    // Fields that it does not know, a text that is a number and a number that is a text.
    for other in [
        &[0x18, 1][..],
        &[0x19, 1, 2, 3, 4, 5, 6, 7, 8],
        &[0x1d, 1, 2, 3, 4],
        &[0x1a, 0],
        &[0x10, 1],
        &[0x0a, 0],
    ] {
        assert_eq!(in_partial_success(&[&right, other].concat()), Some((3, "a".to_owned())), "{other:?}");
    }
    let not_utf8 = in_partial_success(&[0x12, 1, 0xff]).unwrap();
    assert_eq!(not_utf8.1, "\u{fffd}");
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]; // u64::MAX
    for cut in 1..right.len() {
        assert_eq!(in_partial_success(&right[..cut]).is_some(), cut == 2, "{cut}");
    }
    let none = [
        [&[0x12][..], &huge].concat(),       // a text of that length
        [&[0x08][..], &huge, &[1]].concat(), // one byte more than a number can have
        [&[0x08][..], &[0xff; 12]].concat(), // a number without an end
        vec![0x18],                          // without a value
        vec![0x19, 1],
        vec![0x1d, 1],
        vec![0x1e, 1],   // a shape that does not exist
        vec![0x1c],      // the end of a group
        vec![0x1b; 100], // groups in groups
    ];
    for fields in &none {
        assert_eq!(in_partial_success(&[&right[..], fields].concat()), None, "{fields:?}");
    }
    assert_eq!(read_response(&[&[0x0a][..], &huge].concat()), None);
    assert_eq!(read_response(&vec![0x0b; 1_000_000]), None);
    assert_eq!(read_response(&[0x08, 1]), None);
}

proptest! {
    #[test]
    fn any_answer_is_read_without_a_panic(body: Vec<u8>) {
        let _ = read_response(&body);
    }

    #[test]
    fn any_json_is_read_without_a_panic(json: Vec<u8>) {
        let mut reader = Reader::new(&json);
        let _ = value::write(&mut reader, MAX_LEVELS, &mut Writer::default());
        transcode(&json, SESSION, &Resource::new(Vec::new(), PROCESS));
    }
}
