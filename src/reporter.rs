//! The handle that programs hold, and the owner behind it, which ends the session when the last handle goes.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Once, Weak};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::admission::Lane;
use crate::as_error::AsError;
use crate::contain::contain;
use crate::event::Severity;
use crate::exception;
use crate::fork::PerProcess;
use crate::ledger::Ledger;
use crate::panicking::Panic;
use crate::queue::Intake;
use crate::quiet;
use crate::record::{Body, Head, Record};
use crate::stats::{DropReason, RefusalReason, Stats};
use crate::transport::Hangup;
use crate::user_error::{self, Teach};

/// Reports what happens in one session. Cheap to clone and to share between threads.
///
/// Nothing here returns an error: telemetry must not become its host's problem. What goes wrong after the start is a
/// number with a reason in [`stats`](Self::stats), and one warning in the program's log, said by the worker.
///
/// In a forked child it works too, as a reporter of the child's own: see [the crate's page](crate#forks).
///
/// When the last clone is dropped the reporter stops as [`stop`](Self::stop) does, within `shutdown_timeout`. A
/// reporter in a `static` is never dropped, and neither is one at `std::process::exit`: call `stop` there.
#[derive(Clone)]
pub struct Reporter {
    /// `None`: switched off.
    owner: Option<Arc<Owner>>,
}

/// What ends the session when the last clone is gone. Apart from what it owns, so that whoever holds the session
/// weakly can use it for a moment and never be the one that ends it.
struct Owner(Arc<Shared>);

/// What all clones share, in this process and in those that it forks.
pub(crate) struct Shared {
    pub(crate) session: Session,
    pub(crate) line: PerProcess<Line>,
    /// Makes a line for a forked child, of its parent's, of which it touches nothing that could be locked.
    pub(crate) renew: Box<Renew>,
    pub(crate) teach: Option<Arc<Teach>>,
    pub(crate) max_event_bytes: usize,
    pub(crate) flush_timeout: Duration,
    pub(crate) shutdown_timeout: Duration,
}

pub(crate) type Renew = dyn Fn(&Line) -> Line + Send + Sync;

/// A process's line to its worker. Reporter and worker never meet: between them are the queue and the ledger.
pub(crate) struct Line {
    pub(crate) ledger: Arc<Ledger>,
    /// Past 0 in a forked child.
    pub(crate) first_number: u64,
    pub(crate) intake: Intake,
    pub(crate) hangup: Hangup,
    /// The session's end, which is told once; `None` where the session's start and end are not this line's to tell.
    pub(crate) session_end: Option<Once>,
}

/// The session, which a forked child carries on.
pub(crate) struct Session {
    id: String,
    started: Instant,
}

impl Session {
    pub(crate) fn new(id: String) -> Self {
        Self { id, started: Instant::now() }
    }
}

impl Reporter {
    pub(crate) fn new(shared: Shared) -> Self {
        shared.start_session();
        Self { owner: Some(Arc::new(Owner(Arc::new(shared)))) }
    }

    /// A reporter that is switched off: every call is a no-op of a few nanoseconds, `log` answers `false`, and
    /// `wait_until_drained` answers `true`.
    pub fn disabled() -> Self {
        Self { owner: None }
    }

    /// A handle that does not keep the session going: for what outlives it, a global logger say.
    pub fn downgrade(&self) -> WeakReporter {
        let weak = |owner: &Arc<Owner>| (Arc::downgrade(owner), Arc::downgrade(&owner.0));
        WeakReporter { session: self.owner.as_ref().map(weak) }
    }

    /// Whether this reporter reports. `false` for one that is switched off.
    pub fn is_enabled(&self) -> bool {
        self.owner.is_some()
    }

    /// The id of the session that it reports to; `None` for a reporter that is switched off.
    pub fn session_id(&self) -> Option<&str> {
        self.owner.as_ref().map(|owner| owner.session.id.as_str())
    }

