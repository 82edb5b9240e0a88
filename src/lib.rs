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
//! // The id of the Tinker session. The API key is in TINKER_API_KEY.
//! let reporter = Reporter::from_env("0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64")?;
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
//! returns: no I/O, no wake-up of a thread per event, no panic, no `Result`. Up to sixteen threads that log at the same
//! moment take no lock that another of them waits for, but for two short moments: the call that completes a batch puts
//! it into a channel and wakes the worker, and two such calls wait for each other's few instructions there.
//!
//! **It is gone on time.** Every wait has a deadline that holds whatever the network does:
//! [`wait_until_drained`](Reporter::wait_until_drained), [`stop`](Reporter::stop),
//! [`log_fatal_exception`](Reporter::log_fatal_exception), and the drop of the last clone.
//!
//! **It tells the truth.** Each accepted event has exactly one fate, and [`stats`](Reporter::stats) counts it:
//! delivered when a 2xx answered it, dropped with a reason, kept in a file for the next run where there is a spool, or
//! pending. Drained is not delivered.
//!
//! # How it works
//!
//! A worker thread of its own takes events from the queue and posts them in batches of up to 100: every 10 s, as soon as
//! 100 events or 1 MiB are pending, and when asked to. It retries failures that may pass, with backoff. It splits a batch
//! that the server finds too large. It drops what cannot be delivered, logs that once (crate `log`), and counts it.
//!
//! # At the end of a program
//!
//! When the last clone of a reporter is dropped, the session ends, and the drop waits for what is pending, 5 s at most.
//! That does not happen at `std::process::exit`, for a reporter in a `static`, or with `panic = "abort"`. There, call
//! [`stop`](Reporter::stop) yourself before the end.
//!
//! ```no_run
//! use std::sync::OnceLock;
//! use std::time::Duration;
//! use tinker_telemetry::Reporter;
//!
//! static REPORTER: OnceLock<Reporter> = OnceLock::new();
//!
//! /// In place of `std::process::exit`: pending events have one second.
//! fn exit(code: i32) -> ! {
//!     if let Some(reporter) = REPORTER.get() {
//!         reporter.stop(Duration::from_secs(1));
//!     }
//!     std::process::exit(code)
//! }
//!
//! fn main() {
//!     REPORTER.get_or_init(|| Reporter::from_env("0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64").unwrap_or_else(|_| Reporter::disabled()));
//!     // …
//!     exit(0);
//! }
//! ```
//!
//! With `panic = "abort"` nothing runs after the panic hook: the feature `panic` reports from there, or a hook
//! of your own calls `stop`.
//!
//! # Forks
//!
//! Reporters work in a child made by `fork`. At its first use there, each is made anew: with a worker thread, a
//! connection and a `process_uuid` of the child's own, and counts that begin at zero. Events that were pending at the fork
//! stay the parent's. The child neither sends them nor waits for them.
//!
//! The child continues the session. Its events are numbered on from where the parent was, so a number is unique only
//! together with the `process_uuid`. It never reports the session's start or end, not even by `stop`, a drop or a fatal
//! exception. (A program that turns itself into a daemon should start its reporter after the fork. Then it has a session
//! of its own.) If the child gets no thread, its reporters refuse everything as `stopped`. A child that never uses a
//! reporter pays nothing and gets no thread. Bridges keep forwarding in the child.
//!
//! Exceptions:
//!
//! - If another thread was changing a bridge's attachments at the moment of the fork, attach again in the child.
//! - If the program logs at debug level and forks during its first request, that child's events are dropped as `deadline`.
//! - If another thread was looking up a host name at the moment of the fork, the C library's lock for lookups may stay closed in
//!   the child. It then sends to the addresses that its parent had found. If there were none yet, its events are dropped. No call
//!   waits longer for it.
//! - Between `fork` and `exec`, as in `CommandExt::pre_exec`, do not call this crate: hardly anything is safe to call there.
//! - Only the C library's `fork` is noticed. Its `_fork` and a bare system call are not.
//! - A child's errors and panics are reported without a stack, even with `RUST_BACKTRACE` set: the standard library's lock
//!   for stacks may stay closed in a child. The standard panic hook takes that lock too, to print a stack. So with
//!   `RUST_BACKTRACE` set a child that panics may hang in that hook.
//! - The child must be able to allocate. The system's allocator makes sure of that. Some others do not.
//!
//! # What it does not do
//!
//! - It keeps nothing on disk, unless a builder is given a spool (feature `spool`): events that are pending when the process
//!   is killed are lost.
//! - It does not sample, aggregate or deduplicate. One call is one event.
//! - It has no async twin. In an async program its calls are safe to make, but `wait_until_drained`, `stop` and
//!   the last drop block their thread.
//! - With `RUST_BACKTRACE` set, a reported error captures the stack. The capture waits while other code of the program
//!   resolves symbols, as the standard panic hook does: the standard library holds one lock for both. While the worker
//!   resolves symbols, the capture waits 20 ms at most (of a fatal exception half a second), and then there is no stack.
//! - It does not report by itself what a program logs or panics about; bridges are features of their own.
//! - It cannot keep its HTTP client's `TRACE` records from the program's logger. They show
//!   the heads of requests and the answers, with asterisks in place of the API key and of the headers that you added.
//!   They do not show the events.
//!
//! # Features
//!
//! - `tls` (default): HTTPS. Without it only `http://` endpoints can be reported to.
//! - `collector`: a small collector on loopback, for tests of programs that report.
//! - `log`: forwards the records of the `log` crate, all or those that carry the session's id; see `bridge::LogBridge`.
//! - `tracing`: forwards the events and spans of the `tracing` crate; see `bridge::TracingBridge`.
//! - `panic`: reports every panic, and ends the session if the program ends; see `bridge::install_panic_hook`.
//! - `ureq`: reports the requests of any ureq agent; see `bridge::UreqBridge`.
//! - `spool`: keeps what cannot be sent in files, and the next run sends it; see `Spool`. Unix only: elsewhere `start` returns
//!   an error.
//! - `otlp`: reports to any OpenTelemetry collector, in place of Tinker's backend; see `Config::otlp`.
//! - `gzip`: compresses requests, by default those of `otlp`; see `Config::gzip`.

