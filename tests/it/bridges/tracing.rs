//! Keeps the bridge from `tracing`: the session's events and spans are forwarded, other layers see the same as without
//! the bridge, and events that the reporter itself causes are never forwarded.
#![cfg(all(feature = "tracing", feature = "collector"))]

use std::error::Error;
use std::fmt;
use std::io;
use std::panic::catch_unwind;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use tinker_telemetry::bridge::{Attachments, EventFilter, TracingBridge};
use tinker_telemetry::collector::Collector;
use tinker_telemetry::event::{Event, GenericEvent};
use tinker_telemetry::{Reporter, Severity};
use tracing::field::Empty;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{DefaultGuard, set_default};
use tracing::{Span, Subscriber, debug, error, info, info_span, trace, trace_span, warn, warn_span};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

use super::data;
use crate::support::{LIMIT, Panics, SESSION, config, drained, session};

/// Another layer. It records what it sees and reads all spans around an event, as a printing layer does.
#[derive(Clone, Default)]
struct Printer(Arc<Mutex<Vec<String>>>);

struct Printed(String);

impl Printer {
    fn printed(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn print(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Printer {
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        span.extensions_mut().insert(Printed(String::new()));
        self.print(format!("+{}", span.name()));
    }

    fn on_record(&self, id: &Id, _: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        span.extensions_mut().get_mut::<Printed>().unwrap().0.push('!');
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        for span in context.event_scope(event).into_iter().flatten() {
            assert!(span.extensions().get::<Printed>().is_some());
        }
        self.print(event.metadata().target().to_owned());
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.print(format!("-{}", context.span(&id).unwrap().name()));
    }
}

/// A session, and a subscriber of this thread that forwards all events and spans to it.
struct Listener {
    collector: Collector,
    reporter: Reporter,
    attachments: Attachments,
    printer: Printer,
    _default: DefaultGuard,
}

impl Listener {
    fn new() -> Self {
        Self::with_filter(EventFilter::all())
    }

    fn with_filter(filter: EventFilter) -> Self {
        let collector = Collector::start().unwrap();
        let reporter = session(&collector).start().unwrap();
        let attachments = Attachments::new();
        attachments.attach("listener", &reporter, filter).unwrap();
        let printer = Printer::default();
        let subscriber = Registry::default().with(TracingBridge::new(&attachments)).with(printer.clone());
        Self { collector, reporter, attachments, printer, _default: set_default(subscriber) }
    }

    /// Waits until all events are delivered. Returns those of the bridge.
    fn received(&self) -> Vec<GenericEvent> {
        drained(&self.collector, &self.reporter)
    }

    fn received_names(&self) -> Vec<String> {
        self.received().into_iter().map(|event| event.event_name).collect()
    }
}

/// The data without the duration. The duration is only checked against its bounds.
fn without_duration(event: &GenericEvent) -> Value {
    let mut data = data(event);
    let measurements = data["measurements"].as_object_mut().unwrap();
    let duration = measurements.remove("duration").unwrap();
    assert!(Duration::from_nanos(duration.as_u64().unwrap()) < LIMIT);
    data
}

#[test]
fn an_event_of_the_session_is_forwarded() {
    let listener = Listener::new();
    let broken = io::Error::other("broken");
    info!(
        name: "checkpoint.saved", target: "trainer",
        session_id = SESSION, step = 1200_u64, delta = -2_i64, huge = u128::MAX, deep = -1_i128, loss = 0.5, best = true,
        bytes = b"\xffby".as_slice(), path = ?"runs/a", owner = %"me", error = &broken as &(dyn Error + 'static),
        "saved {} of {}", 3, 4
    );
    let received = listener.received();
    assert_eq!((received[0].event_name.as_str(), received[0].severity), ("checkpoint.saved", Severity::Info));
    let body = String::from_utf8(listener.collector.requests()[0].body.clone()).unwrap();
    assert!(body.contains(r#""huge":340282366920938463463374607431768211455,"deep":-1"#), "{body}");
    let mut data = data(&received[0]);
    data["measurements"].as_object_mut().unwrap().remove("huge");
    let expected = json!({
        "measurements": {"step": 1200, "delta": -2, "deep": -1, "loss": 0.5},
        "metadata": {
            "message": "saved 3 of 4", "best": true, "bytes": "\u{fffd}by", "path": "\"runs/a\"", "owner": "me",
            "error": "broken",
        },
    });
    assert_eq!(data, expected);
}

#[test]
fn an_event_without_a_name_has_its_target_as_name() {
    let listener = Listener::new();
    info!(session_id = SESSION);
    info!(target: "checkpoint.saved", session_id = SESSION);
    info!(name: "given", target: "checkpoint.saved", session_id = SESSION);
    info!(name: "event of note", session_id = SESSION);
    let expected = ["it::bridges::tracing", "checkpoint.saved", "given", "event of note"];
    assert_eq!(listener.received_names(), expected);
}

#[test]
fn the_level_is_the_severity_and_an_exception_is_an_error() {
    use Severity::{Debug, Error, Info, Warning};
    let listener = Listener::new();
    error!(session_id = SESSION);
    warn!(session_id = SESSION);
    info!(session_id = SESSION);
    debug!(session_id = SESSION);
    trace!(session_id = SESSION);
    trace!(name: "request.exception", session_id = SESSION);
    drop(warn_span!("slow", session_id = SESSION));
    drop(trace_span!("quick", session_id = SESSION, error = "no answer"));
    let severities: Vec<_> = listener.received().iter().map(|event| event.severity).collect();
    assert_eq!(severities, [Error, Warning, Info, Debug, Debug, Error, Warning, Warning, Debug, Error]);
}

#[test]
fn an_event_belongs_to_the_nearest_session_around_it() {
    let listener = Listener::with_filter(EventFilter::new(["e*"]));
    let others = Collector::start().unwrap();
    let other = Reporter::builder(config(&others), "session-0002").enabled(true).start().unwrap();
    listener.attachments.attach("other", &other, EventFilter::new(["e*"])).unwrap();
    info!(name: "e0", "without a session");
    let outer = info_span!("outer", session_id = SESSION).entered();
    info!(name: "e1", "of the session of its span");
    let inner = info_span!("inner").entered();
    info!(name: "e2", "of the session of the outer span");
    info!(name: "e3", session_id = "session-0002", "of its own session");
    info!(name: "e4", parent: None, "outside all spans");
    let innermost = info_span!("innermost", session_id = "session-0002").entered();
    info!(name: "e5", "of the session of the nearest span");
    info!(name: "e6", parent: &*inner, "of the session of its parent");
    drop(innermost);
    info!(name: "e7", "of the session of the outer span again");
    drop((inner, outer));
    info!(name: "e8", "without a session");
    assert_eq!(listener.received_names(), ["e1", "e2", "e6", "e7"]);
    let received = drained(&others, &other);
    let names: Vec<_> = received.iter().map(|event| event.event_name.as_str()).collect();
    assert_eq!(names, ["e3", "e5"]);
}

#[test]
fn a_session_id_that_is_recorded_later_applies_to_later_events() {
    let listener = Listener::new();
    let outer = info_span!("outer", session_id = Empty).entered();
    let inner = info_span!("inner").entered();
    info!(name: "early", "");
    outer.record("session_id", SESSION);
    info!(name: "later", "");
    drop((inner, outer));
    assert_eq!(listener.received_names(), ["later", "inner.stop", "outer.stop"]);
}

#[test]
fn an_empty_session_id_leaves_a_span_in_the_session_around_it() {
    let listener = Listener::with_filter(EventFilter::new(["e*"]));
    let _outer = info_span!("outer", session_id = SESSION).entered();
    let inner = info_span!("inner", session_id = Empty).entered();
    info!(name: "e1", "");
    inner.record("session_id", "session-0002");
    info!(name: "e2", "");
    assert_eq!(listener.received_names(), ["e1"]);
}

#[test]
fn a_session_id_is_compared_by_its_text() {
    let ids = ["7", "-7", "340282366920938463463374607431768211455", "2.5", "true", "by", "a \"b\"", "plain"];
    let listener = Listener::new();
    let start = |id: &&str| {
        let reporter = Reporter::builder(config(&listener.collector), *id).enabled(true).start().unwrap();
        listener.attachments.attach(*id, &reporter, EventFilter::all()).unwrap();
        reporter
    };
    let reporters: Vec<_> = ids.iter().map(start).collect();
    macro_rules! report {
        ($id:expr) => {
            info!(session_id = $id);
            info_span!("span", session_id = $id).in_scope(|| info!("in it"));
        };
    }
    report!(7_u64);
    report!(-7_i64);
    report!(u128::MAX);
    report!(2.5);
    report!(true);
    report!(b"by".as_slice());
    report!(tracing::field::debug("a \"b\""));
    report!(tracing::field::display("plain"));
    for (reporter, id) in reporters.iter().zip(ids) {
        assert!(reporter.wait_until_drained(LIMIT));
        assert_eq!(reporter.stats().offered, 5, "{id}: its start, two events, and a span's start and stop");
    }
    assert_eq!(listener.received().len(), 4 * ids.len());
}

#[test]
fn a_span_is_reported_at_its_start_and_its_close() {
    let listener = Listener::with_filter(EventFilter::default());
    let around = info_span!("training", session_id = SESSION, run = "a").entered();
    let request = info_span!(
        "tinkex.http.request", method = "POST", attempt = 1, status = Empty, kind = ?Some(1), duration = 5, ok = false
    );
    request.in_scope(|| info!("its name is not in the filter"));
    request.record("status", 200);
    request.record("attempt", 2);
    request.record("ok", true);
    drop(request);
    drop(around);
    let received = listener.received();
    let names: Vec<_> = received.iter().map(|event| event.event_name.as_str()).collect();
    assert_eq!(names, ["tinkex.http.request.start", "tinkex.http.request.stop"]);
    let expected = json!({
        "measurements": {"attempt": 1, "duration": 5},
        "metadata": {"method": "POST", "kind": "Some(1)", "ok": false, "run": "a"},
    });
    assert_eq!(data(&received[0]), expected);
    let expected = json!({
        "measurements": {"attempt": 2, "status": 200},
        "metadata": {"method": "POST", "kind": "Some(1)", "ok": true, "run": "a"},
    });
    assert_eq!(without_duration(&received[1]), expected);
    let printed = listener.printer.printed();
    let others =
        ["+training", "+tinkex.http.request", "it::bridges::tracing", "-tinkex.http.request", "-training"];
    assert_eq!(printed, others);
}

#[test]
fn a_span_with_a_recorded_error_closes_as_an_exception() {
    let listener = Listener::new();
    let broken = io::Error::other("broken");
    let broken = &broken as &(dyn Error + 'static);
    let span = || info_span!("request", session_id = SESSION, error = Empty, cause = Empty);
    drop(span());
    span().record("error", "it broke");
    span().record("error", tracing::field::display("it broke"));
    span().record("cause", broken);
    span().record("error", false);
    span().record("cause", "a text is not an error");
    drop(info_span!("request", session_id = SESSION, error = broken));
    let stops: Vec<_> =
        listener.received().into_iter().filter(|event| event.event_name != "request.start").collect();
    let seen: Vec<_> = stops
        .iter()
        .map(|event| (event.event_name.as_str(), event.severity, without_duration(event)["metadata"].clone()))
        .collect();
    let (stop, exception) = ("request.stop", "request.exception");
    let expected = [
        (stop, Severity::Info, json!({})),
        (exception, Severity::Error, json!({"error": "it broke"})),
        (exception, Severity::Error, json!({"error": "it broke"})),
        (exception, Severity::Error, json!({"cause": "broken"})),
        (stop, Severity::Info, json!({"error": false})),
        (stop, Severity::Info, json!({"cause": "a text is not an error"})),
        (exception, Severity::Error, json!({"error": "broken"})),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_span_that_a_panic_closes_closes_as_an_exception() {
    let listener = Listener::new();
    let work =
        || info_span!("work", session_id = SESSION).in_scope(|| panic!("in the span, as the test wants it"));
    catch_unwind(work).unwrap_err();
    drop(info_span!("work", session_id = SESSION));
    let events = listener.received();
    let names: Vec<_> = events.iter().map(|event| event.event_name.as_str()).collect();
    assert_eq!(names, ["work.start", "work.exception", "work.start", "work.stop"]);
    assert_eq!(events[1].severity, Severity::Error);
}

#[test]
fn the_duration_of_a_span_is_from_its_start_to_its_close() {
    let listener = Listener::new();
    let before = std::time::Instant::now();
    let span = info_span!("wait", session_id = SESSION);
    let made = std::time::Instant::now();
    while made.elapsed() < Duration::from_millis(5) {
        std::hint::spin_loop();
    }
    drop(span);
    let upper_bound = before.elapsed();
    let nanoseconds = listener.received()[1].event_data["measurements"]["duration"].as_u64().unwrap();
    assert!(
        (Duration::from_millis(5)..=upper_bound).contains(&Duration::from_nanos(nanoseconds)),
        "{nanoseconds}"
    );
}

#[test]
fn a_span_may_close_on_another_thread() {
    let listener = Listener::new();
    let span = info_span!("task", session_id = SESSION);
    let dispatch = tracing::dispatcher::get_default(Clone::clone);
    thread::scope(|scope| {
        scope.spawn(|| {
            tracing::dispatcher::with_default(&dispatch, || span.in_scope(|| info!(name: "in it", "")));
        });
    });
    thread::spawn(move || drop(span)).join().unwrap();
    assert_eq!(listener.received_names(), ["task.start", "in it", "task.stop"]);
}

#[test]
fn attachments_may_come_and_go_within_a_span() {
    let listener = Listener::new();
    let first = info_span!("first", session_id = SESSION).entered();
    listener.attachments.detach("listener").unwrap();
    let second = info_span!("second").entered();
    info!(name: "no attachment", "");
    listener.attachments.attach("listener", &listener.reporter, EventFilter::all()).unwrap();
    info!(name: "attached again", "");
    drop((second, first));
    assert_eq!(listener.received_names(), ["first.start", "attached again", "first.stop"]);
}

#[test]
fn a_bridge_does_not_keep_a_session_alive() {
    let Listener { collector, reporter, printer, _default, .. } = Listener::new();
    let span = info_span!("span", session_id = SESSION).entered();
    drop(reporter);
    assert_eq!(collector.events().last().map(Event::name), Some("SESSION_END"));
    info!("late");
    drop(span);
    assert_eq!(collector.events().len(), 3, "the session's start, the span's start, the session's end");
    assert_eq!(printer.printed().len(), 3);
}

#[test]
fn events_of_this_crate_and_of_the_http_client_are_not_forwarded() {
    let listener = Listener::new();
    let around = info_span!("around", session_id = SESSION).entered();
    error!(name: "given", target: "ureq", "");
    error!(target: "ureq_proto::client", session_id = SESSION);
    error!(target: "rustls::conn", session_id = SESSION);
    error!(target: "tinker_telemetry::worker", session_id = SESSION);
    let below = info_span!(target: "rustls::conn", "handshake").entered();
    info!(name: "ours", "");
    drop((below, around));
    assert_eq!(listener.received_names(), ["around.start", "ours", "around.stop"]);
    assert_eq!(listener.printer.printed().len(), 9);
}

#[test]
fn an_event_made_while_data_is_serialised_is_not_forwarded() {
    struct EmitsInside;
    impl Serialize for EmitsInside {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            info!(session_id = SESSION);
            info_span!("span", session_id = SESSION, later = Empty).in_scope(|| {
                Span::current().record("later", 1);
            });
            serializer.serialize_u64(1)
        }
    }
    let listener = Listener::new();
    assert!(listener.reporter.log("outside", EmitsInside, Severity::Info));
    assert_eq!(listener.received_names(), ["outside"]);
    assert_eq!(listener.printer.printed(), ["it::bridges::tracing", "+span", "-span"]);
    assert_eq!(listener.reporter.stats().refused.total(), 0);
}

#[test]
fn an_event_inside_an_event_or_a_span_reaches_other_layers_and_does_not_recurse() {
    struct EmitsInside;
    impl fmt::Debug for EmitsInside {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            info!(target: "inside", session_id = ?EmitsInside, "{:?}", EmitsInside);
            f.write_str(SESSION)
        }
    }
    let listener = Listener::new();
    info!(name: "id", session_id = ?EmitsInside);
    info!(name: "value", session_id = SESSION, value = ?EmitsInside, "{:?}", EmitsInside);
    let span = info_span!("span", session_id = ?EmitsInside, value = ?EmitsInside, later = Empty).entered();
    span.record("later", tracing::field::debug(EmitsInside));
    drop(span);
    assert_eq!(listener.received_names(), ["id", "value", "span.start", "span.stop"]);
    let received = listener.received();
    assert_eq!(data(&received[1])["metadata"], json!({"value": SESSION, "message": SESSION}));
    assert_eq!(without_duration(&received[3])["metadata"], json!({"value": SESSION, "later": SESSION}));
    let printed = listener.printer.printed();
    let outer: Vec<_> = printed.iter().filter(|what| *what != "inside").collect();
    assert_eq!(outer, ["it::bridges::tracing", "it::bridges::tracing", "+span", "-span"]);
    assert_eq!(listener.reporter.stats().refused.total(), 0);
}

#[test]
fn only_the_text_of_a_value_that_panics_is_lost() {
    let listener = Listener::new();
    info!(name: "value", session_id = SESSION, bad = %Panics, good = 1, "{}", Panics);
    info!(name: "id", session_id = %Panics, "of an unknown session");
    let span = info_span!("span", session_id = SESSION, bad = %Panics, later = Empty);
    span.record("later", tracing::field::display(Panics));
    drop(span);
    drop(info_span!("unknown", session_id = %Panics));
    let received = listener.received();
    let panicked = "(panicked while formatting)";
    let expected = json!({
        "measurements": {"good": 1}, "metadata": {"message": panicked, "bad": panicked}
    });
    assert_eq!(data(&received[0]), expected);
    assert_eq!(without_duration(&received[2])["metadata"], json!({"bad": panicked, "later": panicked}));
    assert_eq!(received.len(), 3);
    let printed = listener.printer.printed();
    assert_eq!(
        printed,
        ["it::bridges::tracing", "it::bridges::tracing", "+span", "-span", "+unknown", "-unknown"]
    );
}

#[test]
fn fields_with_the_names_of_our_fields_do_not_replace_ours() {
    let listener = Listener::new();
    info!(
        name: "names", session_id = SESSION, measurements = 1, metadata = "m", inner.session_id = 1, message = "field",
        nan = f64::NAN
    );
    let expected = json!({
        "measurements": {"measurements": 1, "inner.session_id": 1, "nan": null},
        "metadata": {"metadata": "m", "message": "field"},
    });
    assert_eq!(data(&listener.received()[0]), expected);
}

#[test]
fn a_bridge_that_is_installed_twice_forwards_twice() {
    let listener = Listener::new();
    let bridge = TracingBridge::new(&listener.attachments);
    let subscriber = Registry::default().with(bridge.clone()).with(listener.printer.clone()).with(bridge);
    let _default = set_default(subscriber);
    info_span!("span", session_id = SESSION, error = "a").in_scope(|| info!(name: "event", ""));
    let names = listener.received_names();
    let expected = ["span.start", "span.start", "event", "event", "span.exception", "span.exception"];
    assert_eq!(names, expected);
    assert_eq!(listener.printer.printed(), ["+span", "it::bridges::tracing", "-span"]);
}

#[test]
fn a_filter_around_the_bridge_hides_the_other_events_from_it() {
    let listener = Listener::new();
    let filtered = TracingBridge::new(&listener.attachments).with_filter(LevelFilter::INFO);
    let _default = set_default(Registry::default().with(filtered).with(listener.printer.clone()));
    let _outer = info_span!("outer", session_id = SESSION).entered();
    let _hidden = trace_span!("hidden", session_id = "session-0002").entered();
    info!(name: "event", "");
    debug!(name: "detail", "");
    assert_eq!(listener.received_names(), ["outer.start", "event"]);
}
