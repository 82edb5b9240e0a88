//! The typed events and the request that carries them, exactly as on the wire.
//!
//! The reporter encodes events straight from the caller's data. These types are the same format seen from the other
//! side: for a collector, for tests, and for programs that read what was sent. Each serialises to the JSON that
//! Tinker's backend accepts, and deserialises from what any of its SDKs sends.
//!
//! ```
//! use tinker_telemetry::event::{Event, Severity, TelemetrySendRequest};
//!
//! let body = r#"{
//!     "events": [{
//!         "event": "SESSION_END", "event_id": "e680b1db-f29e-4281-bf51-8f8e4dafdc7c",
//!         "event_session_index": 7, "severity": "INFO",
//!         "timestamp": "2026-11-23T16:17:23.834947Z", "duration": "0:00:00.001981"
//!     }],
//!     "platform": "Linux", "sdk_version": "0.1.0", "session_id": "session-0001",
//!     "process_uuid": "1e9fef80-a3b9-4c25-999e-bc34a9a067b0"
//! }"#;
//! let request: TelemetrySendRequest = serde_json::from_str(body)?;
//! let Event::SessionEnd(end) = &request.events[0] else { panic!("a session end") };
//! assert_eq!(end.severity, Severity::Info);
//! assert_eq!(end.duration.as_micros(), 1981);
//! # Ok::<(), serde_json::Error>(())
//! ```

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use uuid::Uuid;

/// How much an event matters, in the backend's five steps, ordered from [`Debug`](Severity::Debug) up.
///
/// ```
/// use tinker_telemetry::Severity;
///
/// assert!(Severity::Warning > Severity::Info);
/// assert_eq!(Severity::Warning.as_str(), "WARNING");
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

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The body of one `POST /api/v1/telemetry`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)] // the backend's own model forbids extra fields
pub struct TelemetrySendRequest {
    /// The batch: at most `max_batch_size` events if this crate made it.
    pub events: Vec<Event>,
    /// `Linux`, `Darwin` or `Windows`.
    pub platform: String,
    /// The version of the SDK that sent it.
    pub sdk_version: String,
    /// The Tinker session that the events belong to.
    pub session_id: String,
    /// One per process, shared by all its sessions.
    pub process_uuid: Uuid,
}

/// One event of any kind. On the wire the field `event` tells the kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, from = "Tagged")]
pub enum Event {
    /// See [`SessionStartEvent`].
    SessionStart(SessionStartEvent),
    /// See [`SessionEndEvent`].
    SessionEnd(SessionEndEvent),
    /// See [`UnhandledExceptionEvent`].
    UnhandledException(UnhandledExceptionEvent),
    /// See [`GenericEvent`].
    Generic(GenericEvent),
}

impl Event {
    /// The event's id: a UUID v4, the same on every attempt to deliver it.
    pub fn id(&self) -> Uuid {
        match self {
            Self::SessionStart(event) => event.event_id,
            Self::SessionEnd(event) => event.event_id,
            Self::UnhandledException(event) => event.event_id,
            Self::Generic(event) => event.event_id,
        }
    }

    /// The event's place in its session, counted from 0 in the order of the calls.
    pub fn session_index(&self) -> u64 {
        match self {
            Self::SessionStart(event) => event.event_session_index,
            Self::SessionEnd(event) => event.event_session_index,
            Self::UnhandledException(event) => event.event_session_index,
            Self::Generic(event) => event.event_session_index,
        }
    }

    /// How much the event matters.
    pub fn severity(&self) -> Severity {
        match self {
            Self::SessionStart(event) => event.severity,
            Self::SessionEnd(event) => event.severity,
            Self::UnhandledException(event) => event.severity,
            Self::Generic(event) => event.severity,
        }
    }

    /// The event's name: its own for a generic event, else the kind as the wire spells it.
    pub fn name(&self) -> &str {
        match self {
            Self::SessionStart(_) => "SESSION_START",
            Self::SessionEnd(_) => "SESSION_END",
            Self::UnhandledException(_) => "UNHANDLED_EXCEPTION",
            Self::Generic(event) => &event.event_name,
        }
    }
}

/// [`Event`] while it is read. Here serde reads the tag and checks it. It writes the tag with each event's own type, so
/// that an event alone looks the same as one in a request.
#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "SCREAMING_SNAKE_CASE")]
enum Tagged {
    SessionStart(SessionStartEvent),
    SessionEnd(SessionEndEvent),
    UnhandledException(UnhandledExceptionEvent),
    GenericEvent(GenericEvent),
}

