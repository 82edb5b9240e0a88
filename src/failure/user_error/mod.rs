//! Whether the user caused an error: a walk down its chain of sources.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::failure::as_error::AsError;
use crate::failure::chain::{Message, chain, texts};

/// The errors around a user error have this many bytes of JSON in its message, so that its own text has room too.
const MAX_CONTEXT: usize = 4 * 1024;

/// An error answer of Tinker's API.
///
/// If the user caused it ([`is_user_error`](Self::is_user_error)), it is reported as a `user_error` event of severity
/// `WARNING` instead of an unhandled exception. It is found anywhere in a chain of sources:
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
    /// The message of the API.
    pub message: String,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// Who caused the error, according to the API.
    pub category: Option<ErrorCategory>,
    /// The body of the answer.
    pub body: Option<Value>,
}

/// Who caused an [`ApiError`], according to the API.
///
/// ```
/// use tinker_telemetry::{ApiError, ErrorCategory};
///
/// let category = "user".parse().unwrap_or(ErrorCategory::Unknown);
/// assert!(ApiError::new("unknown model").with_category(category).is_user_error());
/// assert!(!ApiError::new("out of memory").with_category(ErrorCategory::Server).is_user_error());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCategory {
    /// The user: the request was wrong.
    User,
    /// The server.
    Server,
    /// The API does not know.
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
///
/// ```
/// use tinker_telemetry::ErrorCategory;
///
/// let error = "network".parse::<ErrorCategory>().unwrap_err();
/// assert_eq!(error.to_string(), "not an error category: user, server or unknown");
/// ```
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
    /// An error with this message, and nothing else.
    ///
    /// ```
    /// use tinker_telemetry::ApiError;
    ///
    /// assert_eq!(ApiError::new("Payload is invalid").to_string(), "Payload is invalid");
    /// ```
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), status: None, category: None, body: None }
    }

    /// Sets the HTTP status.
    ///
    /// ```
    /// use tinker_telemetry::ApiError;
    ///
    /// assert_eq!(ApiError::new("not found").with_status(404).status, Some(404));
    /// ```
    #[must_use = "the setter returns the error"]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Sets the category.
    ///
    /// ```
    /// use tinker_telemetry::{ApiError, ErrorCategory};
    ///
    /// let error = ApiError::new("unknown model").with_category(ErrorCategory::User);
    /// assert_eq!(error.category, Some(ErrorCategory::User));
    /// ```
    #[must_use = "the setter returns the error"]
    pub fn with_category(mut self, category: ErrorCategory) -> Self {
        self.category = Some(category);
        self
    }

    /// Sets the body of the answer. `null` is none.
    ///
    /// ```
    /// use serde_json::json;
    /// use tinker_telemetry::ApiError;
    ///
    /// let error = ApiError::new("invalid").with_status(422).with_body(json!({"field": "steps"}));
    /// assert_eq!(error.body.unwrap()["field"], "steps");
    /// ```
    #[must_use = "the setter returns the error"]
    pub fn with_body(mut self, body: impl Into<Value>) -> Self {
        self.body = Some(body.into()).filter(|body| !body.is_null());
        self
    }

    /// Whether the user must fix it: the category is `User`, or the status is a 4xx. The statuses 408 (timeout) and
    /// 429 (too many requests) do not count, since a retry may succeed.
    ///
    /// ```
    /// use tinker_telemetry::ApiError;
    ///
    /// assert!(ApiError::new("not found").with_status(404).is_user_error());
    /// assert!(!ApiError::new("slow down").with_status(429).is_user_error());
    /// ```
    pub fn is_user_error(&self) -> bool {
        self.category == Some(ErrorCategory::User) || self.status.is_some_and(is_user_status)
    }
}

fn is_user_status(status: u16) -> bool {
    (400..500).contains(&status) && status != 408 && status != 429
}

