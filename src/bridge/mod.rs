//! What a program already logs, traces, panics about or requests over HTTP, as events.
//!
//! | feature | |
//! |---|---|
//! | `log` | `LogBridge`: records of the `log` crate |
//! | `tracing` | `TracingBridge`: events and spans of the `tracing` crate |
//! | `panic` | `install_panic_hook`: panics |
//! | `ureq` | `UreqBridge`: requests of any ureq agent |
//!
//! # What a bridged event carries
//!
//! The data of an event from `log`, `tracing` or ureq has three parts: its numbers, all its other fields, and where it
//! was made. This is `warn!(retries = 2, "slow")` inside two spans, the outer of which has the fields `session_id` and
//! `user`, and the inner `path`:
//!
//! ```json
//! {
//!   "measurements": {"retries": 2},
//!   "metadata": {"message": "slow", "path": "/samples", "user": "u-17"},
//!   "origin": {
//!     "target": "my_service::handlers", "file": "src/handlers.rs", "line": 41, "thread": "worker-3",
//!     "span_id": 12, "parent_span_id": 11, "spans": ["connection", "request"]
//!   }
//! }
//! ```
//!
//! - The fields of the enclosing spans are among the event's own, so that one event says which request it is about.
//!   If a name occurs more than once, the event's own field takes precedence, then that of the inner span.
//! - `span_id` is the span that the event is in, or that it reports; `parent_span_id` is the span around that one.
//!   The numbers are unique in a process, so a reader can match starts, stops and events of parallel requests.
//! - Everything is bounded. The innermost 16 spans count, with 64 fields and 16 KiB together, and with at most a quarter
//!   of [`max_event_bytes`](crate::Builder::max_event_bytes). A text of an enclosing span is cut at 1 KiB. Of a span itself,
//!   128 fields and 256 KiB of text are reported. An event without room for 2 KiB more (a `max_event_bytes` below 8 KiB)
//!   has no origin.
//! - `file` is the path as the compiler was given it: relative for the program's own code, and with the home directory of
//!   the machine that built it for code of other crates.
//!
//! Programs use a bridge by its feature; no other folder imports this one. Three rules hold in every bridge:
//!
//! 1. It holds its reporter weakly. A global logger does not keep a session going.
//! 2. It ignores what happens inside the reporter's own work. No record of that work comes back as an event.
//! 3. It never blocks, except that a fatal panic waits for its report. A fault in it costs at most one event. A panic
//!    in a value of the program, for example, costs that value alone.

#[cfg(any(feature = "log", feature = "tracing"))]
mod forwarding;
#[cfg(feature = "log")]
mod log;
#[cfg(any(feature = "log", feature = "tracing", feature = "ureq"))]
mod origin;
#[cfg(feature = "panic")]
mod panic_hook;
#[cfg(feature = "tracing")]
mod tracing;
#[cfg(feature = "ureq")]
mod ureq;

#[cfg(any(feature = "log", feature = "tracing"))]
pub use forwarding::attachments::{AttachError, Attachments};
#[cfg(any(feature = "log", feature = "tracing"))]
pub use forwarding::filter::EventFilter;
#[cfg(feature = "log")]
pub use log::LogBridge;
#[cfg(feature = "panic")]
pub use panic_hook::{FatalPanics, install_panic_hook, install_panic_hook_with};
#[cfg(feature = "tracing")]
pub use tracing::TracingBridge;
#[cfg(feature = "ureq")]
pub use ureq::{Retries, UreqBridge};

/// The names of events about an HTTP request: those that `UreqBridge` reports, and those that a filter asks for by default.
#[cfg(any(feature = "log", feature = "tracing", feature = "ureq"))]
mod http_request {
    pub(super) const START: &str = "http.request.start";
    pub(super) const STOP: &str = "http.request.stop";
    pub(super) const EXCEPTION: &str = "http.request.exception";
}
