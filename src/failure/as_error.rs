//! Whatever can be reported as an error.

use std::error::Error;

/// Anything that can be reported as an error: every `std::error::Error`, a trait object of it, a box of one, and
/// `anyhow::Error` and its like. `Kind` only keeps the implementations apart; the compiler finds it.
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
    note = "an error is a `std::error::Error`, a trait object or a box of one, or `anyhow::Error` and its like"
)]
pub trait AsError<Kind> {
    /// The error itself.
    fn as_error(&self) -> &(dyn Error + 'static);

    /// The name of its type, where the compiler knows it.
    fn type_name(&self) -> Option<&'static str> {
        None
    }
}

/// The kinds of [`AsError`].
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

/// A `Box` of a thread-safe error, and `anyhow::Error` and its like.
impl<P: AsRef<dyn Error + Send + Sync + 'static>> AsError<kind::Shared> for P {
    fn as_error(&self) -> &(dyn Error + 'static) {
        self.as_ref()
    }
}
