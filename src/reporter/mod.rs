//! What a program holds: the handle and its builder, captures of work, and the trait of types that carry a reporter.
//!
//! Three types stand behind a reporter. [`Reporter`] is the handle: programs clone it freely. `Owner` is shared by the
//! clones, and its drop ends the session. The worker is a thread that knows neither. So a bridge can use the session for
//! a moment without becoming the one whose drop waits for the network.
//!
//! Programs and bridges use this folder. After `start` no call here returns an error, panics or logs.

pub(crate) mod builder;
pub(crate) mod capture;
#[cfg(doctest)]
mod compile_fail;
mod destination;
pub(crate) mod provider;
mod spooling;

use std::fmt;
use std::ops::Deref;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use serde::Serialize;

use crate::failure::as_error::AsError;
use crate::failure::user_error::{self, UserError, UserErrorClassifier};
use crate::model::event::Severity;
use crate::model::stats::Stats;
use crate::process::catch_panic::catch_panic;
use crate::session::Session;

/// Reports what happens in one session. Cheap to clone and to share between threads.
///
/// Nothing here returns an error: telemetry must not become its host's problem. What goes wrong after the start is a
/// number with a reason in [`stats`](Self::stats), and one warning in the program's log, which the worker writes.
///
/// It works in a forked child too, as a reporter of the child's own: see [the crate's page](crate#forks).
///
/// When the last clone is dropped the reporter stops as [`stop`](Self::stop) does, within `shutdown_timeout`. A
/// reporter in a `static` is never dropped, and neither is one at `std::process::exit`: call `stop` there.
///
/// ```
/// use std::thread;
/// use tinker_telemetry::{Reporter, Severity, json};
///
/// fn train(reporter: &Reporter) {
///     thread::scope(|scope| {
///         for shard in 0..2 {
///             let reporter = reporter.clone();
///             scope.spawn(move || reporter.log("shard.done", json!({"shard": shard}), Severity::Info));
///         }
///     });
/// }
/// # train(&Reporter::disabled());
/// ```
#[derive(Clone)]
#[must_use = "dropping its last clone ends the session"]
pub struct Reporter {
    /// `None`: switched off.
    owner: Option<Arc<Owner>>,
    /// What it was taught of user errors. A program asks it whether telemetry is on or not.
    classifier: Option<Arc<UserErrorClassifier>>,
}

/// Ends the session when the last clone is dropped. It is a type apart from the session, so that a weak holder can use the
/// session for a moment and is never the one that ends it.
struct Owner(Arc<Session>);

impl Reporter {
    pub(crate) fn new(session: Session) -> Self {
        session.start_session();
        let classifier = session.classifier.clone();
        Self { owner: Some(Arc::new(Owner(Arc::new(session)))), classifier }
    }

    /// As [`disabled`](Self::disabled), but taught which errors are the user's.
    pub(crate) fn switched_off(classifier: Option<Arc<UserErrorClassifier>>) -> Self {
        Self { owner: None, classifier }
    }

    /// A reporter that is switched off: every call is a no-op of a few nanoseconds, `log` returns `false`, and
    /// `wait_until_drained` returns `true`.
    ///
    /// ```
    /// use tinker_telemetry::{Reporter, Severity};
    ///
    /// let reporter = Reporter::disabled();
    /// assert!(!reporter.is_enabled());
    /// assert!(!reporter.log("step", (), Severity::Info));
    /// ```
    pub fn disabled() -> Self {
        Self::switched_off(None)
    }

    /// A handle that does not keep the session going, for holders that outlive it, such as a global logger.
    ///
    /// ```
    /// # let reporter = tinker_telemetry::Reporter::disabled();
    /// let weak = reporter.downgrade();
    /// drop(reporter);
    /// assert!(weak.upgrade().is_none());
    /// ```
    pub fn downgrade(&self) -> WeakReporter {
        let weak = |owner: &Arc<Owner>| (Arc::downgrade(owner), Arc::downgrade(&owner.0));
        WeakReporter { session: self.owner.as_ref().map(weak) }
    }

    /// Whether this reporter was started. It is `false` for one that is switched off, and still `true` after
    /// [`stop`](Self::stop).
    pub fn is_enabled(&self) -> bool {
        self.owner.is_some()
    }

    /// The id of the session that it reports to. `None` if it is switched off.
    ///
    /// ```
    /// use tinker_telemetry::Reporter;
    ///
    /// assert_eq!(Reporter::disabled().session_id(), None);
    /// ```
    pub fn session_id(&self) -> Option<&str> {
        self.owner.as_ref().map(|owner| owner.id.as_str())
    }

