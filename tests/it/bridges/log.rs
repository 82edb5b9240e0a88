//! Keeps the bridge from `log`: the session's records become events, the wrapped logger gets every record, and records
//! that the reporter itself causes never become events.
#![cfg(all(feature = "log", feature = "collector"))]

use std::fmt::{self, Display};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;

use log::kv::{self, Key, Source, VisitSource};
use log::{Level, LevelFilter, Log, Metadata, Record};
use serde::{Serialize, Serializer};
use serde_json::json;
use tinker_telemetry::bridge::{AttachError, Attachments, EventFilter, LogBridge};
use tinker_telemetry::collector::Collector;
use tinker_telemetry::event::{Event, GenericEvent};
use tinker_telemetry::{Reporter, Severity};

use super::data;
use crate::support::{LIMIT, Panics, SESSION, config, drained, session};

/// Enables all levels of the process. The macros check this level for every logger.
fn enable_all_levels() {
    log::set_max_level(LevelFilter::Trace);
}

/// A logger that records the targets of its records.
#[derive(Clone, Default)]
struct Printer(Arc<Mutex<Vec<String>>>);

impl Printer {
    fn printed(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Log for Printer {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false // the bridge passes it every record all the same, and it filters by itself
    }

    fn log(&self, record: &Record<'_>) {
        self.0.lock().unwrap().push(record.target().to_owned());
    }

    fn flush(&self) {
        self.0.lock().unwrap().push("flushed".to_owned());
    }
}

/// A session, and a bridge that forwards all records to it and wraps a printer.
struct Listener {
    collector: Collector,
    reporter: Reporter,
    attachments: Attachments,
    printer: Printer,
    bridge: LogBridge<Printer>,
}

impl Listener {
    fn new() -> Self {
        Self::with_filter(EventFilter::all())
    }

    fn with_filter(filter: EventFilter) -> Self {
        enable_all_levels();
        let collector = Collector::start().unwrap();
        let reporter = session(&collector).start().unwrap();
        let attachments = Attachments::new();
        attachments.attach("listener", &reporter, filter).unwrap();
        let printer = Printer::default();
        let bridge = LogBridge::new(printer.clone(), &attachments);
        Self { collector, reporter, attachments, printer, bridge }
    }

    /// Waits until all events are delivered. Returns those of the bridge.
    fn received(&self) -> Vec<GenericEvent> {
        drained(&self.collector, &self.reporter)
    }

