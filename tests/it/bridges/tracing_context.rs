//! Keeps the context of the events from `tracing`: an event has its place in the code, its spans and, within bounds,
//! the fields of those spans. A span that failed closes as an exception.
#![cfg(all(feature = "tracing", feature = "collector"))]

use std::sync::{Barrier, OnceLock};
use std::{iter, thread};

use serde_json::{Value, json};
use tinker_telemetry::bridge::{Attachments, EventFilter, TracingBridge};
use tinker_telemetry::collector::Collector;
use tinker_telemetry::event::GenericEvent;
use tinker_telemetry::{Builder, Reporter, Severity};
use tracing::callsite::Callsite;
use tracing::field::{Empty, FieldSet};
use tracing::metadata::Kind;
use tracing::subscriber::{DefaultGuard, Interest, set_default};
use tracing::{Level, Metadata, Span, error, info, info_span, instrument, warn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;

use super::data;
use crate::support::{SESSION, drained, session};

struct Listener {
    collector: Collector,
    reporter: Reporter,
    attachments: Attachments,
    _default: DefaultGuard,
}

impl Listener {
    fn new() -> Self {
        Self::with_filter_and_settings(EventFilter::all(), |builder| builder)
    }

    fn with_filter_and_settings(filter: EventFilter, set: impl FnOnce(Builder) -> Builder) -> Self {
        let collector = Collector::start().unwrap();
        let reporter = set(session(&collector)).start().unwrap();
        let attachments = Attachments::new();
        attachments.attach("listener", &reporter, filter).unwrap();
        let default = set_default(Registry::default().with(TracingBridge::new(&attachments)));
        Self { collector, reporter, attachments, _default: default }
    }

    fn received(&self) -> Vec<GenericEvent> {
        drained(&self.collector, &self.reporter)
    }

    /// The only event of this name.
    fn event(&self, name: &str) -> GenericEvent {
        let mut events: Vec<_> =
            self.received().into_iter().filter(|event| event.event_name == name).collect();
        assert_eq!(events.len(), 1, "{name}");
        events.remove(0)
    }
}

fn origin(event: &GenericEvent) -> &Value {
    &event.event_data["origin"]
}

fn id(event: &GenericEvent) -> u64 {
    origin(event)["span_id"].as_u64().unwrap()
}

#[test]
fn an_event_has_its_place_in_the_code() {
    let listener = Listener::new();
    let dispatch = tracing::dispatcher::get_default(Clone::clone);
    #[rustfmt::skip]
    let (line, make) = (line!(), || info!(name: "made", target: "trainer", session_id = SESSION)); // the place of the event is this line
    let make = move || tracing::dispatcher::with_default(&dispatch, make);
    thread::Builder::new().name("sampler".to_owned()).spawn(make).unwrap().join().unwrap();
    let expected = json!({"target": "trainer", "file": file!(), "line": line, "thread": "sampler"});
    assert_eq!(*origin(&listener.event("made")), expected);
}

#[test]
fn an_event_has_its_own_fields_and_those_of_its_spans_and_the_inner_field_takes_precedence() {
    let listener = Listener::with_filter_and_settings(EventFilter::new(["event"]), |builder| builder);
    let outer =
        info_span!("outer", session_id = SESSION, run = "a", step = 1, shared = "outer", own = "outer")
            .entered();
    let inner = info_span!("inner", request = 7, shared = 2, later = Empty).entered();
    inner.record("later", "recorded");
    warn!(name: "event", own = 3, "in child");
    drop((inner, outer));
    let event = listener.event("event");
    let expected = json!({
        "measurements": {"own": 3, "request": 7, "shared": 2, "step": 1},
        "metadata": {"message": "in child", "later": "recorded", "run": "a"},
    });
    assert_eq!(data(&event), expected);
    assert_eq!(origin(&event)["spans"], json!(["outer", "inner"]));
}

#[test]
fn span_ids_connect_starts_stops_children_and_events() {
    let listener = Listener::new();
    let together = Barrier::new(2);
    let dispatch = tracing::dispatcher::get_default(Clone::clone);
    let serve = |path: &str| {
        tracing::dispatcher::with_default(&dispatch, || {
            let _request = info_span!("request", session_id = SESSION, path).entered();
            together.wait();
            info_span!("query").in_scope(|| info!(name: "event", ""));
            together.wait();
        });
    };
    thread::scope(|scope| {
        scope.spawn(|| serve("/a"));
        scope.spawn(|| serve("/b"));
    });
    let events = listener.received();
    assert_eq!(events.len(), 10);
    let ids = ["/a", "/b"].map(|path| {
        let of_path = events.iter().filter(|event| data(event)["metadata"]["path"] == path);
        let of_path: Vec<_> = of_path.collect();
        let names: Vec<_> = of_path.iter().map(|event| event.event_name.as_str()).collect();
        assert_eq!(names, ["request.start", "query.start", "event", "query.stop", "request.stop"]);
        let [request, query] = [id(of_path[0]), id(of_path[1])];
        assert_eq!(
            of_path.iter().map(|event| id(event)).collect::<Vec<_>>(),
            [request, query, query, query, request]
        );
        let parents = of_path.iter().map(|event| origin(event)["parent_span_id"].as_u64());
        assert_eq!(parents.collect::<Vec<_>>(), [None, Some(request), Some(request), Some(request), None]);
        let spans = of_path.iter().map(|event| origin(event)["spans"].clone());
        let none = Value::Null;
        let request_only = json!(["request"]);
        let expected = [none.clone(), request_only.clone(), json!(["request", "query"]), request_only, none];
        assert_eq!(spans.collect::<Vec<_>>(), expected);
        [request, query]
    });
    let [[a, b], [c, d]] = ids;
    assert!(a != b && c != d && a != c && a != d && b != c && b != d, "{ids:?}");
}

#[test]
fn two_bridges_give_a_span_the_same_id() {
    let listener = Listener::new();
    let bridge = TracingBridge::new(&listener.attachments);
    let second = Attachments::new();
    second.attach("second", &listener.reporter, EventFilter::new(["span.*"])).unwrap();
    let subscriber = Registry::default().with(bridge).with(TracingBridge::new(&second));
    let _default = set_default(subscriber);
    drop(info_span!("span", session_id = SESSION, text = "kept"));
    let events = listener.received();
    assert_eq!(events.len(), 4);
    assert!(events.iter().all(|event| id(event) == id(&events[0])), "{events:?}");
    assert!(events.iter().all(|event| data(event)["metadata"] == json!({"text": "kept"})), "{events:?}");
}

#[test]
fn a_span_around_the_session_adds_its_name_to_the_events_and_no_fields() {
    let listener = Listener::new();
    let _program = info_span!("program", version = 1).entered();
    let _request = info_span!("request", session_id = SESSION).entered();
    info!(name: "event", "");
    let event = listener.event("event");
    assert_eq!(origin(&event)["spans"], json!(["program", "request"]));
    assert_eq!(data(&event)["measurements"], json!({}));
}

#[instrument(name = "fails", fields(session_id = SESSION), err)]
fn fails(reason: &'static str) -> Result<(), &'static str> {
    Err(reason)
}

#[instrument(name = "fails", fields(session_id = SESSION), err(Debug, level = Level::DEBUG))]
fn fails_at_debug_level() -> Result<(), &'static str> {
    Err("quietly")
}

#[instrument(name = "recovers", fields(session_id = SESSION), err)]
fn recovers() -> Result<(), &'static str> {
    error!(error = "connection closed", "retrying");
    error!(error = Empty);
    Ok(())
}