    /// Reports the event `name` with its data. Returns whether it was accepted. [`stats`](Self::stats) counts why events
    /// were refused.
    ///
    /// Never blocks, never panics, does no I/O and logs nothing. The data is encoded on this thread and queued; the
    /// worker does the rest. (If more than 16 threads put an event in at the same moment, a call yields to them.)
    ///
    /// An object is sent as it is. Nothing (`()`, `None`) becomes `{}`, and any other value becomes `{"value": …}`.
    /// Numbers that JSON cannot write (NaN, infinities) become null, but an OTLP endpoint gets them as they are, unless the
    /// program has a `before_send` hook.
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
    #[inline] // so that a call costs one comparison if the reporter is switched off
    pub fn log(&self, name: impl AsRef<str>, data: impl Serialize, severity: Severity) -> bool {
        let Some(owner) = &self.owner else { return false };
        owner.log(name.as_ref(), &data, severity)
    }

    /// Reports an error. Returns whether the event was accepted.
    ///
    /// If the error or one of its sources was caused by the user (see
    /// [`find_user_error_in_chain`](crate::find_user_error_in_chain)), the event is a `user_error` of severity `WARNING`.
    /// Otherwise it is an unhandled exception with the traceback of its sources.
    ///
    /// The exception has:
    ///
    /// - a type. It is the error's own, with its path, if the compiler knows it. For a trait object and for `anyhow::Error`
    ///   it is the innermost in the chain of sources that has a name: `std::io::Error` below any number of contexts. The
    ///   types of the standard library, of `serde_json` and of `ureq` are known. Another trait object has the name that its
    ///   derived `Debug` begins with, which for an enum is the variant.
    /// - a message. It is the texts of the chain, each once: `loading a.toml: No such file or directory (os error 2)`.
    /// - a traceback: a line for each error of the chain, and with `RUST_BACKTRACE` set a stack. It is the stack of where the
    ///   error was made if `anyhow` or `eyre` made it, and else of this call. It begins with the program's own code.
    ///
    /// Takes every `std::error::Error`, trait objects, boxes of them, and `anyhow::Error`: see [`AsError`]. Asks
    /// for a flush and does not wait for it.
    ///
    /// ```
    /// use tinker_telemetry::Severity;
    ///
    /// # let reporter = tinker_telemetry::Reporter::disabled();
    /// if let Err(error) = std::fs::read("not-there") {
    ///     reporter.log_exception(&error, Severity::Error);
    /// }
    /// ```
    ///
    /// With `RUST_BACKTRACE` set, this call captures the stack, and the worker resolves its symbols. The standard
    /// library holds one lock for both. If the worker resolves symbols at that moment, this call waits for it for 20 ms
    /// at most, and then reports the error without a stack. It cannot know whether other code of the program resolves
    /// symbols, as the standard panic hook does: for that it waits as long as it takes. The symbols of a stack that the error
    /// carries are resolved by this call, which takes a tenth of a second the first time. A forked child reports no stack.
    pub fn log_exception<E: AsError<Kind> + ?Sized, Kind>(&self, error: &E, severity: Severity) -> bool {
        self.session().is_some_and(|session| session.report_exception(error, severity))
    }

    /// Reports an error as [`log_exception`](Self::log_exception) does, then the session's end, and waits until nothing is
    /// pending, for `flush_timeout` at most. (With `RUST_BACKTRACE` set, up to half of that, and half a second at most, is
    /// spent on the wait for the worker to resolve other stacks. With less than a second in all, the stack is that of the
    /// call, also if the error carries one.) The wait ends sooner if it is in vain, as that of
    /// [`wait_until_drained`](Self::wait_until_drained) does: a machine that is offline does not delay the program by its
    /// retries. Then it writes the session's id to the program's log, at info level, for the
    /// person who investigates, and a warning with the counts if events are still pending.
    ///
    /// The end is reported once. Later events are still accepted, and come after it: only [`stop`](Self::stop) closes a
    /// reporter.
    ///
    /// A full queue refuses neither event: there is room that only they may take. A call from inside the reporter's own
    /// work (a `Serialize` of its data) is refused as `reentrant`, and the session goes on.
    ///
    /// ```
    /// use tinker_telemetry::Severity;
    ///
    /// # fn train() -> std::io::Result<()> { Ok(()) }
    /// # let reporter = tinker_telemetry::Reporter::disabled();
    /// if let Err(error) = train() {
    ///     reporter.log_fatal_exception(&error, Severity::Critical);
    ///     eprintln!("{error}");
    ///     std::process::exit(1);
    /// }
    /// ```
    pub fn log_fatal_exception<E: AsError<Kind> + ?Sized, Kind>(
        &self,
        error: &E,
        severity: Severity,
    ) -> bool {
        self.session().is_some_and(|session| session.report_fatal_exception(error, severity))
    }

