//! The locked files of a process, which a forked child must close. A lock of `flock` lives as long as any descriptor
//! of the file, so a child that lives on would keep every other process away from the files of its parent.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, Ordering};

const NONE: RawFd = -1;

/// More files than one folder may hold. One file more is refused.
const MOST: usize = 512;

static FILES: [AtomicI32; MOST] = [const { AtomicI32::new(NONE) }; MOST];

/// A place in the list. It is dropped before its file is closed: afterwards the number may be another file's, which a
/// child would close.
#[derive(Debug)]
pub(crate) struct LockedFiles(usize);

impl LockedFiles {
    /// Notes a file. `None`: the list is full.
    pub(crate) fn add(file: RawFd) -> Option<Self> {
        let take = |place: &AtomicI32| {
            place.compare_exchange(NONE, file, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        FILES.iter().position(take).map(Self)
    }

    /// Calls `close` with every file, and empties the list. It only stores to atomics, since it runs in a child of
    /// any thread.
    pub(super) fn close_in_child(close: impl Fn(RawFd)) {
        for place in &FILES {
            let file = place.swap(NONE, Ordering::Relaxed);
            if file != NONE {
                close(file);
            }
        }
    }
}

impl Drop for LockedFiles {
    fn drop(&mut self) {
        FILES[self.0].store(NONE, Ordering::Release);
    }
}
