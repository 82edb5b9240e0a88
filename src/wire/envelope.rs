//! The request body around a batch of events.

use uuid::Uuid;

use super::batch::Batch;
use super::encode::{put, write_text};

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
    #[cfg(any(test, feature = "_internals"))]
    pub(crate) fn new(session_id: &str, process: Uuid) -> Self {
        Self::of_sdk(env!("CARGO_PKG_VERSION"), session_id, process)
    }

    /// The same of an SDK of this version.
    pub(crate) fn of_sdk(version: &str, session_id: &str, process: Uuid) -> Self {
        let mut tail = format!(r#"],"platform":"{}""#, platform()).into_bytes();
        let _ = write_text("sdk_version", version, &mut tail);
        let _ = write_text("session_id", session_id, &mut tail); // memory takes any text
        put(&mut tail, &[r#","process_uuid":""#, &process.to_string(), r#""}"#]);
        Self { tail }
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
