//! The text of an error or a panic: its type, its message, its causes, and whether the user caused it.
//!
//! The session and the bridges ask for it; nothing is sent from here. The invariants:
//!
//! - Every text has a bounded length, counted in bytes of JSON.
//! - Of a chain of errors, a bounded number is read. The type of a report is that of the cause, its message the whole chain.
//! - The code of foreign errors runs here on the caller's thread. The callers keep its panics in with
//!   `process::catch_panic`.
//! - The cause of a failed HTTP request is in the crate's own words. ureq's words may repeat a URL with a password in
//!   it.

pub(crate) mod as_error;
pub(crate) mod chain;
pub(crate) mod exception;
pub(crate) mod http_error;
pub(crate) mod panicking;
pub(crate) mod text;
pub(crate) mod user_error;