    /// Reports the event `name` with its data. Returns whether it was accepted; the reasons of those that were not are
    /// counted in [`stats`](Self::stats).
    ///
    /// Never blocks, never panics, does no I/O and logs nothing: the data is encoded on this thread and queued, all
    /// else is the worker's. An object goes as it is, nothing (`()`, `None`) becomes `{}`, any other value becomes
    /// `{"value": …}`; numbers that JSON has no word for (NaN, infinities) become null.
    ///
    /// ```
    /// use serde::Serialize;
    /// use tinker_telemetry::{Reporter, Severity, json};
    ///
    /// # let reporter = Reporter::disabled();
    /// reporter.log("checkpoint.saved", json!({"step": 1200, "loss": 0.4213}), Severity::Info);
    ///
    /// #[derive(Serialize)]
    /// struct Saved<'a> {
    ///     step: u64,
    ///     path: &'a str,
    /// }
    /// // A struct of borrowed fields is the cheapest data there is; `json!` borrows too.
    /// reporter.log("checkpoint.saved", Saved { step: 1300, path: "runs/a" }, Severity::Info);
    /// ```
    #[inline] // so that one which is switched off costs its caller a comparison
    pub fn log(&self, name: impl Into<Cow<'static, str>>, data: impl Serialize, severity: Severity) -> bool {
        let Some(owner) = &self.owner else { return false };
        owner.log(&name.into(), &data, severity)
    }

    /// Reports an error: as a `user_error` event of severity `WARNING` if it or one of its sources was caused by the user
    /// (see [`find_user_error_in_chain`](crate::find_user_error_in_chain)), else as an unhandled exception with
    /// the traceback of its sources. Returns whether the event was accepted.
    ///
    /// Takes every `std::error::Error`, trait objects, boxes of them, and `anyhow::Error`: see [`AsError`]. Asks
    /// for a flush and does not wait for it.
    ///
    /// With `RUST_BACKTRACE` set, this call captures the stack, and the worker resolves its symbols. The standard library
    /// does both under one lock, so that a capture waits for any thread that resolves symbols: 60 to 155 ms were seen.
    pub fn log_exception<E: AsError<Kind> + ?Sized, Kind>(&self, error: &E, severity: Severity) -> bool {
        self.shared().is_some_and(|shared| shared.report_exception(error, severity))
    }

    /// Reports an error as [`log_exception`](Self::log_exception) does, ends the session, and waits until both are
    /// through, for `flush_timeout` at most (and with `RUST_BACKTRACE` set for the capture before that, as there). Then it
    /// names the session in the program's log, at info level, for whoever looks into it.
    ///
    /// A full queue refuses neither event: there is room that only they may take. A call from inside the reporter's own
    /// work (a `Serialize` of its data) is refused as `reentrant`, and the session goes on.
    pub fn log_fatal_exception<E: AsError<Kind> + ?Sized, Kind>(
        &self,
        error: &E,
        severity: Severity,
    ) -> bool {
        self.shared().is_some_and(|shared| shared.report_fatal_exception(error, severity))
    }

    /// What the clones share; `None` where it is switched off.
    pub(crate) fn shared(&self) -> Option<&Shared> {
        self.owner.as_ref().map(|owner| &***owner)
    }

    /// Asks for everything accepted so far to be sent now. Returns at once.
    pub fn flush(&self) {
        if let Some(owner) = &self.owner {
            owner.flush();
        }
    }

    /// Flushes, and waits until nothing is pending of what was accepted before this call, for `timeout` at most.
    /// Returns whether that came to be.
    ///
    /// Drained is not delivered: events that were given up are not pending either. What became of them is in
    /// [`stats`](Self::stats).
    pub fn wait_until_drained(&self, timeout: Duration) -> bool {
        self.owner.as_ref().is_none_or(|owner| owner.wait_until_drained(timeout))
    }

