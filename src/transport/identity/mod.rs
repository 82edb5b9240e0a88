//! The headers of every request, and the source of the API key.
//!
//! The client uses this folder. No source of a key is waited for longer than a bounded time, and no key is ever logged.

pub(super) mod credentials;
pub(super) mod expiry;
pub(super) mod headers;
