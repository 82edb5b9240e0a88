//! Running code that is not ours, so that its panics stay in there.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs it; `None` where it panicked. Whatever it left half done must be the caller's to throw away.
pub(crate) fn contain<T>(run: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(value) => Some(value),
        Err(payload) => {
            mem::forget(payload); // its destructor is not ours either, and may panic in turn
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::*;

    #[test]
    fn nothing_of_a_panic_comes_out() {
        struct PanicsAgain;
        impl Drop for PanicsAgain {
            fn drop(&mut self) {
                panic!("in the payload's destructor, as the test wants it");
            }
        }
        assert_eq!(contain(|| 1), Some(1));
        assert_eq!(contain(|| panic_any(PanicsAgain)), None::<()>);
    }
}
