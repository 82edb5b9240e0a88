//! What the targets in `fuzz/` need of the private rooms. It exists in builds with `--cfg fuzzing` alone.

use std::error::Error;
use std::io;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use uuid::Uuid;

use crate::batch::Batcher;
use crate::config::Config;
use crate::encode::{Envelope, write_event};
use crate::error::StartError;
use crate::event::Severity;
use crate::record::{Body, Record};
use crate::stats::RefusalReason;
use crate::{data, exception, retry};

/// See `retry::retry_after`.
pub fn retry_after(ms: Option<&str>, after: Option<&str>, now: SystemTime) -> Option<Duration> {
    retry::retry_after(ms, after, now)
}

/// The URL that requests would go to, of a process that has no environment.
pub fn endpoint(config: &Config) -> Result<String, StartError> {
    Ok(config.validate_in(|_| None)?.uri.to_string())
}

/// What every event begins with.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    pub id: Uuid,
    pub index: u64,
    pub severity: Severity,
    pub time: SystemTime,
}

/// What makes an event of its kind.
pub struct Payload(Body);

impl Payload {
    /// Data past `limit` bytes are refused.
    pub fn generic(name: &str, data: &impl Serialize, limit: usize) -> Result<Self, RefusalReason> {
        let data = data::encode(data, limit)?;
        Ok(Self(Body::Generic { name: name.to_owned().into(), data }))
    }

    /// Texts are cut to `limit` bytes together.
    pub fn exception(error: &(dyn Error + 'static), type_name: Option<&str>, limit: usize) -> Self {
        Self(Body::Exception(Box::new(exception::describe(error, type_name, limit))))
    }

    pub fn session_start() -> Self {
        Self(Body::SessionStart)
    }

    pub fn session_end(duration: Duration) -> Self {
        Self(Body::SessionEnd(duration))
    }
}

/// The body of a request with these events, as the worker makes it.
pub fn request(session_id: &str, events: Vec<(Head, Payload)>, process: Uuid) -> io::Result<Vec<u8>> {
    let mut batcher = Batcher::new(usize::MAX, usize::MAX);
    for (head, Payload(body)) in events {
        let record = Record { index: head.index, time: head.time, severity: head.severity, body };
        let mut json = Vec::new();
        write_event(&record, head.id, &mut json)?;
        batcher.push(&json, 0);
    }
    let batch = batcher.take().unwrap_or_default();
    Ok(Envelope::new(session_id, process).seal(&batch, process).body)
}
