//! Values that belong to one process.
//!
//! A forked child must not use what its parent made, and must not drop it: another thread of the parent may have held
//! a lock in it at the moment of the fork. [`ProcessCell`] is a place that each process fills for itself.
//! [`ProcessOwned`] is a value that the first process has from the start, with such a place beside it for the value
//! of a child.
//!
//! No lock is taken here: a lock may stay locked in a child for ever.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::ForkGeneration;

/// A place that each process fills for itself.
pub(crate) struct ProcessCell<T> {
    filled: AtomicPtr<CellEntry<T>>,
    owns: PhantomData<CellEntry<T>>,
}

struct CellEntry<T> {
    process: ForkGeneration,
    value: T,
}

// SAFETY: it gives out `&T` on any thread, and drops on one thread a value that another thread put in.
unsafe impl<T: Send + Sync> Sync for ProcessCell<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Send for ProcessCell<T> {}

impl<T> ProcessCell<T> {
    pub(crate) const fn new() -> Self {
        Self { filled: AtomicPtr::new(ptr::null_mut()), owns: PhantomData }
    }

    /// The value that this process put in.
    pub(crate) fn get(&self) -> Option<&T> {
        let filled = self.filled()?;
        (filled.process == ForkGeneration::current()).then_some(&filled.value)
    }

    /// The value that was put in last, by this process or by the one that it was forked from. Of a parent's value
    /// only parts that need no lock may be used.
    pub(crate) fn last(&self) -> Option<&T> {
        self.filled().map(|filled| &filled.value)
    }

    fn filled(&self) -> Option<&CellEntry<T>> {
        // SAFETY: the pointer is null or comes from the box of a `fill`. Only the drop of the cell frees that box,
        // and no borrow outlives the cell. A `fill` that replaces the pointer, in a child, does not free the old box.
        unsafe { self.filled.load(Ordering::Acquire).as_ref() }
    }

    /// Puts a value in, unless another thread was first. Returns the value that is in.
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
                // SAFETY: no other thread has seen `fresh`; for `first`, as in `filled`.
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
        // SAFETY: as in `filled`. No borrow of the value is left, since the cell is borrowed mutably.
        unsafe {
            if filled.as_ref().is_some_and(|filled| filled.process == ForkGeneration::current()) {
                drop(Box::from_raw(filled));
            }
        }
    }
}

/// A value of the process that made it, with a place beside it for a child's value.
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

    /// This process's value; `None` in a child that has none yet. In the first process it costs one relaxed load.
    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        if self.process == ForkGeneration::current() { Some(&self.first) } else { self.later.get() }
    }

    /// This process's value. A child that has none yet makes one from its parent's value, of which it may use only
    /// parts that need no lock. If several threads of a child make one at the same time, all but one are dropped.
    #[inline]
    pub(crate) fn get_or_make(&self, make: impl FnOnce(&T) -> T) -> &T {
        self.get().unwrap_or_else(|| self.later.fill(make(self.later.last().unwrap_or(&self.first))))
    }
}

impl<T> Drop for ProcessOwned<T> {
    fn drop(&mut self) {
        if self.process == ForkGeneration::current() {
            // SAFETY: the value is dropped only here, and nothing uses it afterwards.
            unsafe { ManuallyDrop::drop(&mut self.first) }
        }
    }
}

#[cfg(test)]
mod tests;
