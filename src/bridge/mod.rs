//! Ears for what a program says anyway: each listens in one place and hands over to a reporter.
//!
//! A bridge is a leaf over the public surface, and a feature of its own. It holds its reporter weakly, so a global
//! logger does not keep a session going, and it is deaf inside the reporter's own work, so nothing that is said there
//! comes back as an event.

#[cfg(any(feature = "log-bridge", feature = "tracing"))]
mod attachments;
#[cfg(any(feature = "log-bridge", feature = "tracing"))]
mod fields;
#[cfg(any(feature = "log-bridge", feature = "tracing"))]
mod filter;
#[cfg(feature = "log-bridge")]
mod log;
#[cfg(feature = "panic-hook")]
mod panic;
#[cfg(feature = "tracing")]
mod span;
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
pub use panic::install_panic_hook;
#[cfg(feature = "tracing")]
pub use tracing::TracingBridge;
#[cfg(feature = "ureq-middleware")]
pub use ureq::{Retries, UreqBridge};