    /// The first user error in a chain of sources: what would be reported as a `user_error`. `None` if there is none.
    ///
    /// Knows what [`find_user_error_in_chain`](crate::find_user_error_in_chain) knows, and what the builder's
    /// [`user_errors`](crate::Builder::user_errors) taught it, also if telemetry is switched off. It does not panic: an error
    /// or a closure that does is none.
    ///
    /// ```
    /// use tinker_telemetry::ApiError;
    ///
    /// # let reporter = tinker_telemetry::Reporter::disabled();
    /// let error = ApiError::new("no such model").with_status(404);
    /// if let Some(mistake) = reporter.find_user_error(&error) {
    ///     eprintln!("please check your request: {}", mistake.message);
    /// }
    /// ```
    pub fn find_user_error<E: AsError<Kind> + ?Sized, Kind>(&self, error: &E) -> Option<UserError> {
        catch_panic(|| user_error::find_user_error(error.as_error(), self.classifier.as_deref())).flatten()
    }

    /// What the clones share. `None` if the reporter is switched off.
    pub(crate) fn session(&self) -> Option<&Session> {
        self.owner.as_ref().map(|owner| &***owner)
    }

    /// Asks for everything accepted so far to be sent now. Returns at once.
    ///
    /// ```
    /// # let reporter = tinker_telemetry::Reporter::disabled();
    /// reporter.log("epoch.finished", (), tinker_telemetry::Severity::Info);
    /// reporter.flush();
    /// ```
    pub fn flush(&self) {
        if let Some(owner) = &self.owner {
            owner.flush();
        }
    }

    /// Flushes, then waits until nothing that was accepted before this call is pending, for `timeout` at most. Returns
    /// `true` if nothing is pending, and `false` if the time ran out, or sooner if the wait is in vain. An event of a call
    /// that has not returned, on another thread, may still be pending.
    ///
    /// A wait is in vain:
    ///
    /// - if each batch on its way waits for a retry that begins after `timeout`.
    /// - if no server answers. An attempt of a second or longer without an answer is enough. After a quicker failure, such as
    ///   a refused connection, there is one more attempt half a second later, since the server may be restarting. In an
    ///   outage that was known before the wait there is one attempt, at once, and it has a second; a tenth of one if the
    ///   program has waited in vain a moment ago. None of these costs a batch one of its retries.
    ///
    /// A server that answers is waited for, however slow it is and whatever it answers. No wait ends sooner than after a
    /// tenth of a second, or `timeout`. After a wait in vain nothing is dropped: the events stay pending, and are sent as
    /// soon as that works.
    ///
    /// Drained is not delivered: events that were given up are not pending either, nor are those that a spool keeps.
    /// [`stats`](Self::stats) says what became of them. With a spool a batch is kept at once if no server can be reached
    /// meanwhile, and after 1 s if none answers.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # let reporter = tinker_telemetry::Reporter::disabled();
    /// let is_drained = reporter.wait_until_drained(Duration::from_secs(1));
    /// println!("{is_drained}: {}", reporter.stats());
    /// ```
    pub fn wait_until_drained(&self, timeout: Duration) -> bool {
        self.owner.as_ref().is_none_or(|owner| owner.wait_until_drained(timeout))
    }

    /// Ends the session, accepts no more events, and gives the worker `timeout` to send what is pending. What is left
    /// then is dropped as `deadline`, or kept if there is a spool. Returns whether everything had its fate in time.
    ///
    /// Returns within `timeout` and 50 ms whatever the network does. It may be called from any thread and more than once.
    /// A later call can shorten the deadline but not extend it, and its answer means the same. A call from inside the
    /// reporter's own work (a `Serialize` of its data, a logger on its thread) does not wait, and answers by the counts
    /// of that moment. So does [`wait_until_drained`](Self::wait_until_drained).
    ///
    /// A failure that may pass is retried as long as `timeout` allows. If there is no answer at all, as on a machine that
    /// is offline, each batch has one more attempt, and the program does not wait for retries. All these attempts together
    /// have a second, or a tenth of one if the program has waited in vain a moment ago
    /// (see [`wait_until_drained`](Self::wait_until_drained)).
    ///
    /// If events were dropped or refused, the program's log has the counts as a warning before this returns. Only a logger
    /// that takes longer than 20 ms is not waited for.
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
    ///
    /// ```
    /// # let reporter = tinker_telemetry::Reporter::disabled();
    /// let stats = reporter.stats();
    /// assert_eq!(stats.offered, stats.accepted + stats.refused.total());
    /// ```
    pub fn stats(&self) -> Stats {
        self.session().map(Session::stats).unwrap_or_default()
    }
}

