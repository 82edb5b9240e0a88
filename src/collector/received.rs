//! A request as it arrived.

use std::fmt;
use std::time::Instant;

use http::{HeaderMap, Method};

use crate::model::event::{Event, TelemetrySendRequest};

/// A request as the collector received it. `Debug` shows no header's value, because some are secrets.
///
/// ```
/// use std::time::Duration;
/// use tinker_telemetry::collector::Collector;
/// use tinker_telemetry::{Config, Reporter, Severity};
///
/// let collector = Collector::start()?;
/// let config = Config::new("tml-test").base_url(collector.url());
/// let reporter = Reporter::builder(config, "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64").enabled(true).start()?;
/// reporter.log("checkpoint.saved", (), Severity::Info);
/// reporter.flush();
///
/// let received = collector.next_request(Duration::from_secs(5)).expect("a request");
/// assert_eq!((received.method.as_str(), received.path.as_str()), ("POST", "/api/v1/telemetry"));
/// assert_eq!(received.header("x-api-key"), Some("tml-test"));
/// assert!(received.is_accepted());
/// assert!(received.events().iter().any(|event| event.name() == "SESSION_START"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
pub struct Received {
    /// When its last byte arrived.
    pub at: Instant,
    /// `POST`, if a reporter sent it.
    pub method: Method,
    /// The request's target as sent, with the query: `/api/v1/telemetry` below the path of the base URL.
    pub path: String,
    /// The headers, with names in lower case. Those with credentials are marked sensitive.
    pub headers: HeaderMap,
    /// The body, without its transfer encoding.
    pub body: Vec<u8>,
    /// The body as a telemetry request, or the reason why it is none.
    pub request: Result<TelemetrySendRequest, serde_json::Error>,
    /// The status of its answer. `None` if the connection is closed without an answer.
    pub status: Option<u16>,
}

impl Received {
    /// The value of a header if it is text. The first, if the request has several of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The events of the request. None if it is no telemetry request.
    pub fn events(&self) -> &[Event] {
        self.request.as_ref().map_or(&[], |request| &request.events)
    }

    /// Whether its answer is a 2xx.
    pub fn is_accepted(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("body_bytes", &self.body.len())
            .field("request", &self.request)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}
