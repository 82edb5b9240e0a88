//! Types that may carry a reporter.

use std::borrow::Cow;

use serde::Serialize;

use crate::failure::as_error::AsError;
use crate::model::event::Severity;
use crate::reporter::Reporter;
use crate::reporter::capture::Outcome;

/// Something that may have a reporter: a client that was given one, or an `Option<&Reporter>`. Its methods are those
/// of the [`Reporter`]; without one they report nothing.
///
/// ```
/// use std::io;
/// use tinker_telemetry::{Reporter, Severity, TelemetryProvider};
///
/// struct SamplingClient {
///     reporter: Option<Reporter>,
/// }
///
/// impl TelemetryProvider for SamplingClient {
///     fn telemetry(&self) -> Option<&Reporter> {
///         self.reporter.as_ref()
///     }
/// }
///
/// impl SamplingClient {
///     fn sample(&self, prompt: &str) -> io::Result<String> {
///         self.capture(|| fetch(prompt, self.telemetry()))
///     }
/// }
///
/// fn fetch(prompt: &str, telemetry: Option<&Reporter>) -> io::Result<String> {
///     telemetry.log("sample.requested", prompt.len(), Severity::Info);
///     Ok(prompt.to_uppercase())
/// }
///
/// assert_eq!(SamplingClient { reporter: None }.sample("hello")?, "HELLO");
/// # Ok::<(), io::Error>(())
/// ```
pub trait TelemetryProvider {
    /// The reporter, if there is one.
    fn telemetry(&self) -> Option<&Reporter>;

    /// As [`Reporter::log`]. `false` without a reporter.
    fn log(&self, name: impl Into<Cow<'static, str>>, data: impl Serialize, severity: Severity) -> bool
    where
        Self: Sized,
    {
        self.telemetry().is_some_and(|reporter| reporter.log(name, data, severity))
    }

    /// As [`Reporter::log_exception`]. `false` without a reporter.
    fn log_exception<E: AsError<Kind> + ?Sized, Kind>(&self, error: &E, severity: Severity) -> bool
    where
        Self: Sized,
    {
        self.telemetry().is_some_and(|reporter| reporter.log_exception(error, severity))
    }

    /// As [`Reporter::log_fatal_exception`]. `false` without a reporter.
    fn log_fatal_exception<E: AsError<Kind> + ?Sized, Kind>(&self, error: &E, severity: Severity) -> bool
    where
        Self: Sized,
    {
        self.telemetry().is_some_and(|reporter| reporter.log_fatal_exception(error, severity))
    }

    /// As [`Reporter::capture`]. Without a reporter `work` is called all the same.
    fn capture<R: Outcome<Kind>, Kind>(&self, work: impl FnOnce() -> R) -> R
    where
        Self: Sized,
    {
        match self.telemetry() {
            Some(reporter) => reporter.capture(work),
            None => work(),
        }
    }

    /// As [`Reporter::capture_fatal`]. Without a reporter `work` is called all the same.
    fn capture_fatal<R: Outcome<Kind>, Kind>(&self, work: impl FnOnce() -> R) -> R
    where
        Self: Sized,
    {
        match self.telemetry() {
            Some(reporter) => reporter.capture_fatal(work),
            None => work(),
        }
    }
}

impl TelemetryProvider for Reporter {
    fn telemetry(&self) -> Option<&Reporter> {
        Some(self)
    }
}

impl TelemetryProvider for Option<Reporter> {
    fn telemetry(&self) -> Option<&Reporter> {
        self.as_ref()
    }
}

impl TelemetryProvider for Option<&Reporter> {
    fn telemetry(&self) -> Option<&Reporter> {
        *self
    }
}
