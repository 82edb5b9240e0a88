//! Work whose error or panic is reported, and then passed on.

use std::any::Any;
use std::error::Error;
use std::fmt::Debug;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::failure::as_error::{AsError, kind};
use crate::failure::panicking::{CaptureScope, Panic, recall};
use crate::model::event::Severity;
use crate::reporter::{Reporter, WeakReporter};
use crate::session::Session;

impl Reporter {
    /// Runs `work`. An error that it returns, or a panic, is reported with severity `ERROR` as
    /// [`log_exception`](Self::log_exception) does, and passed on: the same value, the same panic.
    ///
    /// Work returns a `Result` or nothing: see [`Outcome`]. For work that returns anything else there is
    /// [`capture_panics`](Self::capture_panics).
    ///
    /// Nested captures each report. A panic inside a capture is not fatal to the session, so the panic hook
    /// (feature `panic`) leaves it to the capture and adds where it happened; without the hook the report has the
    /// panic's message only. With `panic = "abort"` the hook reports it as fatal, and a capture sees errors only.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let reporter = tinker_telemetry::Reporter::disabled();
    /// # let path = "Cargo.toml";
    /// let text = reporter.capture(|| std::fs::read_to_string(path))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn capture<R: Outcome<Kind>, Kind>(&self, work: impl FnOnce() -> R) -> R {
        self.capture_at(Severity::Error, work)
    }

    /// As [`capture`](Self::capture), with this severity.
    ///
    /// ```
    /// use tinker_telemetry::Severity;
    ///
    /// # let reporter = tinker_telemetry::Reporter::disabled();
    /// let cached = reporter.capture_at(Severity::Warning, || std::fs::read("cache")).unwrap_or_default();
    /// ```
    pub fn capture_at<R: Outcome<Kind>, Kind>(&self, severity: Severity, work: impl FnOnce() -> R) -> R {
        match self.session() {
            Some(session) => CaptureResult::of(work).report(Some(session), severity),
            None => work(),
        }
    }

    /// As [`capture`](Self::capture), for work that returns anything: only a panic is reported.
    ///
    /// ```
    /// # let reporter = tinker_telemetry::Reporter::disabled();
    /// let sum: u32 = reporter.capture_panics(|| [1, 2, 3].iter().sum());
    /// assert_eq!(sum, 6);
    /// ```
    pub fn capture_panics<T>(&self, work: impl FnOnce() -> T) -> T {
        self.capture(|| Unchecked(work())).0
    }

    /// As [`capture`](Self::capture), for work that the program cannot go on without: an error or a panic is
    /// reported with severity `CRITICAL` as [`log_fatal_exception`](Self::log_fatal_exception) does, with the
    /// session's end, and handed on after `flush_timeout` at the latest.
    ///
    /// ```
    /// # let reporter = tinker_telemetry::Reporter::disabled();
    /// fn train(steps: &str) -> Result<u64, std::num::ParseIntError> {
    ///     steps.parse()
    /// }
    ///
    /// let outcome = reporter.capture_fatal(|| train("many"));
    /// assert_eq!(outcome, "many".parse());
    /// ```
    pub fn capture_fatal<R: Outcome<Kind>, Kind>(&self, work: impl FnOnce() -> R) -> R {
        self.capture_fatal_at(Severity::Critical, work)
    }

    /// As [`capture_fatal`](Self::capture_fatal), with this severity.
    pub fn capture_fatal_at<R: Outcome<Kind>, Kind>(
        &self,
        severity: Severity,
        work: impl FnOnce() -> R,
    ) -> R {
        match self.session() {
            Some(session) => CaptureResult::of(work).report_fatal(session, severity),
            None => work(),
        }
    }

    /// Starts a thread whose error or panic is reported as by [`capture`](Self::capture); it is joined as any other
    /// thread. The thread does not keep the session going. For a thread of a `thread::scope`, capture inside it.
    ///
    /// Fails where the operating system gives no thread.
    ///
    /// ```
    /// use std::thread;
    ///
    /// # let reporter = tinker_telemetry::Reporter::disabled();
    /// let loader = thread::Builder::new().name("loader".to_owned());
    /// let loader = reporter.spawn(loader, || std::fs::read_to_string("Cargo.toml"))?;
    /// let text = loader.join().expect("it did not panic")?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn spawn<R, Kind>(
        &self,
        thread: thread::Builder,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> io::Result<JoinHandle<R>>
    where
        R: Outcome<Kind> + Send + 'static,
    {
        if !self.is_enabled() {
            return thread.spawn(work);
        }
        let reporter = self.downgrade();
        thread.spawn(move || reporter.capture_at(Severity::Error, work))
    }
}

