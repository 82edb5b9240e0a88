//! Every type that can be reported as an error.

use std::any::Any;
use std::error::Error;
use std::fmt::Debug;
use std::sync::Arc;

/// A type that can be reported as an error: every `std::error::Error`, a trait object, a `Box` or an `Arc` of one,
/// `anyhow::Error` and similar types. `Kind` only keeps the implementations apart; the compiler infers it. No other crate can
/// implement this trait.
///
/// ```
/// # let reporter = tinker_telemetry::Reporter::disabled();
/// use std::error::Error;
/// use std::sync::Arc;
/// use tinker_telemetry::Severity;
///
/// let plain: std::num::ParseIntError = "x".parse::<u8>().unwrap_err();
/// reporter.log_exception(&plain, Severity::Error);
/// let object: &(dyn Error + 'static) = &plain;
/// reporter.log_exception(object, Severity::Error);
/// let boxed: Box<dyn Error> = "boxed".into();
/// reporter.log_exception(&boxed, Severity::Error);
/// let shared: Arc<dyn Error + Send + Sync> = Arc::new(plain.clone());
/// reporter.log_exception(&shared, Severity::Error);
/// let any: anyhow::Error = anyhow::anyhow!("anyhow").context("while training");
/// reporter.log_exception(&any, Severity::Error);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be reported as an error",
    note = "an error is a `std::error::Error`, a trait object, a `Box` or an `Arc` of one, or `anyhow::Error` and similar types",
    note = "a text can be one too: `std::io::Error::other(text)`"
)]
pub trait AsError<Kind>: sealed::IsError<Kind> {
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

    /// What prints the error with the stack of where it was made, if that is not the error itself. It is `anyhow::Error`,
    /// for example, and not the error that this contains.
    ///
    /// ```
    /// use tinker_telemetry::AsError;
    ///
    /// let error = anyhow::anyhow!("no sample").context("while training");
    /// let printed = format!("{:?}", error.report().unwrap());
    /// assert!(printed.starts_with("while training\n\nCaused by:\n    no sample"));
    /// ```
    fn report(&self) -> Option<&dyn Debug> {
        None
    }
}

/// An error, with what is known from its static type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ErrorView<'a> {
    pub(crate) error: &'a (dyn Error + 'static),
    /// See [`AsError::type_name`].
    pub(crate) type_name: Option<&'a str>,
    /// What may print a stack.
    pub(crate) printer: Option<StackPrinter<'a>>,
}

/// What may print the stack of where an error was made, in its `Debug`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StackPrinter<'a> {
    /// A trait object: it may have been an `anyhow::Error` before.
    Error,
    /// See [`AsError::report`].
    Report(&'a dyn Debug),
}

impl<'a> ErrorView<'a> {
    pub(crate) fn of<E: AsError<Kind> + ?Sized, Kind>(error: &'a E) -> Self {
        let (type_name, report) = (error.type_name(), error.report());
        // A type that the compiler knows would print its stack in no form that is known here.
        let of_object = type_name.is_none().then_some(StackPrinter::Error);
        Self { error: error.as_error(), type_name, printer: report.map(StackPrinter::Report).or(of_object) }
    }

    /// The error without the stack that it carries.
    pub(crate) fn without_own_stack(self) -> Self {
        Self { printer: None, ..self }
    }
}

/// The values of `Kind` of [`AsError`] and of [`Outcome`](crate::Outcome). Their module is private, so that no other crate can
/// name one.
pub(crate) mod kind {
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
    pub enum Text {}
    #[derive(Debug)]
    pub enum Nothing {}
}

pub(crate) mod sealed {
    use super::kind;

    /// What keeps others from implementing [`AsError`](super::AsError): they have no kind to do it for.
    pub trait IsError<Kind> {}

    impl<T: ?Sized> IsError<kind::Concrete> for T {}
    impl<T: ?Sized> IsError<kind::Object> for T {}
    impl<T: ?Sized> IsError<kind::Boxed> for T {}
    impl<T: ?Sized> IsError<kind::Shared> for T {}
    impl<T: ?Sized> IsError<kind::Captured> for T {}
}

type Object = dyn Error + 'static;
type SendObject = dyn Error + Send + 'static;
type SharedObject = dyn Error + Send + Sync + 'static;

impl<E: Error + 'static> AsError<kind::Concrete> for E {
    fn as_error(&self) -> &(dyn Error + 'static) {
        unshared(self)
    }

    fn type_name(&self) -> Option<&'static str> {
        let this: &dyn Any = self;
        let is_object =
            this.is::<Arc<Object>>() || this.is::<Arc<SendObject>>() || this.is::<Arc<SharedObject>>();
        (!is_object).then(std::any::type_name::<E>)
    }
}

/// The error that an `Arc` of a trait object holds. Such an `Arc` is an error itself, which shows the held one's sources, but
/// neither its type nor the name that its `Debug` begins with. Any other error is what it is.
pub(crate) fn unshared<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    if let Some(shared) = error.downcast_ref::<Arc<SharedObject>>() {
        &**shared
    } else if let Some(shared) = error.downcast_ref::<Arc<SendObject>>() {
        &**shared
    } else if let Some(shared) = error.downcast_ref::<Arc<Object>>() {
        &**shared
    } else {
        error
    }
}

impl AsError<kind::Object> for Object {
    fn as_error(&self) -> &(dyn Error + 'static) {
        self
    }
}

impl AsError<kind::Object> for SendObject {
    fn as_error(&self) -> &(dyn Error + 'static) {
        self
    }
}

impl AsError<kind::Object> for SharedObject {
    fn as_error(&self) -> &(dyn Error + 'static) {
        self
    }
}

impl AsError<kind::Boxed> for Box<Object> {
    fn as_error(&self) -> &(dyn Error + 'static) {
        &**self
    }
}

impl AsError<kind::Boxed> for Box<SendObject> {
    fn as_error(&self) -> &(dyn Error + 'static) {
        &**self
    }
}

impl AsError<kind::Boxed> for Box<SharedObject> {
    fn as_error(&self) -> &(dyn Error + 'static) {
        &**self
    }
}

/// `anyhow::Error` and similar types. They have both conversions, which neither a `Box` nor an `Arc` has.
impl<P: AsRef<SharedObject> + AsRef<Object> + Debug> AsError<kind::Shared> for P {
    fn as_error(&self) -> &(dyn Error + 'static) {
        self.as_ref()
    }

    fn report(&self) -> Option<&dyn Debug> {
        Some(self)
    }
}
