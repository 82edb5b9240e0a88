//! Records to bytes: an event's JSON, and the request body around a batch of them.
//!
//! Written out rather than derived, because the caller's data is JSON already: it is spliced in, not parsed
//! again. `tests/wire.rs` holds what comes out to the types of [`crate::event`] and to the official schema.

use std::io::{self, Write};

use uuid::Uuid;

use crate::batch::Batch;
use crate::event::{DurationText, Severity, Timestamp};
use crate::record::{Body, Record};
use crate::text::cut;

/// Appends the event as JSON.
pub(crate) fn write_event(record: &Record, id: Uuid, out: &mut Vec<u8>) -> io::Result<()> {
    let head =
        Head { id, index: record.index, severity: record.severity, timestamp: Timestamp::from(record.time) };
    match &record.body {
        Body::Generic { name, data } => {
            head.write("GENERIC_EVENT", out)?;
            write_text("event_name", name, out)?;
            out.extend_from_slice(br#","event_data":"#);
            out.extend_from_slice(data);
        }
        Body::SessionStart => head.write("SESSION_START", out)?,
        Body::SessionEnd(duration) => {
            head.write("SESSION_END", out)?;
            write!(out, r#","duration":"{}""#, DurationText(*duration))?;
        }
        Body::Exception(exception) => {
            head.write("UNHANDLED_EXCEPTION", out)?;
            write_text("error_type", &exception.error_type, out)?;
            write_text("error_message", &exception.message, out)?;
            let traceback = &exception.traceback;
            write_text("traceback", &cut(traceback, traceback.max), out)?;
        }
    }
    out.push(b'}');
    Ok(())
}

/// What every event begins with. None of it needs escaping.
struct Head {
    id: Uuid,
    index: u64,
    severity: Severity,
    timestamp: Timestamp,
}

impl Head {
    fn write(&self, kind: &str, out: &mut Vec<u8>) -> io::Result<()> {
        let Self { id, index, severity, timestamp } = self;
        write!(
            out,
            r#"{{"event":"{kind}","event_id":"{id}","event_session_index":{index},"severity":"{severity}","timestamp":"{timestamp}""#
        )
    }
}

fn write_text(field: &str, text: &str, out: &mut Vec<u8>) -> io::Result<()> {
    write!(out, r#","{field}":"#)?;
    serde_json::to_writer(out, text).map_err(io::Error::from)
}

/// What stands around the events of every request of a reporter.
#[derive(Debug)]
pub(crate) struct Envelope {
    tail: Vec<u8>,
}

/// One batch as it goes on the wire: the same bytes and the same key on every attempt.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) body: Vec<u8>,
    pub(crate) idempotency_key: String,
}

const OPENING: &[u8] = br#"{"events":["#;

impl Envelope {
    pub(crate) fn new(session_id: &str, process: Uuid) -> Self {
        let (platform, version) = (platform(), env!("CARGO_PKG_VERSION"));
        let session_id = serde_json::Value::from(session_id);
        let tail = format!(
            r#"],"platform":"{platform}","sdk_version":"{version}","session_id":{session_id},"process_uuid":"{process}"}}"#
        );
        Self { tail: tail.into_bytes() }
    }

    /// The bytes that it adds to the events.
    pub(crate) fn len(&self) -> usize {
        OPENING.len() + self.tail.len()
    }

    pub(crate) fn seal(&self, batch: &Batch, key: Uuid) -> Request {
        Request {
            body: [OPENING, batch.json(), &self.tail].concat(),
            idempotency_key: format!("tinker-telemetry-retry-{key}"),
        }
    }
}

/// The operating system as the backend spells it.
fn platform() -> &'static str {
    match std::env::consts::OS {
        "linux" => "Linux",
        "macos" => "Darwin",
        "windows" => "Windows",
        other => other,
    }
}

/// Random ids, taken from the operating system by the batch: a system call each would be most of an event's cost.
pub(crate) struct Ids {
    pool: [u8; Self::POOL],
    used: usize,
}

impl Ids {
    const ID: usize = size_of::<uuid::Bytes>();
    /// One batch of events and its key.
    const POOL: usize = 101 * Self::ID;

    pub(crate) fn new() -> Self {
        Self { pool: [0; Self::POOL], used: Self::POOL }
    }

    pub(crate) fn next(&mut self) -> io::Result<Uuid> {
        if self.used == Self::POOL {
            getrandom::fill(&mut self.pool).map_err(io::Error::from)?;
            self.used = 0;
        }
        let mut bytes = uuid::Bytes::default();
        bytes.copy_from_slice(&self.pool[self.used..self.used + Self::ID]);
        self.used += Self::ID;
        Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_random_version_4_and_never_the_same() {
        let mut ids = Ids::new();
        let made: HashSet<Uuid> = (0..1_000).map(|_| ids.next().unwrap()).collect();
        assert_eq!(made.len(), 1_000);
        assert!(made.iter().all(|id| id.get_version_num() == 4));
    }
}
