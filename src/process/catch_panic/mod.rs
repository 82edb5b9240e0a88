//! Calls code that is not ours and keeps its panics in.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls the function; `None` if it panicked. The caller must discard what the function left half done.
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
