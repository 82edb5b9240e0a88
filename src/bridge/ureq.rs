//! A ureq middleware: it reports the HTTP requests of an agent as they start and stop.

use std::time::Instant;

use serde::Serialize;
use ureq::http::{Request, Response, Uri};
use ureq::middleware::{Middleware, MiddlewareNext};
use ureq::{Body, Error, SendBody};

use super::http_request::{EXCEPTION, START, STOP};
use super::origin::{Origin, current_thread, next_span_id};
use crate::failure::http_error::cause;
use crate::model::event::Severity;
use crate::process::reentrancy;
use crate::reporter::{Reporter, WeakReporter};

/// Reports the requests of a ureq agent: `http.request.start`, then `http.request.stop` when the head of a response
/// arrives, whatever its status, or `http.request.exception` (severity `ERROR`) when none arrives.
///
/// The data is `{"measurements": {…}, "metadata": {…}, "origin": {…}}`.
///
/// - Measurements, when the request is over: `duration`, in nanoseconds from the start to the head of the response,
///   redirects included; and the `status`.
/// - Metadata: `method`, `base_url` (scheme, host and port), `host`, `path`; `retry_count`, which is 0 unless the request
///   says otherwise (see [`Retries`]); and when the request is over its `result`: `ok` for a 2xx, `error` for all else. An
///   exception has the `error` too, in words of this crate.
/// - Origin: the `thread`, and a `span_id`, which is the same at the start and the end of a request and of no other
///   request or span of the process. Parallel requests pair up by it.
///
/// Never reported: headers, the query, user and password of the URL, bodies, or a text that may repeat one of them.
///
/// The reporter's own requests go through another agent and are not reported. The middleware does not change the
/// request, and holds the reporter weakly. It costs the request two events.
///
/// # Compared with Tinkex
///
/// The Elixir SDK reports the requests of its own client, in events with the prefix `tinkex.`. The metadata has the same
/// names here, with these differences:
///
/// - A request without a response is an `.exception` here. Tinkex reports it as `.stop` with the result `error`, and an
///   `.exception` only when Elixir raises one.
/// - Each attempt is a request here, because ureq does not retry. Tinkex reports a call with all its retries as one
///   request, with their number.
/// - The method is in capital letters, and there is no `pool_type`. `host`, `status`, `error` and `origin` are additions.
/// - A start has no measurement `system_time`: the event's own timestamp is that.
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

/// How often a request was sent before, which is reported as its `retry_count`: an extension of the request, for a program
/// that retries. ureq itself does not retry.
///
/// ```
/// use tinker_telemetry::bridge::Retries;
///
/// let request = ureq::get("http://127.0.0.1:1/models").extension(Retries(2)); // the third attempt
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries(pub u32);

impl UreqBridge {
    fn report(&self, name: &'static str, span_id: u64, measurements: Measurements, metadata: Metadata<'_>) {
        let severity = if metadata.error.is_some() { Severity::Error } else { Severity::Info };
        let origin = Origin { thread: current_thread(), span_id: Some(span_id), ..Origin::default() };
        self.reporter.log(name, Data { measurements, metadata, origin }, severity);
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
        let base_url = base_url(&uri);
        let metadata = Metadata {
            method: method.as_str(),
            base_url: base_url.as_deref(),
            host: uri.host().unwrap_or_default(),
            path: uri.path(),
            retry_count: request.extensions().get().map_or(0, |Retries(retries)| *retries),
            result: None,
            error: None,
        };
        let span_id = next_span_id();
        self.report(START, span_id, Measurements { duration: None, status: None }, metadata);

        let started = Instant::now();
        let outcome = next.handle(request);
        let duration = u64::try_from(started.elapsed().as_nanos()).ok();
        let status = match &outcome {
            Ok(response) => Some(response.status().as_u16()),
            Err(Error::StatusCode(status)) => Some(*status),
            Err(_) => None,
        };
        let measurements = Measurements { duration, status };
        let is_ok = status.is_some_and(|status| (200..300).contains(&status));
        let metadata = Metadata { result: Some(if is_ok { "ok" } else { "error" }), ..metadata };
        match &outcome {
            Err(error) if status.is_none() => {
                let error = cause(error);
                self.report(EXCEPTION, span_id, measurements, Metadata { error: Some(&error), ..metadata });
            }
            _ => self.report(STOP, span_id, measurements, metadata),
        }
        outcome
    }
}

/// Scheme, host and port, without user and password.
fn base_url(uri: &Uri) -> Option<String> {
    let (scheme, host) = (uri.scheme_str()?, uri.host()?);
    Some(match uri.port_u16() {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    })
}

#[derive(Serialize)]
struct Data<'a> {
    measurements: Measurements,
    metadata: Metadata<'a>,
    origin: Origin<'a>,
}

#[derive(Serialize)]
struct Measurements {
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
}

#[derive(Clone, Copy, Serialize)]
struct Metadata<'a> {
    method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    base_url: Option<&'a str>,
    host: &'a str,
    path: &'a str,
    retry_count: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}
