//! A reporter whose destination is an OTLP endpoint. The collector plays the server: it takes any path and any body.

mod answers;
#[cfg(feature = "gzip")]
mod compression;
mod partial_success;
mod request;

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use prost::Message;
use tinker_telemetry::collector::{Answer, Collector, Received};
use tinker_telemetry::{Builder, Config, Severity, Stats};

use crate::support::{LIMIT, assert_adds_up, sessionless_to};

fn to(collector: &Collector) -> Builder {
    sessionless_to(Config::otlp(collector.url()))
}

/// Plays these answers to a reporter that logs `events` events and drains. A batch has at most 100 of them.
fn play(events: usize, answers: impl IntoIterator<Item = Answer>) -> (Stats, Vec<Arc<Received>>) {
    let collector = Collector::start().unwrap();
    answers.into_iter().for_each(|answer| collector.answer(answer));
    report(to(&collector).max_retries(2), &collector, events)
}

fn report(builder: Builder, collector: &Collector, events: usize) -> (Stats, Vec<Arc<Received>>) {
    let reporter = builder.start().unwrap();
    for step in 0..events {
        assert!(reporter.log("step", step, Severity::Info));
    }
    assert!(reporter.wait_until_drained(LIMIT));
    let stats = reporter.stats();
    assert_adds_up(stats);
    assert_eq!(stats.pending, 0);
    let requests = collector.requests();
    for request in &requests {
        assert_is_otlp(request);
    }
    (stats, requests)
}

/// What holds for every request.
fn assert_is_otlp(request: &Received) {
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/logs"));
    assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
    let user_agent = concat!("tinker-telemetry/", env!("CARGO_PKG_VERSION"));
    assert_eq!(request.header("user-agent"), Some(user_agent));
    let is_tinkers =
        |name: &str| matches!(name, "x-api-key" | "x-idempotency-key") || name.starts_with("x-stainless-");
    assert!(request.headers.keys().all(|name| !is_tinkers(name.as_str())), "{request:?}");
    assert_eq!(request.header("accept-encoding"), None);
    assert!(!records_of(request).is_empty());
}

/// The names of the records of a request, as the official types read it.
fn records_of(request: &Received) -> Vec<String> {
    let request = ExportLogsServiceRequest::decode(plain_body(request).as_slice()).unwrap();
    let scopes = request.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
    scopes.flat_map(|scope| scope.log_records).map(|record| record.event_name).collect()
}

/// The body before it was compressed.
fn plain_body(request: &Received) -> Vec<u8> {
    if request.header("content-encoding").is_none() {
        return request.body.clone();
    }
    assert_eq!(request.header("content-encoding"), Some("gzip"));
    let mut body = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(request.body.as_slice()), &mut body)
        .unwrap();
    body
}

/// 200 of a server that did not accept so many records.
fn partial_success(rejected: i64, message: &str) -> Answer {
    let partial =
        ExportLogsPartialSuccess { rejected_log_records: rejected, error_message: message.to_owned() };
    let response = ExportLogsServiceResponse { partial_success: Some(partial) };
    Answer::status(200).header("content-type", "application/x-protobuf").body(response.encode_to_vec())
}
