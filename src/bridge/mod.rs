//! What a program logs, traces, panics about, or requests over HTTP anyway, as events.
//!
//! | feature | |
//! |---|---|
//! | `log-bridge` | `LogBridge`: records of the `log` crate |
//! | `tracing` | `TracingBridge`: events and spans of the `tracing` crate |
//! | `panic-hook` | `install_panic_hook`: panics |
//! | `ureq-middleware` | `UreqBridge`: requests of any ureq agent |
//!
//! A bridge holds its reporter weakly, so a global logger does not keep a session going. It ignores what happens
//! inside the reporter's own work, so nothing that is said there comes back as an event.

#[cfg(any(feature = "log-bridge", feature = "tracing"))]
mod attachments;
#[cfg(any(feature = "log-bridge", feature = "tracing"))]
mod fields;
#[cfg(any(feature = "log-bridge", feature = "tracing"))]
mod filter;
#[cfg(feature = "log-bridge")]
mod log;
#[cfg(feature = "panic-hook")]
mod panic_hook;
#[cfg(feature = "tracing")]
mod tracing;
#[cfg(feature = "ureq-middleware")]
mod ureq;

#[cfg(any(feature = "log-bridge", feature = "tracing"))]
pub use attachments::{AttachError, Attachments};
#[cfg(any(feature = "log-bridge", feature = "tracing"))]
pub use filter::EventFilter;
#[cfg(feature = "log-bridge")]
pub use log::LogBridge;
#[cfg(feature = "panic-hook")]
pub use panic_hook::install_panic_hook;
#[cfg(feature = "tracing")]
pub use tracing::TracingBridge;
#[cfg(feature = "ureq-middleware")]
pub use ureq::{Retries, UreqBridge};
