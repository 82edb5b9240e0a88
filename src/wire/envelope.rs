//! The request body around a batch of events.

use std::borrow::Cow;

use uuid::Uuid;

use super::batch::Batch;
use super::encode::write_text;

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
        Self::of(&Sender {
            platform: platform().into(),
            sdk_version: env!("CARGO_PKG_VERSION").into(),
            session_id: session_id.into(),
            process_uuid: process.to_string().into(),
        })
    }

    /// The envelope of this sender, who may be another process.
    pub(crate) fn of(sender: &Sender<'_>) -> Self {
        let mut tail = b"]".to_vec();
        let fields = [
            ("platform", &sender.platform),
            ("sdk_version", &sender.sdk_version),
            ("session_id", &sender.session_id),
            ("process_uuid", &sender.process_uuid),
        ];
        for (name, value) in fields {
            let _ = write_text(name, value, &mut tail); // memory takes any text
        }
        tail.push(b'}');
        Self { tail }
    }

    /// Who sends, as the JSON of the fields that follow the events, without braces.
    #[cfg(all(feature = "spool", unix))]
    pub(crate) fn sender(&self) -> &[u8] {
        &self.tail[b"],".len()..self.tail.len() - b"}".len()]
    }

    /// The bytes that it adds to the events.
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

/// The operating system as the backend spells it.
fn platform() -> &'static str {
    match std::env::consts::OS {
        "linux" => "Linux",
        "macos" => "Darwin",
        "windows" => "Windows",
        other => other,
    }
}
