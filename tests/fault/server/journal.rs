//! What the fault server saw and what it said, in order, for a test to ask and to wait on.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::http::Request;
use crate::server::fault::Fault;

/// How long a test waits for something that is sure to come. Past it the test has found a hang.
pub(crate) const HANG: Duration = Duration::from_secs(30);

/// A request and what was played to it.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// Counted from 0 in the order they were accepted.
    pub(crate) connection: usize,
    pub(crate) request: Request,
    pub(crate) fault: Fault,
}

/// The counts and exchanges so far.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    /// Connections accepted.
    pub(crate) connections: usize,
    /// Faults that have reached the point from which the client sees them.
    pub(crate) begun: usize,
    /// Requests that arrived wholly. One is here before the first byte of its answer is written.
    pub(crate) exchanges: Vec<Exchange>,
}

/// See the module. Shared by the server's threads and the test.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    entries: Mutex<Entries>,
    changed: Condvar,
}

impl Journal {
    /// The entries as they are now.
    pub(crate) fn read(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self, change: impl FnOnce(&mut Entries)) {
        change(&mut self.read());
        self.changed.notify_all();
    }

    /// Waits until the entries are as asked.
    ///
    /// # Panics
    /// When they are not within [`HANG`].
    #[track_caller]
    pub(crate) fn wait_until(&self, mut fulfilled: impl FnMut(&Entries) -> bool) {
        let deadline = Instant::now() + HANG;
        let mut entries = self.read();
        while !fulfilled(&entries) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the server never saw it: {entries:?}");
            entries = self.changed.wait_timeout(entries, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
