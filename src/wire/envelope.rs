//! The request body around a batch of events.

use std::borrow::Cow;

use uuid::Uuid;

use super::batch::Batch;
use super::encode::write_text;

/// The part of a request's body around the events. It is the same in every request of a reporter.
#[derive(Clone, Debug)]
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

    /// Puts the envelope around the batch's JSON. That moves into the request: a copy would double the memory of each
    /// batch on its way.
    pub(crate) fn seal(&self, batch: &mut Batch, idempotency_key: String) -> Request {
        let mut body = batch.take_json();
        body.reserve_exact(self.len());
        body.splice(0..0, OPENING.iter().copied());
        body.extend_from_slice(&self.tail);
        body.shrink_to_fit();
        Request { body, idempotency_key }
    }

    /// Takes the envelope off again, and moves the JSON back to its batch.
    pub(crate) fn open(&self, request: Request, batch: &mut Batch) {
        let mut json = request.body;
        json.truncate(json.len() - self.tail.len());
        json.drain(..OPENING.len());
        batch.put_back_json(json);
    }
}

/// The key that a batch has on every attempt.
pub(crate) fn idempotency_key(id: Uuid) -> String {
    format!("tinker-telemetry-retry-{id}")
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
