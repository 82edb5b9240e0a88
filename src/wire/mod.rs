//! Events to the bytes of a request.
//!
//! The worker encodes each event as it leaves the queue, gathers the JSON into batches, and puts the envelope around a
//! batch when it is sent. An event's bytes never change after that: a retry sends the same body.

pub(crate) mod batch;
pub(crate) mod context;
pub(crate) mod encode;
pub(crate) mod envelope;
pub(crate) mod ids;
pub(crate) mod process_uuid;
pub(crate) mod session_index;
