//! Turns events into the bytes of a request.
//!
//! The worker encodes each event as it leaves the queue ([`encode`]), gathers the JSON into batches ([`batch`]), and puts
//! the envelope around a batch when it is sent ([`envelope`]). With the feature `otlp`, a batch may become a request to an
//! OpenTelemetry collector instead (`otlp`). Nothing here does I/O, except that ids come from the
//! operating system.
//!
//! The invariants:
//!
//! - An event's bytes are made once. Every retry of a batch has the same body and the same idempotency key.
//! - No two events that a process sends to one session have the same number. Refused events leave gaps.

pub(crate) mod batch;
pub(crate) mod context;
pub(crate) mod encode;
pub(crate) mod envelope;
pub(crate) mod ids;
#[cfg(feature = "otlp")]
pub(crate) mod otlp;
pub(crate) mod session_index;

pub(crate) use ids::process_uuid;