    fn received_names(&self) -> Vec<String> {
        self.received().into_iter().map(|event| event.event_name).collect()
    }
}

#[test]
fn a_record_of_the_session_becomes_an_event() {
    let listener = Listener::new();
    let logger = &listener.bridge;
    let path = String::from("runs/a");
    log::info!(
        logger: logger, target: "checkpoint.saved",
        session_id = SESSION, step = 1200, delta = -2_i8, loss = 0.5, best = true, path:?, owner:% = "me", mark = 'x';
        "saved {} of {}", 3, 4
    );
    let received = listener.received();
    assert_eq!(received.len(), 1);
    assert_eq!((received[0].event_name.as_str(), received[0].severity), ("checkpoint.saved", Severity::Info));
    let expected = json!({
        "measurements": {"step": 1200, "delta": -2, "loss": 0.5},
        "metadata": {"message": "saved 3 of 4", "best": true, "path": "\"runs/a\"", "owner": "me", "mark": "x"},
    });
    assert_eq!(data(&received[0]), expected);
}

#[test]
fn the_level_is_the_severity_and_an_exception_is_an_error() {
    let listener = Listener::new();
    let logger = &listener.bridge;
    for level in Level::iter() {
        log::log!(logger: logger, target: "step", level, session_id = SESSION; "");
        log::log!(logger: logger, target: "request.exception", level, session_id = SESSION; "");
    }
    let received = listener.received();
    let severities = |name: &str| {
        let of_name = received.iter().filter(|event| event.event_name == name);
        of_name.map(|event| event.severity).collect::<Vec<_>>()
    };
    use Severity::{Debug, Error, Info, Warning};
    assert_eq!(severities("step"), [Error, Warning, Info, Debug, Debug]);
    assert_eq!(severities("request.exception"), [Error; 5]);
    assert_eq!(
        data(&received[0]),
        json!({"measurements": {}, "metadata": {}}),
        "an empty message is no field"
    );
}

#[test]
fn records_of_another_session_or_of_no_session_are_not_forwarded() {
    let listener = Listener::new();
    let logger = &listener.bridge;
    log::info!(logger: logger, target: "none", step = 1; "without a session");
    log::info!(logger: logger, target: "other", session_id = "session-0002"; "of another session");
    log::info!(logger: logger, target: "longer", session_id = "session-00011"; "of another session");
    log::info!(logger: logger, target: "empty", session_id = ""; "of another session");
    log::info!(logger: logger, target: "null", session_id = kv::Value::null(); "of another session");
    log::info!(logger: logger, target: "nested", data:? = json!({"session_id": SESSION}); "in a nested value");
    log::info!(logger: logger, target: "ours", session_id = SESSION; "ours");
    assert_eq!(listener.received_names(), ["ours"]);
    assert_eq!(listener.printer.printed(), ["none", "other", "longer", "empty", "null", "nested", "ours"]);
    logger.flush();
    assert_eq!(listener.printer.printed().pop().unwrap(), "flushed");
}

#[test]
fn a_session_id_is_compared_by_its_text() {
    enable_all_levels();
    let collector = Collector::start().unwrap();
    let attachments = Attachments::new();
    let ids = ["7", "-7", "340282366920938463463374607431768211455", "2.5", "true", "[98, 121]", "a \"b\""];
    let start = |id: &&str| {
        let reporter = Reporter::builder(config(&collector), *id).enabled(true).start().unwrap();
        attachments.attach(*id, &reporter, EventFilter::all()).unwrap();
        reporter
    };
    let reporters: Vec<_> = ids.iter().map(start).collect();
    let logger = &LogBridge::new(Printer::default(), &attachments);
    log::info!(logger: logger, target: "u64", session_id = 7_u64; "");
    log::info!(logger: logger, target: "i8", session_id = -7_i8; "");
    log::info!(logger: logger, target: "u128", session_id = u128::MAX; "");
    log::info!(logger: logger, target: "f64", session_id = 2.5; "");
    log::info!(logger: logger, target: "bool", session_id = true; "");
    log::info!(logger: logger, target: "bytes", session_id:? = b"by".as_slice(); "");
    log::info!(logger: logger, target: "debug", session_id:? = "a \"b\""; "");
    for (reporter, id) in reporters.iter().zip(ids) {
        assert!(reporter.wait_until_drained(LIMIT));
        assert_eq!(reporter.stats().offered, 2, "{id}: its start and its record");
    }
    let received = drained(&collector, &reporters[0]);
    assert!(
        received.iter().all(|event| data(event) == json!({"measurements": {}, "metadata": {}})),
        "{received:?}"
    );
}

#[test]
fn an_attachment_gets_only_the_names_of_its_filter() {
    let listener = Listener::with_filter(EventFilter::default());
    listener.attachments.attach("sampler", &listener.reporter, EventFilter::new(["sampler::*"])).unwrap();
    let logger = &listener.bridge;
    for target in [
        "http.request.start",
        "http.request.stop",
        "http.request.exception",
        "queue.state_change",
        "http.request",
        "tinkex.http.request.start",
        "tinkex.http.request.stop",
        "tinkex.http.request.exception",
        "tinkex.queue.state_change",
        "tinkex.http.request",
        "tinkex.retry.start",
        "sampler::fast",
        "sampler",
    ] {
        log::info!(logger: logger, target: target, session_id = SESSION; "");
        let metadata = Metadata::builder().target(target).level(Level::Trace).build();
        let is_wanted =
            !["http.request", "tinkex.http.request", "tinkex.retry.start", "sampler"].contains(&target);
        assert_eq!(logger.enabled(&metadata), is_wanted, "{target}");
    }
    let expected = [
        "http.request.start",
        "http.request.stop",
        "http.request.exception",
        "queue.state_change",
        "tinkex.http.request.start",
        "tinkex.http.request.stop",
        "tinkex.http.request.exception",
        "tinkex.queue.state_change",
        "sampler::fast",
    ];
    assert_eq!(listener.received_names(), expected);
}

#[test]
fn a_handler_id_names_one_attachment_until_it_is_detached() {
    let listener = Listener::with_filter(EventFilter::new(["first"]));
    let logger = &listener.bridge;
    let again = listener.attachments.attach("listener", &listener.reporter, EventFilter::all());
    assert_eq!(again, Err(AttachError::AlreadyExists));
    log::info!(logger: logger, target: "first", session_id = SESSION; "");
    log::info!(logger: logger, target: "second", session_id = SESSION; "the first attachment is unchanged");

    assert_eq!(listener.attachments.detach("other"), Err(AttachError::NotFound));
    assert_eq!(listener.attachments.detach("listener"), Ok(()));
    assert_eq!(listener.attachments.detach("listener"), Err(AttachError::NotFound));
    log::info!(logger: logger, target: "first", session_id = SESSION; "no attachment");

    assert_eq!(
        listener.attachments.attach("listener", &listener.reporter, EventFilter::new(["third"])),
        Ok(())
    );
    assert_eq!(listener.attachments.attach("more", &listener.reporter, EventFilter::all()), Ok(()));
    log::info!(logger: logger, target: "third", session_id = SESSION; "two attachments");
    assert_eq!(listener.received_names(), ["first", "third", "third"]);
}

#[test]
fn an_attachment_without_a_handler_id_gets_a_new_one() {
    let listener = Listener::with_filter(EventFilter::new(["first"]));
    let logger = &listener.bridge;
    let second = listener.attachments.add(&listener.reporter, EventFilter::new(["second"]));
    let third = listener.attachments.add(&listener.reporter, EventFilter::new(["third"]));
    assert_ne!(second, third);
    for target in ["first", "second", "third"] {
        log::info!(logger: logger, target: target, session_id = SESSION; "");
    }
    assert_eq!(listener.attachments.detach(&second), Ok(()));
    log::info!(logger: logger, target: "second", session_id = SESSION; "detached");
    assert_eq!(listener.received_names(), ["first", "second", "third"]);
}

#[test]
fn a_new_handler_id_is_never_one_that_the_program_uses() {
    let attachments = Attachments::new();
    let disabled = Reporter::disabled();
    let made = attachments.add(&disabled, EventFilter::all());
    let (stem, number) = made.rsplit_once('-').unwrap();
    let next: u64 = number.parse::<u64>().unwrap() + 1;
    // Other tests use up numbers at the same time, so this takes a hundred of the next ones.
    for number in next..next + 100 {
        attachments.attach(format!("{stem}-{number}"), &disabled, EventFilter::all()).unwrap();
    }
    let made = attachments.add(&disabled, EventFilter::all());
    assert_eq!(attachments.detach(&made), Ok(()));
}

#[test]
fn each_session_gets_its_own_records() {
    let listener = Listener::new();
    let others = Collector::start().unwrap();
    let other = Reporter::builder(config(&others), "session-0002").enabled(true).start().unwrap();
    listener.attachments.attach("other", &other, EventFilter::all()).unwrap();
    let logger = &listener.bridge;
    log::info!(logger: logger, target: "first", session_id = SESSION; "");
    log::info!(logger: logger, target: "second", session_id = "session-0002"; "");
    assert_eq!(listener.received_names(), ["first"]);
    assert_eq!(drained(&others, &other)[0].event_name, "second");
}

#[test]
fn a_bridge_does_not_keep_a_session_alive() {
    let Listener { collector, reporter, attachments, printer, bridge } = Listener::new();
    drop(reporter);
    assert_eq!(collector.events().last().map(Event::name), Some("SESSION_END"));
    log::info!(logger: bridge, target: "late", session_id = SESSION; "");
    assert_eq!(collector.events().len(), 2);
    assert_eq!(printer.printed(), ["late"]);
    assert_eq!(
        attachments.detach("listener"),
        Err(AttachError::NotFound),
        "the attachment ended with its reporter"
    );

    let next = session(&collector).start().unwrap();
    assert_eq!(attachments.attach("listener", &next, EventFilter::all()), Ok(()));
    log::info!(logger: bridge, target: "next", session_id = SESSION; "");
    assert_eq!(drained(&collector, &next)[0].event_name, "next");
}

#[test]
fn a_disabled_reporter_can_be_attached() {
    enable_all_levels();
    let attachments = Attachments::of(&Reporter::disabled());
    let bridge = LogBridge::new(Printer::default(), &attachments);
    log::info!(logger: bridge, target: "tinkex.queue.state_change", session_id = SESSION; "");
    let again = attachments.attach("tinker-telemetry", &Reporter::disabled(), EventFilter::all());
    assert_eq!(again, Err(AttachError::AlreadyExists));
    assert_eq!(attachments.detach("tinker-telemetry"), Ok(()));
}

/// A value that blocks when it is formatted. It sends on one channel, then waits for a message on the other.
struct Blocks(Sender<()>, Mutex<Receiver<()>>);

impl Display for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.send(()).unwrap();
        self.1.lock().unwrap().recv_timeout(LIMIT).unwrap();
        f.write_str("released")
    }
}

