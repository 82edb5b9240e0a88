//! Who is speaking: the headers of every request, and where the API key comes from.
//!
//! The client uses this folder. No source of a key is waited for longer than a bounded time, and no key is ever logged.

pub(super) mod credentials;
pub(super) mod expiry;
pub(super) mod headers;
