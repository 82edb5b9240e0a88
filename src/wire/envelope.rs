//! The request body around a batch of events.

use std::borrow::Cow;

use uuid::Uuid;

use super::batch::Batch;
use super::encode::write_text;

/// The part of a request's body around the events. It is the same in every request of a reporter.
#[derive(Debug)]
pub(crate) struct Envelope {
    tail: Vec<u8>,
}

/// A batch as it is sent: the same bytes and the same key on every attempt.
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

    /// The same for an SDK of this version.
    pub(crate) fn of_sdk(version: &str, session_id: &str, process: Uuid) -> Self {
        Self::of(&Sender {
            platform: platform().into(),
            sdk_version: version.into(),
            session_id: session_id.into(),
            process_uuid: process.to_string().into(),
        })
    }

    /// The envelope of this sender, which may be another process.
    pub(crate) fn of(sender: &Sender<'_>) -> Self {
        let mut tail = b"]".to_vec();
        let fields = [
            ("platform", &sender.platform),
            ("sdk_version", &sender.sdk_version),
            ("session_id", &sender.session_id),
            ("process_uuid", &sender.process_uuid),
        ];
        for (name, value) in fields {
            let _ = write_text(name, value, &mut tail); // writing to memory cannot fail
        }
        tail.push(b'}');
        Self { tail }
    }

    /// The sender, as the JSON of the fields that follow the events, without braces.
    #[cfg(all(feature = "spool", unix))]
    pub(crate) fn sender(&self) -> &[u8] {
        &self.tail[b"],".len()..self.tail.len() - b"}".len()]
    }

    /// How many bytes it adds to the events.
    pub(crate) fn len(&self) -> usize {
        OPENING.len() + self.tail.len()
    }

    pub(crate) fn seal(&self, batch: &Batch, key: Uuid) -> Request {
        self.seal_with(batch, format!("tinker-telemetry-retry-{key}"))
    }

    /// The request under a key that it bore before.
    pub(crate) fn seal_with(&self, batch: &Batch, idempotency_key: String) -> Request {
        Request { body: [OPENING, batch.json(), &self.tail].concat(), idempotency_key }
    }
}

/// Who sends: the fields beside the events.
#[derive(Debug)]
pub(crate) struct Sender<'a> {
    pub(crate) platform: Cow<'a, str>,
    pub(crate) sdk_version: Cow<'a, str>,
    pub(crate) session_id: Cow<'a, str>,
    pub(crate) process_uuid: Cow<'a, str>,
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
