//! A value behind a lock that a forked child inherits.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use super::{ProcessCell, watch};

/// A value behind a lock. Every process has a value and a lock of its own. A child's value begins as a copy of its
/// parent's. If a thread of the parent held the lock for writing at the fork, the copy cannot be made, and the
/// child's value begins empty.
pub(crate) struct Inherited<T>(ProcessCell<RwLock<T>>);

impl<T: Clone + Default> Inherited<T> {
    pub(crate) const fn new() -> Self {
        Self(ProcessCell::new())
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
        self.lock().read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.lock().write().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> &RwLock<T> {
        self.0.get().unwrap_or_else(|| {
            // Before there is a lock that a fork could catch. With telemetry off no reporter has begun to watch.
            watch();
            self.0.fill(RwLock::new(self.copy_of_parents().unwrap_or_default()))
        })
    }

    fn copy_of_parents(&self) -> Option<T> {
        match self.0.last()?.try_read() {
            Ok(value) => Some(value.clone()),
            Err(TryLockError::Poisoned(value)) => Some(value.into_inner().clone()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}