#[test]
fn the_drop_of_the_last_clone_waits_while_a_record_is_being_forwarded() {
    let Listener { collector, reporter, bridge, .. } = Listener::new();
    let (formatting, is_formatting) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let slow = Blocks(formatting, Mutex::new(released));
    thread::scope(|scope| {
        let logging = scope.spawn(|| {
            log::info!(logger: bridge, target: "slow", session_id = SESSION, slow:%; "");
        });
        is_formatting.recv_timeout(LIMIT).unwrap();
        drop(reporter);
        assert_eq!(
            collector.events().last().map(Event::name),
            Some("SESSION_END"),
            "the drop waits for the end of the session"
        );
        release.send(()).unwrap();
        logging.join().unwrap();
    });
    assert_eq!(collector.events().len(), 2, "the start and the end: the record is late");
}

#[test]
fn an_attachment_that_comes_and_goes_gets_each_record_once_or_not() {
    let listener = Listener::new();
    let logger = &listener.bridge;
    let (threads, records) = (4, 200);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(move || {
                for step in 0..records {
                    log::info!(logger: logger, target: "always", session_id = SESSION, step; "");
                }
            });
        }
        for _ in 0..records {
            listener.attachments.attach("second", &listener.reporter, EventFilter::new(["always"])).unwrap();
            listener.attachments.detach("second").unwrap();
        }
    });
    let received = listener.received();
    let all = threads * records;
    assert!(
        (all..=2 * all).contains(&received.len()),
        "{}: one event of each record by the first attachment, at most one by the second",
        received.len()
    );
    assert_eq!(listener.printer.printed().len(), all);
}

