//! What all clones of a reporter share: how events are made, and how the session starts and ends.
//!
//! `reporter` calls it for each call of a program, and `bridge` for panics, logs, spans and requests. It turns a call
//! into a record and offers that to the [`Pipeline`] of this process.
//!
//! The invariants:
//!
//! - No call here does I/O, and none waits without a deadline.
//! - A caller's code (its data, its errors) runs inside the reentrancy scope, and its panics are caught.
//! - Each offered event is either accepted or counted as refused.
//! - The session's end is reported once, and only by the process that reported its start.

pub(crate) mod pipeline;
mod session_end;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::failure::as_error::{AsError, ErrorView};
use crate::failure::exception;
use crate::failure::panicking::Panic;
use crate::failure::user_error::{self, UserErrorClassifier};
use crate::model::event::{Severity, names};
use crate::model::stats::{RefusalReason, Stats};
use crate::payload::record::{EventBody, EventHeader, Record};
use crate::process::catch_panic::catch_panic;
use crate::process::fork::ProcessOwned;
use crate::process::program_log;
use crate::process::reentrancy;
use crate::process::stack::{LONG_WAIT, SHORT_WAIT};
use crate::queue::admission::Lane;
use crate::session::pipeline::{Pipeline, after};

/// What all clones share, in this process and in its forked children.
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) started: Instant,
    pub(crate) pipeline: ProcessOwned<Pipeline>,
    /// Makes the pipeline of a forked child. Reads only those parts of the parent's pipeline that have no lock.
    pub(crate) renew: Box<Renew>,
    pub(crate) classifier: Option<Arc<UserErrorClassifier>>,
    pub(crate) max_event_bytes: usize,
    pub(crate) flush_timeout: Duration,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) vain_wait: VainWait,
}

/// The count of delivered events at the moment when the wait of a panicking thread ended without a delivery.
/// [`NO_VAIN_WAIT`] if there was no such wait.
pub(crate) struct VainWait(AtomicU64);

const NO_VAIN_WAIT: u64 = u64::MAX;

impl Default for VainWait {
    fn default() -> Self {
        Self(AtomicU64::new(NO_VAIN_WAIT))
    }
}

pub(crate) type Renew = dyn Fn(&Pipeline) -> Pipeline + Send + Sync;

impl Session {
    pub(crate) fn log(&self, name: &str, data: &impl Serialize, severity: Severity) -> bool {
        let pipeline = self.pipeline();
        // This comes before anything that takes time: a call that finds the queue full is cheap.
        match pipeline.ledger.is_open(Lane::Ordinary) {
            Ok(()) => self.log_generic(pipeline.header(severity), name, data, pipeline),
            Err(reason) => pipeline.refuse(reason),
        }
    }

    #[inline(never)]
    fn log_generic(
        &self,
        header: EventHeader,
        name: &str,
        data: &impl Serialize,
        pipeline: &Pipeline,
    ) -> bool {
        match Record::generic(header, name, data, self.max_event_bytes) {
            Ok(record) => pipeline.offer(record, Lane::Ordinary),
            Err(reason) => pipeline.refuse(reason),
        }
    }

    pub(crate) fn report_exception<E: AsError<Kind> + ?Sized, Kind>(
        &self,
        error: &E,
        severity: Severity,
    ) -> bool {
        let is_accepted = self.log_exception(error, severity, Lane::Ordinary);
        if is_accepted {
            self.flush();
        }
        is_accepted
    }

    pub(crate) fn report_fatal_exception<E: AsError<Kind> + ?Sized, Kind>(
        &self,
        error: &E,
        severity: Severity,
    ) -> bool {
        let since = Instant::now();
        let is_accepted = self.log_exception(error, severity, Lane::Fatal);
        self.end_session_unless_inside();
        self.wait_after_fatal(since);
        is_accepted
    }

    /// Reports a panic that was caught.
    #[cfg(feature = "panic")]
    pub(crate) fn report_panic(&self, panic: &Panic) {
        self.report_panic_at(Severity::Error, panic);
    }

    /// The same with this severity.
    pub(crate) fn report_panic_at(&self, severity: Severity, panic: &Panic) {
        if self.log_panic(panic, severity, Lane::Ordinary) {
            self.flush();
        }
    }

    /// Reports a panic that ends the session, and the end. Neither waits nor logs, and takes no lock that is held while
    /// code of the program runs: the panicking thread may hold any such lock.
    #[cfg(feature = "panic")]
    pub(crate) fn report_fatal_panic(&self, panic: &Panic) {
        self.report_fatal_panic_at(Severity::Critical, panic);
    }

    /// The same with this severity.
    pub(crate) fn report_fatal_panic_at(&self, severity: Severity, panic: &Panic) {
        self.log_panic(panic, severity, Lane::Fatal);
        self.end_session_unless_inside();
        self.flush();
    }

    /// Ends the session after a fatal event. Inside the reporter's own work the event was refused, and the session goes
    /// on.
    fn end_session_unless_inside(&self) {
        if !reentrancy::is_inside() {
            self.end_session();
            self.pipeline().ledger.set_fatal();
        }
    }

    /// Waits until the fatal event has its fate. Logs the session's id, and the counts if events are still pending.
    pub(crate) fn wait_after_fatal(&self, since: Instant) {
        if reentrancy::is_inside() {
            return;
        }
        let is_drained = self.wait_until_drained(self.flush_timeout.saturating_sub(since.elapsed()));
        program_log::write(|| log::info!("session {} ended with a fatal exception", self.id));
        if !is_drained {
            program_log::write(|| log::warn!("{}", self.stats())); // the program may exit now
        }
    }

