//! Calls code that is not ours and keeps its panics in.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls the function; `None` if it panicked. The caller must discard what the function left half done.
pub(crate) fn catch_panic<T>(run: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(value) => Some(value),
        Err(payload) => {
            discard(payload);
            None
        }
    }
}

/// Frees the payload if it is a string, as that of `panic!` always is. Another payload is leaked: its destructor is not
/// ours and may panic in turn, twice even, which aborts the program.
#[cold]
fn discard(payload: Box<dyn Any + Send>) {
    if !payload.is::<String>() && !payload.is::<&'static str>() {
        mem::forget(payload);
    }
}

#[cfg(test)]
mod tests;