#[test]
fn records_of_this_crate_and_of_the_http_client_are_not_forwarded() {
    let listener = Listener::new();
    let logger = &listener.bridge;
    let never = ["ureq", "ureq::run", "ureq_proto::client::call", "rustls::conn", "tinker_telemetry::worker"];
    for target in never {
        log::error!(logger: logger, target: target, session_id = SESSION; "");
        assert!(!logger.enabled(&Metadata::builder().target(target).level(Level::Error).build()));
    }
    assert_eq!(listener.received_names(), [""; 0]);
    assert_eq!(listener.printer.printed(), never);
}

#[test]
fn a_record_logged_while_data_is_serialised_is_not_forwarded() {
    struct LogsInside<'a>(&'a LogBridge<Printer>);
    impl Serialize for LogsInside<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            log::info!(logger: self.0, target: "inside", session_id = SESSION; "");
            serializer.serialize_u64(1)
        }
    }
    let listener = Listener::new();
    assert!(listener.reporter.log("outside", LogsInside(&listener.bridge), Severity::Info));
    assert_eq!(listener.received_names(), ["outside"]);
    assert_eq!(listener.printer.printed(), ["inside"]);
    assert_eq!(listener.reporter.stats().refused.total(), 0);
}

#[test]
fn a_record_logged_inside_a_record_reaches_the_wrapped_logger_and_does_not_recurse() {
    struct LogsInside<'a>(&'a LogBridge<Printer>);
    impl Display for LogsInside<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            log::info!(logger: self.0, target: "inside", session_id:% = LogsInside(self.0); "{}", LogsInside(self.0));
            f.write_str(SESSION)
        }
    }
    let listener = Listener::new();
    let logger = &listener.bridge;
    log::info!(logger: logger, target: "id", session_id:% = LogsInside(logger); "");
    log::info!(logger: logger, target: "value", session_id = SESSION, value:% = LogsInside(logger); "");
    log::info!(logger: logger, target: "message", session_id = SESSION; "{}", LogsInside(logger));
    let received = listener.received();
    let texts: Vec<_> = received.iter().map(|event| event.event_data["metadata"].clone()).collect();
    assert_eq!(texts, [json!({}), json!({"value": SESSION}), json!({"message": SESSION})]);
    let printed = listener.printer.printed();
    let outer: Vec<_> = printed.iter().filter(|target| *target != "inside").collect();
    assert_eq!(outer, ["id", "value", "message"]);
    assert!(printed.len() > outer.len(), "the wrapped logger gets the records from inside");
    assert_eq!(listener.reporter.stats().refused.total(), 0);
}