    /// Ends the session, accepts no more events, and gives the worker until `timeout` to send what is pending;
    /// what is left then is dropped as `deadline`. Returns whether everything met its fate in time.
    ///
    /// Returns within `timeout` and 50 ms whatever the network does. May be called from any thread and more than
    /// once: a later call can only bring the deadline forward, and returns the same. Called from inside the reporter's own
    /// work (a `Serialize` of its data, a logger on its thread) it does not wait, and returns how things stand; so does
    /// [`wait_until_drained`](Self::wait_until_drained).
    pub fn stop(&self, timeout: Duration) -> bool {
        self.owner.as_ref().is_none_or(|owner| owner.stop(timeout))
    }

    /// What became of the events so far: one consistent snapshot.
    pub fn stats(&self) -> Stats {
        let line = self.owner.as_ref().and_then(|owner| owner.line.get());
        line.map(|line| line.ledger.stats()).unwrap_or_default()
    }
}

/// A [`Reporter`] that does not keep the session going.
#[derive(Clone, Default)]
pub struct WeakReporter {
    session: Option<(Weak<Owner>, Weak<Shared>)>,
}

impl WeakReporter {
    /// The reporter; `None` once its last clone is gone, and for one that is switched off. If the other clones are dropped
    /// meanwhile, this one is the last: its drop ends the session, and waits for it.
    pub fn upgrade(&self) -> Option<Reporter> {
        let (owner, _) = self.session.as_ref()?;
        Some(Reporter { owner: Some(owner.upgrade()?) })
    }

    /// Whether a clone of the reporter is left. `false` for one that is switched off.
    pub fn is_alive(&self) -> bool {
        self.session.as_ref().is_some_and(|(owner, _)| owner.strong_count() > 0)
    }

    /// Reports as [`Reporter::log`] does, and never ends the session, even if the last clone is dropped meanwhile: that
    /// drop is the one that waits. `false` where no clone is left.
    pub fn log(&self, name: impl Into<Cow<'static, str>>, data: impl Serialize, severity: Severity) -> bool {
        self.shared().is_some_and(|shared| shared.log(&name.into(), &data, severity))
    }

    /// What the clones share, to report for a moment without ever being the one that ends the session.
    pub(crate) fn shared(&self) -> Option<Arc<Shared>> {
        let (_, shared) = self.session.as_ref()?;
        shared.upgrade()
    }

    /// Whether both are of one session.
    #[cfg(feature = "panic-hook")]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.session, &other.session) {
            (Some((one, _)), Some((other, _))) => one.ptr_eq(other),
            _ => false,
        }
    }
}

impl Shared {
    fn log(&self, name: &str, data: &impl Serialize, severity: Severity) -> bool {
        let line = self.line();
        // Asked before anything that takes time: while the queue is full, a call costs next to nothing.
        match line.ledger.is_open(Lane::Ordinary) {
            Ok(()) => self.log_generic(line.head(severity), name, data, line),
            Err(reason) => line.refuse(reason),
        }
    }

    #[inline(never)]
    fn log_generic(&self, head: Head, name: &str, data: &impl Serialize, line: &Line) -> bool {
        match Record::generic(head, name, data, self.max_event_bytes) {
            Ok(record) => line.offer(record, Lane::Ordinary),
            Err(reason) => line.refuse(reason),
        }
    }

    pub(crate) fn report_exception<E: AsError<Kind> + ?Sized, Kind>(
        &self,
        error: &E,
        severity: Severity,
    ) -> bool {
        let accepted = self.log_exception(error, severity, Lane::Ordinary);
        self.flush();
        accepted
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
        self.log_panic(panic, Severity::Error, Lane::Ordinary);
        self.flush();
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
        if !quiet::is_quiet() {
            self.end_session();
        }
    }

    /// Waits for what was fatal to be through, and names the session.
    pub(crate) fn outlast_fatal(&self) {
        if quiet::is_quiet() {
            return;
        }
        self.wait_until_drained(self.flush_timeout);
        log::info!("session {} ended with a fatal exception", self.session.id);
    }

    fn log_exception<E: AsError<Kind> + ?Sized, Kind>(
        &self,
        error: &E,
        severity: Severity,
        lane: Lane,
    ) -> bool {
        let to = self.line();
        let head = to.head(severity);
        match self.describe(error.as_error(), error.type_name(), head) {
            Ok(record) => to.offer(record, lane),
            Err(reason) => to.refuse(reason),
        }
    }