    /// Whether the wait of a panicking thread for this session ended without a delivery, and nothing was delivered
    /// since.
    pub(crate) fn has_waited_in_vain(&self) -> bool {
        let delivered = self.vain_wait.0.load(Ordering::Relaxed);
        delivered != NO_VAIN_WAIT && delivered == self.stats().delivered
    }

    #[cfg(feature = "panic")]
    pub(crate) fn note_vain_wait(&self) {
        self.vain_wait.0.store(self.stats().delivered, Ordering::Relaxed);
    }

    /// How many accepted events were not delivered and never will be.
    #[cfg(feature = "panic")]
    pub(crate) fn lost(&self) -> u64 {
        self.stats().dropped.total()
    }

    pub(crate) fn stats(&self) -> Stats {
        self.pipeline.get().map(|pipeline| pipeline.ledger.stats()).unwrap_or_default()
    }

    fn log_exception<E: AsError<Kind> + ?Sized, Kind>(
        &self,
        error: &E,
        severity: Severity,
        lane: Lane,
    ) -> bool {
        let pipeline = self.pipeline();
        let header = pipeline.header(severity);
        if let Err(reason) = pipeline.ledger.is_open(lane) {
            return pipeline.refuse(reason); // before the text is made and the stack is captured
        }
        match self.describe(self.view(error, lane), header, self.wait_for_stack(lane)) {
            Ok(record) => pipeline.offer(record, lane),
            Err(reason) => pipeline.refuse(reason),
        }
    }

    fn log_panic(&self, panic: &Panic, severity: Severity, lane: Lane) -> bool {
        let pipeline = self.pipeline();
        let header = pipeline.header(severity);
        if reentrancy::is_inside() {
            return pipeline.refuse(RefusalReason::Reentrant);
        }
        if let Err(reason) = pipeline.ledger.is_open(lane) {
            return pipeline.refuse(reason);
        }
        let body = EventBody::Exception(panic.describe(self.max_event_bytes));
        pipeline.offer(Record::other(header, body), lane)
    }

    /// How long a call may wait to capture the stack. A fatal exception spends some of its time on it.
    fn wait_for_stack(&self, lane: Lane) -> Duration {
        match lane {
            Lane::Fatal => LONG_WAIT.min(self.flush_timeout / 2),
            Lane::Ordinary | Lane::Session => SHORT_WAIT,
        }
    }

    /// The description of an error. If the caller of a fatal one has no time left, it has no stack of its own.
    fn view<'a, E: AsError<Kind> + ?Sized, Kind>(&self, error: &'a E, lane: Lane) -> ErrorView<'a> {
        let view = ErrorView::of(error);
        let has_time = lane != Lane::Fatal || self.wait_for_stack(lane) >= LONG_WAIT;
        if has_time { view } else { view.without_own_stack() }
    }

    /// The record of an error. The error's own code runs here. It may panic, or call this crate.
    fn describe(
        &self,
        view: ErrorView<'_>,
        header: EventHeader,
        wait_for_stack: Duration,
    ) -> Result<Record, RefusalReason> {
        let scope = reentrancy::enter().ok_or(RefusalReason::Reentrant)?;
        let described = catch_panic(|| {
            user_error::find_user_error(view.error, self.classifier.as_deref())
                .ok_or_else(|| exception::describe(view, self.max_event_bytes, wait_for_stack))
        });
        scope.end()?;
        match described.ok_or(RefusalReason::InvalidData)? {
            Ok(user_error) => {
                let (header, limit) =
                    (EventHeader { severity: Severity::Warning, ..header }, self.max_event_bytes);
                let record = |error: &_| Record::generic(header, names::USER_ERROR, error, limit);
                record(&user_error).or_else(|_| record(&exception::shorten(&user_error, limit)))
            }
            Err(exception) => Ok(Record::other(header, EventBody::Exception(exception))),
        }
    }

    /// This process's pipeline. The first use in a forked child makes it.
    #[inline]
    fn pipeline(&self) -> &Pipeline {
        self.pipeline.get_or_make(&self.renew)
    }

    pub(crate) fn start_session(&self) {
        if self.pipeline().session_end.is_some() {
            self.offer_session_event(EventBody::SessionStart);
        }
    }

    fn end_session(&self) {
        if let Some(end) = &self.pipeline().session_end {
            end.report_once(|| self.offer_session_event(EventBody::SessionEnd(self.started.elapsed())));
        }
    }

    fn offer_session_event(&self, body: EventBody) {
        let pipeline = self.pipeline();
        pipeline.offer(Record::other(pipeline.header(Severity::Info), body), Lane::Session);
    }

    pub(crate) fn flush(&self) {
        if let Some(pipeline) = self.pipeline.get() {
            pipeline.flush();
        }
    }

    pub(crate) fn wait_until_drained(&self, timeout: Duration) -> bool {
        self.pipeline.get().is_none_or(|pipeline| pipeline.wait_until_drained(timeout))
    }

    pub(crate) fn stop(&self, timeout: Duration) -> bool {
        let deadline = after(timeout);
        self.end_session();
        self.pipeline().stop(deadline)
    }
}
