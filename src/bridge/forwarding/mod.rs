//! What the bridges from `log` and `tracing` share: to whom they forward, what, and in which shape.
//!
//! Only those two bridges use it. It knows neither `log` nor `tracing`: a bridge passes names, fields and ids on. The
//! program's own code, which makes ids and texts, runs inside the reentrancy scope, and a panic of it is caught.

pub(super) mod attachments;
pub(super) mod fields;
pub(super) mod filter;
