//! Running code that is not ours, so that its panics stay in there.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs it; `None` where it panicked. Whatever it left half done must be the caller's to throw away.
pub(crate) fn catch_panic<T>(run: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(value) => Some(value),
        Err(payload) => {
            mem::forget(payload); // its destructor is not ours either, and may panic in turn
            None
        }
    }
}

#[cfg(test)]
mod tests;