/// An error that the user caused. Its serialised form is the data of a `user_error` event.
///
/// ```
/// use tinker_telemetry::UserError;
///
/// let mut error = UserError::new("my::InvalidSample", "line 3 is not JSON");
/// error.body = Some(serde_json::json!({"line": 3}));
/// let data = serde_json::to_value(&error).unwrap();
/// assert_eq!(data["error_type"], "my::InvalidSample");
/// assert!(data.get("status_code").is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct UserError {
    /// The name of the error's type.
    pub error_type: String,
    /// The error's message. It begins with the texts of the errors around it, if it was found in a chain.
    pub message: String,
    /// The HTTP status, if there was an answer.
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
    /// A user error with this type and this message.
    ///
    /// ```
    /// use tinker_telemetry::UserError;
    ///
    /// assert_eq!(UserError::new("my::InvalidSample", "line 3 is not JSON").status_code, None);
    /// ```
    pub fn new(error_type: impl Into<String>, message: impl Into<String>) -> Self {
        Self { error_type: error_type.into(), message: message.into(), status_code: None, body: None }
    }

    /// A user error if the status is that of one: a 4xx other than 408 and 429.
    ///
    /// ```
    /// use tinker_telemetry::UserError;
    ///
    /// assert!(UserError::from_status("my::Error", "not found", 404).is_some());
    /// assert!(UserError::from_status("my::Error", "unavailable", 503).is_none());
    /// ```
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

/// Recognises user errors among foreign errors; see [`Builder::user_errors`](crate::Builder::user_errors).
pub(crate) type UserErrorClassifier = dyn Fn(&(dyn Error + 'static)) -> Option<UserError> + Send + Sync;

/// The first user error in an error's chain of sources, from the error itself down; `None` if there is none.
///
/// Its message begins with the texts of the errors around it, such as the contexts of `anyhow`; a text is not repeated. The
/// other fields are those of the user error itself.
///
/// It knows [`ApiError`] and `ureq::Error::StatusCode`. When a reporter reports an error, it also asks the closure
/// that was set with [`Builder::user_errors`](crate::Builder::user_errors), and so does
/// [`Reporter::find_user_error`](crate::Reporter::find_user_error).
/// ```
/// use tinker_telemetry::{ApiError, find_user_error_in_chain};
///
/// let wrapped = anyhow::Error::new(ApiError::new("unknown model").with_status(404)).context("while sampling");
/// assert_eq!(find_user_error_in_chain(&wrapped).unwrap().message, "while sampling: unknown model");
/// assert!(find_user_error_in_chain(&std::fmt::Error).is_none());
/// ```
pub fn find_user_error_in_chain<E: AsError<Kind> + ?Sized, Kind>(error: &E) -> Option<UserError> {
    find_user_error(error.as_error(), None)
}

pub(crate) fn find_user_error(
    error: &(dyn Error + 'static),
    classifier: Option<&UserErrorClassifier>,
) -> Option<UserError> {
    let find = |error| from_api(error).or_else(|| from_ureq(error)).or_else(|| classifier?(error));
    let (depth, found) = chain(error).enumerate().find_map(|(depth, error)| Some((depth, find(error)?)))?;
    let mut message: Message = texts(chain(error).take(depth), MAX_CONTEXT).collect();
    message.push(&found.message);
    Some(UserError { message: message.into_text(), ..found })
}

fn from_api(error: &(dyn Error + 'static)) -> Option<UserError> {
    downcast(error).filter(|error: &&ApiError| error.is_user_error()).map(UserError::from)
}

/// The error as this type, also out of a `Box` or an `Arc`: that is an error itself, and its `source` skips the error
/// that it holds.
pub(crate) fn downcast<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let boxed = || error.downcast_ref::<Box<E>>().map(|boxed| &**boxed);
    let shared = || error.downcast_ref::<Arc<E>>().map(|shared| &**shared);
    error.downcast_ref().or_else(boxed).or_else(shared)
}

/// ureq makes such an error of an answer with an error status, by default. This crate knows it because it is built on
/// ureq.
fn from_ureq(error: &(dyn Error + 'static)) -> Option<UserError> {
    match *downcast(error)? {
        ureq::Error::StatusCode(status) => UserError::from_status("ureq::Error", error.to_string(), status),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
