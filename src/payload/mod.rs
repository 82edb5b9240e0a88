//! The caller's data as bytes: the work of `log` on the caller's thread before the event enters the queue.
//!
//! The session makes a record of each event; the queue stores it; `wire` writes it into a request. The invariants:
//!
//! - Nothing here blocks, panics or takes a lock.
//! - The data is encoded once, on the caller's thread. So its size is known before the queue admits it, and the
//!   worker never runs the caller's code.
//! - Encoded data is valid JSON once its floats are expanded, and small enough in size and depth for every parser.

pub(crate) mod buffer;
pub(crate) mod data;
pub(crate) mod json;
#[doc(hidden)]
pub mod literal;
pub(crate) mod record;
