//! How much an event matters.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How much an event matters, in the backend's five steps, ordered from [`Debug`](Severity::Debug) up.
///
/// ```
/// use tinker_telemetry::Severity;
///
/// assert!(Severity::Warning > Severity::Info);
/// assert_eq!(Severity::Warning.as_str(), "WARNING");
/// assert_eq!("warning".parse(), Ok(Severity::Warning));
/// assert_eq!(Severity::from(log::Level::Warn), Severity::Warning);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Severity {
    /// Of interest while looking for a fault.
    Debug,
    /// The normal course of things. The default.
    #[default]
    Info,
    /// Something the program coped with.
    Warning,
    /// Something failed.
    Error,
    /// The program cannot go on.
    Critical,
}

impl Severity {
    /// In the order of the variants.
    pub(crate) const ALL: [Self; 5] = [Self::Debug, Self::Info, Self::Warning, Self::Error, Self::Critical];

    /// The severity as the wire spells it, for example `WARNING`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Critical => "CRITICAL",
        }
    }
}

impl AsRef<str> for Severity {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// A text that names no severity.
///
/// ```
/// use tinker_telemetry::Severity;
///
/// let unknown = "LOUD".parse::<Severity>().unwrap_err();
/// assert_eq!(unknown.to_string(), "not a severity: DEBUG, INFO, WARNING, ERROR or CRITICAL");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a severity: DEBUG, INFO, WARNING, ERROR or CRITICAL")]
#[non_exhaustive]
pub struct ParseSeverityError;

/// Reads the wire's spelling, in any case.
impl FromStr for Severity {
    type Err = ParseSeverityError;

    fn from_str(text: &str) -> Result<Self, ParseSeverityError> {
        let found = Self::ALL.into_iter().find(|severity| severity.as_str().eq_ignore_ascii_case(text));
        found.ok_or(ParseSeverityError)
    }
}

impl TryFrom<&str> for Severity {
    type Error = ParseSeverityError;

    fn try_from(text: &str) -> Result<Self, ParseSeverityError> {
        text.parse()
    }
}

/// `TRACE` becomes [`Severity::Debug`]; the other levels have a severity of their own.
impl From<log::Level> for Severity {
    fn from(level: log::Level) -> Self {
        match level {
            log::Level::Error => Self::Error,
            log::Level::Warn => Self::Warning,
            log::Level::Info => Self::Info,
            log::Level::Debug | log::Level::Trace => Self::Debug,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
