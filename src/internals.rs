//! What `fuzz/` and `benches/` need of the private rooms. It is there with the feature `_internals` alone, and is no
//! part of the crate's interface.

use std::error::Error;
use std::io;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use uuid::Uuid;

use crate::failure::exception;
use crate::model::config::Config;
use crate::model::error::StartError;
use crate::model::event::Severity;
use crate::model::stats::RefusalReason;
use crate::payload::record::{self, EventBody, Record};
use crate::queue::chunk::Chunk;
#[cfg(all(feature = "spool", unix))]
use crate::spool::line;
use crate::transport::retry;
use crate::wire::batch::Batcher;
use crate::wire::encode::Encoder;
use crate::wire::envelope::Envelope;
use crate::wire::session_index::SessionIndex;

/// See `retry::retry_after`.
pub fn retry_after(ms: Option<&str>, after: Option<&str>, now: SystemTime) -> Option<Duration> {
    retry::retry_after(ms, after, now)
}

/// The URL that requests would go to, of a process that has no environment.
pub fn endpoint(config: &Config) -> Result<String, StartError> {
    Ok(config.validate_in(|_| None)?.uri.to_string())
}

/// What is known of every event when it is offered.
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

/// An event on its way into the queue.
#[derive(Debug)]
pub struct Payload(Record);

impl Payload {
    /// Data past `limit` bytes are refused.
    pub fn generic(
        header: EventHeader,
        name: &str,
        data: &impl Serialize,
        limit: usize,
    ) -> Result<Self, RefusalReason> {
        Record::generic(header.into(), name, data, limit.saturating_add(name.len())).map(Self)
    }

    /// Texts are cut to `limit` bytes together.
    pub fn exception(
        header: EventHeader,
        error: &(dyn Error + 'static),
        type_name: Option<&str>,
        limit: usize,
    ) -> Self {
        let exception = exception::describe(error, type_name, limit);
        Self(Record::other(header.into(), EventBody::Exception(exception)))
    }

    pub fn session_start(header: EventHeader) -> Self {
        Self(Record::other(header.into(), EventBody::SessionStart))
    }

    pub fn session_end(header: EventHeader, duration: Duration) -> Self {
        Self(Record::other(header.into(), EventBody::SessionEnd(duration)))
    }
}

/// The body of a request with these events, as the worker makes it.
pub fn request(session_id: &str, events: Vec<Payload>, process: Uuid) -> io::Result<Vec<u8>> {
    let mut batcher = Batcher::new(usize::MAX, usize::MAX);
    let mut encoder = Encoder::new(SessionIndex::default());
    let mut chunk = Chunk::default();
    for (ticket, Payload(record)) in (0..).zip(events) {
        chunk.put(ticket, record);
    }
    let mut json = Vec::new();
    while let Some(event) = chunk.take() {
        json.clear();
        encoder.write(&event, &mut json)?;
        batcher.push(&json, 0);
    }
    let batch = batcher.take().unwrap_or_default();
    Ok(Envelope::new(session_id, process).seal(&batch, process).body)
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
