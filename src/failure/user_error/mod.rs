//! Is an error the user's doing? Pure: a walk down its chain of sources.

use std::error::Error;
use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::failure::as_error::{AsError, unshared};

/// Sources followed at the most: an error whose `source` is itself must not hold the caller for ever.
pub(crate) const MAX_DEPTH: usize = 64;

/// An error answer of Tinker's API.
///
/// One that is the user's doing ([`is_user_error`](Self::is_user_error)) is reported as a `user_error` event of
/// severity `WARNING` instead of an unhandled exception, wherever it stands in a chain of sources:
///
/// ```
/// use serde_json::json;
/// use tinker_telemetry::{ApiError, find_user_error_in_chain};
///
/// let error = ApiError::new("Payload is invalid").with_status(422).with_body(json!({"errors": ["invalid field"]}));
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
///
/// ```
/// use tinker_telemetry::{ApiError, ErrorCategory};
///
/// let category = "user".parse().unwrap_or(ErrorCategory::Unknown);
/// assert!(ApiError::new("no such model").with_category(category).is_user_error());
/// ```
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

impl ErrorCategory {
    const ALL: [Self; 3] = [Self::User, Self::Server, Self::Unknown];

    /// The category as the API spells it, for example `user`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Server => "server",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for ErrorCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no [`ErrorCategory`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an error category: user, server or unknown")]
#[non_exhaustive]
pub struct ParseErrorCategoryError;

/// Reads the API's spelling, in any case.
impl FromStr for ErrorCategory {
    type Err = ParseErrorCategoryError;

    fn from_str(text: &str) -> Result<Self, ParseErrorCategoryError> {
        let found = Self::ALL.into_iter().find(|category| category.as_str().eq_ignore_ascii_case(text));
        found.ok_or(ParseErrorCategoryError)
    }
}

impl ApiError {
    /// An error with this message and nothing else known.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), status: None, category: None, body: None }
    }

    /// Sets the HTTP status.
    #[must_use = "the setters give the error back"]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Sets the category.
    #[must_use = "the setters give the error back"]
    pub fn with_category(mut self, category: ErrorCategory) -> Self {
        self.category = Some(category);
        self
    }

    /// Sets the body of the answer. `null` is none.
    #[must_use = "the setters give the error back"]
    pub fn with_body(mut self, body: impl Into<Value>) -> Self {
        self.body = Some(body.into()).filter(|body| !body.is_null());
        self
    }

    /// Whether the user has to fix it: the category is `User`, or the status is a 4xx other than 408 (timeout)
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
    #[serde(skip_serializing_if = "says_nothing")]
    pub body: Option<Value>,
}

#[expect(clippy::ref_option, reason = "serde calls it so")]
fn says_nothing(body: &Option<Value>) -> bool {
    body.as_ref().is_none_or(Value::is_null)
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

/// Tells the user errors among foreign errors; see [`Builder::user_errors`](crate::Builder::user_errors).
pub(crate) type UserErrorClassifier = dyn Fn(&(dyn Error + 'static)) -> Option<UserError> + Send + Sync;

/// The first user error in a chain of sources, from the error itself down; `None` where there is none.
///
/// Knows [`ApiError`], and `ureq::Error::StatusCode`. A reporter that was taught other foreign errors with
/// [`Builder::user_errors`](crate::Builder::user_errors) asks that too when it reports, and so does
/// [`Reporter::find_user_error`](crate::Reporter::find_user_error).
pub fn find_user_error_in_chain<E: AsError<Kind> + ?Sized, Kind>(error: &E) -> Option<UserError> {
    find_user_error(error.as_error(), None)
}

pub(crate) fn find_user_error(
    error: &(dyn Error + 'static),
    classifier: Option<&UserErrorClassifier>,
) -> Option<UserError> {
    chain(error).find_map(|link| of_api(link).or_else(|| of_ureq(link)).or_else(|| classifier?(link)))
}

fn of_api(link: &(dyn Error + 'static)) -> Option<UserError> {
    bare_or_shared(link).filter(|error: &&ApiError| error.is_user_error()).map(UserError::from)
}

/// The link as this type. A `Box` or an `Arc` of an error is an error itself, and its `source` skips what it holds.
fn bare_or_shared<'a, E: Error + 'static>(link: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let boxed = || link.downcast_ref::<Box<E>>().map(|boxed| &**boxed);
    let shared = || link.downcast_ref::<Arc<E>>().map(|shared| &**shared);
    link.downcast_ref().or_else(boxed).or_else(shared)
}

/// The error and its sources. An I/O error shows what it wraps: its `source` skips that one.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let next = |link: &&'a (dyn Error + 'static)| -> Option<&'a (dyn Error + 'static)> {
        let link = *link;
        let wrapped = link.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|inner| inner as &(dyn Error + 'static)).or_else(|| link.source()).map(unshared)
    };
    std::iter::successors(Some(unshared(error)), next).take(MAX_DEPTH)
}

/// What ureq makes of an answer with an error status, unless it was told not to. This crate is built on ureq, so nobody
/// need classifier that.
fn of_ureq(link: &(dyn Error + 'static)) -> Option<UserError> {
    match *bare_or_shared(link)? {
        ureq::Error::StatusCode(status) => UserError::from_status("ureq::Error", link.to_string(), status),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
