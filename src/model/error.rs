//! What can be wrong at the start: the one error of this crate.

use std::{fmt, io};

use crate::model::proxy;

/// Why a reporter could not be started. Each variant names the field to mend, and never a value that may be secret.
/// `Debug` shows the same sentence as `Display`: it is what a `main` that returns the error prints.
///
/// ```
/// use tinker_telemetry::{Config, Reporter, StartError};
///
/// let started = Reporter::builder(Config::new("tml-1\nX-Admin: yes"), "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64").enabled(true).start();
/// assert!(matches!(started, Err(StartError::InvalidApiKey)));
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// No API key was given, and there is no place to get one: `TINKER_API_KEY` and `TINKER_CREDENTIAL_CMD` are unset or empty,
    /// and there is no `~/.tinker/credentials.json`.
    #[error(
        "no API key: set TINKER_API_KEY or TINKER_CREDENTIAL_CMD, run `tinker auth login`, or pass one to Config::new"
    )]
    MissingApiKey,
    /// The API key has a character that cannot stand in a header, a line break for example, or a space at its end.
    #[error("the API key (TINKER_API_KEY) has a space at its end, or a line break or the like anywhere")]
    InvalidApiKey,
    /// The base URL cannot be used. It is not repeated here, since a URL may carry a password.
    #[error("the base URL (base_url, TINKER_BASE_URL) {reason}")]
    InvalidBaseUrl {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The base URL would send the API key unencrypted to another machine.
    #[error(
        "the base URL (base_url, TINKER_BASE_URL) sends the API key unencrypted to {host}: \
         use https, or allow it with allow_insecure_http(true)"
    )]
    InsecureBaseUrl {
        /// The host that it names.
        host: String,
    },
    /// The URL of an OTLP endpoint cannot be used. It is not repeated here, since a URL may carry a password.
    #[cfg(feature = "otlp")]
    #[error(
        "the OTLP endpoint (Config::otlp, OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_LOGS_ENDPOINT) {reason}"
    )]
    InvalidOtlpEndpoint {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The URL of an OTLP endpoint would send events and headers unencrypted to another machine.
    #[cfg(feature = "otlp")]
    #[error(
        "the OTLP endpoint (Config::otlp, OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_LOGS_ENDPOINT) sends \
         events and headers unencrypted to {host}: use https, or allow it with allow_insecure_http(true)"
    )]
    InsecureOtlpEndpoint {
        /// The host that it names.
        host: String,
    },
    /// The proxy that was set in code cannot be used. (One of the environment is a warning instead.) It is not repeated here, since its URL may carry a password.
    #[error("the proxy ({origin}) {reason}")]
    InvalidProxy {
        /// Where it was read: the setter `proxy`.
        origin: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A header that was added to the configuration cannot be sent.
    #[error("header {place} (counted from 1, in the order they were added) {reason}")]
    InvalidHeader {
        /// Which one, counted from 1 in the order they were added.
        place: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The session id is empty.
    #[error("the session id is empty")]
    EmptySessionId,
    /// A setting of the builder, or of the configuration, is out of its bounds.
    #[error("{setting} {reason}")]
    InvalidSetting {
        /// The setter's name.
        setting: &'static str,
        /// What is wrong with the value.
        reason: &'static str,
    },
    /// The operating system gave no random numbers, so no ids can be made.
    #[error("the operating system gave no random numbers: {0}")]
    NoRandomness(io::Error),
    /// The worker's thread could not be started.
    #[error("the worker thread could not be started: {0}")]
    Thread(io::Error),
}

impl StartError {
    /// Whether the fault is the machine's and not the program's: a proxy that a variable names, or a file of certificates.
    pub(crate) fn is_of_the_machine(&self) -> bool {
        match self {
            Self::InvalidProxy { origin, .. } => *origin != proxy::SETTER,
            Self::InvalidSetting { setting, .. } => setting.starts_with("OTEL_"),
            _ => false,
        }
    }
}

impl fmt::Debug for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
