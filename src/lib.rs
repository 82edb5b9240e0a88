//! Telemetry reporter for Tinker sessions, for programs without an async runtime.

mod config;
mod error;
pub mod event;

mod builder;
mod reporter;

mod data;
mod exception;
mod quiet;
mod record;

mod admission;
mod queue;

mod batch;
mod encode;
mod worker;

mod delivery;
mod episode;
mod retry;
mod transport;

mod ledger;
mod process;
mod stats;

pub use builder::Builder;
pub use config::Config;
pub use error::StartError;
pub use event::Severity;
#[doc(hidden)]
pub use exception::kind;
pub use exception::{ApiError, AsError, ErrorCategory, UserError, find_user_error_in_chain};
pub use reporter::{Reporter, WeakReporter};
pub use stats::{DropReason, Dropped, RefusalReason, Refused, Stats};