#[test]
fn a_function_that_returns_an_error_closes_its_span_as_an_exception() {
    let listener =
        Listener::with_filter_and_settings(EventFilter::new(["fails.*", "recovers.*"]), |builder| builder);
    fails("it broke").unwrap_err();
    fails_at_debug_level().unwrap_err();
    recovers().unwrap();
    let events = listener.received();
    let seen: Vec<_> = events
        .iter()
        .map(|event| (event.event_name.as_str(), event.severity, data(event)["metadata"]["error"].clone()))
        .collect();
    let expected = [
        ("fails.start", Severity::Info, Value::Null),
        ("fails.exception", Severity::Error, json!("it broke")),
        ("fails.start", Severity::Info, Value::Null),
        ("fails.exception", Severity::Error, json!("\"quietly\"")),
        ("recovers.start", Severity::Info, Value::Null),
        ("recovers.stop", Severity::Info, Value::Null),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn an_error_in_a_child_span_does_not_affect_the_parent() {
    let listener = Listener::with_filter_and_settings(EventFilter::new(["parent.*"]), |builder| builder);
    info_span!("parent", session_id = SESSION).in_scope(|| fails("it broke").unwrap_err());
    assert_eq!(listener.event("parent.stop").severity, Severity::Info);
}

#[test]
fn deep_nesting_keeps_the_innermost_spans() {
    let listener = Listener::with_filter_and_settings(EventFilter::new(["event"]), |builder| builder);
    let _session = info_span!("session", session_id = SESSION, outermost = 1).entered();
    let mut spans: Vec<_> = (0..10_000).map(|depth| info_span!("deeper", depth).entered()).collect();
    info!(name: "event", "");
    let event = listener.event("event");
    assert_eq!(origin(&event)["spans"], json!(vec!["deeper"; 16]));
    assert_eq!(data(&event)["measurements"], json!({"depth": 9_999}));
    while spans.pop().is_some() {} // close them from the innermost to the outermost
}

#[test]
fn long_texts_of_the_spans_around_an_event_are_cut_to_a_common_limit() {
    let listener = Listener::with_filter_and_settings(EventFilter::new(["event"]), |builder| builder);
    let text = "\u{1}".repeat(100_000); // six bytes per character as JSON
    let _session = info_span!("session", session_id = SESSION, outermost = 1).entered();
    let text = text.as_str();
    let outer = info_span!(
        "outer",
        a = text,
        b = text,
        c = text,
        d = text,
        e = text,
        f = text,
        g = text,
        h = text,
        i = text
    );
    let _outer = outer.entered();
    let inner = info_span!(
        "inner",
        j = text,
        k = text,
        l = text,
        m = text,
        n = text,
        o = text,
        p = text,
        q = text,
        r = text
    );
    let _inner = inner.entered();
    info!(name: "event", own = "own");
    let event = listener.event("event");
    let metadata = data(&event)["metadata"].clone();
    assert_eq!(metadata["own"], "own");
    for cut in ["j", "r", "a"] {
        assert!(metadata[cut].as_str().is_some_and(|text| text.ends_with("… (cut)")), "{cut}: {metadata}");
    }
    assert_eq!(metadata["i"], Value::Null, "the field of the outer span has no room");
    assert_eq!(data(&event)["measurements"], json!({"outermost": 1}), "a small field still fits");
    let bytes = serde_json::to_string(&metadata).unwrap().len();
    assert!((15 * 1024..16 * 1024).contains(&bytes), "{bytes}");
}

#[test]
fn long_texts_of_a_reported_span_are_cut_to_a_common_limit() {
    let listener =
        Listener::with_filter_and_settings(EventFilter::all(), |builder| builder.max_event_bytes(300 * 1024));
    let text = "x".repeat(200_000);
    let span = info_span!("span", session_id = SESSION, a = text, b = text, c = text, d = Empty, e = 1);
    span.record("d", &text);
    span.record("a", "short");
    span.record("d", &text);
    drop(span);
    let events = listener.received();
    let lengths = |event: &GenericEvent| {
        let metadata = data(event)["metadata"].clone();
        ["a", "b", "c", "d"].map(|name| metadata[name].as_str().map(str::len))
    };
    let max = 256 * 1024;
    assert_eq!(lengths(&events[0]), [Some(200_000), Some(max - 200_000), Some(0), None]);
    let room_of_d = max - (max - 200_000) - "short".len();
    assert_eq!(lengths(&events[1]), [Some(5), Some(max - 200_000), Some(0), Some(room_of_d.min(200_000))]);
    assert_eq!(data(&events[1])["measurements"]["e"], 1);
    assert_eq!(listener.reporter.stats().refused.total(), 0);
}

#[test]
fn a_small_event_limit_leaves_out_fields_of_the_spans_and_refuses_no_event() {
    let listener = Listener::with_filter_and_settings(EventFilter::new(["event"]), |builder| {
        builder.max_event_bytes(1_000)
    });
    let text = "x".repeat(900);
    let _outer = info_span!("outer", session_id = SESSION, text, near = 1).entered();
    info!(name: "event", own = &text[..800]);
    let event = listener.event("event");
    assert_eq!(
        Value::Object(event.event_data),
        json!({"measurements": {"near": 1}, "metadata": {"own": &text[..800]}})
    );
    assert_eq!(listener.reporter.stats().refused.total(), 0);
}

const MANY: usize = 10_000;

/// A span with more fields than a macro allows.
struct ManyFields;

static MANY_FIELDS: ManyFields = ManyFields;

impl ManyFields {
    fn metadata_of_span() -> &'static Metadata<'static> {
        static METADATA: OnceLock<Metadata<'static>> = OnceLock::new();
        METADATA.get_or_init(|| {
            let names = (0..MANY).map(|number| &*format!("field_{number:04}").leak());
            let names: &[&str] = iter::once("session_id").chain(names).collect::<Vec<_>>().leak();
            let fields = FieldSet::new(names, tracing::callsite::Identifier(&MANY_FIELDS));
            let (file, module) = (Some(file!()), Some(module_path!()));
            Metadata::new("many", "many", Level::INFO, file, Some(line!()), module, fields, Kind::SPAN)
        })
    }
}

impl Callsite for ManyFields {
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        Self::metadata_of_span()
    }
}

#[test]
fn only_some_of_ten_thousand_fields_of_a_span_are_reported() {
    let listener = Listener::new();
    let metadata = ManyFields::metadata_of_span();
    let values: Vec<_> = metadata
        .fields()
        .iter()
        .map(|field| if field.name() == "session_id" { (field, SESSION) } else { (field, "value") })
        .collect();
    let values: Vec<_> =
        values.iter().map(|(field, value)| (field, Some(value as &dyn tracing::Value))).collect();
    let values: Box<[_; MANY + 1]> = values.try_into().ok().unwrap();
    let span = Span::new(metadata, &metadata.fields().value_set(&*values)).entered();
    info!(name: "event", "");
    drop(span);
    let events = listener.received();
    let counts: Vec<_> = events
        .iter()
        .map(|event| {
            let data = data(event);
            (event.event_name.as_str(), data["metadata"].as_object().unwrap().len())
        })
        .collect();
    // The event has one more field: its message.
    assert_eq!(counts, [("many.start", 128), ("event", 65), ("many.stop", 128)]);
    assert_eq!(listener.reporter.stats().refused.total(), 0);
}