impl WeakReporter {
    /// As [`Reporter::capture`]. If no clone is left when the work has ended, nothing is reported.
    pub fn capture<R: Outcome<Kind>, Kind>(&self, work: impl FnOnce() -> R) -> R {
        self.capture_at(Severity::Error, work)
    }

    /// As [`Reporter::capture_at`]. If no clone is left when the work has ended, nothing is reported.
    pub fn capture_at<R: Outcome<Kind>, Kind>(&self, severity: Severity, work: impl FnOnce() -> R) -> R {
        if !self.is_alive() {
            return work();
        }
        let captured = CaptureResult::of(work);
        captured.report(self.session().as_deref(), severity)
    }

    /// As [`Reporter::capture_panics`]. If no clone is left when the work has ended, nothing is reported.
    pub fn capture_panics<T>(&self, work: impl FnOnce() -> T) -> T {
        self.capture(|| Unchecked(work())).0
    }

    /// As [`Reporter::capture_fatal`]. If no clone is left when the work has ended, nothing is reported.
    pub fn capture_fatal<R: Outcome<Kind>, Kind>(&self, work: impl FnOnce() -> R) -> R {
        self.capture_fatal_at(Severity::Critical, work)
    }

    /// As [`Reporter::capture_fatal_at`]. If no clone is left when the work has ended, nothing is reported.
    pub fn capture_fatal_at<R: Outcome<Kind>, Kind>(
        &self,
        severity: Severity,
        work: impl FnOnce() -> R,
    ) -> R {
        if !self.is_alive() {
            return work();
        }
        let captured = CaptureResult::of(work);
        match self.session() {
            Some(session) => captured.report_fatal(&session, severity),
            None => captured.report(None, severity),
        }
    }
}

/// What captured work may return: a `Result` of any error that can be reported (see [`AsError`]) or of a text, or nothing,
/// for work that can only panic. Anything else can be returned in [`Unchecked`]. `Kind` only keeps the implementations
/// apart; the compiler infers it. No other crate can implement this trait.
///
/// ```
/// # let reporter = tinker_telemetry::Reporter::disabled();
/// reporter.capture(|| println!("may panic"));
/// let ratio: Result<f64, _> = reporter.capture(|| "0.5".parse::<f64>());
/// let ratio: anyhow::Result<f64> = reporter.capture(|| Ok("0.5".parse::<f64>()?));
/// let ratio: Result<f64, String> = reporter.capture(|| Err("no ratio".to_owned()));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot tell whether the work failed",
    note = "captured work returns `()`, or a `Result` of a text or of an error that can be reported",
    note = "for work that returns anything there is `capture_panics`, and `Unchecked`"
)]
pub trait Outcome<Kind>: sealed::IsOutcome<Kind> {
    /// The error. `None` if the work succeeded.
    fn error(&self) -> Option<CapturedError<'_>>;
}

/// What keeps others from implementing [`Outcome`]: their types are neither of these.
mod sealed {
    use super::{AsError, Unchecked, kind};

    pub trait IsOutcome<Kind> {}

    impl<T, E: AsError<Kind>, Kind> IsOutcome<Kind> for Result<T, E> {}
    impl<T> IsOutcome<kind::Text> for Result<T, String> {}
    impl<T> IsOutcome<kind::Text> for Result<T, &str> {}
    impl<T> IsOutcome<kind::Nothing> for Unchecked<T> {}
    impl IsOutcome<kind::Nothing> for () {}
}

impl<T, E: AsError<Kind>, Kind> Outcome<Kind> for Result<T, E> {
    fn error(&self) -> Option<CapturedError<'_>> {
        let error = self.as_ref().err()?;
        let (type_name, report) = (error.type_name(), error.report());
        Some(CapturedError(Captured::Error { error: error.as_error(), type_name, report }))
    }
}

