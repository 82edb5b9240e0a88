//! The caller's data as bytes: what `log` does on the caller's thread before the event enters the queue.
//!
//! The session makes records of what callers hand in; the queue stores them; `wire` turns them into requests. Nothing
//! here blocks, panics or locks. The data is encoded once, here, so that its size is known before the queue admits it,
//! and the worker never runs the caller's code.

pub(crate) mod buffer;
pub(crate) mod data;
pub(crate) mod json;
#[doc(hidden)]
pub mod literal;
pub(crate) mod record;
