//! Keeps the bridge from `tracing` in the global subscriber of the process, where `log` records arrive as `tracing`
//! events.
#![cfg(all(feature = "tracing", feature = "collector"))]

#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use support::{LIMIT, SESSION, data, drained, session};
use tinker_telemetry::Severity;
use tinker_telemetry::bridge::{Attachments, EventFilter, TracingBridge};
use tinker_telemetry::collector::Collector;
use tracing::subscriber::set_global_default;
use tracing::{Subscriber, info_span};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;

/// Another layer. It counts the events.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicUsize>);

impl<S: Subscriber> Layer<S> for Counter {
    fn on_event(&self, _: &tracing::Event<'_>, _: Context<'_, S>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn log_records_that_become_events_are_forwarded_with_their_own_target() {
    let collector = Collector::start().unwrap();
    let reporter = session(&collector).start().unwrap();
    let attachments = Attachments::new();
    attachments.attach("listener", &reporter, EventFilter::all()).unwrap();
    let counter = Counter::default();
    let bridge = TracingBridge::new(&attachments);
    set_global_default(Registry::default().with(bridge.clone()).with(counter.clone())).unwrap();
    assert!(set_global_default(Registry::default().with(bridge)).is_err(), "the process has a subscriber");
    tracing_log::LogTracer::init_with_filter(log::LevelFilter::Trace).unwrap();

    let around = info_span!("around", session_id = SESSION).entered();
    let line = line!() + 1;
    log::warn!(target: "trainer", "slow");
    let before = counter.0.load(Ordering::Relaxed);
    // A request of the program itself: the client logs at TRACE within the session's span.
    let agent = ureq::Agent::config_builder().timeout_global(Some(LIMIT)).build().new_agent();
    agent.post(collector.url()).send("{}").unwrap();
    assert!(counter.0.load(Ordering::Relaxed) > before, "other layers see the events of the client");
    collector.take_events(); // this request was not a report

    drop(around);
    let received = drained(&collector, &reporter);
    let names: Vec<_> = received.iter().map(|event| event.event_name.as_str()).collect();
    assert_eq!(names, ["around.start", "trainer", "around.stop"]);
    assert_eq!(received[1].severity, Severity::Warning);
    let mut data = data(&received[1]);
    let origin = data.as_object_mut().unwrap().remove("origin").unwrap();
    assert_eq!(data, json!({"measurements": {}, "metadata": {"message": "slow"}}));
    assert_eq!(
        (&origin["target"], &origin["file"]),
        (&json!("trainer"), &json!(file!())),
        "target and file are those of the record"
    );
    assert_eq!((&origin["line"], &origin["spans"]), (&json!(line), &json!(["around"])));
}
