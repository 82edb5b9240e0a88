//! The types that every floor uses: what an event is, what is counted, where to report to, what can be wrong.
//!
//! Nothing here does any I/O or starts anything. Every folder may use this one; it uses none.

pub(crate) mod config;
pub(crate) mod error;
pub mod event;
pub(crate) mod proxy;
pub(crate) mod stats;
