//! Places that every process fills for itself.
//!
//! Nothing here locks, or a fork could catch that lock closed.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::ForkGeneration;

/// A place that every process fills for itself.
pub(crate) struct ProcessCell<T> {
    filled: AtomicPtr<CellEntry<T>>,
    owns: PhantomData<CellEntry<T>>,
}

struct CellEntry<T> {
    process: ForkGeneration,
    value: T,
}

// SAFETY: it gives out `&T` to whichever thread asks, and drops on one thread what another put in.
unsafe impl<T: Send + Sync> Sync for ProcessCell<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Send for ProcessCell<T> {}

impl<T> ProcessCell<T> {
    pub(crate) const fn new() -> Self {
        Self { filled: AtomicPtr::new(ptr::null_mut()), owns: PhantomData }
    }

    /// What this process put in.
    pub(crate) fn get(&self) -> Option<&T> {
        let filled = self.filled()?;
        (filled.process == ForkGeneration::current()).then_some(&filled.value)
    }

    /// What was put in last, by this process or the one that it was forked from: nothing that may have to be waited
    /// for.
    pub(super) fn last(&self) -> Option<&T> {
        self.filled().map(|filled| &filled.value)
    }

    fn filled(&self) -> Option<&CellEntry<T>> {
        // SAFETY: the pointer is null or from the box of a `fill`. That box is freed by the drop of the slot alone,
        // which no borrow outlives: a `fill` that replaces it, in a child, leaves it where it is.
        unsafe { self.filled.load(Ordering::Acquire).as_ref() }
    }

    /// Puts a value in, unless another thread was first. Gives the one that is in.
    pub(crate) fn fill(&self, value: T) -> &T {
        let seen = self.filled.load(Ordering::Acquire);
        if let Some(value) = self.get() {
            return value;
        }
        let fresh = Box::into_raw(Box::new(CellEntry { process: ForkGeneration::current(), value }));
        match self.filled.compare_exchange(seen, fresh, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: as in `filled`.
            Ok(_) => unsafe { &(*fresh).value },
            Err(first) => {
                // SAFETY: `fresh` went nowhere; and `first` as in `filled`.
                unsafe {
                    drop(Box::from_raw(fresh));
                    &(*first).value
                }
            }
        }
    }
}

impl<T> Drop for ProcessCell<T> {
    fn drop(&mut self) {
        let filled = *self.filled.get_mut();
        // SAFETY: as in `filled`; and nobody else has it, since the slot is borrowed for good.
        unsafe {
            if filled.as_ref().is_some_and(|filled| filled.process == ForkGeneration::current()) {
                drop(Box::from_raw(filled));
            }
        }
    }
}

/// A value of the process that made it, with a place beside it for a child's own.
pub(crate) struct ProcessOwned<T> {
    process: ForkGeneration,
    first: ManuallyDrop<T>,
    later: ProcessCell<T>,
}

impl<T> ProcessOwned<T> {
    pub(crate) fn new(first: T) -> Self {
        Self {
            process: ForkGeneration::current(),
            first: ManuallyDrop::new(first),
            later: ProcessCell::new(),
        }
    }

    /// This process's value; `None` in a child that has none yet. Costs the first process one relaxed load.
    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        if self.process == ForkGeneration::current() { Some(&self.first) } else { self.later.get() }
    }

    /// This process's value, made if need be, of the one of the process that it was forked from, where there is nothing
    /// to be waited for. Where threads of a child come at once, each makes one, and all but one are dropped.
    #[inline]
    pub(crate) fn get_or_make(&self, make: impl FnOnce(&T) -> T) -> &T {
        self.get().unwrap_or_else(|| self.later.fill(make(self.later.last().unwrap_or(&self.first))))
    }
}

impl<T> Drop for ProcessOwned<T> {
    fn drop(&mut self) {
        if self.process == ForkGeneration::current() {
            // SAFETY: this is the one drop, and nothing uses the value after it.
            unsafe { ManuallyDrop::drop(&mut self.first) }
        }
    }
}

#[cfg(test)]
mod tests;
