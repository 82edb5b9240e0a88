//! Decides what an answer means for its batch. It is pure: values in, one step out.

use std::time::{Duration, SystemTime};

use crate::model::config::Protocol;
use crate::model::stats::DropReason;

/// The result of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Response(Response),
    /// The server accepted the request, but for so many of its events. (None: it accepted all, and has something to say.)
    #[cfg_attr(not(feature = "otlp"), expect(dead_code, reason = "no answer of Tinker's backend says so"))]
    PartialSuccess {
        rejected: u64,
        message: String,
    },
    /// No server was reached, or none answered in time: the cause, in words fit for a log line.
    NoAnswer(String),
    /// A server ended the connection without an answer: the cause, likewise.
    Disconnect(String),
    /// A dry run: the events were printed.
    Printed,
    /// A dry run that could not print.
    NotPrinted,
}

impl Verdict {
    /// The attempt ended without an answer of the server.
    pub(crate) fn has_no_answer(&self) -> bool {
        matches!(self, Self::NoAnswer(_) | Self::Disconnect(_))
    }
}

/// The parts of an answer's head that matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// The header `x-should-retry`.
    pub(crate) should_retry: Option<bool>,
    /// The wait that the headers `retry-after-ms` and `retry-after` ask for, at most [`MAX_WAIT`].
    pub(crate) retry_after: Option<Duration>,
}

/// What to do with the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryStep {
    Delivered,
    /// So many events of the batch are dropped as `rejected`. The server does not say which.
    DeliveredBut {
        rejected: u64,
    },
    /// Send the same bytes again after this wait.
    Retry(Duration),
    /// Split it in two and send the halves. A single event is dropped as `too_large`.
    Split,
    /// Look for the events that the server does not accept: it answered with this status. They are dropped as `rejected`.
    Isolate(u16),
    GiveUp(DropReason),
}

impl RetryStep {
    /// Whether the attempt failed, and a later attempt may succeed.
    pub(crate) fn is_outage(self) -> bool {
        matches!(self, Self::Retry(_) | Self::GiveUp(DropReason::RetriesExhausted))
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryPolicy {
    pub(crate) max_retries: u32,
    pub(crate) base_delay: Duration,
    pub(crate) table: AnswerTable,
}

/// What each status means.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum AnswerTable {
    #[default]
    Tinker,
    #[cfg(feature = "otlp")]
    Otlp,
}

impl AnswerTable {
    pub(crate) fn of(protocol: &Protocol) -> Self {
        match protocol {
            Protocol::Tinker { .. } => Self::Tinker,
            #[cfg(feature = "otlp")]
            Protocol::Otlp { .. } => Self::Otlp,
        }
    }
}

/// The longest wait, both if a server asks for it and if doubling reaches it: all other batches of the worker wait as
/// long.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(60);

/// The largest part of a wait that is added at random, so that many clients of a server that recovers do not return at
/// once.
const JITTER: f64 = 0.1;

impl RetryPolicy {
    /// The step after attempt number `attempt` (the first is 0) had this verdict. `random` in 0..1 sets the jitter.
    pub(crate) fn next(&self, attempt: u32, verdict: &Verdict, random: f64) -> RetryStep {
        let response = match verdict {
            Verdict::NoAnswer(_) | Verdict::Disconnect(_) => return self.retry(attempt, None, random),
            Verdict::PartialSuccess { rejected, .. } => {
                return RetryStep::DeliveredBut { rejected: *rejected };
            }
            Verdict::Printed => return RetryStep::GiveUp(DropReason::Printed),
            Verdict::NotPrinted => return RetryStep::GiveUp(DropReason::Internal),
            Verdict::Response(response) => response,
        };
        match self.table {
            AnswerTable::Tinker => self.after_tinkers(response, attempt, random),
            #[cfg(feature = "otlp")]
            AnswerTable::Otlp => self.after_otlps(response, attempt, random),
        }
    }

