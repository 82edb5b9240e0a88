//! What a program already logs, traces, panics about or requests over HTTP, as events.
//!
//! | feature | |
//! |---|---|
//! | `log-bridge` | `LogBridge`: records of the `log` crate |
//! | `tracing` | `TracingBridge`: events and spans of the `tracing` crate |
//! | `panic-hook` | `install_panic_hook`: panics |
//! | `ureq-middleware` | `UreqBridge`: requests of any ureq agent |
//!
//! Programs use a bridge by its feature; no other folder imports this one. Three rules hold in every bridge:
//!
//! 1. It holds its reporter weakly. A global logger does not keep a session going.
//! 2. It ignores what happens inside the reporter's own work. No record of that work comes back as an event.
//! 3. It costs the program an event at most. It never blocks, and a panic in the program's own code stays inside.

#[cfg(any(feature = "log-bridge", feature = "tracing"))]
mod forwarding;
#[cfg(feature = "log-bridge")]
mod log;
#[cfg(feature = "panic-hook")]
mod panic_hook;
#[cfg(feature = "tracing")]
mod tracing;
#[cfg(feature = "ureq-middleware")]
mod ureq;

#[cfg(any(feature = "log-bridge", feature = "tracing"))]
pub use forwarding::attachments::{AttachError, Attachments};
#[cfg(any(feature = "log-bridge", feature = "tracing"))]
pub use forwarding::filter::EventFilter;
#[cfg(feature = "log-bridge")]
pub use log::LogBridge;
#[cfg(feature = "panic-hook")]
pub use panic_hook::{FatalPanics, install_panic_hook, install_panic_hook_with};
#[cfg(feature = "tracing")]
pub use tracing::TracingBridge;
#[cfg(feature = "ureq-middleware")]
pub use ureq::{Retries, UreqBridge};

/// The names of events about an HTTP request: those that `UreqBridge` reports, and those that a filter asks for by default.
#[cfg(any(feature = "log-bridge", feature = "tracing", feature = "ureq-middleware"))]
mod http_request {
    pub(super) const START: &str = "http.request.start";
    pub(super) const STOP: &str = "http.request.stop";
    pub(super) const EXCEPTION: &str = "http.request.exception";
}
