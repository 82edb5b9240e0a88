//! The request body around a batch of events, in the protocol that the endpoint speaks.

#[cfg(feature = "gzip")]
use std::cell::OnceCell;

use uuid::Uuid;

use super::batch::Batch;
use super::encode::{put, write_text};
#[cfg(feature = "otlp")]
use super::otlp::{self, Resource};
use crate::model::config::Protocol;

/// The part of a request's body around the events. It is the same in every request of a reporter.
#[derive(Debug)]
pub(crate) enum Envelope {
    /// JSON, as the official SDK sends it. The events stand between the opening and this tail.
    Json { tail: Vec<u8> },
    /// The message of OTLP. The events' JSON is transcoded.
    #[cfg(feature = "otlp")]
    Otlp { session_id: String, resource: Resource },
}

/// A batch as it is sent: the same bytes and the same key on every attempt.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) body: Vec<u8>,
    pub(crate) idempotency_key: String,
    /// The body as the transport compressed it, for every attempt.
    #[cfg(feature = "gzip")]
    pub(crate) compressed: OnceCell<Vec<u8>>,
}

const OPENING: &[u8] = br#"{"events":["#;

impl Envelope {
    /// What a process sends of a session.
    pub(crate) fn new(protocol: &Protocol, session_id: &str, process: Uuid) -> Self {
        match protocol {
            Protocol::Tinker { sdk_version } => Self::json(sdk_version, session_id, process),
            #[cfg(feature = "otlp")]
            Protocol::Otlp { resource } => Self::Otlp {
                session_id: session_id.to_owned(),
                resource: Resource::new(resource.clone(), &process.to_string()),
            },
        }
    }

    fn json(sdk_version: &str, session_id: &str, process: Uuid) -> Self {
        let mut tail = format!(r#"],"platform":"{}""#, platform()).into_bytes();
        let _ = write_text("sdk_version", sdk_version, &mut tail);
        let _ = write_text("session_id", session_id, &mut tail); // writing to memory cannot fail
        put(&mut tail, &[r#","process_uuid":""#, &process.to_string(), r#""}"#]);
        Self::Json { tail }
    }

    /// How many bytes it adds to the events.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Json { tail } => OPENING.len() + tail.len(),
            #[cfg(feature = "otlp")]
            Self::Otlp { session_id, resource } => otlp::transcode(b"", session_id, resource).len(),
        }
    }

    pub(crate) fn seal(&self, batch: &Batch, key: Uuid) -> Request {
        let body = match self {
            Self::Json { tail } => [OPENING, batch.json(), tail].concat(),
            #[cfg(feature = "otlp")]
            Self::Otlp { session_id, resource } => otlp::transcode(batch.json(), session_id, resource),
        };
        Request::new(body, format!("tinker-telemetry-retry-{key}"))
    }
}

impl Request {
    pub(crate) fn new(body: Vec<u8>, idempotency_key: String) -> Self {
        Self {
            body,
            idempotency_key,
            #[cfg(feature = "gzip")]
            compressed: OnceCell::new(),
        }
    }
}

/// The operating system as the official SDK names it in bodies.
fn platform() -> &'static str {
    match std::env::consts::OS {
        "linux" => "Linux",
        "macos" => "Darwin",
        "windows" => "Windows",
        other => other,
    }
}
