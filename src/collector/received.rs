//! One request as it arrived.

use std::fmt;
use std::time::Instant;

use http::{HeaderMap, Method};

use crate::model::event::{Event, TelemetrySendRequest};

/// One request as the collector got it. `Debug` shows no header's value, as some are secrets.
#[non_exhaustive]
pub struct Received {
    /// When its last byte had arrived.
    pub at: Instant,
    /// `POST`, where a reporter sent it.
    pub method: Method,
    /// The request's target as sent, the query included: `/api/v1/telemetry` below the path of the base URL.
    pub path: String,
    /// The headers, their names in lower case. Those that carry credentials are marked sensitive.
    pub headers: HeaderMap,
    /// The body, without its transfer encoding.
    pub body: Vec<u8>,
    /// The body as a telemetry request, or why it is none.
    pub request: Result<TelemetrySendRequest, serde_json::Error>,
    /// The status that it is answered with; `None` where the connection is closed without an answer.
    pub status: Option<u16>,
}

impl Received {
    /// The value of a header, where there is one and it is text; the first, where there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The events of the request; none where it is no telemetry request.
    pub fn events(&self) -> &[Event] {
        self.request.as_ref().map_or(&[], |request| &request.events)
    }

    /// Whether it is answered with a 2xx.
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
