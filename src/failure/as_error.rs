//! Every type that can be reported as an error.

use std::error::Error;

/// A type that can be reported as an error: every `std::error::Error`, a trait object or a box of one,
/// `anyhow::Error` and similar types. `Kind` only keeps the implementations apart; the compiler infers it.
///
/// ```
/// # let reporter = tinker_telemetry::Reporter::disabled();
/// use std::error::Error;
/// use tinker_telemetry::Severity;
///
/// let plain: std::num::ParseIntError = "x".parse::<u8>().unwrap_err();
/// reporter.log_exception(&plain, Severity::Error);
/// let object: &(dyn Error + 'static) = &plain;
/// reporter.log_exception(object, Severity::Error);
/// let boxed: Box<dyn Error> = "boxed".into();
/// reporter.log_exception(&boxed, Severity::Error);
/// let any: anyhow::Error = anyhow::anyhow!("anyhow").context("while training");
/// reporter.log_exception(&any, Severity::Error);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be reported as an error",
    note = "an error is a `std::error::Error`, a trait object or a box of one, or `anyhow::Error` and similar types"
)]
pub trait AsError<Kind> {
    /// The error itself.
    ///
    /// ```
    /// use tinker_telemetry::AsError;
    ///
    /// let boxed: Box<dyn std::error::Error> = "no sample".into();
    /// assert_eq!(boxed.as_error().to_string(), "no sample");
    /// ```
    fn as_error(&self) -> &(dyn Error + 'static);

    /// The name of the error's type, if the compiler knows it.
    ///
    /// ```
    /// use tinker_telemetry::AsError;
    ///
    /// assert_eq!(std::fmt::Error.type_name(), Some("core::fmt::Error"));
    /// ```
    fn type_name(&self) -> Option<&'static str> {
        None
    }
}

/// The values of `Kind` of [`AsError`].
#[doc(hidden)]
pub mod kind {
    #[derive(Debug)]
    pub enum Concrete {}
    #[derive(Debug)]
    pub enum Object {}
    #[derive(Debug)]
    pub enum Boxed {}
    #[derive(Debug)]
    pub enum Shared {}
    #[derive(Debug)]
    pub enum Captured {}
    #[derive(Debug)]
    pub enum Nothing {}
}

impl<E: Error + 'static> AsError<kind::Concrete> for E {
    fn as_error(&self) -> &(dyn Error + 'static) {
        self
    }

    fn type_name(&self) -> Option<&'static str> {
        Some(std::any::type_name::<E>())
    }
}

impl AsError<kind::Object> for dyn Error + 'static {
    fn as_error(&self) -> &(dyn Error + 'static) {
        self
    }
}

impl AsError<kind::Object> for dyn Error + Send + 'static {
    fn as_error(&self) -> &(dyn Error + 'static) {
        self
    }
}

impl AsError<kind::Object> for dyn Error + Send + Sync + 'static {
    fn as_error(&self) -> &(dyn Error + 'static) {
        self
    }
}

impl AsError<kind::Boxed> for Box<dyn Error> {
    fn as_error(&self) -> &(dyn Error + 'static) {
        &**self
    }
}

impl AsError<kind::Boxed> for Box<dyn Error + Send> {
    fn as_error(&self) -> &(dyn Error + 'static) {
        &**self
    }
}

/// A `Box` of a thread-safe error, `anyhow::Error` and similar types.
impl<P: AsRef<dyn Error + Send + Sync + 'static>> AsError<kind::Shared> for P {
    fn as_error(&self) -> &(dyn Error + 'static) {
        self.as_ref()
    }
}
