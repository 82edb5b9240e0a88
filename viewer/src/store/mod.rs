//! What arrived: parsed, kept in memory within bounds, written to a file, read from one.
//!
//! Events stay in the words they were sent in. Only what the viewer needs of them is looked at.

mod import;
mod ingest;
mod keep;
mod received;
mod ring;

pub use import::{Imported, import};
pub use ingest::{Telemetry, parse};
pub use keep::Keep;
pub use received::{Circumstances, Other, Received};
pub use ring::Ring;