    fn log_panic(&self, panic: &Panic, severity: Severity, lane: Lane) {
        let to = self.line();
        let head = to.head(severity);
        if quiet::is_quiet() {
            to.refuse(RefusalReason::Reentrant);
            return;
        }
        let body = Body::Exception(panic.describe(self.max_event_bytes));
        to.offer(Record::other(head, body), lane);
    }

    /// The record of an error. The error's own code runs here, so it may panic, or call us.
    fn describe(
        &self,
        error: &(dyn std::error::Error + 'static),
        type_name: Option<&str>,
        head: Head,
    ) -> Result<Record, RefusalReason> {
        let scope = quiet::enter().ok_or(RefusalReason::Reentrant)?;
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

    /// This process's line; the first use in a forked child makes it.
    #[inline]
    fn line(&self) -> &Line {
        self.line.get_or_make(&self.renew)
    }

    fn start_session(&self) {
        if self.line().session_end.is_some() {
            self.announce(Body::SessionStart);
        }
    }

    fn end_session(&self) {
        if let Some(end) = &self.line().session_end {
            end.call_once(|| self.announce(Body::SessionEnd(self.session.started.elapsed())));
        }
    }

    fn announce(&self, body: Body) {
        let line = self.line();
        line.offer(Record::other(line.head(Severity::Info), body), Lane::Session);
    }

    fn flush(&self) {
        if let Some(line) = self.line.get() {
            line.flush();
        }
    }

    pub(crate) fn wait_until_drained(&self, timeout: Duration) -> bool {
        self.line.get().is_none_or(|line| line.wait_until_drained(timeout))
    }

    fn stop(&self, timeout: Duration) -> bool {
        let deadline = after(timeout);
        self.end_session();
        self.line().stop(deadline)
    }
}

impl Line {
    /// The head of an event: it is of the time of the call, so it comes before anything that takes time.
    #[inline]
    fn head(&self, severity: Severity) -> Head {
        Head::now(self.ledger.refusals(), severity)
    }

    /// The number that an event would bear if it were offered now. Takes no lock.
    pub(crate) fn next_number(&self) -> u64 {
        self.first_number + self.ledger.tickets() + self.ledger.refusals()
    }

    fn offer(&self, record: Record, lane: Lane) -> bool {
        self.intake.offer(record, lane).is_ok()
    }

    fn refuse(&self, reason: RefusalReason) -> bool {
        self.ledger.refuse(reason);
        false
    }

    fn flush(&self) -> u64 {
        let flush = self.ledger.ask_flush();
        self.intake.ring();
        flush
    }

    pub(crate) fn wait_until_drained(&self, timeout: Duration) -> bool {
        // Inside the quiet scope this may be the worker itself, which cannot wait for itself.
        if !self.ledger.has_pending() || quiet::is_quiet() {
            return !self.ledger.has_pending();
        }
        self.ledger.wait_flushed(self.flush(), after(timeout))
    }

    fn stop(&self, deadline: Instant) -> bool {
        self.ledger.close(deadline);
        self.intake.ring();
        if !quiet::is_quiet() && !self.ledger.wait_finished(deadline) {
            self.ledger.finish(DropReason::Deadline);
            self.hangup.hang_up();
        }
        let stats = self.ledger.stats();
        stats.pending == 0 && stats.dropped.deadline == 0
    }
}

impl Deref for Owner {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // A forked child that never used the reporter has nothing to stop.
        if self.line.get().is_some() {
            self.stop(self.shutdown_timeout);
        }
    }
}

/// The moment a wait ends. A timeout that no clock can hold is a wait of years.
fn after(timeout: Duration) -> Instant {
    const YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
    let now = Instant::now();
    now.checked_add(timeout.min(YEARS)).unwrap_or(now)
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter")
            .field("session_id", &self.session_id())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for WeakReporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakReporter").finish_non_exhaustive()
    }
}
