//! The thread of a call, also at the very end of that thread.
//!
//! At the end of a thread, once the standard library has dropped its own handle of it, `thread::current` panics.
//! Destructors of C thread-specific keys still run then, and may log. The panic hook would report that panic; if it
//! is the hook itself that asks, the process aborts. So the panic may happen once for each thread, and inside the
//! reentrancy scope, where the crate's hook does nothing.
//!
//! What remains: if the panic hook is the first to ask, and that late, the process aborts. There is no other way to ask.

use std::cell::Cell;
use std::thread::{self, Thread};

use crate::process::catch_panic::catch_panic;
use crate::process::reentrancy;

thread_local! {
    // Constant and without a destructor, so it can be read at the very end too.
    static IS_GONE: Cell<bool> = const { Cell::new(false) };
    /// Has a destructor, so that it is gone when the thread's other values are.
    static ALIVE: Cell<Option<Box<()>>> = const { Cell::new(None) };
}

/// The thread of this call. `None` if the thread ends and the standard library no longer knows it.
pub(crate) fn current_thread() -> Option<Thread> {
    if IS_GONE.get() {
        return None;
    }
    ALIVE.try_with(|_| ()).ok()?;
    let _scope = reentrancy::enter();
    let thread = catch_panic(thread::current); // it panics if this is the first use on a thread that ends
    IS_GONE.set(thread.is_none());
    thread
}