#[test]
fn only_the_text_of_a_value_that_panics_is_lost() {
    let listener = Listener::new();
    let logger = &listener.bridge;
    log::info!(logger: logger, target: "value", session_id = SESSION, bad:% = Panics, good = 1; "{Panics}");
    log::info!(logger: logger, target: "id", session_id:? = Panics; "of an unknown session");
    log::info!(logger: logger, target: "after", session_id = SESSION; "");
    let received = listener.received();
    let panicked = "(panicked while formatting)";
    let expected = json!({
        "measurements": {"good": 1}, "metadata": {"message": panicked, "bad": panicked}
    });
    assert_eq!(data(&received[0]), expected);
    assert_eq!((received.len(), received[1].event_name.as_str()), (2, "after"));
    assert_eq!(listener.printer.printed(), ["value", "id", "after"]);
}

/// Key-values with a valid id that then fail or panic.
struct FailingSource {
    panics_on_get: bool,
    panics_on_visit: bool,
}

impl Source for FailingSource {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), kv::Error> {
        visitor.visit_pair(Key::from("first"), kv::Value::from(1))?;
        assert!(!self.panics_on_visit, "as the test wants it");
        Err(kv::Error::msg("as the test wants it"))
    }

    fn get(&self, key: Key<'_>) -> Option<kv::Value<'_>> {
        assert!(!self.panics_on_get, "as the test wants it");
        (key.as_str() == "session_id").then(|| kv::Value::from(SESSION))
    }
}

#[test]
fn key_values_that_fail_or_panic_leave_the_record_to_the_wrapped_logger() {
    let listener = Listener::new();
    let log = |target: &str, panics_on_get, panics_on_visit| {
        let source = FailingSource { panics_on_get, panics_on_visit };
        let mut record = Record::builder();
        let record = record.target(target).key_values(&source).file(Some(file!())).line(Some(line!()));
        listener.bridge.log(&record.build());
    };
    log("fails", false, false);
    log("panics on visit", false, true);
    log("panics on get", true, false);
    let received = listener.received();
    assert_eq!((received.len(), received[0].event_name.as_str()), (1, "fails"));
    assert_eq!(
        data(&received[0]),
        json!({"measurements": {"first": 1}, "metadata": {}}),
        "the event has the key-values before the failure"
    );
    assert_eq!(listener.reporter.stats().refused.invalid_data, 1);
    assert_eq!(listener.printer.printed(), ["fails", "panics on visit", "panics on get"]);
}

#[test]
fn a_record_with_ten_thousand_fields_is_forwarded_and_one_with_a_hundred_thousand_is_too_large() {
    let listener = Listener::new();
    let log = |target: &str, count: usize| {
        let names: Vec<_> = (0..count).map(|number| format!("f{number}")).collect();
        let mut fields: Vec<_> = names.iter().map(|name| (name.as_str(), kv::Value::from(1))).collect();
        fields.push(("session_id", kv::Value::from(SESSION)));
        listener.bridge.log(&Record::builder().target(target).key_values(&fields).build());
    };
    log("many", 10_000);
    log("too many", 100_000);
    let received = listener.received();
    assert_eq!((received.len(), received[0].event_name.as_str()), (1, "many"));
    assert_eq!(received[0].event_data["measurements"].as_object().unwrap().len(), 10_000);
    assert_eq!(listener.reporter.stats().refused.too_large, 1);
    assert_eq!(listener.printer.printed(), ["many", "too many"]);
}

#[test]
fn fields_with_the_names_of_our_fields_do_not_replace_ours() {
    let listener = Listener::new();
    let logger = &listener.bridge;
    log::info!(
        logger: logger, target: "names", session_id = SESSION, measurements = 1, metadata = "m", message = "field",
        session_id = "again", metadata = "again", data:? = json!({"session_id": 1});
        "text"
    );
    log::info!(logger: logger, target: "numbers", session_id = SESSION, message = 1, nan = f64::NAN; "text");
    let received = listener.received();
    let expected = json!({
        "measurements": {"measurements": 1},
        "metadata": {"message": "text", "metadata": "m", "data": "Object {\"session_id\": Number(1)}"},
    });
    assert_eq!(data(&received[0]), expected, "of several fields with one name the first is used");
    let expected = json!({"measurements": {"message": 1, "nan": null}, "metadata": {"message": "text"}});
    assert_eq!(data(&received[1]), expected);
}

#[test]
fn a_bridge_around_a_bridge_logs_once_and_forwards_twice() {
    let listener = Listener::new();
    let logger = &LogBridge::new(listener.bridge, &listener.attachments);
    log::info!(logger: logger, target: "step", session_id = SESSION; "");
    assert_eq!(listener.printer.printed(), ["step"]);
    assert_eq!(drained(&listener.collector, &listener.reporter).len(), 2);
}
