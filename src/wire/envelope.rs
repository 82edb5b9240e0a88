//! The request body around a batch of events, in the protocol that the endpoint speaks.

use std::borrow::Cow;
#[cfg(feature = "gzip")]
use std::cell::OnceCell;

use uuid::Uuid;

use super::batch::Batch;
use super::encode::write_text;
#[cfg(feature = "otlp")]
use super::otlp::{self, Resource};
use crate::model::config::Protocol;

/// The part of a request's body around the events. It is the same in every request of a sender.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    /// The sender, as JSON behind the events.
    tail: Vec<u8>,
    /// For an endpoint of OTLP: the events' JSON is transcoded, and this says who sends it.
    #[cfg(feature = "otlp")]
    otlp: Option<OtlpSender>,
}

#[cfg(feature = "otlp")]
#[derive(Clone, Debug)]
struct OtlpSender {
    session_id: String,
    resource: Resource,
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
        let sdk_version = match protocol {
            Protocol::Tinker { sdk_version } => sdk_version,
            #[cfg(feature = "otlp")]
            Protocol::Otlp { .. } => env!("CARGO_PKG_VERSION"),
        };
        let sender = Sender {
            platform: platform().into(),
            sdk_version: sdk_version.into(),
            session_id: session_id.into(),
            process_uuid: process.to_string().into(),
        };
        Self::of(&sender, protocol)
    }

    /// The envelope of this sender, which may be another process.
    pub(crate) fn of(sender: &Sender<'_>, protocol: &Protocol) -> Self {
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
        match protocol {
            Protocol::Tinker { .. } => Self {
                tail,
                #[cfg(feature = "otlp")]
                otlp: None,
            },
            #[cfg(feature = "otlp")]
            Protocol::Otlp { resource } => Self {
                tail,
                otlp: Some(OtlpSender {
                    session_id: sender.session_id.clone().into_owned(),
                    resource: Resource::new(resource.clone(), &sender.process_uuid),
                }),
            },
        }
    }

    /// The sender, as the JSON of the fields that follow the events, without braces.
    #[cfg(all(feature = "spool", unix))]
    pub(crate) fn sender(&self) -> &[u8] {
        &self.tail[b"],".len()..self.tail.len() - b"}".len()]
    }

    /// How many bytes it adds to the events.
    pub(crate) fn len(&self) -> usize {
        #[cfg(feature = "otlp")]
        if let Some(OtlpSender { session_id, resource }) = &self.otlp {
            return otlp::transcode(b"", session_id, resource).len();
        }
        OPENING.len() + self.tail.len()
    }

    /// Puts the envelope around the batch's JSON. That moves into the request: a copy would double the memory of each
    /// batch on its way.
    pub(crate) fn seal(&self, batch: &mut Batch, idempotency_key: String) -> Request {
        #[cfg(feature = "otlp")]
        if let Some(OtlpSender { session_id, resource }) = &self.otlp {
            return Request::new(otlp::transcode(batch.json(), session_id, resource), idempotency_key);
        }
        let mut body = batch.take_json();
        body.reserve_exact(self.len());
        body.splice(0..0, OPENING.iter().copied());
        body.extend_from_slice(&self.tail);
        body.shrink_to_fit();
        Request::new(body, idempotency_key)
    }

    /// Takes the envelope off again, and moves the JSON back to its batch, if it was moved.
    pub(crate) fn open(&self, request: Request, batch: &mut Batch) {
        #[cfg(feature = "otlp")]
        if self.otlp.is_some() {
            return;
        }
        let mut json = request.body;
        json.truncate(json.len() - self.tail.len());
        json.drain(..OPENING.len());
        batch.put_back_json(json);
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