    fn after_tinkers(&self, response: &Response, attempt: u32, random: f64) -> RetryStep {
        match (response.status, response.should_retry) {
            (200..=299, _) => RetryStep::Delivered,
            (_, Some(true)) | (408 | 409 | 429 | 500..=599, None) => {
                self.retry(attempt, response.retry_after, random)
            }
            (413, _) => RetryStep::Split,
            (400 | 422, _) => RetryStep::Isolate(response.status),
            (401 | 403, _) => RetryStep::GiveUp(DropReason::Unauthorized),
            _ => RetryStep::GiveUp(DropReason::Rejected),
        }
    }

    /// By the OpenTelemetry Protocol Specification, OTLP/HTTP Response: these four are retried, and "all other 4xx or 5xx
    /// response status codes MUST NOT be retried". So no halves are sent after a 400. Those of a 413 are other requests.
    #[cfg(feature = "otlp")]
    fn after_otlps(&self, response: &Response, attempt: u32, random: f64) -> RetryStep {
        match response.status {
            200..=299 => RetryStep::Delivered,
            429 | 502 | 503 | 504 => self.retry(attempt, response.retry_after, random),
            413 => RetryStep::Split,
            401 | 403 => RetryStep::GiveUp(DropReason::Unauthorized),
            _ => RetryStep::GiveUp(DropReason::Rejected),
        }
    }

    /// How long the next batch waits before its first attempt after an outage: a random part of the base delay.
    /// Clients that lost a server at the same time also flush at the same time, since their tickers keep time, and
    /// the tenth of jitter between attempts is too little to spread them. If an outage is shorter than the retries of
    /// a batch, that batch ends it, and has only the tenth of jitter. The batches after it are spread.
    pub(crate) fn spread(&self, random: f64) -> Duration {
        self.base_delay.mul_f64(random)
    }

    fn retry(&self, attempt: u32, asked: Option<Duration>, random: f64) -> RetryStep {
        if attempt >= self.max_retries {
            return RetryStep::GiveUp(DropReason::RetriesExhausted);
        }
        RetryStep::Retry(asked.unwrap_or_else(|| self.backoff(attempt, random)))
    }

    /// The base delay, doubled with every attempt, plus up to a tenth.
    fn backoff(&self, attempt: u32, random: f64) -> Duration {
        let factor = 1_u32.checked_shl(attempt).unwrap_or(u32::MAX);
        let delay = self.base_delay.saturating_mul(factor).min(MAX_WAIT);
        delay + delay.mul_f64(JITTER * random)
    }
}

/// The wait that the headers ask for: `retry-after-ms`, else `retry-after` in seconds or as a date. A longer wait than
/// [`MAX_WAIT`] counts as that. A wait of nothing, a date in the past and any other text count as no header.
pub(crate) fn retry_after(ms: Option<&str>, after: Option<&str>, now: SystemTime) -> Option<Duration> {
    let from_ms = ms.and_then(|text| parse_number(text, 0.001));
    let from_seconds = || after.and_then(|text| parse_number(text, 1.0));
    let from_date = || after.and_then(|text| parse_date(text, now));
    from_ms.or_else(from_seconds).or_else(from_date)
}

fn parse_number(text: &str, unit: f64) -> Option<Duration> {
    let text = text.trim();
    // Only digits and one point. A server that sends an exponent or an infinity does not mean a wait.
    if !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    // Within the limit before it becomes a `Duration`, which cannot hold every number.
    let seconds = (text.parse::<f64>().ok()? * unit).min(MAX_WAIT.as_secs_f64());
    Duration::try_from_secs_f64(seconds).ok().filter(|wait| !wait.is_zero())
}

fn parse_date(text: &str, now: SystemTime) -> Option<Duration> {
    let at = httpdate::parse_http_date(text.trim()).ok()?;
    at.duration_since(now).ok().filter(|wait| !wait.is_zero()).map(|wait| wait.min(MAX_WAIT))
}

#[cfg(test)]
mod tests;
