//! The handle that programs hold, and the owner behind it, which ends the session when the last handle goes.

pub(crate) mod builder;
pub(crate) mod capture;
pub(crate) mod provider;

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde::Serialize;

use crate::failure::as_error::AsError;
use crate::model::event::Severity;
use crate::model::stats::Stats;
use crate::session::Session;

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
#[must_use = "dropping its last clone ends the session"]
pub struct Reporter {
    /// `None`: switched off.
    owner: Option<Arc<Owner>>,
}

/// What ends the session when the last clone is gone. Apart from what it owns, so that whoever holds the session
/// weakly can use it for a moment and never be the one that ends it.
struct Owner(Arc<Session>);

impl Reporter {
    pub(crate) fn new(session: Session) -> Self {
        session.start_session();
        Self { owner: Some(Arc::new(Owner(Arc::new(session)))) }
    }

    /// A reporter that is switched off: every call is a no-op of a few nanoseconds, `log` answers `false`, and
    /// `wait_until_drained` answers `true`.
    pub fn disabled() -> Self {
        Self { owner: None }
    }

    /// A handle that does not keep the session going, for holders that outlive it, such as a global logger.
    pub fn downgrade(&self) -> WeakReporter {
        let weak = |owner: &Arc<Owner>| (Arc::downgrade(owner), Arc::downgrade(&owner.0));
        WeakReporter { session: self.owner.as_ref().map(weak) }
    }

    /// Whether this reporter was started. `false` for one that is switched off; still `true` after
    /// [`stop`](Self::stop).
    pub fn is_enabled(&self) -> bool {
        self.owner.is_some()
    }

    /// The id of the session that it reports to; `None` for a reporter that is switched off.
    pub fn session_id(&self) -> Option<&str> {
        self.owner.as_ref().map(|owner| owner.id.as_str())
    }

    /// Reports the event `name` with its data. Returns whether it was accepted; the reasons of those that were not
    /// are counted in [`stats`](Self::stats).
    ///
    /// Never blocks, never panics, does no I/O and logs nothing: the data is encoded on this thread and queued, all
    /// else is the worker's. (Where more than 16 threads are putting an event in at the same moment, it yields to
    /// them.) An object goes as it is, nothing (`()`, `None`) becomes `{}`, any other value becomes `{"value": …}`;
    /// numbers that JSON has no word for (NaN, infinities) become null.
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

    /// Reports an error: as a `user_error` event of severity `WARNING` if it or one of its sources was caused by the
    /// user (see [`find_user_error_in_chain`](crate::find_user_error_in_chain)), else as an unhandled exception with
    /// the traceback of its sources. Returns whether the event was accepted.
    ///
    /// The type is named with its path where the compiler knows it, and for a trait object by the name that its
    /// `Debug` begins with, if it does with one.
    ///
    /// Takes every `std::error::Error`, trait objects, boxes of them, and `anyhow::Error`: see [`AsError`]. Asks
    /// for a flush and does not wait for it.
    ///
    /// With `RUST_BACKTRACE` set, this call captures the stack, and the worker resolves its symbols. The standard
    /// library holds one lock for both. If the worker resolves symbols at that moment, this call waits for it for 20
    /// ms at most, and then reports the error without a stack. It cannot know whether other code of the program
    /// resolves symbols, as the standard panic hook does: for that it waits as long as it takes. In a forked child no
    /// stack is captured.
    pub fn log_exception<E: AsError<Kind> + ?Sized, Kind>(&self, error: &E, severity: Severity) -> bool {
        self.session().is_some_and(|session| session.report_exception(error, severity))
    }

