//! Reading an error: is it the user's, and what is to be said of it. Pure: nothing is sent from here.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::error::Error;
use std::fmt::{self, Display, Write};
use std::io;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::foreign;
use crate::record::{Exception, Traceback};

/// Sources followed at the most: an error whose `source` is itself must not hold the caller for ever.
const MAX_DEPTH: usize = 64;
/// Longer messages and tracebacks are cut: a report is for reading, and must fit beside others in a batch.
const MAX_MESSAGE: usize = 16 * 1024;
const MAX_TRACEBACK: usize = 64 * 1024;
const MAX_TYPE: usize = 256;
const CUT: &str = "… (cut)";

/// An error answer of Tinker's API.
///
/// One that is the user's doing ([`is_user_error`](Self::is_user_error)) is reported as a `user_error` event of
/// severity `WARNING` instead of an unhandled exception, wherever it stands in a chain of sources:
///
/// ```
/// use serde_json::json;
/// use tinker_telemetry::{ApiError, find_user_error_in_chain};
///
/// let error = ApiError::new("Payload is invalid").status(422).body(json!({"errors": ["invalid field"]}));
/// let error = std::io::Error::other(error); // wrapped on its way up
/// assert_eq!(find_user_error_in_chain(&error).unwrap().status_code, Some(422));
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct ApiError {
    /// What the API said.
    pub message: String,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// Whose doing the API says it is.
    pub category: Option<ErrorCategory>,
    /// The body of the answer.
    pub body: Option<Value>,
}

/// Whose doing an [`ApiError`] is, where the API says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCategory {
    /// The request was wrong.
    User,
    /// The server failed.
    Server,
    /// Nobody knows.
    Unknown,
}

impl ApiError {
    /// An error with this message and nothing else known.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), status: None, category: None, body: None }
    }

    /// Sets the HTTP status.
    #[must_use = "the setters give the error back"]
    pub fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Sets the category.
    #[must_use = "the setters give the error back"]
    pub fn category(mut self, category: ErrorCategory) -> Self {
        self.category = Some(category);
        self
    }

    /// Sets the body of the answer.
    #[must_use = "the setters give the error back"]
    pub fn body(mut self, body: impl Into<Value>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Whether the user can mend it: the category is `User`, or the status is a 4xx other than 408 (timeout)
    /// and 429 (too many requests), which a retry mends.
    pub fn is_user_error(&self) -> bool {
        self.category == Some(ErrorCategory::User) || self.status.is_some_and(is_user_status)
    }
}

fn is_user_status(status: u16) -> bool {
    (400..500).contains(&status) && status != 408 && status != 429
}

/// What a `user_error` event says; its serialised form is the event's data.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct UserError {
    /// The name of the error's type.
    pub error_type: String,
    /// What the error says of itself.
    pub message: String,
    /// The HTTP status, where there was an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_code: Option<u16>,
    /// The body of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

impl UserError {
    /// A user error of this type, with this message.
    pub fn new(error_type: impl Into<String>, message: impl Into<String>) -> Self {
        Self { error_type: error_type.into(), message: message.into(), status_code: None, body: None }
    }

    /// A user error if this status says so: a 4xx other than 408 and 429.
    pub fn from_status(
        error_type: impl Into<String>,
        message: impl Into<String>,
        status: u16,
    ) -> Option<Self> {
        is_user_status(status).then(|| Self { status_code: Some(status), ..Self::new(error_type, message) })
    }
}

impl From<&ApiError> for UserError {
    fn from(error: &ApiError) -> Self {
        Self {
            error_type: "ApiError".to_owned(),
            message: error.message.clone(),
            status_code: error.status,
            body: error.body.clone(),
        }
    }
}

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

