//! Keeps the bridges of a program with one session: all records, events and spans are forwarded without an id, except
//! those that a filter excludes by name or severity and those of another session.
#![cfg(all(feature = "log", feature = "tracing", feature = "collector"))]

use log::{LevelFilter, Log, Metadata};
use serde_json::Value;
use tinker_telemetry::bridge::{Attachments, EventFilter, LogBridge, TracingBridge};
use tinker_telemetry::collector::Collector;
use tinker_telemetry::{Reporter, Severity};
use tracing::subscriber::{DefaultGuard, set_default};
use tracing::{debug, debug_span, info, info_span, warn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;

use super::data;
use crate::support::{NoLogger, SESSION, config, drained, session};

struct Program {
    collector: Collector,
    reporter: Reporter,
}

impl Program {
    fn new() -> Self {
        let collector = Collector::start().unwrap();
        let reporter = session(&collector).start().unwrap();
        Self { collector, reporter }
    }

    fn forwarded(&self) -> Vec<String> {
        let events = drained(&self.collector, &self.reporter);
        events.into_iter().map(|event| event.event_name).collect()
    }
}

fn traced(attachments: &Attachments) -> DefaultGuard {
    set_default(Registry::default().with(TracingBridge::new(attachments)))
}

fn logged(attachments: &Attachments) -> LogBridge<NoLogger> {
    log::set_max_level(LevelFilter::Trace); // the macros check this level for every logger
    LogBridge::new(NoLogger, attachments)
}

#[test]
fn records_events_and_spans_are_forwarded_without_an_id() {
    let program = Program::new();
    let attachments = Attachments::everything(&program.reporter);
    let (_traced, logger) = (traced(&attachments), logged(&attachments));
    log::info!(logger: logger, target: "record", step = 1; "without a session");
    info_span!("span").in_scope(|| info!(name: "event", step = 1));
    log::info!(logger: logger, target: "labelled", session_id = SESSION; "");
    log::info!(logger: logger, target: "ureq::run", "never");
    tracing::error!(target: "rustls::conn", "never");
    drop(tracing::error_span!(target: "tinker_telemetry::worker", "never"));
    assert_eq!(program.forwarded(), ["record", "span.start", "event", "span.stop", "labelled"]);
}

#[test]
fn a_filter_selects_by_name_and_severity() {
    let program = Program::new();
    let attachments = Attachments::new();
    let filter = EventFilter::all().without_session_id().min_severity(Severity::Info).except(["noisy*"]);
    attachments.add(&program.reporter, filter);
    let (_traced, logger) = (traced(&attachments), logged(&attachments));
    log::debug!(logger: logger, target: "quiet", "");
    log::error!(logger: logger, target: "noisy::pool", "");
    log::warn!(logger: logger, target: "record", "");
    debug!(name: "quiet", "");
    warn!(name: "noisy", "");
    info!(name: "event", "");
    drop(debug_span!("request"));
    drop(debug_span!("request", error = "failed"));
    drop(info_span!("noisy"));
    assert_eq!(program.forwarded(), ["record", "event", "request.exception"]);
    let metadata = |target, level| Metadata::builder().target(target).level(level).build();
    assert!(logger.enabled(&metadata("record", log::Level::Info)));
    assert!(!logger.enabled(&metadata("record", log::Level::Debug)));
    assert!(!logger.enabled(&metadata("noisy", log::Level::Error)));
}

#[test]
fn the_id_of_another_session_is_a_field_unless_that_session_is_attached() {
    let (program, other) = (Program::new(), Program::new());
    let attachments = Attachments::everything(&program.reporter);
    let (_traced, logger) = (traced(&attachments), logged(&attachments));
    let make_events = || {
        log::info!(logger: logger, target: "record", session_id = "visitor"; "");
        info_span!("span", session_id = "visitor").in_scope(|| info!(name: "event", ""));
        info!(name: "own", session_id = SESSION);
    };
    make_events();
    let events = drained(&program.collector, &program.reporter);
    let names: Vec<_> = events.iter().map(|event| event.event_name.as_str()).collect();
    assert_eq!(names, ["record", "span.start", "event", "span.stop", "own"]);
    for event in &events[..4] {
        assert_eq!(data(event)["metadata"]["session_id"], "visitor", "{event:?}");
    }
    assert_eq!(data(&events[4])["metadata"]["session_id"], Value::Null, "{:?}", events[4]);

    let visitor = Reporter::builder(config(&other.collector), "visitor").enabled(true).start().unwrap();
    attachments.add(&visitor, EventFilter::new(["record", "event"]));
    make_events();
    assert_eq!(program.forwarded()[5..], ["own"]);
    let events = drained(&other.collector, &visitor);
    let names: Vec<_> = events.iter().map(|event| event.event_name.as_str()).collect();
    assert_eq!(names, ["record", "event"]);
    assert!(events.iter().all(|event| data(event)["metadata"]["session_id"] == Value::Null), "{events:?}");
}

#[test]
fn a_disabled_reporter_accepts_nothing() {
    let attachments = Attachments::everything(&Reporter::disabled());
    let (_traced, logger) = (traced(&attachments), logged(&attachments));
    log::info!(logger: logger, target: "record", "");
    info_span!("span").in_scope(|| info!(name: "event", ""));
    assert_eq!(attachments.detach("tinker-telemetry"), Ok(()));
}