    /// Reports an error as [`log_exception`](Self::log_exception) does, then the session's end, and waits until
    /// nothing is pending, for `flush_timeout` at most. With `RUST_BACKTRACE` set, the wait for the worker to resolve
    /// other stacks is part of that: half of `flush_timeout` and half a second at most. Then it writes the session's
    /// id to the program's log, at info level, for whoever investigates.
    ///
    /// The end is reported once. Later events are still accepted, and come after it: [`stop`](Self::stop) is what
    /// closes a reporter.
    ///
    /// A full queue refuses neither event: there is room that only they may take. A call from inside the reporter's
    /// own work (a `Serialize` of its data) is refused as `reentrant`, and the session goes on.
    pub fn log_fatal_exception<E: AsError<Kind> + ?Sized, Kind>(
        &self,
        error: &E,
        severity: Severity,
    ) -> bool {
        self.session().is_some_and(|session| session.report_fatal_exception(error, severity))
    }

    /// What the clones share; `None` where it is switched off.
    pub(crate) fn session(&self) -> Option<&Session> {
        self.owner.as_ref().map(|owner| &***owner)
    }

    /// Asks for everything accepted so far to be sent now. Returns at once.
    pub fn flush(&self) {
        if let Some(owner) = &self.owner {
            owner.flush();
        }
    }

    /// Flushes, then waits until nothing accepted before this call is pending, for `timeout` at most. `true` if so,
    /// `false` if the time ran out.
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
    /// once: a later call can shorten the deadline but not extend it, and its answer means the same. Called from
    /// inside the reporter's own work (a `Serialize` of its data, a logger on its thread) it does not wait and
    /// answers by the counts of that moment; so does [`wait_until_drained`](Self::wait_until_drained).
    ///
    /// What may pass is retried as long as `timeout` allows, except where nobody is there, as on a machine that is
    /// offline: then each batch has one attempt more, and a program is not kept waiting.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # let reporter = tinker_telemetry::Reporter::disabled();
    /// if !reporter.stop(Duration::from_secs(1)) {
    ///     eprintln!("{}", reporter.stats()); // telemetry: 12 offered, 0 delivered, 12 dropped (12 deadline)
    /// }
    /// ```
    pub fn stop(&self, timeout: Duration) -> bool {
        self.owner.as_ref().is_none_or(|owner| owner.stop(timeout))
    }

    /// What became of the events so far: one consistent snapshot.
    pub fn stats(&self) -> Stats {
        let pipeline = self.owner.as_ref().and_then(|owner| owner.pipeline.get());
        pipeline.map(|pipeline| pipeline.ledger.stats()).unwrap_or_default()
    }
}

/// A [`Reporter`] that does not keep the session going.
#[derive(Clone, Default)]
pub struct WeakReporter {
    session: Option<(Weak<Owner>, Weak<Session>)>,
}

impl WeakReporter {
    /// The reporter; `None` once its last clone is gone, and for one that is switched off. If the other clones are
    /// dropped meanwhile, this one is the last: its drop ends the session, and waits for it.
    pub fn upgrade(&self) -> Option<Reporter> {
        let (owner, _) = self.session.as_ref()?;
        Some(Reporter { owner: Some(owner.upgrade()?) })
    }

    /// Whether a clone of the reporter is left. `false` for one that is switched off.
    pub fn is_alive(&self) -> bool {
        self.session.as_ref().is_some_and(|(owner, _)| owner.strong_count() > 0)
    }

    /// Reports as [`Reporter::log`] does. Never ends the session: if the last clone is dropped meanwhile, that drop
    /// does the waiting, not this call. `false` if no clone is left.
    pub fn log(&self, name: impl Into<Cow<'static, str>>, data: impl Serialize, severity: Severity) -> bool {
        self.session().is_some_and(|session| session.log(&name.into(), &data, severity))
    }

    /// What the clones share, to report for a moment without ever being the one that ends the session.
    pub(crate) fn session(&self) -> Option<Arc<Session>> {
        let (_, session) = self.session.as_ref()?;
        session.upgrade()
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

impl Deref for Owner {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.0
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // A forked child that never used the reporter has nothing to stop.
        if self.pipeline.get().is_some() {
            self.stop(self.shutdown_timeout);
        }
    }
}

// Nothing that a panic could leave half done is visible through either: their counts are whole at any moment.
impl UnwindSafe for Reporter {}
impl RefUnwindSafe for Reporter {}
impl UnwindSafe for WeakReporter {}
impl RefUnwindSafe for WeakReporter {}

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
