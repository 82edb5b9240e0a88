//! What a child has of its parent although it lies behind a lock.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use super::{ProcessCell, watch};

/// A value behind a lock, of which every process has its own. A child's begins as its parent's was at the fork. Where a
/// thread of the parent's was about to change it, that lock stays closed, and the child's begins empty.
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
            self.0.fill(RwLock::new(self.of_parent().unwrap_or_default()))
        })
    }

    fn of_parent(&self) -> Option<T> {
        match self.0.last()?.try_read() {
            Ok(value) => Some(value.clone()),
            Err(TryLockError::Poisoned(value)) => Some(value.into_inner().clone()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}
