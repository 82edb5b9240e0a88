//! Private parts of the crate for `fuzz/` and `benches/`. This module exists only with the feature `_internals`, and is
//! not part of the crate's interface.

use std::error::Error;
use std::io;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use uuid::Uuid;

use crate::failure::as_error::ErrorView;
use crate::failure::exception;
use crate::model::config::{Config, Protocol};
use crate::model::error::StartError;
use crate::model::event::Severity;
use crate::model::stats::RefusalReason;
use crate::payload::record::{self, EventBody, Record};
use crate::process::stack::{self, SHORT_WAIT};
use crate::queue::chunk::Chunk;
#[cfg(all(feature = "spool", unix))]
use crate::spool::line;
use crate::transport::retry;
use crate::wire::batch::{Batch, Batcher};
use crate::wire::encode::Encoder;
#[cfg(feature = "otlp")]
use crate::wire::encode::Floats;
use crate::wire::envelope::Envelope;
#[cfg(feature = "otlp")]
use crate::wire::otlp;
use crate::wire::session_index::SessionIndex;

/// How long the server asked to wait before a retry: see `retry::retry_after`.
pub fn retry_after(ms: Option<&str>, after: Option<&str>, now: SystemTime) -> Option<Duration> {
    retry::retry_after(ms, after, now)
}

/// The URL that requests would go to if no environment variable were set.
pub fn endpoint(config: &Config) -> Result<String, StartError> {
    Ok(config.validate_in(|_| None)?.uri.to_string())
}

/// What is known of every event when its call begins.
#[derive(Clone, Copy, Debug)]
pub struct EventHeader {
    pub refused: u64,
    pub severity: Severity,
    pub time: SystemTime,
}

impl From<EventHeader> for record::EventHeader {
    fn from(EventHeader { refused, severity, time }: EventHeader) -> Self {
        Self { refused, time, severity }
    }
}

/// An event as the caller's thread encodes it, before it is queued.
#[derive(Debug)]
pub struct Payload(Record);

impl Payload {
    /// Data of more than `limit` bytes are refused.
    pub fn generic(
        header: EventHeader,
        name: &str,
        data: &impl Serialize,
        limit: usize,
    ) -> Result<Self, RefusalReason> {
        Record::generic(header.into(), name, data, limit.saturating_add(name.len())).map(Self)
    }

    /// The texts are cut to `limit` bytes in all.
    pub fn exception(
        header: EventHeader,
        error: &(dyn Error + 'static),
        type_name: Option<&str>,
        limit: usize,
    ) -> Self {
        let view = ErrorView { error, type_name, printer: None };
        let exception = exception::describe(view, limit, SHORT_WAIT);
        Self(Record::other(header.into(), EventBody::Exception(exception)))
    }

    pub fn session_start(header: EventHeader) -> Self {
        Self(Record::other(header.into(), EventBody::SessionStart))
    }

    pub fn session_end(header: EventHeader, duration: Duration) -> Self {
        Self(Record::other(header.into(), EventBody::SessionEnd(duration)))
    }
}

/// The body of a request with these events, made as the worker makes it.
pub fn request(session_id: &str, events: Vec<Payload>, process: Uuid) -> io::Result<Vec<u8>> {
    let mut batch = batch(events, |encoder| encoder)?;
    Ok(Envelope::new(&Protocol::default(), session_id, process).seal(&mut batch, String::new()).body)
}

/// The same for an OpenTelemetry collector.
#[cfg(feature = "otlp")]
pub fn otlp_request(session_id: &str, events: Vec<Payload>, resource: &OtlpResource) -> io::Result<Vec<u8>> {
    let batch = batch(events, |encoder| encoder.with_floats(Floats::Bits))?;
    Ok(otlp::transcode(batch.json(), session_id, &resource.0))
}

/// Which process events are from.
#[cfg(feature = "otlp")]
#[derive(Debug)]
pub struct OtlpResource(otlp::Resource);

#[cfg(feature = "otlp")]
impl OtlpResource {
    pub fn new(attributes: Vec<(String, String)>, process: Uuid) -> Self {
        Self(otlp::Resource::new(attributes, &process.to_string()))
    }
}

/// How many log records a collector's answer says are rejected, and why.
#[cfg(feature = "otlp")]
pub fn otlp_partial_success(body: &[u8]) -> Option<(u64, String)> {
    otlp::read_response(body).map(|answer| (answer.rejected, answer.message))
}

fn batch(events: Vec<Payload>, set: fn(Encoder) -> Encoder) -> io::Result<Batch> {
    let mut batcher = Batcher::new(usize::MAX, usize::MAX);
    let mut encoder = set(Encoder::new(SessionIndex::default()));
    let mut chunk = Chunk::default();
    for (sequence, Payload(record)) in (0..).zip(events) {
        chunk.put(sequence, record);
    }
    let mut json = Vec::new();
    while let Some(event) = chunk.take() {
        json.clear();
        encoder.write(&event, &mut json)?;
        batcher.push(&json, 0);
    }
    Ok(batcher.take().unwrap_or_default())
}

/// Calls the function while the crate counts as resolving symbols, as its worker does now and then.
pub fn during_resolution<T>(run: impl FnOnce() -> T) -> T {
    stack::during_resolution(run)
}

/// Appends a line to a spool's file.
#[cfg(all(feature = "spool", unix))]
pub fn put_line(kind: u8, text: &[u8], file: &mut Vec<u8>) {
    line::put(kind, text, file);
}

/// The events without a fate in a spool's file. `None`: it has no header that can be trusted.
#[cfg(all(feature = "spool", unix))]
pub fn events_left(file: &[u8]) -> Option<Vec<&[u8]>> {
    let left = line::read(file)?.left;
    Some(left.iter().flat_map(|left| left.events.iter().map(|(_, event)| *event)).collect())
}
