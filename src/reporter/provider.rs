//! Types that may carry a reporter.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::failure::as_error::AsError;
use crate::model::event::Severity;
use crate::reporter::capture::Outcome;
use crate::reporter::{Reporter, WeakReporter};

/// Something that may have a reporter: a client that was given one, an `Option` of one, or a reference, a `Box` or an `Arc`
/// of any of these. Its methods are those of the [`Reporter`]; without one they report nothing.
///
/// ```
/// use std::io;
/// use tinker_telemetry::{Reporter, Severity, Telemetry, TelemetryProvider};
///
/// struct SamplingClient {
///     reporter: Option<Reporter>,
/// }
///
/// impl TelemetryProvider for SamplingClient {
///     fn telemetry(&self) -> Telemetry<'_> {
///         self.reporter.telemetry()
///     }
/// }
///
/// impl SamplingClient {
///     fn sample(&self, prompt: &str) -> io::Result<String> {
///         self.capture(|| fetch(prompt, self))
///     }
/// }
///
/// fn fetch(prompt: &str, telemetry: impl TelemetryProvider) -> io::Result<String> {
///     telemetry.log("sample.requested", prompt.len(), Severity::Info);
///     Ok(prompt.to_uppercase())
/// }
///
/// assert_eq!(SamplingClient { reporter: None }.sample("hello")?, "HELLO");
/// # Ok::<(), io::Error>(())
/// ```
///
/// A client that must not keep the session going holds a [`WeakReporter`], and returns `self.weak.telemetry()` in the same
/// way.
#[diagnostic::on_unimplemented(
    message = "`{Self}` carries no reporter",
    note = "a reporter is passed as `&reporter`, or as an `Option` of one; a client implements `TelemetryProvider`"
)]
pub trait TelemetryProvider {
    /// The reporter, if there is one.
    fn telemetry(&self) -> Telemetry<'_>;

    /// As [`Reporter::log`]. `false` without a reporter.
    fn log(&self, name: impl AsRef<str>, data: impl Serialize, severity: Severity) -> bool
    where
        Self: Sized,
    {
        match self.telemetry().0 {
            Some(Held::Strong(reporter)) => reporter.log(name, data, severity),
            Some(Held::Weak(reporter)) => reporter.log(name, data, severity),
            None => false,
        }
    }

    /// As [`Reporter::log_exception`]. `false` without a reporter.
    fn log_exception<E: AsError<Kind> + ?Sized, Kind>(&self, error: &E, severity: Severity) -> bool
    where
        Self: Sized,
    {
        match self.telemetry().0 {
            Some(Held::Strong(reporter)) => reporter.log_exception(error, severity),
            Some(Held::Weak(reporter)) => reporter.log_exception(error, severity),
            None => false,
        }
    }

    /// As [`Reporter::log_fatal_exception`]. `false` without a reporter.
    fn log_fatal_exception<E: AsError<Kind> + ?Sized, Kind>(&self, error: &E, severity: Severity) -> bool
    where
        Self: Sized,
    {
        match self.telemetry().0 {
            Some(Held::Strong(reporter)) => reporter.log_fatal_exception(error, severity),
            Some(Held::Weak(reporter)) => reporter.log_fatal_exception(error, severity),
            None => false,
        }
    }

    /// As [`Reporter::capture`]. Without a reporter `work` is called all the same.
    fn capture<R: Outcome<Kind>, Kind>(&self, work: impl FnOnce() -> R) -> R
    where
        Self: Sized,
    {
        self.capture_at(Severity::Error, work)
    }

    /// As [`Reporter::capture_at`]. Without a reporter `work` is called all the same.
    fn capture_at<R: Outcome<Kind>, Kind>(&self, severity: Severity, work: impl FnOnce() -> R) -> R
    where
        Self: Sized,
    {
        match self.telemetry().0 {
            Some(Held::Strong(reporter)) => reporter.capture_at(severity, work),
            Some(Held::Weak(reporter)) => reporter.capture_at(severity, work),
            None => work(),
        }
    }

    /// As [`Reporter::capture_panics`]. Without a reporter `work` is called all the same.
    fn capture_panics<T>(&self, work: impl FnOnce() -> T) -> T
    where
        Self: Sized,
    {
        match self.telemetry().0 {
            Some(Held::Strong(reporter)) => reporter.capture_panics(work),
            Some(Held::Weak(reporter)) => reporter.capture_panics(work),
            None => work(),
        }
    }