/// Tells the user errors among foreign errors; see [`Builder::user_errors`](crate::Builder::user_errors).
pub(crate) type Teach = dyn Fn(&(dyn Error + 'static)) -> Option<UserError> + Send + Sync;

/// The first user error in a chain of sources, from the error itself down; `None` where there is none.
///
/// Knows [`ApiError`], and `ureq::Error::StatusCode`. A reporter that was taught other foreign errors with
/// [`Builder::user_errors`](crate::Builder::user_errors) asks that too when it reports.
pub fn find_user_error_in_chain<E: AsError<Kind> + ?Sized, Kind>(error: &E) -> Option<UserError> {
    find_user_error(error.as_error(), None)
}

pub(crate) fn find_user_error(error: &(dyn Error + 'static), teach: Option<&Teach>) -> Option<UserError> {
    let known = |error: &(dyn Error + 'static)| {
        error.downcast_ref::<ApiError>().filter(|error| error.is_user_error()).map(UserError::from)
    };
    chain(error).find_map(|link| known(link).or_else(|| foreign::user_error(link)).or_else(|| teach?(link)))
}

/// The error and its sources. An I/O error shows what it wraps: its `source` skips that one.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let next = |link: &&'a (dyn Error + 'static)| -> Option<&'a (dyn Error + 'static)> {
        let link = *link;
        let wrapped = link.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|inner| inner as &(dyn Error + 'static)).or_else(|| link.source())
    };
    std::iter::successors(Some(error), next).take(MAX_DEPTH)
}

/// Type, message and traceback of an error, in at most `limit` bytes together. The traceback is the chain of
/// sources and, where the environment asks for backtraces, the stack of the caller. Runs the error's own code.
pub(crate) fn describe(error: &(dyn Error + 'static), type_name: Option<&str>, limit: usize) -> Exception {
    let error_type = match type_name {
        Some(name) => cut(name, MAX_TYPE.min(limit / 8)),
        None => cut(debug_name(error), MAX_TYPE.min(limit / 8)),
    };
    let message = cut(error, MAX_MESSAGE.min(limit / 4));
    let max = MAX_TRACEBACK.min(limit / 2);
    let causes = cut(Causes { error, error_type: &error_type, message: &message }, max);
    Exception { error_type, message, traceback: Traceback { causes, stack: capture_stack(), max } }
}

/// The stack of this call, where the environment asks for backtraces.
pub(crate) fn capture_stack() -> Option<Arc<Backtrace>> {
    let stack = Backtrace::capture();
    (stack.status() == BacktraceStatus::Captured).then(|| Arc::new(stack))
}

/// The same of a panic with this message, which `told` says with its thread and place.
pub(crate) fn describe_panic(
    message: &str,
    told: impl Display,
    stack: Option<Arc<Backtrace>>,
    limit: usize,
) -> Exception {
    let max = MAX_TRACEBACK.min(limit / 2);
    Exception {
        error_type: cut("panic", MAX_TYPE.min(limit / 8)),
        message: cut(message, MAX_MESSAGE.min(limit / 4)),
        traceback: Traceback { causes: cut(told, max), stack, max },
    }
}

struct Causes<'a> {
    error: &'a (dyn Error + 'static),
    error_type: &'a str,
    message: &'a str,
}

impl Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error_type, self.message)?;
        let causes = std::iter::successors(self.error.source(), |&cause| cause.source());
        for cause in causes.take(MAX_DEPTH) {
            write!(f, "\nCaused by: {cause}")?;
        }
        Ok(())
    }
}

/// The name that a trait object's `Debug` begins with: `ParseError` of `ParseError { line: 3 }`.
fn debug_name(error: &(dyn Error + 'static)) -> String {
    if error.is::<io::Error>() {
        return "std::io::Error".to_owned(); // its Debug begins with how it is represented
    }
    let mut name = Leading::default();
    let _ = write!(name, "{error:?}");
    if name.0.is_empty() { "Error".to_owned() } else { name.0 }
}

/// Keeps a leading identifier and refuses the rest, so that a large `Debug` is not written out for its name.
#[derive(Default)]
struct Leading(String);

impl Write for Leading {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            let fits = letter == '_' || letter.is_alphabetic() || (letter.is_numeric() && !self.0.is_empty());
            if !fits || self.0.len() >= MAX_TYPE {
                return Err(fmt::Error);
            }
            self.0.push(letter);
        }
        Ok(())
    }
}

/// The text of a value in at most `max` bytes, marked where it was cut.
pub(crate) fn cut(value: impl Display, max: usize) -> String {
    let mut text = Cut { text: String::new(), max, full: false };
    let _ = write!(text, "{value}");
    if text.full {
        let room = text.text.floor_char_boundary_at(max.saturating_sub(CUT.len()));
        text.text.truncate(room);
        text.text.push_str(CUT);
    }
    text.text
}

struct Cut {
    text: String,
    max: usize,
    full: bool,
}