impl From<Tagged> for Event {
    fn from(tagged: Tagged) -> Self {
        match tagged {
            Tagged::SessionStart(event) => Self::SessionStart(event),
            Tagged::SessionEnd(event) => Self::SessionEnd(event),
            Tagged::UnhandledException(event) => Self::UnhandledException(event),
            Tagged::GenericEvent(event) => Self::Generic(event),
        }
    }
}

/// The session began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename = "SESSION_START")]
pub struct SessionStartEvent {
    /// See [`Event::id`].
    pub event_id: Uuid,
    /// See [`Event::session_index`].
    pub event_session_index: u64,
    /// See [`Event::severity`].
    pub severity: Severity,
    /// When it happened.
    pub timestamp: Timestamp,
}

/// The session ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename = "SESSION_END")]
pub struct SessionEndEvent {
    /// See [`Event::id`].
    pub event_id: Uuid,
    /// See [`Event::session_index`].
    pub event_session_index: u64,
    /// See [`Event::severity`].
    pub severity: Severity,
    /// When it happened.
    pub timestamp: Timestamp,
    /// How long the session lasted, by the monotonic clock. On the wire `H:MM:SS.ffffff`.
    #[serde(with = "duration_text")]
    pub duration: Duration,
}

/// An error or a panic that the program did not handle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename = "UNHANDLED_EXCEPTION")]
pub struct UnhandledExceptionEvent {
    /// See [`Event::id`].
    pub event_id: Uuid,
    /// See [`Event::session_index`].
    pub event_session_index: u64,
    /// See [`Event::severity`].
    pub severity: Severity,
    /// When it was reported.
    pub timestamp: Timestamp,
    /// The name of the error's type.
    pub error_type: String,
    /// The error's message.
    pub error_message: String,
    /// The error's chain of causes, and the stack if one was captured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceback: Option<String>,
}

/// Anything else: a name and an object of data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename = "GENERIC_EVENT")]
pub struct GenericEvent {
    /// See [`Event::id`].
    pub event_id: Uuid,
    /// See [`Event::session_index`].
    pub event_session_index: u64,
    /// See [`Event::severity`].
    pub severity: Severity,
    /// When it was logged.
    pub timestamp: Timestamp,
    /// What happened, for example `checkpoint.saved`.
    pub event_name: String,
    /// Its data.
    #[serde(default)]
    pub event_data: Map<String, Value>,
}

/// A moment in UTC, kept to the microsecond: `2026-11-23T16:17:23.832966Z`.
///
/// Moments that RFC 3339 cannot name (for this crate those before 1970 and after the year 9999) are moved to the nearest
/// one that it can: events of a machine whose clock is wrong are still delivered.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use tinker_telemetry::event::Timestamp;
///
/// let timestamp = Timestamp::from(UNIX_EPOCH + Duration::from_micros(1_795_450_643_832_966));
/// assert_eq!(timestamp.to_string(), "2026-11-23T16:17:23.832966Z");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(SystemTime);

/// 9999-12-31T23:59:59.999999 since 1970: the last microsecond that RFC 3339 can name.
const LAST: Duration = Duration::new(253_402_300_799, 999_999_000);

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().min(LAST);
        let micros = Duration::new(since.as_secs(), since.subsec_micros() * 1_000);
        Self(UNIX_EPOCH + micros)
    }
}

impl From<Timestamp> for SystemTime {
    fn from(timestamp: Timestamp) -> Self {
        timestamp.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_micros(self.0).fmt(f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_rfc3339(&text).map(Self::from).map_err(de::Error::custom)
    }
}

/// A [`Duration`] as the wire has it: `H:MM:SS.ffffff`, hours without bound, cut to microseconds.
#[derive(Clone, Copy)]
pub(crate) struct DurationText(pub(crate) Duration);

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{hours}:{minutes:02}:{seconds:02}.{:06}", self.0.subsec_micros())
    }
}

/// Reads what [`DurationText`] writes. The fraction may be shorter than six digits, or missing.
fn parse_duration(text: &str) -> Option<Duration> {
    let digits = |text: &str| -> Option<u64> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let mut parts = whole.split(':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || minutes.len() != 2 || seconds.len() != 2 || fraction.len() > 6 {
        return None;
    }
    let (minutes, seconds) = (digits(minutes)?, digits(seconds)?);
    if minutes > 59 || seconds > 59 {
        return None;
    }
    let whole = digits(hours)?.checked_mul(3600)?.checked_add(minutes * 60 + seconds)?;
    let micros = digits(&format!("{fraction:0<6}"))?;
    Some(Duration::from_secs(whole) + Duration::from_micros(micros))
}

mod duration_text {
    use super::{Deserialize, Deserializer, Duration, DurationText, Serializer, de, parse_duration};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&DurationText(*duration))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).ok_or_else(|| de::Error::custom("a duration is written H:MM:SS.ffffff"))
    }
}
