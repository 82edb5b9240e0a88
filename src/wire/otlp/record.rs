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
//! | number in the session | `tinker.event.index` |
//! | data | an attribute for each member; `data.<key>` if the key is `session.id` or one of these above, or empty |
//! | `trace_id`, `span_id` among the data | the record's own, if they are the hex digits of valid ids: <https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/>; else they are attributes. The numbers that the bridges give spans are none: they stay below `origin` |

use std::borrow::Cow;
use std::str::from_utf8;
use std::time::UNIX_EPOCH;

use super::SESSION_ID;
use super::protobuf::fields::{any_value, log_record, scope_logs};
use super::protobuf::{Field, Writer};
use super::value::{self, MAX_LEVELS, attribute, bytes_attribute, write_members};
use crate::model::event::{Severity, parse_duration};
use crate::payload::json::{self, Reader, Token};

const ID: &str = "log.record.uid";
const INDEX: &str = "tinker.event.index";

/// Writes the event that comes next. The fields of a message may stand in any order, so each is written as it is read.
pub(super) fn write(events: &mut Reader<'_>, out: &mut Writer) -> Option<()> {
    let record = out.open(scope_logs::LOG_RECORDS);
    if !events.take(b'{') {
        return None;
    }
    loop {
        let field = events.key()?;
        match &*field {
            b"event_data" => write_data(events, out)?,
            b"event_session_index" => {
                attribute(log_record::ATTRIBUTES, INDEX.as_bytes(), out, |out| value::write(events, 0, out))?;
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

/// Writes an event of a shape that this file does not know, as the text of its JSON: the records must be as many as the
/// events.
#[cold]
pub(super) fn write_unknown(event: &[u8], out: &mut Writer) {
    let mut text = Vec::new();
    let _ = json::expand(event, &mut text); // what is no JSON is cut
    let record = out.open(scope_logs::LOG_RECORDS);
    let body = out.open(log_record::BODY);
    out.bytes(any_value::STRING, String::from_utf8_lossy(&text).as_bytes());
    out.close(body);
    out.close(record);
}

/// Writes a field of an event that is a text.
fn write_text(field: &[u8], text: &[u8], out: &mut Writer) -> Option<()> {
    let attribute = |key, out: &mut _| bytes_attribute(log_record::ATTRIBUTES, key, text, out);
    match field {
        b"event" => match text {
            b"SESSION_START" => write_name(b"session.start", out),
            b"SESSION_END" => write_name(b"session.end", out),
            b"UNHANDLED_EXCEPTION" => write_name(b"exception", out),
            _ => {} // the others have names of their own
        },
        b"event_name" => write_name(text, out),
        b"event_id" => attribute(ID, out),
        b"severity" => {
            out.int32(log_record::SEVERITY_NUMBER, severity_number(from_utf8(text).ok()?.parse().ok()?));
            out.bytes(log_record::SEVERITY_TEXT, text);
        }
        b"timestamp" => {
            let nanoseconds = nanoseconds(from_utf8(text).ok()?)?;
            if nanoseconds > 0 {
                // Zero is the default of both fields, and is not written.
                out.fixed64(log_record::TIME_UNIX_NANO, nanoseconds);
                out.fixed64(log_record::OBSERVED_TIME_UNIX_NANO, nanoseconds);
            }
        }
        b"duration" => {
            let seconds = parse_duration(from_utf8(text).ok()?)?.as_secs_f64();
            let double = |out: &mut Writer| out.double(any_value::DOUBLE, seconds);
            value::attribute(log_record::ATTRIBUTES, b"tinker.session.duration", out, double);
        }
        b"error_type" => attribute("exception.type", out),
        b"error_message" => attribute("exception.message", out),
        b"traceback" => attribute("exception.stacktrace", out),
        _ => return None,
    }
    Some(())
}

fn write_name(name: &[u8], out: &mut Writer) {
    out.text(log_record::EVENT_NAME, name);
    let body = out.open(log_record::BODY);
    out.bytes(any_value::STRING, name);
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
fn own_id(key: &[u8], json: &Reader<'_>) -> Option<(Field, Vec<u8>)> {
    match key {
        b"trace_id" => Some((log_record::TRACE_ID, id(json.peek_text()?, 16)?)),
        b"span_id" => Some((log_record::SPAN_ID, id(json.peek_text()?, 8)?)),
        _ => None,
    }
}

/// The key under which a member of the data is an attribute.
fn free_key(key: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let is_taken = key.is_empty() || [ID, INDEX, SESSION_ID].iter().any(|taken| taken.as_bytes() == &*key);
    if is_taken { Cow::Owned([b"data.", &*key].concat()) } else { key }
}

fn severity_number(severity: Severity) -> i32 {
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
fn id(digits: &[u8], len: usize) -> Option<Vec<u8>> {
    let pairs = digits.chunks_exact(2);
    if digits.len() != 2 * len || digits.iter().any(|digit| !digit.is_ascii_hexdigit()) {
        return None;
    }
    let id: Vec<_> = pairs.map_while(|pair| u8::from_str_radix(from_utf8(pair).ok()?, 16).ok()).collect();
    id.iter().any(|byte| *byte != 0).then_some(id)
}
