//! What the tests share: a reporter that reports to the test's collector and retries at once, and the checks that hold
//! for every request and every snapshot.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod http;

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use jsonschema::Validator;
use log::{Log, Metadata, Record};
use serde::{Serialize, Serializer};
use serde_json::Value;
use tinker_telemetry::collector::{Collector, Received};
use tinker_telemetry::event::{Event, GenericEvent, TelemetrySendRequest};
use tinker_telemetry::{Builder, Config, Reporter, Stats};

/// The limit on every wait. It catches hangs: nothing here takes as long, on a loaded machine either.
pub const LIMIT: Duration = Duration::from_secs(30);

/// A flush interval that never ends within a test.
pub const NEVER: Duration = Duration::from_secs(3600);

pub const KEY: &str = "tml-example";
pub const SESSION: &str = "session-0001";

pub fn config(collector: &Collector) -> Config {
    Config::new(KEY).base_url(collector.url())
}

/// A session that reports to the collector. It flushes only on request and retries at once.
pub fn session(collector: &Collector) -> Builder {
    in_tests(Reporter::builder(config(collector), SESSION))
}

/// The same without a session: the collector receives the test's own events only.
pub fn sessionless(collector: &Collector) -> Builder {
    sessionless_to(config(collector))
}

pub fn sessionless_to(config: Config) -> Builder {
    in_tests(Reporter::sessionless_builder(config))
}

fn in_tests(builder: Builder) -> Builder {
    builder.enabled(true).flush_interval(NEVER).retry_base_delay(Duration::from_millis(1)).http_timeout(LIMIT)
}

/// The official request schema.
static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let schema: Value = serde_json::from_str(include_str!("../wire/send-request.schema.json")).unwrap();
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
});

/// Checks what holds for every request: path, headers, and a body that passes [`check_body`].
pub fn check_request(received: &Received) -> TelemetrySendRequest {
    assert_eq!((received.method.as_str(), received.path.as_str()), ("POST", "/api/v1/telemetry"));
    assert_eq!(received.header("x-api-key"), Some(KEY));
    assert!(received.header("x-idempotency-key").is_some());
    check_body(&received.body)
}

/// Checks that a body is valid by the schema, and that the typed request reads it and writes the same JSON again.
pub fn check_body(body: &[u8]) -> TelemetrySendRequest {
    let value: Value = serde_json::from_slice(body).unwrap();
    if let Err(error) = SCHEMA.validate(&value) {
        panic!("{error} in {value:#}");
    }
    let request: TelemetrySendRequest = serde_json::from_value(value.clone()).unwrap();
    assert_eq!(serde_json::to_value(&request).unwrap(), value);
    request
}

/// All requests so far, each checked by [`check_request`].
pub fn checked_requests(collector: &Collector) -> Vec<Arc<Received>> {
    let requests = collector.requests();
    for request in &requests {
        check_request(request);
    }
    requests
}

/// The names of events, in order.
pub fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(Event::name).collect()
}

/// For a program that has none.
pub struct NoLogger;

impl Log for NoLogger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }
    fn log(&self, _: &Record<'_>) {}
    fn flush(&self) {}
}

/// The two equations that hold in every snapshot.
pub fn assert_adds_up(stats: Stats) {
    assert_eq!(stats.offered, stats.accepted + stats.refused.total(), "{stats}");
    let fates = stats.delivered + stats.dropped.total() + stats.spooled;
    assert_eq!(stats.accepted, fates + stats.pending, "{stats}");
    let replayed = stats.replayed;
    assert_eq!(replayed.taken, replayed.delivered + replayed.dropped.total() + replayed.pending, "{stats}");
}

/// Waits until all accepted events are settled, where no server may answer: such a wait ends before the retries do.
pub fn drain(reporter: &Reporter) {
    let began = Instant::now();
    while !reporter.wait_until_drained(LIMIT) {
        assert!(began.elapsed() < LIMIT, "{}", reporter.stats());
    }
}

/// Waits until all accepted events are settled. Returns the generic events that the collector has.
pub fn drained(collector: &Collector, reporter: &Reporter) -> Vec<GenericEvent> {
    assert!(reporter.wait_until_drained(LIMIT));
    assert_adds_up(reporter.stats());
    checked_requests(collector);
    let events = collector.events().into_iter();
    events.filter_map(|event| if let Event::Generic(event) = event { Some(event) } else { None }).collect()
}

/// An event's data as one value.
pub fn data(event: &GenericEvent) -> Value {
    Value::Object(event.event_data.clone())
}

/// A value that panics when it is serialised or printed. It can stand for an error as well.
pub struct Panics;

impl Serialize for Panics {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("while serialising, as the test wants it")
    }
}

impl std::error::Error for Panics {}

impl fmt::Display for Panics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half of it, then ")?;
        panic!("while formatting, as the test wants it")
    }
}

impl fmt::Debug for Panics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
