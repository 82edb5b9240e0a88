//! What an error or a panic says: its type, its message, its causes, and whether the user caused it.
//!
//! The session and the bridges ask it for the text of a failure. Nothing is sent from here. Texts have a bounded length,
//! and the code of foreign errors runs inside `process::catch_panic`.

pub(crate) mod as_error;
pub(crate) mod exception;
pub(crate) mod http_error;
pub(crate) mod panicking;
pub(crate) mod text;
pub(crate) mod user_error;
