//! What can strike any code of this crate from outside: a panic, a call from within its own work, a fork, and threads
//! that must start in a forked child too.
//!
//! Every folder above may use it. The crate's only `unsafe` code is in `fork`.

pub(crate) mod catch_panic;
pub(crate) mod fork;
pub(crate) mod reentrancy;