#![warn(missing_docs, unreachable_pub)]
#![cfg_attr(docsrs, feature(doc_cfg))]
// shows the feature that an item needs
// A caller cannot catch what these do, and the worker must survive it.
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

#[cfg(not(target_has_atomic = "64"))]
compile_error!("tinker-telemetry needs 64-bit atomics, which this target does not have");

// The floors. Each folder's mod.rs says what it is for; ARCHITECTURE.md has the picture, and tests/house.rs the order.
// What a program holds:
mod reporter;
// From the caller's thread into the queue:
mod failure;
mod payload;
mod session;
// Between the caller's threads and the worker's:
mod queue;
// From the queue to the network, on the worker's thread:
mod print;
#[cfg(feature = "spool")]
mod spool;
mod transport;
mod wire;
mod worker;
// What all of them use:
mod model;
mod process;

pub mod bridge; // logs, spans, panics and requests of the program, as events
#[cfg(feature = "collector")]
pub mod collector; // for tests of programs that report
#[cfg(feature = "_internals")]
#[doc(hidden)]
pub mod internals; // for fuzz/ and benches/

pub use failure::as_error::AsError;
pub use failure::user_error::{
    ApiError, ErrorCategory, ParseErrorCategoryError, UserError, find_user_error_in_chain,
};
pub use model::config::Config;
pub use model::error::StartError;
pub use model::event;
pub use model::event::Severity;
pub use model::stats::{DropReason, Dropped, RefusalReason, Refused, Replayed, Stats};
#[doc(hidden)]
pub use payload::literal;
pub use reporter::builder::Builder;
pub use reporter::capture::{CapturedError, Outcome, Unchecked};
pub use reporter::provider::{Telemetry, TelemetryProvider};
pub use reporter::{Reporter, WeakReporter};
#[cfg(feature = "spool")]
pub use spool::settings::{Durability, Spool, SpoolStatus};