impl Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.max - self.text.len();
        if text.len() <= room && !self.full {
            self.text.push_str(text);
            return Ok(());
        }
        if !self.full {
            self.full = true;
            self.text.push_str(&text[..text.floor_char_boundary_at(room)]);
        }
        Err(fmt::Error)
    }
}

/// `str::floor_char_boundary`, which this crate's oldest compiler does not have.
trait FloorCharBoundary {
    fn floor_char_boundary_at(&self, at: usize) -> usize;
}

impl FloorCharBoundary for str {
    fn floor_char_boundary_at(&self, at: usize) -> usize {
        (0..=at.min(self.len())).rev().find(|at| self.is_char_boundary(*at)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<dyn Error + Send + Sync>>);

    fn layers(inner: impl Error + Send + Sync + 'static) -> Layer {
        Layer("outer failed", Some(Box::new(Layer("middle failed", Some(Box::new(inner))))))
    }

    #[test]
    fn user_statuses_are_4xx_that_no_retry_mends() {
        let user: Vec<u16> = (100..600).filter(|status| is_user_status(*status)).collect();
        assert_eq!(user.len(), 98);
        assert!(user.contains(&400) && user.contains(&499));
        assert!(!user.contains(&408) && !user.contains(&429));
    }

    #[test]
    fn the_first_user_error_of_the_chain_wins() {
        let server = ApiError::new("down").status(503);
        assert_eq!(find_user_error_in_chain(&layers(server)), None);
        let by_category = ApiError::new("yours").category(ErrorCategory::User).status(500);
        assert_eq!(find_user_error_in_chain(&layers(by_category)).unwrap().message, "yours");
        let wrapped = layers(io::Error::other(ApiError::new("in io").status(404)));
        assert_eq!(find_user_error_in_chain(&wrapped).unwrap().message, "in io");
        let any = anyhow::Error::new(ApiError::new("in anyhow").status(400)).context("while sampling");
        assert_eq!(find_user_error_in_chain(&any).unwrap().message, "in anyhow");
    }

    #[test]
    fn foreign_errors_are_user_errors_once_taught() {
        let error = layers(fmt::Error);
        let teach = |error: &(dyn Error + 'static)| {
            error.is::<fmt::Error>().then(|| UserError::new("fmt", "as taught"))
        };
        assert_eq!(find_user_error(&error, None), None);
        assert_eq!(find_user_error(&error, Some(&teach)).unwrap().message, "as taught");
    }

    #[test]
    fn a_traceback_names_the_whole_chain() {
        let error = layers(fmt::Error);
        let exception = describe(&error, AsError::type_name(&error), 10_000);
        assert_eq!(exception.error_type, "tinker_telemetry::exception::tests::Layer");
        assert_eq!(exception.message, "outer failed");
        let chain = "tinker_telemetry::exception::tests::Layer: outer failed\n\
                     Caused by: middle failed\n\
                     Caused by: an error occurred when formatting an argument";
        let traceback = exception.traceback.to_string();
        assert!(traceback.starts_with(chain), "{traceback}");
    }

    #[test]
    fn a_trait_object_is_named_by_its_debug() {
        let name = |error: &(dyn Error + 'static)| describe(error, None, 10_000).error_type;
        assert_eq!(name(&Layer("x", None)), "Layer");
        assert_eq!(name(&io::Error::from(io::ErrorKind::NotFound)), "std::io::Error");
        assert_eq!(name(anyhow::anyhow!("text only").as_ref()), "Error");
    }

    #[test]
    fn an_error_that_is_its_own_source_ends() {
        #[derive(Debug)]
        struct Snake;
        impl Display for Snake {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("snake")
            }
        }
        impl Error for Snake {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(self)
            }
        }
        assert_eq!(find_user_error_in_chain(&Snake), None);
        let causes = describe(&Snake, None, 100_000).traceback.to_string();
        assert_eq!(causes.matches("Caused by").count(), MAX_DEPTH);
    }

    #[test]
    fn long_text_is_cut_at_a_letter_and_says_so() {
        assert_eq!(cut("abc", 3), "abc");
        let long = cut("é".repeat(50), 21);
        assert!(long.ends_with(CUT) && long.len() <= 21, "{long}");
        assert!(long.starts_with('é'));
    }
}
