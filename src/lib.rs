//! Telemetry for Tinker sessions, for programs without an async runtime: synchronous command-line tools and
//! multi-threaded services.
//!
//! A program that trains or samples through Tinker opens a session; a [`Reporter`] tells the backend what happens in
//! it: that it starts and ends, custom events, errors.
//!
//! ```
//! use std::time::Duration;
//! use tinker_telemetry::{Reporter, Severity, json};
//!
//! # fn train() -> Result<(), std::io::Error> { Ok(()) }
//! # fn main() -> Result<(), tinker_telemetry::StartError> {
//! # let reporter = Reporter::disabled();
//! # /*
//! let reporter = Reporter::from_env("session-0001")?; // TINKER_API_KEY, TINKER_BASE_URL, TINKER_TELEMETRY
//! # */
//! reporter.log("checkpoint.saved", json!({"step": 1200, "loss": 0.4213}), Severity::Info);
//! if let Err(error) = train() {
//!     reporter.log_fatal_exception(&error, Severity::Critical); // the error, the session's end, a bounded flush
//! }
//! reporter.wait_until_drained(Duration::from_secs(5));
//! # Ok(())
//! # }
//! ```
//!
//! # Three promises
//!
//! **It costs the caller next to nothing.** [`log`](Reporter::log) encodes the data, puts it into a bounded queue and
//! returns: no I/O, no wake-up of a thread per event, no panic, no `Result`, and no lock that another call waits for
//! (as long as no more than 16 threads are putting an event in at the same moment).
//!
//! **It is gone on time.** Every wait has a deadline that holds whatever the network does:
//! [`wait_until_drained`](Reporter::wait_until_drained), [`stop`](Reporter::stop),
//! [`log_fatal_exception`](Reporter::log_fatal_exception), and the drop of the last clone.
//!
//! **It tells the truth.** Each accepted event has exactly one fate, and [`stats`](Reporter::stats) counts it:
//! delivered when a 2xx answered it, dropped with a reason, or pending. Drained is not delivered.
//!
//! # How it works
//!
//! A worker thread of its own takes events from the queue and posts them in batches of up to 100: every 10 s, as soon
//! as 100 events or 1 MiB are pending, and when asked to. It retries what may pass, with backoff; splits what a
//! server finds too large; drops what cannot be delivered, logs that once (crate `log`), and counts it.
//!
//! # At the end of a program
//!
//! Dropping the last clone of a reporter ends the session and waits for what is pending, 5 s at most. That does not
//! happen at `std::process::exit`, for a reporter in a `static`, or with `panic = "abort"`: there, call
//! [`stop`](Reporter::stop) yourself before the end.
//!
//! ```no_run
//! use std::sync::OnceLock;
//! use std::time::Duration;
//! use tinker_telemetry::Reporter;
//!
//! static REPORTER: OnceLock<Reporter> = OnceLock::new();
//!
//! /// In place of `std::process::exit`: what is pending has its second, and no more.
//! fn exit(code: i32) -> ! {
//!     if let Some(reporter) = REPORTER.get() {
//!         reporter.stop(Duration::from_secs(1));
//!     }
//!     std::process::exit(code)
//! }
//!
//! fn main() {
//!     REPORTER.get_or_init(|| Reporter::from_env("session-0001").unwrap_or_else(|_| Reporter::disabled()));
//!     // …
//!     exit(0);
//! }
//! ```
//!
//! With `panic = "abort"` nothing runs after the panic hook: the feature `panic-hook` reports from there, or a hook
//! of your own calls `stop`.
//!
//! # Forks
//!
//! Reporters work in a child made by `fork`. Each is made anew at its first use there, with a worker thread, a
//! connection and a `process_uuid` of the child's own, and counts that begin at zero. What was pending at the fork is
//! the parent's and stays so; the child neither sends it nor waits for it. The child continues the session: its
//! events are numbered on from where the parent was, so a number is unique only together with the `process_uuid`; and
//! it never reports the session's start or end, not even by `stop`, a drop or a fatal exception. (A program that
//! turns itself into a daemon should start its reporter after the fork, and then has a session of its own.) If the
//! child gets no thread, its reporters refuse everything as `stopped`. A child that never uses a reporter pays
//! nothing and gets no thread. Bridges keep forwarding in the child. Exceptions:
//!
//! - If another thread was changing a bridge's attachments at the moment of the fork, attach again in the child.
//! - If the program logs at debug level and forks during its first request, that child's events are dropped as
//!   `deadline`.
//! - Between `fork` and `exec`, as in `CommandExt::pre_exec`, do not call this crate: hardly anything is safe to call
//!   there.
//! - Only the C library's `fork` is noticed, not its `_fork` nor a bare system call.
//! - A child's errors and panics are reported without a stack, even with `RUST_BACKTRACE` set: the standard library's
//!   lock for stacks may stay closed in a child. The standard panic hook takes that lock too, to print a stack; with
//!   `RUST_BACKTRACE` set a child that panics may hang in it.
//! - The child must be able to allocate. The system's allocator makes sure of that; some others do not.
//!
//! # What it does not do
//!
//! - It keeps nothing on disk: what is pending when the process is killed is gone.
//! - It does not sample, aggregate or deduplicate. One call is one event.
//! - It has no async twin. In an async program its calls are safe to make, but `wait_until_drained`, `stop` and
//!   the last drop block their thread.
//! - With `RUST_BACKTRACE` set, reporting an error captures the stack, which waits while other code of the program
//!   resolves symbols, as the standard panic hook does: the standard library holds one lock for both. While the
//!   worker resolves symbols, it waits 20 ms at most (a fatal exception half a second) and then goes without a stack.
//! - It does not report by itself what a program logs or panics about; bridges are features of their own.
//! - It cannot keep its HTTP client's `TRACE` records from the program's logger. Those show what is sent, events and
//!   all, with asterisks in place of the API key and the headers that you added.
//!
//! # Features
//!
//! - `tls` (default): HTTPS. Without it only `http://` endpoints can be reported to.
//! - `collector`: a small collector on loopback, for tests of programs that report.
//! - `log-bridge`: forwards the records of the `log` crate that carry the session's id; see `bridge::LogBridge`.
//! - `tracing`: forwards the events and spans of the `tracing` crate that carry it; see `bridge::TracingBridge`.
//! - `panic-hook`: reports every panic as a fatal exception; see `bridge::install_panic_hook`.
//! - `ureq-middleware`: reports the requests of any ureq agent; see `bridge::UreqBridge`.

#![warn(missing_docs, unreachable_pub)]
// A caller cannot catch what these do, and the worker must not die of it.
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::print_stdout,
        clippy::print_stderr
    )
)]

mod model;

mod process;

mod payload;

mod failure;

mod queue;

mod wire;

mod transport;

mod worker;

mod session;

#[cfg(feature = "collector")]
pub mod collector;

mod reporter;

pub mod bridge;

#[cfg(feature = "_internals")]
#[doc(hidden)]
pub mod internals;

pub use failure::as_error::AsError;
#[doc(hidden)]
pub use failure::as_error::kind;
pub use failure::user_error::{ApiError, ErrorCategory, UserError, find_user_error_in_chain};
pub use model::config::Config;
pub use model::error::StartError;
pub use model::event;
pub use model::event::Severity;
pub use model::stats::{DropReason, Dropped, RefusalReason, Refused, Stats};
#[doc(hidden)]
pub use payload::literal;
pub use reporter::builder::Builder;
pub use reporter::capture::{CapturedError, Outcome};
pub use reporter::provider::TelemetryProvider;
pub use reporter::{Reporter, WeakReporter};
