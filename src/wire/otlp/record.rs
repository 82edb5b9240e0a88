//! Makes a log record of an event.
//!
//! | event | log record |
//! |---|---|
//! | name | `event_name` and `body`, in the logs data model: <https://opentelemetry.io/docs/specs/otel/logs/data-model/> |
//! | start and end of a session | the events `session.start` and `session.end` of <https://opentelemetry.io/docs/specs/semconv/general/session/>; how long it lasted is `tinker.session.duration`, in seconds |
//! | exception | `exception.type`, `exception.message`, `exception.stacktrace` of <https://opentelemetry.io/docs/specs/semconv/exceptions/exceptions-logs/>; the name is `exception`, as the event of spans has it |
//! | severity | the lowest number of its range, and our text: `DEBUG` 5, `INFO` 9, `WARNING` 13, `ERROR` 17, `CRITICAL` 21 |
//! | timestamp | `time_unix_nano`, and `observed_time_unix_nano`, which is the same for what a program observes itself |
//! | id | `log.record.uid` of <https://opentelemetry.io/docs/specs/semconv/registry/attributes/log/> |
//! | session's id | `session.id`; not in the resource, because a process may report to many sessions |
//! | number in the session | `tinker.event.index` |
//! | data | an attribute for each member; `data.<key>` if the key is one of these above, or empty |
//! | `trace_id`, `span_id` among the data | the record's own, if they are the hex digits of valid ids: <https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/>; else they are attributes. The numbers that the bridges give spans are none: they stay below `origin` |

use std::borrow::Cow;
use std::str::from_utf8;
use std::time::UNIX_EPOCH;

use super::protobuf::fields::{any_value, log_record, scope_logs};
use super::protobuf::{Field, Writer};
use super::value::{self, MAX_LEVELS, attribute, text_attribute, write_members};
use crate::model::event::{Severity, parse_duration};
use crate::payload::json::{Reader, Token};

const ID: &str = "log.record.uid";
const INDEX: &str = "tinker.event.index";
const SESSION_ID: &str = "session.id";

/// The attribute that names the session, encoded. It is the same for a whole batch.
pub(super) fn session_attribute(session_id: &str) -> Vec<u8> {
    let mut out = Writer::default();
    text_attribute(log_record::ATTRIBUTES, SESSION_ID, session_id, &mut out);
    out.into_bytes()
}

/// Writes the event that comes next. The fields of a message may stand in any order, so each is written as it is read.
pub(super) fn write(events: &mut Reader<'_>, session: &[u8], out: &mut Writer) -> Option<()> {
    let record = out.open(scope_logs::LOG_RECORDS);
    out.encoded(session);
    if !events.take(b'{') {
        return None;
    }
    loop {
        let field = events.key()?;
        match &*field {
            "event_data" => write_data(events, out)?,
            "event_session_index" => {
                attribute(log_record::ATTRIBUTES, INDEX, out, |out| value::write(events, 0, out))?;
            }
            field => match events.token()? {
                Token::Text(text) => write_text(field, &text, out)?,
                _ => return None,
            },
        }
        if !events.take(b',') {
            break;
        }
    }
    out.close(record);
    events.take(b'}').then_some(())
}

/// Writes a field of an event that is a text.
fn write_text(field: &str, text: &str, out: &mut Writer) -> Option<()> {
    let attribute = |key, out: &mut _| text_attribute(log_record::ATTRIBUTES, key, text, out);
    match field {
        "event" => match text {
            "SESSION_START" => write_name("session.start", out),
            "SESSION_END" => write_name("session.end", out),
            "UNHANDLED_EXCEPTION" => write_name("exception", out),
            _ => {} // the others have names of their own
        },
        "event_name" => write_name(text, out),
        "event_id" => attribute(ID, out),
        "severity" => {
            out.varint(log_record::SEVERITY_NUMBER, severity_number(text.parse().ok()?));
            out.bytes(log_record::SEVERITY_TEXT, text.as_bytes());
        }
        "timestamp" => {
            let nanoseconds = nanoseconds(text)?;
            out.fixed64(log_record::TIME_UNIX_NANO, nanoseconds);
            out.fixed64(log_record::OBSERVED_TIME_UNIX_NANO, nanoseconds);
        }
        "duration" => {
            let seconds = parse_duration(text)?.as_secs_f64();
            let double = |out: &mut Writer| out.double(any_value::DOUBLE, seconds);
            value::attribute(log_record::ATTRIBUTES, "tinker.session.duration", out, double);
        }
        "error_type" => attribute("exception.type", out),
        "error_message" => attribute("exception.message", out),
        "traceback" => attribute("exception.stacktrace", out),
        _ => return None,
    }
    Some(())
}

fn write_name(name: &str, out: &mut Writer) {
    out.text(log_record::EVENT_NAME, name);
    let body = out.open(log_record::BODY);
    out.bytes(any_value::STRING, name.as_bytes());
    out.close(body);
}

fn write_data(json: &mut Reader<'_>, out: &mut Writer) -> Option<()> {
    if !json.take(b'{') {
        return None;
    }
    let field = log_record::ATTRIBUTES;
    write_members(json, field, out, free_key, |json, key, out| match own_id(key, json) {
        Some((field, id)) => {
            json.token()?;
            out.bytes(field, &id);
            Some(())
        }
        None => attribute(field, key, out, |out| value::write(json, MAX_LEVELS, out)),
    })
}

/// The id of a trace or a span, if that is the member that comes next, and it is valid.
fn own_id(key: &str, json: &Reader<'_>) -> Option<(Field, Vec<u8>)> {
    match key {
        "trace_id" => Some((log_record::TRACE_ID, id(json.peek_text()?, 16)?)),
        "span_id" => Some((log_record::SPAN_ID, id(json.peek_text()?, 8)?)),
        _ => None,
    }
}

/// The key under which a member of the data is an attribute.
fn free_key(key: Cow<'_, str>) -> Cow<'_, str> {
    match &*key {
        ID | INDEX | SESSION_ID | "" => Cow::Owned(format!("data.{key}")),
        _ => key,
    }
}

fn severity_number(severity: Severity) -> u64 {
    match severity {
        Severity::Debug => 5,
        Severity::Info => 9,
        Severity::Warning => 13,
        Severity::Error => 17,
        Severity::Critical => 21,
    }
}

/// The nanoseconds since 1970. They are enough until the year 2554; a later time is that one.
fn nanoseconds(timestamp: &str) -> Option<u64> {
    let time = humantime::parse_rfc3339(timestamp).ok()?;
    let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Some(u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX))
}

/// The bytes of an id of this length from its hex digits. All zeros are no id.
fn id(digits: &str, len: usize) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks_exact(2);
    if digits.len() != 2 * len || digits.bytes().any(|digit| !digit.is_ascii_hexdigit()) {
        return None;
    }
    let id: Vec<_> = pairs.map_while(|pair| u8::from_str_radix(from_utf8(pair).ok()?, 16).ok()).collect();
    id.iter().any(|byte| *byte != 0).then_some(id)
}
