//! Other sources of events. Each is a leaf with a feature of its own, and holds the reporter weakly: what is
//! installed for the whole process does not keep a session going.
//!
//! | module | feature | reports |
//! |---|---|---|
//! | `panic` | `panic-hook` | panics, as fatal exceptions |
//! | `ureq` | `ureq-middleware` | HTTP requests of a ureq agent |

#[cfg(feature = "panic-hook")]
pub mod panic;
#[cfg(feature = "ureq-middleware")]
pub mod ureq;