/// An error that is a text alone.
impl<T> Outcome<kind::Text> for Result<T, String> {
    fn error(&self) -> Option<CapturedError<'_>> {
        self.as_ref().err().map(|text| CapturedError::of_text(text))
    }
}

/// An error that is a text alone.
impl<T> Outcome<kind::Text> for Result<T, &str> {
    fn error(&self) -> Option<CapturedError<'_>> {
        self.as_ref().err().map(|text| CapturedError::of_text(text))
    }
}

impl Outcome<kind::Nothing> for () {
    fn error(&self) -> Option<CapturedError<'_>> {
        None
    }
}

/// A value that says nothing of a failure. Captured work that returns one can only panic.
///
/// ```
/// use std::thread;
/// use tinker_telemetry::Unchecked;
///
/// # let reporter = tinker_telemetry::Reporter::disabled();
/// let counter = reporter.spawn(thread::Builder::new(), || Unchecked(6 * 7))?;
/// assert_eq!(counter.join().expect("it did not panic").0, 42);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Unchecked<T>(
    /// The value.
    pub T,
);

impl<T> Outcome<kind::Nothing> for Unchecked<T> {
    fn error(&self) -> Option<CapturedError<'_>> {
        None
    }
}

/// An error that work returned, of any type: see [`Outcome`].
///
/// ```
/// use tinker_telemetry::{AsError, Outcome};
///
/// let failed: Result<u8, _> = "many".parse::<u8>();
/// let error = failed.error().expect("it is none");
/// assert_eq!(error.as_error().to_string(), "invalid digit found in string");
/// ```
#[derive(Clone, Debug)]
pub struct CapturedError<'a>(Captured<'a>);

#[derive(Clone, Debug)]
enum Captured<'a> {
    Error { error: &'a (dyn Error + 'static), type_name: Option<&'static str>, report: Option<&'a dyn Debug> },
    Text(TextError),
}

impl CapturedError<'_> {
    fn of_text(text: &str) -> Self {
        Self(Captured::Text(TextError(text.to_owned())))
    }
}

/// A text as an error.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
struct TextError(String);

impl AsError<kind::Captured> for CapturedError<'_> {
    fn as_error(&self) -> &(dyn Error + 'static) {
        match &self.0 {
            Captured::Error { error, .. } => *error,
            Captured::Text(text) => text,
        }
    }

    fn type_name(&self) -> Option<&'static str> {
        match &self.0 {
            Captured::Error { type_name, .. } => *type_name,
            Captured::Text(_) => Some("Error"),
        }
    }

    fn report(&self) -> Option<&dyn Debug> {
        match &self.0 {
            Captured::Error { report, .. } => *report,
            Captured::Text(_) => None,
        }
    }
}

/// How work ended.
enum CaptureResult<R> {
    Outcome(R),
    Panic(Panic, Box<dyn Any + Send>),
}

impl<R> CaptureResult<R> {
    fn of(work: impl FnOnce() -> R) -> Self {
        let capturing = CaptureScope::enter();
        // Nothing that the panic left half done is used here: the panic goes on below.
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(outcome) => Self::Outcome(outcome),
            Err(payload) => Self::Panic(recall(&capturing, &*payload), payload),
        }
    }

    /// Reports to the session, unless it is over.
    fn report<Kind>(self, session: Option<&Session>, severity: Severity) -> R
    where
        R: Outcome<Kind>,
    {
        match self {
            Self::Outcome(outcome) => {
                if let (Some(session), Some(error)) = (session, outcome.error()) {
                    session.report_exception(&error, severity);
                }
                outcome
            }
            Self::Panic(panic, payload) => {
                if let Some(session) = session {
                    session.report_panic_at(severity, &panic);
                }
                resume_unwind(payload)
            }
        }
    }

    fn report_fatal<Kind>(self, session: &Session, severity: Severity) -> R
    where
        R: Outcome<Kind>,
    {
        match self {
            Self::Outcome(outcome) => {
                if let Some(error) = outcome.error() {
                    session.report_fatal_exception(&error, severity);
                }
                outcome
            }
            Self::Panic(panic, payload) => {
                let since = Instant::now();
                session.report_fatal_panic_at(severity, &panic);
                session.wait_after_fatal(since);
                resume_unwind(payload)
            }
        }
    }
}
