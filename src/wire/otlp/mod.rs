//! Turns a batch of events into an OTLP request: an `ExportLogsServiceRequest` in protobuf, for any OpenTelemetry collector.
//!
//! The worker calls [`transcode`] once a batch, where it seals the request. The input is the batch as JSON, which
//! `wire/encode` has made for every destination. So the limits, the halves of a split batch and the program's hook are
//! the same for both.
//!
//! The idea: one pass over the JSON, and each value is written as soon as it is read. There is no tree and, except for a
//! text with escapes, no allocation for an event. `prost` writes the fields. The messages of this format are few, and each is
//! written in one place, so there is no table of them and no code generator. The numbers of their fields are in
//! `protobuf/fields.rs`; the types of `opentelemetry-proto`, which are generated from the official files, read the result
//! in the tests.
//!
//! Why no structs that are `prost` messages? With them each event becomes a tree that is measured before it is written,
//! and each struct needs code to read what is never read here, by hand or by a macro that adds five crates to a build.
//!
//! A float is read as its bits, if the encoder left them ([`Floats::Bits`](super::encode::Floats)). So NaN and the
//! infinities arrive, which JSON cannot say. A program's hook (`before_send`) is shown JSON, so behind it they are empty values.
//!
//! The invariants:
//!
//! - A batch of n events becomes n log records, in the same order. A collector that rejects some names their number only, so
//!   the counts must agree.
//! - The keys of a list of attributes are unique. Of several values of one key the last counts, as for parsers of JSON.
//! - No receiver runs out of depth: what is nested deeper than [`value::MAX_LEVELS`] is text.
//!
//! The parts:
//!
//! - `protobuf` writes and reads fields, with `prost`.
//! - `value` makes attributes of JSON values, `record` makes a log record of an event.
//! - `resource` says which process the events are from.
//! - `response` reads the collector's answer.

mod protobuf;
mod record;
mod resource;
mod response;
mod value;

pub(crate) use resource::Resource;
pub(crate) use response::{PartialSuccess, read_response};

use crate::payload::json::Reader;
use protobuf::{Writer, fields};

/// The name of this library, as the instrumentation scope and as `telemetry.sdk.name`.
const LIBRARY: &str = env!("CARGO_PKG_NAME");
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The session that the events belong to. It is an attribute of the resource, so it stands once in a request: a reporter has one
/// session for its life. In each record it would be a fifth of a small event, and the request would be larger than
/// its JSON.
const SESSION_ID: &str = "session.id";

/// The body of a request with these events, which are joined by commas, as [`Batch::json`](super::batch::Batch::json)
/// returns them.
pub(crate) fn transcode(batch_json: &[u8], session_id: &str, resource: &Resource) -> Vec<u8> {
    let mut out = Writer::with_capacity(batch_json.len());
    let of_process = out.open(fields::request::RESOURCE_LOGS);
    let of_resource = out.open(fields::resource_logs::RESOURCE);
    out.encoded(resource.encoded());
    value::text_attribute(fields::resource::ATTRIBUTES, SESSION_ID, session_id, &mut out);
    out.close(of_resource);
    let of_scope = out.open(fields::resource_logs::SCOPE_LOGS);
    let scope = out.open(fields::scope_logs::SCOPE);
    out.bytes(fields::scope::NAME, LIBRARY.as_bytes());
    out.bytes(fields::scope::VERSION, VERSION.as_bytes());
    out.close(scope);

    let mut events = Reader::new(batch_json);
    while !events.is_at_end() {
        let (event, len) = (events.clone(), out.len());
        if record::write(&mut events, &mut out).is_none() {
            events = event;
            out.truncate(len);
            let Some(json) = events.raw() else { break }; // unreachable: the batch is JSON
            record::write_unknown(json, &mut out);
        }
        events.take(b',');
    }
    out.close(of_scope);
    out.close(of_process);
    out.into_bytes()
}

#[cfg(test)]
mod tests;
