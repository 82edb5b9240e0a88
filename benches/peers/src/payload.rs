//! The event that everyone is given: three fields, one of each common kind.

use serde::Serialize;

/// The event's name. A dot and a verb, as every peer's naming advice has it.
pub(crate) const NAME: &str = "checkpoint.saved";

/// The short string. The sink counts events by it, so each event has it once, and nothing else has it.
pub(crate) const SHARD: &str = "shard-eu-west-3";

/// The caller's data. The string is borrowed, as in most calls. A client that keeps it copies it.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Fields<'a> {
    pub(crate) step: i64,
    pub(crate) loss: f64,
    pub(crate) shard: &'a str,
}

impl Fields<'_> {
    /// The fields of the `n`th event: no two alike, so that no one profits from a constant.
    pub(crate) fn nth(n: usize) -> Self {
        let step = i64::try_from(n).unwrap_or(i64::MAX);
        Self { step, loss: 0.4213 + step as f64 * 0.000_1, shard: SHARD }
    }
}
