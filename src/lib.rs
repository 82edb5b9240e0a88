//! Telemetry reporter for Tinker sessions.

pub mod event;
mod stats;
pub use event::Severity;
pub use stats::{DropReason, Dropped, RefusalReason, Refused, Stats};
