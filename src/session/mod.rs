//! A session as all clones of its reporter share it: what is reported, and its end.

pub(crate) mod pipeline;

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::failure::as_error::AsError;
use crate::failure::exception;
use crate::failure::panicking::Panic;
use crate::failure::user_error::{self, Teach};
use crate::model::event::Severity;
use crate::model::stats::RefusalReason;
use crate::payload::record::{Body, Head, Record};
use crate::process::catch_panic::contain;
use crate::process::fork::PerProcess;
use crate::process::reentrancy;
use crate::queue::admission::Lane;
use crate::session::pipeline::{Link, after};

/// What all clones share, in this process and in those that it forks.
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) started: Instant,
    pub(crate) link: PerProcess<Link>,
    /// Makes a link for a forked child, of its parent's, of which it touches nothing that could be locked.
    pub(crate) renew: Box<Renew>,
    pub(crate) teach: Option<Arc<Teach>>,
    pub(crate) max_event_bytes: usize,
    pub(crate) flush_timeout: Duration,
    pub(crate) shutdown_timeout: Duration,
}

pub(crate) type Renew = dyn Fn(&Link) -> Link + Send + Sync;

impl Session {
    pub(crate) fn log(&self, name: &str, data: &impl Serialize, severity: Severity) -> bool {
        let link = self.link();
        // Asked before anything that takes time: while the queue is full, a call costs next to nothing.
        match link.ledger.is_open(Lane::Ordinary) {
            Ok(()) => self.log_generic(link.head(severity), name, data, link),
            Err(reason) => link.refuse(reason),
        }
    }

    #[inline(never)]
    fn log_generic(&self, head: Head, name: &str, data: &impl Serialize, link: &Link) -> bool {
        match Record::generic(head, name, data, self.max_event_bytes) {
            Ok(record) => link.offer(record, Lane::Ordinary),
            Err(reason) => link.refuse(reason),
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
        if !reentrancy::is_quiet() {
            self.end_session();
        }
    }

    /// Waits for what was fatal to be through, and names the session.
    pub(crate) fn outlast_fatal(&self) {
        if reentrancy::is_quiet() {
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
        let to = self.link();
        let head = to.head(severity);
        if let Err(reason) = to.ledger.is_open(lane) {
            return to.refuse(reason); // before its text is made and the stack captured
        }
        match self.describe(error.as_error(), error.type_name(), head) {
            Ok(record) => to.offer(record, lane),
            Err(reason) => to.refuse(reason),
        }
    }

    fn log_panic(&self, panic: &Panic, severity: Severity, lane: Lane) -> bool {
        let to = self.link();
        let head = to.head(severity);
        if reentrancy::is_quiet() {
            return to.refuse(RefusalReason::Reentrant);
        }
        if let Err(reason) = to.ledger.is_open(lane) {
            return to.refuse(reason);
        }
        let body = Body::Exception(panic.describe(self.max_event_bytes));
        to.offer(Record::other(head, body), lane)
    }

    /// The record of an error. The error's own code runs here, so it may panic, or call us.
    fn describe(
        &self,
        error: &(dyn Error + 'static),
        type_name: Option<&str>,
        head: Head,
    ) -> Result<Record, RefusalReason> {
        let scope = reentrancy::enter().ok_or(RefusalReason::Reentrant)?;
        let described = contain(|| {
            user_error::find_user_error(error, self.teach.as_deref())
                .ok_or_else(|| exception::describe(error, type_name, self.max_event_bytes))
        });
        scope.end()?;
        match described.ok_or(RefusalReason::InvalidData)? {
            Ok(user_error) => {
                let (head, limit) = (Head { severity: Severity::Warning, ..head }, self.max_event_bytes);
                let of = |error: &_| Record::generic(head, "user_error", error, limit);
                of(&user_error).or_else(|_| of(&exception::shorten(&user_error, limit)))
            }
            Err(exception) => Ok(Record::other(head, Body::Exception(exception))),
        }
    }

    /// This process's link; the first use in a forked child makes it.
    #[inline]
    fn link(&self) -> &Link {
        self.link.get_or_make(&self.renew)
    }

    pub(crate) fn start_session(&self) {
        if self.link().session_end.is_some() {
            self.announce(Body::SessionStart);
        }
    }

    fn end_session(&self) {
        if let Some(end) = &self.link().session_end {
            end.call_once(|| self.announce(Body::SessionEnd(self.started.elapsed())));
        }
    }

    fn announce(&self, body: Body) {
        let link = self.link();
        link.offer(Record::other(link.head(Severity::Info), body), Lane::Session);
    }

    pub(crate) fn flush(&self) {
        if let Some(link) = self.link.get() {
            link.flush();
        }
    }

    pub(crate) fn wait_until_drained(&self, timeout: Duration) -> bool {
        self.link.get().is_none_or(|link| link.wait_until_drained(timeout))
    }

    pub(crate) fn stop(&self, timeout: Duration) -> bool {
        let deadline = after(timeout);
        self.end_session();
        self.link().stop(deadline)
    }
}
