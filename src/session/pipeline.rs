//! Connects the callers of one process with its worker: the queue's producer, the ledger, and the handle that aborts
//! the attempt on the wire. Reporter and worker never meet: this stands between them.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::model::event::Severity;
use crate::model::stats::{DropReason, RefusalReason};
use crate::payload::record::{EventHeader, Record};
use crate::process::{fork, reentrancy};
use crate::queue::Producer;
use crate::queue::admission::Lane;
use crate::queue::ledger::Ledger;
use crate::session::session_end::SessionEnd;
use crate::transport::abort::Abort;
use crate::worker::outage_log;

/// One for each reporter and process: a forked child has its own.
pub(crate) struct Pipeline {
    pub(crate) ledger: Arc<Ledger>,
    /// The number of the first event: 0, or in a forked child the number that the session had reached.
    first_number: u64,
    producer: Producer,
    /// `None` in a dry run: nothing is on the wire.
    abort_handle: Option<Abort>,
    /// How long after a deadline the worker still writes to the spool. Zero without one.
    write_grace: Duration,
    /// `None` if this pipeline reports neither the start nor the end.
    pub(crate) session_end: Option<SessionEnd>,
}

impl Pipeline {
    /// A pipeline whose events are numbered from `first_number`. It reports neither the session's start nor its end.
    pub(crate) fn new(
        ledger: Arc<Ledger>,
        first_number: u64,
        producer: Producer,
        abort_handle: Option<Abort>,
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

    /// The same pipeline, which also reports the session's start and its end.
    pub(crate) fn with_session(mut self) -> Self {
        self.session_end = Some(SessionEnd::new());
        self
    }

    /// The header of an event. It has the time of the call, so it is made before anything that takes time.
    #[inline]
    pub(crate) fn header(&self, severity: Severity) -> EventHeader {
        EventHeader::now(self.ledger.refusals(), severity)
    }

    /// The number that the next event will have. Takes no lock.
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
        // Inside the reentrancy scope this may be the worker's own thread, which cannot wait for itself.
        if !self.ledger.has_pending() || reentrancy::is_inside() {
            return !self.ledger.has_pending();
        }
        let _waiter = self.ledger.waiter();
        self.ledger.wait_flushed(self.flush(), after(timeout))
    }

    pub(crate) fn stop(&self, deadline: Instant) -> bool {
        self.ledger.close(deadline);
        self.producer.wake();
        if !reentrancy::is_inside() {
            if !self.ledger.wait_finished(deadline) {
                self.give_up_at(deadline);
            }
            self.ledger.wait_logged(after(LOG_GRACE));
        }
        let stats = self.ledger.stats();
        stats.pending == 0 && stats.dropped.deadline == 0
    }

    /// Ends what is pending, because the time is over. With a spool the worker is writing it, and has a moment more.
    fn give_up_at(&self, deadline: Instant) {
        let is_over = self.write_grace.is_zero() || !self.ledger.wait_finished(deadline + self.write_grace);
        if is_over && self.give_up().is_ok() {
            self.ledger.wait_log_claimed(after(START_GRACE));
        }
    }

    /// Drops what is pending, because the time is over. The worker may be in a name lookup or a connect, which nothing
    /// interrupts, and the logger may be stuck. So a thread logs the counts and aborts the attempt on the wire. If the
    /// system gives no thread, the attempt ends at its own time limit.
    fn give_up(&self) -> io::Result<()> {
        self.ledger.finish(DropReason::Deadline);
        self.abort_handle.iter().for_each(Abort::kill_command); // not on that thread: the program may exit before it runs
        let (ledger, abort_handle) = (Arc::clone(&self.ledger), self.abort_handle.clone());
        let end = move || {
            if ledger.claim_log() {
                outage_log::write_counts(&ledger.stats());
                ledger.mark_logged();
            }
            abort_handle.iter().for_each(Abort::abort);
        };
        fork::start_thread("tinker-abort", end)
    }
}

/// How long a stop waits at most for the thread that logs the counts to begin. It begins at once, unless the machine has no
/// core for it.
const START_GRACE: Duration = Duration::from_millis(500);

/// How long a stop waits for the counts to be written to the program's log, past its deadline. A program that exits after
/// the stop would otherwise lose events without a line. A logger that works takes a moment. One that is stuck must not
/// hold up the end of the program.
const LOG_GRACE: Duration = Duration::from_millis(20);

/// The moment that a wait ends. If a timeout is too long for the clock, the wait is ten years long.
pub(crate) fn after(timeout: Duration) -> Instant {
    const YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
    let now = Instant::now();
    now.checked_add(timeout.min(YEARS)).unwrap_or(now)
}