/// A [`Reporter`] that does not keep the session going.
///
/// ```
/// use tinker_telemetry::{Reporter, Severity, WeakReporter};
///
/// fn from_a_global_place(weak: &WeakReporter) {
///     weak.log("cache.evicted", (), Severity::Debug); // `false` once the session is over
/// }
/// # from_a_global_place(&Reporter::disabled().downgrade());
/// ```
#[derive(Clone, Default)]
pub struct WeakReporter {
    session: Option<(Weak<Owner>, Weak<Session>)>,
}

impl WeakReporter {
    /// The reporter. `None` once its last clone is dropped, and if it is switched off. If the other clones are dropped
    /// meanwhile, this one is the last: its drop ends the session, and waits for it.
    ///
    /// ```
    /// # let reporter = tinker_telemetry::Reporter::disabled();
    /// let weak = reporter.downgrade();
    /// if let Some(reporter) = weak.upgrade() {
    ///     println!("{}", reporter.stats());
    /// }
    /// ```
    pub fn upgrade(&self) -> Option<Reporter> {
        let (owner, _) = self.session.as_ref()?;
        let owner = owner.upgrade()?;
        let classifier = owner.classifier.clone();
        Some(Reporter { owner: Some(owner), classifier })
    }

    /// Whether a clone of the reporter is left. `false` if it is switched off.
    pub fn is_alive(&self) -> bool {
        self.session.as_ref().is_some_and(|(owner, _)| owner.strong_count() > 0)
    }

    /// Reports as [`Reporter::log`] does. Never ends the session: if the last clone is dropped meanwhile, that drop waits,
    /// and this call does not. `false` if no clone is left.
    pub fn log(&self, name: impl AsRef<str>, data: impl Serialize, severity: Severity) -> bool {
        self.session().is_some_and(|session| session.log(name.as_ref(), &data, severity))
    }

    /// Reports as [`Reporter::log_exception`] does. `false` if no clone is left.
    pub fn log_exception<E: AsError<Kind> + ?Sized, Kind>(&self, error: &E, severity: Severity) -> bool {
        self.session().is_some_and(|session| session.report_exception(error, severity))
    }

    /// Reports as [`Reporter::log_fatal_exception`] does, with its wait. `false` if no clone is left.
    pub fn log_fatal_exception<E: AsError<Kind> + ?Sized, Kind>(
        &self,
        error: &E,
        severity: Severity,
    ) -> bool {
        self.session().is_some_and(|session| session.report_fatal_exception(error, severity))
    }

    /// As [`Reporter::flush`]. Does nothing if no clone is left.
    pub fn flush(&self) {
        if let Some(session) = self.session() {
            session.flush();
        }
    }

    /// As [`Reporter::wait_until_drained`]. `true` if no clone is left: nothing is pending.
    pub fn wait_until_drained(&self, timeout: Duration) -> bool {
        self.session().is_none_or(|session| session.wait_until_drained(timeout))
    }

    /// As [`Reporter::stop`]: it ends the session for all clones. `true` if no clone is left: nothing is pending.
    pub fn stop(&self, timeout: Duration) -> bool {
        self.session().is_none_or(|session| session.stop(timeout))
    }

    /// What the clones share: a bridge reports to it for a moment, and is never the one that ends the session.
    pub(crate) fn session(&self) -> Option<Arc<Session>> {
        let (_, session) = self.session.as_ref()?;
        session.upgrade()
    }

    /// Whether both belong to one session.
    #[cfg(feature = "panic")]
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
            // A panic whose hook has waited for as long already does not wait again.
            let is_repeated = thread::panicking() && self.has_waited_in_vain();
            self.stop(if is_repeated { Duration::ZERO } else { self.shutdown_timeout });
        }
    }
}

// A panic can leave nothing half done that is visible through either: their counts are whole at any moment.
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
