//! A ureq middleware: the HTTP requests of an agent are reported as they start and stop.

use std::time::Instant;

use serde::Serialize;
use ureq::http::{Request, Response};
use ureq::middleware::{Middleware, MiddlewareNext};
use ureq::{Body, Error, SendBody};

use crate::failure::http_error::cause;
use crate::model::event::Severity;
use crate::process::reentrancy;
use crate::reporter::{Reporter, WeakReporter};

/// A request went out.
const START: &str = "http.request.start";
/// An answer came, whatever its status.
const STOP: &str = "http.request.stop";
/// No answer came.
const EXCEPTION: &str = "http.request.exception";

/// Reports the requests of a ureq agent: `http.request.start`, then `http.request.stop` when the head of an answer is
/// there, whatever its status, or `http.request.exception` (severity `ERROR`) when there is none.
///
/// The data is `{"measurements": {…}, "metadata": {…}}`. Measurements: `duration`, in nanoseconds from the start to
/// the head of the answer, redirects included; `status`; and `retries`, where the request knows them (see
/// [`Retries`]). Metadata: `method`, `host`, `path`, and in words of our own the `error`. Never reported: headers,
/// the query, user and password of the URL, bodies, or a text that may repeat one of them.
///
/// The reporter's own requests go through another agent and are not reported. Costs the request two events; does not
/// change it, and holds the reporter weakly.
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
    /// A middleware that reports to this reporter while it lives.
    pub fn new(reporter: &Reporter) -> Self {
        Self { reporter: reporter.downgrade() }
    }
}

/// How often a request was sent before: an extension of the request, for whoever retries. ureq itself never does.
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
