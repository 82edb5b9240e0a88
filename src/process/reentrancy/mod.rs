//! The "do not report" scope of a thread: nothing that happens inside it becomes an event.
//!
//! The worker's thread is always inside, so that the log records of its HTTP client are not reported. A caller's
//! thread is inside while its data is encoded, so that a `Serialize` that logs does not recurse. Every bridge asks
//! [`is_inside`] first.

use std::cell::Cell;
use std::marker::PhantomData;

use crate::model::stats::RefusalReason;

thread_local! {
    // Constant and without a destructor, so it can be read even while the destructors of other thread-locals run.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// A thread's stay in the scope. It ends when this is dropped, also by a panic.
#[must_use = "the scope ends when this is dropped"]
pub(crate) struct Scope {
    /// Makes it not `Send`: a scope ends on the thread that it began on.
    thread_bound: PhantomData<*const ()>,
}

/// Enters the scope; `None` if the thread is inside already.
#[inline]
pub(crate) fn enter() -> Option<Scope> {
    let entered = !INSIDE.replace(true);
    entered.then(|| Scope { thread_bound: PhantomData })
}

/// Whether this thread is inside the scope.
#[inline]
pub(crate) fn is_inside() -> bool {
    INSIDE.get()
}

/// Ends the thread's scope from inside. For a forked child, which has begun no call of its own. It only stores to the
/// thread's memory, so it may run between a fork and an exec.
#[cfg(unix)]
pub(crate) fn leave() {
    INSIDE.set(false);
}

impl Scope {
    /// Ends the scope. Fails in a child that was forked inside it: the work of that scope is the parent's.
    #[inline]
    pub(crate) fn end(self) -> Result<(), RefusalReason> {
        let still_inside = is_inside();
        drop(self);
        if still_inside { Ok(()) } else { Err(RefusalReason::Reentrant) }
    }
}

impl Drop for Scope {
    #[inline]
    fn drop(&mut self) {
        INSIDE.with(|inside| inside.set(false)); // `LocalKey::set` was not always inlined
    }
}

#[cfg(test)]
mod tests;
