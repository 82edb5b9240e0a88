//! What can happen to any code of this crate from outside: a panic, a call from within the crate's own work, a fork, and
//! what the program's logger does. Also what the whole process has only once: threads with their signals, and the lock of
//! stacks.
//!
//! Every folder above uses it. The invariants:
//!
//! - A panic of code that is not ours does not pass [`catch_panic`].
//! - A line for the program's log goes through [`program_log`].
//! - Nothing that a thread does inside the [`reentrancy`] scope becomes an event.
//! - A forked child never waits for a lock that a thread of its parent may hold.
//! - All `unsafe` code of the crate is in [`fork`].

pub(crate) mod catch_panic;
pub(crate) mod current_thread;
pub(crate) mod fork;
pub(crate) mod program_log;
pub(crate) mod reentrancy;
pub(crate) mod stack;