    /// As [`Reporter::capture_fatal`]. Without a reporter `work` is called all the same.
    fn capture_fatal<R: Outcome<Kind>, Kind>(&self, work: impl FnOnce() -> R) -> R
    where
        Self: Sized,
    {
        self.capture_fatal_at(Severity::Critical, work)
    }

    /// As [`Reporter::capture_fatal_at`]. Without a reporter `work` is called all the same.
    fn capture_fatal_at<R: Outcome<Kind>, Kind>(&self, severity: Severity, work: impl FnOnce() -> R) -> R
    where
        Self: Sized,
    {
        match self.telemetry().0 {
            Some(Held::Strong(reporter)) => reporter.capture_fatal_at(severity, work),
            Some(Held::Weak(reporter)) => reporter.capture_fatal_at(severity, work),
            None => work(),
        }
    }

    /// As [`Reporter::flush`]. Does nothing without a reporter.
    fn flush(&self) {
        match self.telemetry().0 {
            Some(Held::Strong(reporter)) => reporter.flush(),
            Some(Held::Weak(reporter)) => reporter.flush(),
            None => {}
        }
    }

    /// As [`Reporter::wait_until_drained`]. `true` without a reporter: nothing is pending.
    fn wait_until_drained(&self, timeout: Duration) -> bool {
        match self.telemetry().0 {
            Some(Held::Strong(reporter)) => reporter.wait_until_drained(timeout),
            Some(Held::Weak(reporter)) => reporter.wait_until_drained(timeout),
            None => true,
        }
    }

    /// As [`Reporter::stop`]. `true` without a reporter: nothing is pending.
    fn stop(&self, timeout: Duration) -> bool {
        match self.telemetry().0 {
            Some(Held::Strong(reporter)) => reporter.stop(timeout),
            Some(Held::Weak(reporter)) => reporter.stop(timeout),
            None => true,
        }
    }
}

/// The reporter of a [`TelemetryProvider`], if there is one. It is a provider itself.
///
/// ```
/// use tinker_telemetry::{Reporter, Severity, Telemetry, TelemetryProvider};
///
/// let reporter = Reporter::disabled();
/// let telemetry = Telemetry::from(&reporter);
/// telemetry.log("step", (), Severity::Info);
/// assert!(!Telemetry::NONE.log("step", (), Severity::Info));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Telemetry<'a>(Option<Held<'a>>);

#[derive(Clone, Copy, Debug)]
enum Held<'a> {
    Strong(&'a Reporter),
    Weak(&'a WeakReporter),
}

impl Telemetry<'_> {
    /// No reporter.
    pub const NONE: Self = Self(None);
}

impl<'a> From<&'a Reporter> for Telemetry<'a> {
    fn from(reporter: &'a Reporter) -> Self {
        Self(Some(Held::Strong(reporter)))
    }
}

impl<'a> From<&'a WeakReporter> for Telemetry<'a> {
    fn from(reporter: &'a WeakReporter) -> Self {
        Self(Some(Held::Weak(reporter)))
    }
}

impl TelemetryProvider for Telemetry<'_> {
    fn telemetry(&self) -> Telemetry<'_> {
        *self
    }
}

impl TelemetryProvider for Reporter {
    fn telemetry(&self) -> Telemetry<'_> {
        self.into()
    }
}

impl TelemetryProvider for WeakReporter {
    fn telemetry(&self) -> Telemetry<'_> {
        self.into()
    }
}

impl<P: TelemetryProvider> TelemetryProvider for Option<P> {
    fn telemetry(&self) -> Telemetry<'_> {
        self.as_ref().map_or(Telemetry::NONE, P::telemetry)
    }
}

impl<P: TelemetryProvider + ?Sized> TelemetryProvider for &P {
    fn telemetry(&self) -> Telemetry<'_> {
        (**self).telemetry()
    }
}

impl<P: TelemetryProvider + ?Sized> TelemetryProvider for Box<P> {
    fn telemetry(&self) -> Telemetry<'_> {
        (**self).telemetry()
    }
}

impl<P: TelemetryProvider + ?Sized> TelemetryProvider for Arc<P> {
    fn telemetry(&self) -> Telemetry<'_> {
        (**self).telemetry()
    }
}
