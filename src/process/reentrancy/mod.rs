//! The "do not report" scope of a thread: what happens inside it must not come back as an event.
//!
//! The worker lives in it, so that its HTTP client's log records are not reported in turn; a caller's thread
//! is in it while data is encoded, so that a `Serialize` that logs cannot recurse. Every bridge asks first.

use std::cell::Cell;
use std::marker::PhantomData;

use crate::model::stats::RefusalReason;

thread_local! {
    // Constant and without a destructor: readable even while the thread's other locals are torn down.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// The scope; it ends when this is dropped, by a panic too.
#[must_use = "the scope ends when this is dropped"]
pub(crate) struct Scope {
    /// Not `Send`: a scope ends on the thread that it began on.
    thread_bound: PhantomData<*const ()>,
}

/// Enters the scope; `None` where the thread is in it already.
#[inline]
pub(crate) fn enter() -> Option<Scope> {
    let entered = !QUIET.replace(true);
    entered.then(|| Scope { thread_bound: PhantomData })
}

/// Whether this thread is inside the scope.
#[inline]
pub(crate) fn is_inside() -> bool {
    QUIET.get()
}

/// Ends the thread's scope from inside: in a forked child, which is in no call of its own. May run between a fork and
/// an exec.
#[cfg(unix)]
pub(crate) fn leave() {
    QUIET.set(false);
}

impl Scope {
    /// Ends it. Fails in a child that was forked inside of it: what the scope was for is its parent's.
    #[inline]
    pub(crate) fn end(self) -> Result<(), RefusalReason> {
        let was_kept = is_inside();
        drop(self);
        if was_kept { Ok(()) } else { Err(RefusalReason::Reentrant) }
    }
}

impl Drop for Scope {
    #[inline]
    fn drop(&mut self) {
        QUIET.with(|quiet| quiet.set(false)); // `LocalKey::set` was not always inlined
    }
}

#[cfg(test)]
mod tests;
