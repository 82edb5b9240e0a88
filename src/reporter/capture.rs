//! Work whose error or panic is reported on its way out.

use std::any::Any;
use std::error::Error;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::failure::as_error::{AsError, kind};
use crate::failure::panicking::{CaptureScope, Panic, recall};
use crate::model::event::Severity;
use crate::reporter::Reporter;
use crate::session::Session;

impl Reporter {
    /// Runs `work`. An error that it returns, or a panic, is reported with severity `ERROR` as
    /// [`log_exception`](Self::log_exception) does, and handed on: the very same value, the very same panic.
    ///
    /// Nested captures each report. A panic inside a capture is not fatal to the session, so the panic hook
    /// (feature `panic-hook`) leaves it to the capture and adds where it happened; without the hook the report has the
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
        match self.session() {
            Some(session) => CaptureResult::of(work).report(Some(session)),
            None => work(),
        }
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
        match self.session() {
            Some(session) => CaptureResult::of(work).report_fatal(session),
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
        thread.spawn(move || {
            let captured = CaptureResult::of(work);
            captured.report(reporter.session().as_deref())
        })
    }
}

/// What captured work may return: a `Result` of any error that can be reported (see [`AsError`]), or nothing, for
/// work that can only panic. `Kind` only keeps the implementations apart; the compiler finds it.
///
/// ```
/// # let reporter = tinker_telemetry::Reporter::disabled();
/// reporter.capture(|| println!("may panic"));
/// let ratio: Result<f64, _> = reporter.capture(|| "0.5".parse::<f64>());
/// let ratio: anyhow::Result<f64> = reporter.capture(|| Ok("0.5".parse::<f64>()?));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot tell whether the work failed",
    note = "captured work returns `()`, or a `Result` of an error that can be reported"
)]
pub trait Outcome<Kind> {
    /// The error; `None` where the work succeeded.
    fn error(&self) -> Option<CapturedError<'_>>;
}

impl<T, E: AsError<Kind>, Kind> Outcome<Kind> for Result<T, E> {
    fn error(&self) -> Option<CapturedError<'_>> {
        let error = self.as_ref().err()?;
        Some(CapturedError { error: error.as_error(), type_name: error.type_name() })
    }
}

impl Outcome<kind::Nothing> for () {
    fn error(&self) -> Option<CapturedError<'_>> {
        None
    }
}

/// An error that work returned, whatever its type: see [`Outcome`].
#[derive(Clone, Copy, Debug)]
pub struct CapturedError<'a> {
    error: &'a (dyn Error + 'static),
    type_name: Option<&'static str>,
}

impl AsError<kind::Captured> for CapturedError<'_> {
    fn as_error(&self) -> &(dyn Error + 'static) {
        self.error
    }

    fn type_name(&self) -> Option<&'static str> {
        self.type_name
    }
}

/// How work came to its end.
enum CaptureResult<R> {
    Outcome(R),
    Panic(Panic, Box<dyn Any + Send>),
}

impl<R> CaptureResult<R> {
    fn of(work: impl FnOnce() -> R) -> Self {
        let capturing = CaptureScope::enter();
        // Nothing that the panic left half done is used here: it goes on as if nobody had caught it.
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(outcome) => Self::Outcome(outcome),
            Err(payload) => Self::Panic(recall(&capturing, &*payload), payload),
        }
    }

    /// Reports to the session, which may be gone by now.
    fn report<Kind>(self, session: Option<&Session>) -> R
    where
        R: Outcome<Kind>,
    {
        match self {
            Self::Outcome(outcome) => {
                if let (Some(session), Some(error)) = (session, outcome.error()) {
                    session.report_exception(&error, Severity::Error);
                }
                outcome
            }
            Self::Panic(panic, payload) => {
                if let Some(session) = session {
                    session.report_panic(&panic);
                }
                resume_unwind(payload)
            }
        }
    }

    fn report_fatal<Kind>(self, session: &Session) -> R
    where
        R: Outcome<Kind>,
    {
        match self {
            Self::Outcome(outcome) => {
                if let Some(error) = outcome.error() {
                    session.report_fatal_exception(&error, Severity::Critical);
                }
                outcome
            }
            Self::Panic(panic, payload) => {
                let since = Instant::now();
                session.report_fatal_panic(&panic);
                session.outlast_fatal(since);
                resume_unwind(payload)
            }
        }
    }
}
