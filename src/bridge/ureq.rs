//! A ureq middleware: it reports the HTTP requests of an agent as they start and stop.

use std::time::Instant;

use serde::Serialize;
use ureq::http::{Request, Response};
use ureq::middleware::{Middleware, MiddlewareNext};
use ureq::{Body, Error, SendBody};

use super::http_request::{EXCEPTION, START, STOP};
use crate::failure::http_error::cause;
use crate::model::event::Severity;
use crate::process::reentrancy;
use crate::reporter::{Reporter, WeakReporter};

/// Reports the requests of a ureq agent: `http.request.start`, then `http.request.stop` when the head of a response
/// arrives, whatever its status, or `http.request.exception` (severity `ERROR`) when none arrives.
///
/// The data is `{"measurements": {…}, "metadata": {…}}`. Measurements: `duration`, in nanoseconds from the start to
/// the head of the response, redirects included; `status`; and `retries`, if the request has that extension (see
/// [`Retries`]). Metadata: `method`, `host`, `path`, and the `error` in words of this crate. Never reported: headers,
/// the query, user and password of the URL, bodies, or a text that may repeat one of them.
///
/// The reporter's own requests go through another agent and are not reported. The middleware does not change the
/// request, and holds the reporter weakly. It costs the request two events.
///
/// ```
/// use tinker_telemetry::bridge::{Retries, UreqBridge};
///
/// # let reporter = tinker_telemetry::Reporter::disabled();
/// let config = ureq::Agent::config_builder().middleware(UreqBridge::new(&reporter));
/// let agent: ureq::Agent = config.build().into();
///
/// let third_attempt = agent.get("http://127.0.0.1:1/models?page=2").extension(Retries(2));
/// assert!(third_attempt.call().is_err());
/// ```
#[derive(Clone, Debug)]
pub struct UreqBridge {
    reporter: WeakReporter,
}

impl UreqBridge {
    /// A middleware that reports to this reporter as long as the reporter lives.
    pub fn new(reporter: &Reporter) -> Self {
        Self { reporter: reporter.downgrade() }
    }
}

/// How often a request was sent before: an extension of the request, for a program that retries. ureq itself does not.
///
/// ```
/// use tinker_telemetry::bridge::Retries;
///
/// let request = ureq::get("http://127.0.0.1:1/models").extension(Retries(2)); // the third attempt
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries(pub u32);

impl UreqBridge {
    fn report(&self, name: &'static str, measurements: Measurements, metadata: Metadata<'_>) {
        let severity = if metadata.error.is_some() { Severity::Error } else { Severity::Info };
        self.reporter.log(name, Data { measurements, metadata }, severity);
    }
}

impl Middleware for UreqBridge {
    fn handle(
        &self,
        request: Request<SendBody<'_>>,
        next: MiddlewareNext<'_>,
    ) -> Result<Response<Body>, Error> {
        if reentrancy::is_inside() || !self.reporter.is_alive() {
            return next.handle(request);
        }
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let metadata = Metadata {
            method: method.as_str(),
            host: uri.host().unwrap_or_default(),
            path: uri.path(),
            error: None,
        };
        let retries = request.extensions().get().map(|Retries(retries)| *retries);
        self.report(START, Measurements { retries, duration: None, status: None }, metadata);

        let started = Instant::now();
        let outcome = next.handle(request);
        let duration = u64::try_from(started.elapsed().as_nanos()).ok();
        let status = match &outcome {
            Ok(response) => Some(response.status().as_u16()),
            Err(Error::StatusCode(status)) => Some(*status),
            Err(_) => None,
        };
        let measurements = Measurements { retries, duration, status };
        match &outcome {
            Err(error) if status.is_none() => {
                let error = cause(error);
                self.report(EXCEPTION, measurements, Metadata { error: Some(&error), ..metadata });
            }
            _ => self.report(STOP, measurements, metadata),
        }
        outcome
    }
}

#[derive(Serialize)]
struct Data<'a> {
    measurements: Measurements,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
struct Measurements {
    #[serde(skip_serializing_if = "Option::is_none")]
    retries: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
}

#[derive(Clone, Copy, Serialize)]
struct Metadata<'a> {
    method: &'a str,
    host: &'a str,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}
