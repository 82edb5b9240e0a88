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
//!     "platform": "Linux", "sdk_version": "0.1.0", "session_id": "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64",
//!     "process_uuid": "1e9fef80-a3b9-4c25-999e-bc34a9a067b0"
//! }"#;
//! let request: TelemetrySendRequest = serde_json::from_str(body)?;
//! let Event::SessionEnd(end) = &request.events[0] else { panic!("a session end") };
//! assert_eq!(end.severity, Severity::Info);
//! assert_eq!(end.duration.as_micros(), 1981);
//! # Ok::<(), serde_json::Error>(())
//! ```

pub mod names;
mod severity;
mod time;

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

pub use severity::{ParseSeverityError, Severity};
pub(crate) use time::DurationText;
pub use time::Timestamp;
use time::duration_text;
#[cfg(feature = "otlp")]
pub(crate) use time::parse_duration;

/// The body of one `POST /api/v1/telemetry`.
///
/// ```
/// use tinker_telemetry::event::{GenericEvent, TelemetrySendRequest};
///
/// let events = vec![GenericEvent::new("checkpoint.saved").into()];
/// let request = TelemetrySendRequest::new("0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64", events, "Linux", "0.1.0");
/// let body = serde_json::to_string(&request)?;
/// assert_eq!(serde_json::from_str::<TelemetrySendRequest>(&body)?.events[0].name(), "checkpoint.saved");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)] // the backend's own model forbids extra fields
#[non_exhaustive]
pub struct TelemetrySendRequest {
    /// The batch: at most `max_batch_size` events if this crate made it.
    pub events: Vec<Event>,
    /// `Linux`, `Darwin` or `Windows`.
    pub platform: String,
    /// The version of the SDK that sent it.
    pub sdk_version: String,
    /// The Tinker session that the events belong to.
    pub session_id: String,
    /// One per process, shared by all its sessions. This crate always sends it. Tinkex and the official SDK before 0.24
    /// do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process_uuid: Option<Uuid>,
}

impl TelemetrySendRequest {
    /// A request without a `process_uuid`.
    pub fn new(
        session_id: impl Into<String>,
        events: Vec<Event>,
        platform: impl Into<String>,
        sdk_version: impl Into<String>,
    ) -> Self {
        let (platform, sdk_version) = (platform.into(), sdk_version.into());
        Self { events, platform, sdk_version, session_id: session_id.into(), process_uuid: None }
    }
}

