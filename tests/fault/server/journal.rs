//! The requests and the faults of the server, in order. A test reads them and waits for them.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::http::Request;
use crate::server::fault::Fault;

/// The limit on every wait for an event that must come. After it the test has found a hang.
pub(crate) const HANG: Duration = Duration::from_secs(30);

/// A request and the fault that answered it.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// The number of the connection, from 0, in the order of acceptance.
    pub(crate) connection: usize,
    pub(crate) request: Request,
    pub(crate) fault: Fault,
}

/// The counts and exchanges so far.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    /// The number of accepted connections.
    pub(crate) connections: usize,
    /// The number of faults that the client can see by now.
    pub(crate) begun: usize,
    /// The complete requests. Each is here before the first byte of its answer is written.
    pub(crate) exchanges: Vec<Exchange>,
}

/// See the module. The server's threads and the test share it.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    entries: Mutex<Entries>,
    changed: Condvar,
}

impl Journal {
    /// The current entries.
    pub(crate) fn read(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self, change: impl FnOnce(&mut Entries)) {
        change(&mut self.read());
        self.changed.notify_all();
    }

    /// Waits until the entries fulfil a condition.
    ///
    /// # Panics
    /// When they do not within [`HANG`].
    #[track_caller]
    pub(crate) fn wait_until(&self, mut fulfilled: impl FnMut(&Entries) -> bool) {
        let deadline = Instant::now() + HANG;
        let mut entries = self.read();
        while !fulfilled(&entries) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the condition is never fulfilled: {entries:?}");
            entries = self.changed.wait_timeout(entries, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
