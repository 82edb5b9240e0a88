//! Log records of OTLP, as the official types read them, beside the typed events that they come from.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message;
use serde_json::{Map, Value, json};
use tinker_telemetry::event::{Event, Severity};

/// What is nested deeper in an attribute is the text of its JSON.
const MAX_LEVELS: usize = 30;

/// Panics unless the request has a record for each event, and each says what the event says. The ids are random.
pub fn assert_records(body: &[u8], session_id: &str, events: &[Event]) {
    let mut request = ExportLogsServiceRequest::decode(body).expect("a request");
    assert_eq!(request.encoded_len(), body.len(), "it has no unknown field");
    let mut logs = request.resource_logs.remove(0);
    let resource = object(&logs.resource.expect("a resource").attributes);
    assert_eq!(resource["session.id"], session_id);
    let records = logs.scope_logs.remove(0).log_records;
    assert!(request.resource_logs.is_empty() && logs.scope_logs.is_empty());
    assert_eq!(records.len(), events.len());
    for (record, event) in records.into_iter().zip(events) {
        assert_record(record, event);
    }
}

fn assert_record(record: LogRecord, event: &Event) {
    let number = match event.severity() {
        Severity::Debug => 5,
        Severity::Info => 9,
        Severity::Warning => 13,
        Severity::Error => 17,
        Severity::Critical => 21,
    };
    assert_eq!((record.severity_number, &*record.severity_text), (number, event.severity().as_str()));
    assert_eq!(record.observed_time_unix_nano, record.time_unix_nano);
    let mut attributes = object(&record.attributes);
    assert!(attributes.remove("log.record.uid").is_some_and(|id| id.is_string()));
    let index = attributes.remove("tinker.event.index").expect("the number");
    assert_same(&index, &json!(event.session_index()), 0);
    let (name, time, data) = match event {
        Event::SessionStart(start) => ("session.start", start.timestamp, Map::new()),
        Event::SessionEnd(end) => {
            let seconds = end.duration.as_secs_f64();
            (
                "session.end",
                end.timestamp,
                Map::from_iter([("tinker.session.duration".to_owned(), json!(seconds))]),
            )
        }
        Event::UnhandledException(exception) => {
            let stack = exception.traceback.clone().expect("a traceback");
            let texts = [
                ("exception.type", exception.error_type.clone()),
                ("exception.message", exception.error_message.clone()),
                ("exception.stacktrace", stack),
            ];
            let data = texts.map(|(key, text)| (key.to_owned(), Value::from(text)));
            ("exception", exception.timestamp, Map::from_iter(data))
        }
        Event::Generic(event) => (&*event.event_name, event.timestamp, event.event_data.clone()),
        _ => panic!("{event:?} of another kind"),
    };
    assert_eq!(record.event_name, name);
    assert_eq!(record.body.and_then(|body| body.value), Some(Any::StringValue(name.to_owned())));
    let nanoseconds = SystemTime::from(time).duration_since(UNIX_EPOCH).expect("since 1970").as_nanos();
    assert_eq!(record.time_unix_nano, u64::try_from(nanoseconds).unwrap_or(u64::MAX));
    let is_own_id = |key: &str| match key {
        "trace_id" => !record.trace_id.is_empty(),
        "span_id" => !record.span_id.is_empty(),
        _ => false,
    };
    let mut expected = Map::new();
    for (key, value) in data {
        if is_own_id(&key) {
            continue;
        }
        match &*key {
            "" | "session.id" | "log.record.uid" | "tinker.event.index" => {
                // Its new name may be another member's: then one of them stays.
                expected.insert(format!("data.{key}"), Value::Null);
                attributes.entry(format!("data.{key}")).and_modify(|value| *value = Value::Null);
            }
            _ if key.starts_with("data.") => {
                expected.insert(key.clone(), Value::Null);
                attributes.entry(key).and_modify(|value| *value = Value::Null);
            }
            _ => drop(expected.insert(key, value)),
        }
    }
    assert_same(&Value::Object(attributes), &Value::Object(expected), MAX_LEVELS + 1);
}

fn object(members: &[KeyValue]) -> Map<String, Value> {
    let object: Map<_, _> =
        members.iter().map(|member| (member.key.clone(), value(member.value.as_ref()))).collect();
    assert_eq!(object.len(), members.len(), "a key is there twice");
    object
}

/// The value as JSON. Floats that JSON cannot write are null there, and empty values are too.
fn value(any: Option<&AnyValue>) -> Value {
    match any.and_then(|any| any.value.as_ref()) {
        None => Value::Null,
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::BoolValue(value)) => json!(value),
        Some(Any::IntValue(value)) => json!(value),
        Some(Any::DoubleValue(value)) => json!(value),
        Some(Any::ArrayValue(list)) => list.values.iter().map(|element| value(Some(element))).collect(),
        Some(Any::KvlistValue(list)) => Value::Object(object(&list.values)),
        Some(other) => panic!("{other:?}"),
    }
}

fn assert_same(read: &Value, sent: &Value, levels: usize) {
    match (read, sent) {
        (Value::String(text), Value::Array(_) | Value::Object(_)) if levels == 0 => {
            let read = serde_json::from_str(text).expect("JSON");
            assert_same(&read, sent, usize::MAX);
        }
        (Value::Array(read), Value::Array(sent)) => {
            assert_eq!(read.len(), sent.len());
            read.iter().zip(sent).for_each(|(read, sent)| assert_same(read, sent, levels - 1));
        }
        (Value::Object(read), Value::Object(sent)) => {
            assert!(read.keys().eq(sent.keys()), "{read:?} {sent:?}");
            read.values().zip(sent.values()).for_each(|(read, sent)| assert_same(read, sent, levels - 1));
        }
        (Value::Number(read), Value::Number(sent)) => match (read.as_i64(), sent.as_i64()) {
            (Some(read), Some(sent)) => assert_eq!(read, sent),
            _ => {
                // serde_json may be wrong in the last digit of a float that it reads.
                let (read, sent) = (read.as_f64().expect("a float"), sent.as_f64().expect("a float"));
                assert!((read - sent).abs() <= sent.abs() * 1e-15 + f64::MIN_POSITIVE, "{read} {sent}");
            }
        },
        (read, sent) => assert_eq!(read, sent),
    }
}
