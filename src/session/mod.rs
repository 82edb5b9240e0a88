//! A session as all clones of its reporter share it: what is reported, and its end.

pub(crate) mod pipeline;

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::failure::as_error::AsError;
use crate::failure::exception;
use crate::failure::panicking::Panic;
use crate::failure::user_error::{self, UserErrorClassifier};
use crate::model::event::Severity;
use crate::model::stats::RefusalReason;
use crate::payload::record::{EventBody, EventHeader, Record};
use crate::process::catch_panic::catch_panic;
use crate::process::fork::ProcessOwned;
use crate::process::reentrancy;
use crate::queue::admission::Lane;
use crate::session::pipeline::{Pipeline, after};

/// What all clones share, in this process and in those that it forks.
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) started: Instant,
    pub(crate) pipeline: ProcessOwned<Pipeline>,
    /// Makes a pipeline for a forked child, of its parent's, of which it touches nothing that could be locked.
    pub(crate) renew: Box<Renew>,
    pub(crate) classifier: Option<Arc<UserErrorClassifier>>,
    pub(crate) max_event_bytes: usize,
    pub(crate) flush_timeout: Duration,
    pub(crate) shutdown_timeout: Duration,
}

pub(crate) type Renew = dyn Fn(&Pipeline) -> Pipeline + Send + Sync;

impl Session {
    pub(crate) fn log(&self, name: &str, data: &impl Serialize, severity: Severity) -> bool {
        let pipeline = self.pipeline();
        // Asked before anything that takes time: while the queue is full, a call costs next to nothing.
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
        let accepted = self.log_exception(error, severity, Lane::Fatal);
        self.end_fatally();
        self.outlast_fatal();
        accepted
    }

    /// Reports a panic that was caught.
    pub(crate) fn report_panic(&self, panic: &Panic) {
        if self.log_panic(panic, Severity::Error, Lane::Ordinary) {
            self.flush();
        }
    }

    /// Reports a panic that ends the session, and the end. Neither waits nor logs, and takes no lock that is held
    /// while anybody's code runs: the panicking thread may hold any other.
    pub(crate) fn report_fatal_panic(&self, panic: &Panic) {
        self.log_panic(panic, Severity::Critical, Lane::Fatal);
        self.end_fatally();
        self.flush();
    }

    /// Ends the session, unless this is inside the reporter's own work: there what was fatal is refused, all of it.
    fn end_fatally(&self) {
        if !reentrancy::is_inside() {
            self.end_session();
            self.pipeline().ledger.set_fatal();
        }
    }

    /// Waits for what was fatal to be through, and names the session.
    pub(crate) fn outlast_fatal(&self) {
        if reentrancy::is_inside() {
            return;
        }
        self.wait_until_drained(self.flush_timeout);
        log::info!("session {} ended with a fatal exception", self.id);
    }

    fn log_exception<E: AsError<Kind> + ?Sized, Kind>(
        &self,
        error: &E,
        severity: Severity,
        lane: Lane,
    ) -> bool {
        let to = self.pipeline();
        let header = to.header(severity);
        if let Err(reason) = to.ledger.is_open(lane) {
            return to.refuse(reason); // before its text is made and the stack captured
        }
        match self.describe(error.as_error(), error.type_name(), header) {
            Ok(record) => to.offer(record, lane),
            Err(reason) => to.refuse(reason),
        }
    }

    fn log_panic(&self, panic: &Panic, severity: Severity, lane: Lane) -> bool {
        let to = self.pipeline();
        let header = to.header(severity);
        if reentrancy::is_inside() {
            return to.refuse(RefusalReason::Reentrant);
        }
        if let Err(reason) = to.ledger.is_open(lane) {
            return to.refuse(reason);
        }
        let body = EventBody::Exception(panic.describe(self.max_event_bytes));
        to.offer(Record::other(header, body), lane)
    }

    /// The record of an error. The error's own code runs here, so it may panic, or call us.
    fn describe(
        &self,
        error: &(dyn Error + 'static),
        type_name: Option<&str>,
        header: EventHeader,
    ) -> Result<Record, RefusalReason> {
        let scope = reentrancy::enter().ok_or(RefusalReason::Reentrant)?;
        let described = catch_panic(|| {
            user_error::find_user_error(error, self.classifier.as_deref())
                .ok_or_else(|| exception::describe(error, type_name, self.max_event_bytes))
        });
        scope.end()?;
        match described.ok_or(RefusalReason::InvalidData)? {
            Ok(user_error) => {
                let (header, limit) =
                    (EventHeader { severity: Severity::Warning, ..header }, self.max_event_bytes);
                let of = |error: &_| Record::generic(header, "user_error", error, limit);
                of(&user_error).or_else(|_| of(&exception::shorten(&user_error, limit)))
            }
            Err(exception) => Ok(Record::other(header, EventBody::Exception(exception))),
        }
    }

    /// This process's pipeline; the first use in a forked child makes it.
    #[inline]
    fn pipeline(&self) -> &Pipeline {
        self.pipeline.get_or_make(&self.renew)
    }

    pub(crate) fn start_session(&self) {
        if self.pipeline().session_end.is_some() {
            self.announce(EventBody::SessionStart);
        }
    }

    fn end_session(&self) {
        if let Some(end) = &self.pipeline().session_end {
            end.call_once(|| self.announce(EventBody::SessionEnd(self.started.elapsed())));
        }
    }

    fn announce(&self, body: EventBody) {
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
