//! The answer to a request.

use std::time::Duration;

use http::StatusCode;

/// The answer to a request, for [`Collector::answer`](super::Collector::answer).
///
/// ```
/// use std::time::Duration;
/// use tinker_telemetry::collector::{Answer, Collector};
///
/// let collector = Collector::start()?;
/// collector.answer(Answer::status(503).header("retry-after-ms", "5"));
/// collector.answer(Answer::hang_up());
/// collector.answer(Answer::ok().delay(Duration::from_millis(20)));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "an answer does nothing until it is passed to a collector"]
pub struct Answer {
    /// `None`: the connection is closed without an answer.
    pub(super) status: Option<u16>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    pub(super) delay: Duration,
}

/// What happens to the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Afterwards {
    KeepOpen,
    Close,
}

impl Answer {
    /// 200 with a small JSON body, as the backend answers when all is well.
    pub fn ok() -> Self {
        Self::status(200).header("content-type", "application/json").body(r#"{"status":"accepted"}"#)
    }

    /// This status, with no body.
    pub fn status(status: u16) -> Self {
        Self { status: Some(status), headers: Vec::new(), body: Vec::new(), delay: Duration::ZERO }
    }

    /// No answer: the connection is closed once the request has arrived. A delay counts; headers and a body do not.
    pub fn hang_up() -> Self {
        Self { status: None, ..Self::status(0) }
    }

    /// Adds a header. It is sent as given and unchecked, so that a test can answer nonsense.
    ///
    /// A `content-length` or `transfer-encoding` given here replaces the computed length. The body is then sent as it
    /// is, and the connection is closed after it.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body. It is not sent with the statuses that have no body: 204 and 304.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Waits before the answer is sent, from the moment when the request has arrived, or when the last
    /// [`Hold`](super::Hold) is dropped. A drop of the collector ends the wait, and no answer is sent.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The answer's bytes, and what happens to the connection once they are written. `None`: the connection is closed
    /// without an answer.
    pub(super) fn encode(&self, afterwards: Afterwards) -> Option<(Vec<u8>, Afterwards)> {
        let status = self.status?;
        let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        let has_no_body = matches!(status, 204 | 304);
        let has_own_length = self.headers.iter().any(|(name, _)| {
            name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding")
        });
        let afterwards = if has_own_length { Afterwards::Close } else { afterwards };

        let mut head = format!("HTTP/1.1 {status} {}\r\n", reason.unwrap_or_default());
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        if !has_own_length && !has_no_body {
            head.extend(["content-length: ", &self.body.len().to_string(), "\r\n"]);
        }
        if afterwards == Afterwards::Close {
            head.push_str("connection: close\r\n");
        }
        head.push_str("\r\n");

        let mut bytes = head.into_bytes();
        if !has_no_body {
            bytes.extend_from_slice(&self.body);
        }
        Some((bytes, afterwards))
    }
}

impl Default for Answer {
    /// [`Answer::ok`].
    fn default() -> Self {
        Self::ok()
    }
}
