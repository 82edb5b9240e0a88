//! Turns the record of an event into its JSON.
//!
//! This is written by hand, not derived: the caller's data is JSON already, and is copied in without being parsed
//! again. `tests/it/delivery/wire.rs` checks the result against the types of [`crate::model::event`] and the official schema.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::failure::text::cut;
use crate::model::event::{DurationText, Timestamp};
use crate::payload::json;
use crate::payload::record::{EventBody, EventHeader, OutOfLine, QueuedEvent, unpack};
use crate::wire::context::Context;
use crate::wire::ids::Ids;
use crate::wire::session_index::SessionIndex;

/// Turns events into JSON. Most of an event is numbers, ids and times. They are written without `fmt`, which takes three
/// times as long.
pub(crate) struct Encoder {
    ids: Ids,
    clock: Clock,
    session_index: SessionIndex,
    context: Arc<Context>,
    floats: Floats,
}

/// What becomes of the floats in an event's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Floats {
    /// They become text, as JSON has them.
    Text,
    /// They stay bits behind a mark. So a format that has binary floats can say those that JSON cannot, and neither their
    /// digits need be found here nor read again there.
    #[cfg(feature = "otlp")]
    Bits,
}

impl Encoder {
    pub(crate) fn new(session_index: SessionIndex) -> Self {
        Self {
            ids: Ids::new(),
            clock: Clock::default(),
            session_index,
            context: Arc::default(),
            floats: Floats::Text,
        }
    }

    /// Adds these fields to every event's data.
    pub(crate) fn with_context(self, context: Arc<Context>) -> Self {
        Self { context, ..self }
    }

    /// Bits are for events that `wire/otlp` reads, and that nothing else reads before.
    #[cfg(feature = "otlp")]
    pub(crate) fn with_floats(self, floats: Floats) -> Self {
        Self { floats, ..self }
    }

    /// Appends the event, with an id and a number of its own.
    pub(crate) fn write(&mut self, event: &QueuedEvent<'_>, out: &mut Vec<u8>) -> io::Result<()> {
        match event {
            QueuedEvent::Generic(packed) => self.write_generic(packed, out)?,
            QueuedEvent::OutOfLine(OutOfLine::Generic(packed)) => self.write_generic(packed, out)?,
            QueuedEvent::OutOfLine(OutOfLine::Other(other)) => self.write_other(other.0, &other.1, out)?,
        }
        out.push(b'}');
        Ok(())
    }

    fn write_generic(&mut self, packed: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let (header, name, data) = unpack(packed).ok_or(io::ErrorKind::InvalidData)?;
        self.write_head("GENERIC_EVENT", header, out)?;
        write_text("event_name", name, out)?;
        put(out, &[r#","event_data":"#]);
        let start = out.len();
        match self.floats {
            Floats::Text => json::expand(data, out)?,
            #[cfg(feature = "otlp")]
            Floats::Bits => out.extend_from_slice(data),
        }
        self.context.add_to_object(start, out);
        Ok(())
    }

    fn write_other(&mut self, header: EventHeader, body: &EventBody, out: &mut Vec<u8>) -> io::Result<()> {
        match body {
            EventBody::SessionStart => self.write_head("SESSION_START", header, out)?,
            EventBody::SessionEnd(duration) => {
                self.write_head("SESSION_END", header, out)?;
                write!(out, r#","duration":"{}""#, DurationText(*duration))?;
            }
            EventBody::Exception(exception) => {
                self.write_head("UNHANDLED_EXCEPTION", header, out)?;
                write_text("error_type", &exception.error_type, out)?;
                write_text("error_message", &exception.message, out)?;
                let traceback = &exception.traceback;
                write_text("traceback", &cut(traceback, traceback.max), out)?;
            }
        }
        Ok(())
    }

    /// The fields that every event begins with. None of them needs escaping.
    fn write_head(&mut self, kind: &str, header: EventHeader, out: &mut Vec<u8>) -> io::Result<()> {
        let index = self.session_index.next(header.refused);
        let mut buffer = Uuid::encode_buffer();
        let id = self.ids.next()?.hyphenated().encode_lower(&mut buffer);
        put(out, &[r#"{"event":""#, kind, r#"","event_id":""#, id, r#"","event_session_index":"#]);
        serde_json::to_writer(&mut *out, &index)?;
        put(out, &[r#","severity":""#, header.severity.as_str(), r#"","timestamp":""#]);
        self.clock.write(header.time, out)?;
        out.push(b'"');
        Ok(())
    }
}

/// Writes times. It keeps the text of the last second, because most events have the same second as the one before.
#[derive(Default)]
struct Clock {
    second: Duration,
    /// `2026-11-23T16:17:23`
    text: String,
}

impl Clock {
    fn write(&mut self, time: SystemTime, out: &mut Vec<u8>) -> io::Result<()> {
        let time = SystemTime::from(Timestamp::from(time)); // within the years that the format has
        let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let second = Duration::from_secs(since_1970.as_secs());
        if self.text.is_empty() || self.second != second {
            self.second = second;
            self.text = Timestamp::from(UNIX_EPOCH + second).to_string();
            self.text.truncate(self.text.len() - ".000000Z".len());
        }
        put(out, &[&self.text]);
        // Seven digits. The point replaces the first.
        let point = out.len();
        serde_json::to_writer(&mut *out, &(1_000_000 + since_1970.subsec_micros()))?;
        out[point] = b'.';
        out.push(b'Z');
        Ok(())
    }
}

fn put(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

pub(super) fn write_text(field: &str, text: &str, out: &mut Vec<u8>) -> io::Result<()> {
    put(out, &[",\"", field, "\":"]);
    serde_json::to_writer(out, text).map_err(io::Error::from)
}

#[cfg(test)]
mod tests;
