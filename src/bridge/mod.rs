//! Ears for what a program says anyway: each listens in one place and hands over to a reporter.
//!
//! A bridge is a leaf over the public surface, and a feature of its own. It holds its reporter weakly, so a global
//! logger does not keep a session going, and it is deaf inside the reporter's own work, so nothing that is said there
//! comes back as an event.

#[cfg(feature = "panic-hook")]
mod panic;
#[cfg(feature = "ureq-middleware")]
mod ureq;

#[cfg(feature = "panic-hook")]
pub use panic::install_panic_hook;
#[cfg(feature = "ureq-middleware")]
pub use ureq::{Retries, UreqBridge};