/// One event of any kind. On the wire the field `event` names the kind.
///
/// ```
/// use serde_json::json;
/// use tinker_telemetry::event::{Event, GenericEvent};
///
/// let mut saved = GenericEvent::new("checkpoint.saved");
/// saved.event_data.insert("step".to_owned(), json!(1200));
/// let event = Event::from(saved);
/// assert_eq!(event.name(), "checkpoint.saved");
/// assert_eq!(event.data().expect("it is generic")["step"], 1200);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, from = "Tagged")]
#[non_exhaustive]
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

    /// Gives it this id and this number.
    pub(crate) fn identify(&mut self, id: Uuid, session_index: u64) {
        let (own_id, own_index) = match self {
            Self::SessionStart(event) => (&mut event.event_id, &mut event.event_session_index),
            Self::SessionEnd(event) => (&mut event.event_id, &mut event.event_session_index),
            Self::UnhandledException(event) => (&mut event.event_id, &mut event.event_session_index),
            Self::Generic(event) => (&mut event.event_id, &mut event.event_session_index),
        };
        (*own_id, *own_index) = (id, session_index);
    }

    /// When it happened.
    pub fn timestamp(&self) -> Timestamp {
        match self {
            Self::SessionStart(event) => event.timestamp,
            Self::SessionEnd(event) => event.timestamp,
            Self::UnhandledException(event) => event.timestamp,
            Self::Generic(event) => event.timestamp,
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

    /// The data of a generic event. `None` for the other kinds, which have none.
    pub fn data(&self) -> Option<&Map<String, Value>> {
        self.as_generic().map(|event| &event.event_data)
    }

    /// The generic event that this is. `None` for the other kinds.
    pub fn as_generic(&self) -> Option<&GenericEvent> {
        match self {
            Self::Generic(event) => Some(event),
            _ => None,
        }
    }

    /// The exception that this is. `None` for the other kinds.
    pub fn as_exception(&self) -> Option<&UnhandledExceptionEvent> {
        match self {
            Self::UnhandledException(event) => Some(event),
            _ => None,
        }
    }
}

impl From<SessionStartEvent> for Event {
    fn from(event: SessionStartEvent) -> Self {
        Self::SessionStart(event)
    }
}

impl From<SessionEndEvent> for Event {
    fn from(event: SessionEndEvent) -> Self {
        Self::SessionEnd(event)
    }
}

impl From<UnhandledExceptionEvent> for Event {
    fn from(event: UnhandledExceptionEvent) -> Self {
        Self::UnhandledException(event)
    }
}

impl From<GenericEvent> for Event {
    fn from(event: GenericEvent) -> Self {
        Self::Generic(event)
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
///
/// ```
/// use tinker_telemetry::event::SessionStartEvent;
///
/// let json = serde_json::to_value(SessionStartEvent::new())?;
/// assert_eq!((json["event"].as_str(), json["severity"].as_str()), (Some("SESSION_START"), Some("INFO")));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename = "SESSION_START")]
#[non_exhaustive]
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

impl SessionStartEvent {
    /// An event of this moment and severity `INFO`, with the nil id and the number 0. Set the fields that are known.
    #[expect(clippy::new_without_default, reason = "it takes the time")]
    pub fn new() -> Self {
        Self {
            event_id: Uuid::nil(),
            event_session_index: 0,
            severity: Severity::Info,
            timestamp: Timestamp::from(SystemTime::now()),
        }
    }
}

/// The session ended.
///
/// ```
/// use std::time::Duration;
/// use tinker_telemetry::event::SessionEndEvent;
///
/// let end = SessionEndEvent::new(Duration::from_millis(90_500));
/// assert_eq!(serde_json::to_value(end)?["duration"], "0:01:30.500000");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename = "SESSION_END")]
#[non_exhaustive]
pub struct SessionEndEvent {
    /// See [`Event::id`].
    pub event_id: Uuid,
    /// See [`Event::session_index`].
    pub event_session_index: u64,
    /// See [`Event::severity`].
    pub severity: Severity,
    /// When it happened.
    pub timestamp: Timestamp,
    /// How long the session lasted. This crate measures it by the monotonic clock. On the wire `H:MM:SS.ffffff`.
    #[serde(with = "duration_text")]
    pub duration: Duration,
}

impl SessionEndEvent {
    /// An event of this moment and severity `INFO`, with the nil id and the number 0. Set the fields that are known.
    pub fn new(duration: Duration) -> Self {
        Self {
            event_id: Uuid::nil(),
            event_session_index: 0,
            severity: Severity::Info,
            timestamp: Timestamp::from(SystemTime::now()),
            duration,
        }
    }
}

/// An error or a panic that the program did not handle.
///
/// ```
/// use tinker_telemetry::event::UnhandledExceptionEvent;
///
/// let mut exception = UnhandledExceptionEvent::new("std::io::Error", "loading /home/ada/a.toml: permission denied");
/// exception.error_message = exception.error_message.replace("/home/ada", "~"); // as a `before_send` may do
/// let json = serde_json::to_value(&exception)?;
/// assert_eq!(json["error_message"], "loading ~/a.toml: permission denied");
/// assert!(json.get("traceback").is_none(), "what is not known is left out");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename = "UNHANDLED_EXCEPTION")]
#[non_exhaustive]
pub struct UnhandledExceptionEvent {
    /// See [`Event::id`].
    pub event_id: Uuid,
    /// See [`Event::session_index`].
    pub event_session_index: u64,
    /// See [`Event::severity`].
    pub severity: Severity,
    /// When it was reported.
    pub timestamp: Timestamp,
    /// The name of the type of the error, or of its cause: see [`Reporter::log_exception`](crate::Reporter::log_exception).
    pub error_type: String,
    /// The texts of the error and of its sources, as one message.
    pub error_message: String,
    /// A line for each error of the chain, and the stack if one was captured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceback: Option<String>,
}

impl UnhandledExceptionEvent {
    /// An event of this moment and severity `ERROR`, with the nil id and the number 0. Set the fields that are known.
    pub fn new(error_type: impl Into<String>, error_message: impl Into<String>) -> Self {
        Self {
            event_id: Uuid::nil(),
            event_session_index: 0,
            severity: Severity::Error,
            timestamp: Timestamp::from(SystemTime::now()),
            error_type: error_type.into(),
            error_message: error_message.into(),
            traceback: None,
        }
    }
}

/// Anything else: a name and an object of data.
///
/// ```
/// use tinker_telemetry::Severity;
/// use tinker_telemetry::event::{Event, GenericEvent};
///
/// let mut saved = GenericEvent::new("checkpoint.saved");
/// saved.severity = Severity::Debug;
/// saved.event_data.insert("step".to_owned(), 1200.into());
///
/// let event = Event::from(saved);
/// assert_eq!(event.name(), "checkpoint.saved");
/// assert_eq!(event.data().unwrap()["step"], 1200);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename = "GENERIC_EVENT")]
#[non_exhaustive]
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

impl GenericEvent {
    /// An event of this moment and severity `INFO`, with the nil id and the number 0. Set the fields that are known.
    pub fn new(event_name: impl Into<String>) -> Self {
        Self {
            event_id: Uuid::nil(),
            event_session_index: 0,
            severity: Severity::Info,
            timestamp: Timestamp::from(SystemTime::now()),
            event_name: event_name.into(),
            event_data: Map::new(),
        }
    }
}

#[cfg(test)]
mod tests;
