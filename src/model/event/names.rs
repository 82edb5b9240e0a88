//! The names of the events that the official SDK logs itself, for authors of SDKs. A dashboard that knows the events
//! of the official SDK then knows yours too. Each name says which severity the official SDK uses. The example
//! `sdk_client` logs all nine, with their fields.
//!
//! ```
//! use tinker_telemetry::event::names;
//! use tinker_telemetry::{Reporter, Severity, json};
//!
//! # let (reporter, is_user_error, is_retryable) = (Reporter::disabled(), false, true);
//! let severity = if is_user_error || is_retryable { Severity::Warning } else { Severity::Error };
//! reporter.log(names::REQUEST_EXCEPTION, json!({"attempt_count": 1, "is_retryable": is_retryable}), severity);
//! ```

/// A call to the API failed. `WARNING` if it is tried again or is the user's doing, else `ERROR`.
pub const REQUEST_EXCEPTION: &str = "InternalClientHolder.execute_with_retries.exception";
/// An attempt of a sampling request failed. `WARNING` if it is tried again or is the user's doing, else `ERROR`.
pub const RETRY_EXCEPTION: &str = "RetryHandler.execute.exception";
/// The result of a request was asked for, and the answer was an error status. `WARNING` if it is asked for again, but `ERROR`
/// if that is done a bounded number of times only, or not at all.
pub const RESULT_STATUS_ERROR: &str = "APIFuture.result_async.api_status_error";
/// The result of a request was asked for, and no answer came. `WARNING`: it is asked for again.
pub const RESULT_CONNECTION_ERROR: &str = "APIFuture.result_async.connection_error";
/// The result of a request did not come in the time that the program gave it. `ERROR`.
pub const RESULT_TIMEOUT: &str = "APIFuture.result_async.timeout";
/// The request itself failed on the server. `WARNING` if it is the user's doing, else `ERROR`.
pub const RESULT_APPLICATION_ERROR: &str = "APIFuture.result_async.application_error";
/// The result could not be decoded. `ERROR`.
pub const RESULT_DECODING_ERROR: &str = "APIFuture.result_async.proto_deserialization_error";
/// The result was not of the type that was asked for. `ERROR`.
pub const RESULT_VALIDATION_ERROR: &str = "APIFuture.result_async.validation_error";
/// An error of the user's doing. `WARNING`. [`Reporter::log_exception`](crate::Reporter::log_exception) gives this name
/// itself.
pub const USER_ERROR: &str = "user_error";
