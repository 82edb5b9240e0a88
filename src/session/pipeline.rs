//! What leads from callers to a process's worker: the queue's producer, the ledger, and how to break the attempt on the
//! wire. Reporter and worker never meet: between them is this.

use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use crate::model::event::Severity;
use crate::model::stats::{DropReason, RefusalReason};
use crate::payload::record::{EventHeader, Record};
use crate::process::reentrancy;
use crate::queue::Producer;
use crate::queue::admission::Lane;
use crate::queue::ledger::Ledger;
use crate::transport::abort::Abort;

/// One for each process: a forked child has its own.
pub(crate) struct Pipeline {
    pub(crate) ledger: Arc<Ledger>,
    /// Past 0 in a forked child.
    first_number: u64,
    producer: Producer,
    abort_handle: Abort,
    /// So long after a deadline the worker still writes what could not be sent.
    write_grace: Duration,
    /// The session's end, which is told once; `None` where the session's start and end are not this pipeline's to tell.
    pub(crate) session_end: Option<Once>,
}

impl Pipeline {
    /// Its events are numbered from `first_number`. It reports neither the session's start nor its end.
    pub(crate) fn new(
        ledger: Arc<Ledger>,
        first_number: u64,
        producer: Producer,
        abort_handle: Abort,
    ) -> Self {
        let write_grace = Duration::ZERO;
        Self { ledger, first_number, producer, abort_handle, write_grace, session_end: None }
    }

    /// Its worker has a spool, and so long after a deadline for writing.
    #[cfg(all(feature = "spool", unix))]
    pub(crate) fn with_write_grace(mut self, grace: Duration) -> Self {
        self.write_grace = grace;
        self
    }

    /// It reports the session's start and its end.
    pub(crate) fn with_session(mut self) -> Self {
        self.session_end = Some(Once::new());
        self
    }

    /// The header of an event: it is of the time of the call, so it comes before anything that takes time.
    #[inline]
    pub(crate) fn header(&self, severity: Severity) -> EventHeader {
        EventHeader::now(self.ledger.refusals(), severity)
    }

    /// The number that an event would bear if it were offered now. Takes no lock.
    pub(crate) fn next_number(&self) -> u64 {
        self.first_number + self.ledger.admitted() + self.ledger.refusals()
    }

    pub(crate) fn offer(&self, record: Record, lane: Lane) -> bool {
        self.producer.offer(record, lane).is_ok()
    }

    pub(crate) fn refuse(&self, reason: RefusalReason) -> bool {
        self.ledger.refuse(reason);
        false
    }

    pub(crate) fn flush(&self) -> u64 {
        let flush = self.ledger.ask_flush();
        self.producer.wake();
        flush
    }

    pub(crate) fn wait_until_drained(&self, timeout: Duration) -> bool {
        // Inside the quiet scope this may be the worker itself, which cannot wait for itself.
        if !self.ledger.has_pending() || reentrancy::is_inside() {
            return !self.ledger.has_pending();
        }
        self.ledger.wait_flushed(self.flush(), after(timeout))
    }

    /// Breaks the attempt on the wire. With a spool the worker then has a moment to write what is left.
    fn give_up_at(&self, deadline: Instant) {
        if self.write_grace.is_zero() {
            self.ledger.finish(DropReason::Deadline);
            self.abort_handle.abort();
        } else {
            self.abort_handle.abort();
            self.ledger.wait_finished(deadline + self.write_grace);
            self.ledger.finish(DropReason::Deadline);
        }
    }

    pub(crate) fn stop(&self, deadline: Instant) -> bool {
        self.ledger.close(deadline);
        self.producer.wake();
        if !reentrancy::is_inside() && !self.ledger.wait_finished(deadline) {
            self.give_up_at(deadline);
        }
        let stats = self.ledger.stats();
        stats.pending == 0 && stats.dropped.deadline == 0
    }
}

/// The moment a wait ends. A timeout that no clock can hold is a wait of years.
pub(crate) fn after(timeout: Duration) -> Instant {
    const YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
    let now = Instant::now();
    now.checked_add(timeout.min(YEARS)).unwrap_or(now)
}
