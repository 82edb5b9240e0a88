//! Keeps the bridge from `log`: the session's records become events, every record is handed on, and records of the
//! reporter's own work never become events.
#![cfg(all(feature = "log-bridge", feature = "collector"))]

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

/// The macros ask the program's level whichever logger they are given.
fn at_every_level() {
    log::set_max_level(LevelFilter::Trace);
}

/// A logger that keeps the targets of what it gets.
#[derive(Clone, Default)]
struct Printer(Arc<Mutex<Vec<String>>>);

impl Printer {
    fn printed(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Log for Printer {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false // and yet it is to get every record: it knows itself what it prints
    }

    fn log(&self, record: &Record<'_>) {
        self.0.lock().unwrap().push(record.target().to_owned());
    }

    fn flush(&self) {
        self.0.lock().unwrap().push("flushed".to_owned());
    }
}

/// A session, and a bridge from a printer to it that forwards everything.
struct Listener {
    collector: Collector,
    reporter: Reporter,
    attachments: Attachments,
    printer: Printer,
    bridge: LogBridge<Printer>,
}

impl Listener {
    fn new() -> Self {
        Self::asking_for(EventFilter::all())
    }

    fn asking_for(filter: EventFilter) -> Self {
        at_every_level();
        let collector = Collector::start().unwrap();
        let reporter = session(&collector).start().unwrap();
        let attachments = Attachments::new();
        attachments.attach("listener", &reporter, filter).unwrap();
        let printer = Printer::default();
        let bridge = LogBridge::new(printer.clone(), &attachments);
        Self { collector, reporter, attachments, printer, bridge }
    }

    /// The events that the bridge made, once all are delivered.
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
    assert_eq!(data(&received[0]), json!({"measurements": {}, "metadata": {}}), "an empty message is none");
}

#[test]
fn records_of_other_sessions_and_of_none_are_only_handed_on() {
    let listener = Listener::new();
    let logger = &listener.bridge;
    log::info!(logger: logger, target: "none", step = 1; "of no session");
    log::info!(logger: logger, target: "other", session_id = "session-0002"; "of another");
    log::info!(logger: logger, target: "longer", session_id = "session-00011"; "of another");
    log::info!(logger: logger, target: "empty", session_id = ""; "of another");
    log::info!(logger: logger, target: "null", session_id = kv::Value::null(); "of another");
    log::info!(logger: logger, target: "nested", data:? = json!({"session_id": SESSION}); "further in");
    log::info!(logger: logger, target: "ours", session_id = SESSION; "ours");
    assert_eq!(listener.received_names(), ["ours"]);
    assert_eq!(listener.printer.printed(), ["none", "other", "longer", "empty", "null", "nested", "ours"]);
    logger.flush();
    assert_eq!(listener.printer.printed().pop().unwrap(), "flushed");
}

#[test]
fn a_session_id_is_compared_by_its_text() {
    at_every_level();
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
fn an_attachment_gets_only_the_names_it_asks_for() {
    let listener = Listener::asking_for(EventFilter::default());
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
    let listener = Listener::asking_for(EventFilter::new(["first"]));
    let logger = &listener.bridge;
    let again = listener.attachments.attach("listener", &listener.reporter, EventFilter::all());
    assert_eq!(again, Err(AttachError::AlreadyExists));
    log::info!(logger: logger, target: "first", session_id = SESSION; "");
    log::info!(logger: logger, target: "second", session_id = SESSION; "the first attachment stayed as it was");

    assert_eq!(listener.attachments.detach("other"), Err(AttachError::NotFound));
    assert_eq!(listener.attachments.detach("listener"), Ok(()));
    assert_eq!(listener.attachments.detach("listener"), Err(AttachError::NotFound));
    log::info!(logger: logger, target: "first", session_id = SESSION; "no attachment");

    assert_eq!(
        listener.attachments.attach("listener", &listener.reporter, EventFilter::new(["third"])),
        Ok(())
    );
    assert_eq!(listener.attachments.attach("more", &listener.reporter, EventFilter::all()), Ok(()));
    log::info!(logger: logger, target: "third", session_id = SESSION; "two listen");
    assert_eq!(listener.received_names(), ["first", "third", "third"]);
}

#[test]
fn an_attachment_without_a_handler_id_gets_one_of_its_own() {
    let listener = Listener::asking_for(EventFilter::new(["first"]));
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
fn an_id_of_an_attachments_own_is_none_that_the_program_has_given() {
    let attachments = Attachments::new();
    let disabled = Reporter::disabled();
    let made = attachments.add(&disabled, EventFilter::all());
    let (stem, number) = made.rsplit_once('-').unwrap();
    let next: u64 = number.parse::<u64>().unwrap() + 1;
    // Other tests take numbers meanwhile, so several of the next are taken.
    for number in next..next + 100 {
        attachments.attach(format!("{stem}-{number}"), &disabled, EventFilter::all()).unwrap();
    }
    let made = attachments.add(&disabled, EventFilter::all());
    assert_eq!(attachments.detach(&made), Ok(()));
}

#[test]
fn each_session_gets_its_own() {
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
fn a_bridge_does_not_keep_a_session_going() {
    let Listener { collector, reporter, attachments, printer, bridge } = Listener::new();
    drop(reporter);
    assert_eq!(collector.events().last().map(Event::name), Some("SESSION_END"));
    log::info!(logger: bridge, target: "late", session_id = SESSION; "");
    assert_eq!(collector.events().len(), 2);
    assert_eq!(printer.printed(), ["late"]);
    assert_eq!(attachments.detach("listener"), Err(AttachError::NotFound), "it went with its reporter");

    let next = session(&collector).start().unwrap();
    assert_eq!(attachments.attach("listener", &next, EventFilter::all()), Ok(()));
    log::info!(logger: bridge, target: "next", session_id = SESSION; "");
    assert_eq!(drained(&collector, &next)[0].event_name, "next");
}

#[test]
fn a_reporter_that_is_switched_off_is_attached_like_any_other() {
    at_every_level();
    let attachments = Attachments::of(&Reporter::disabled());
    let bridge = LogBridge::new(Printer::default(), &attachments);
    log::info!(logger: bridge, target: "tinkex.queue.state_change", session_id = SESSION; "");
    let again = attachments.attach("tinker-telemetry", &Reporter::disabled(), EventFilter::all());
    assert_eq!(again, Err(AttachError::AlreadyExists));
    assert_eq!(attachments.detach("tinker-telemetry"), Ok(()));
}

/// Says on one channel that it is being formatted, and goes on after a message on the other.
struct Stops(Sender<()>, Mutex<Receiver<()>>);

impl Display for Stops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.send(()).unwrap();
        self.1.lock().unwrap().recv_timeout(LIMIT).unwrap();
        f.write_str("went on")
    }
}

#[test]
fn the_drop_of_the_last_clone_waits_though_a_record_is_being_forwarded() {
    let Listener { collector, reporter, bridge, .. } = Listener::new();
    let (formatting, is_formatting) = mpsc::channel();
    let (go_on, wait) = mpsc::channel();
    let slow = Stops(formatting, Mutex::new(wait));
    thread::scope(|scope| {
        let logging = scope.spawn(|| {
            log::info!(logger: bridge, target: "slow", session_id = SESSION, slow:%; "");
        });
        is_formatting.recv_timeout(LIMIT).unwrap();
        drop(reporter);
        assert_eq!(
            collector.events().last().map(Event::name),
            Some("SESSION_END"),
            "this drop waited for it"
        );
        go_on.send(()).unwrap();
        logging.join().unwrap();
    });
    assert_eq!(collector.events().len(), 2, "the start and the end: the record came too late");
}

#[test]
fn what_is_detached_and_attached_while_others_log_is_forwarded_whole_or_not_at_all() {
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
        "{}: once by the first, once or not by the second",
        received.len()
    );
    assert_eq!(listener.printer.printed().len(), all);
}

#[test]
fn our_own_records_and_the_http_clients_are_only_handed_on() {
    let listener = Listener::new();
    let logger = &listener.bridge;
    let never =
        ["ureq", "ureq::run", "ureq_proto::client::call", "rustls::conn", "tinker_telemetry::episode"];
    for target in never {
        log::error!(logger: logger, target: target, session_id = SESSION; "");
        assert!(!logger.enabled(&Metadata::builder().target(target).level(Level::Error).build()));
    }
    assert_eq!(listener.received_names(), [""; 0]);
    assert_eq!(listener.printer.printed(), never);
}

#[test]
fn what_data_says_while_it_is_encoded_is_only_handed_on() {
    struct Talks<'a>(&'a LogBridge<Printer>);
    impl Serialize for Talks<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            log::info!(logger: self.0, target: "inside", session_id = SESSION; "");
            serializer.serialize_u64(1)
        }
    }
    let listener = Listener::new();
    assert!(listener.reporter.log("outside", Talks(&listener.bridge), Severity::Info));
    assert_eq!(listener.received_names(), ["outside"]);
    assert_eq!(listener.printer.printed(), ["inside"]);
    assert_eq!(listener.reporter.stats().refused.total(), 0);
}

#[test]
fn a_record_inside_a_record_is_handed_on_and_does_not_recurse() {
    struct Talks<'a>(&'a LogBridge<Printer>);
    impl Display for Talks<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            log::info!(logger: self.0, target: "inside", session_id:% = Talks(self.0); "{}", Talks(self.0));
            f.write_str(SESSION)
        }
    }
    let listener = Listener::new();
    let logger = &listener.bridge;
    log::info!(logger: logger, target: "id", session_id:% = Talks(logger); "");
    log::info!(logger: logger, target: "value", session_id = SESSION, value:% = Talks(logger); "");
    log::info!(logger: logger, target: "message", session_id = SESSION; "{}", Talks(logger));
    let received = listener.received();
    let texts: Vec<_> = received.iter().map(|event| event.event_data["metadata"].clone()).collect();
    assert_eq!(texts, [json!({}), json!({"value": SESSION}), json!({"message": SESSION})]);
    let printed = listener.printer.printed();
    let outer: Vec<_> = printed.iter().filter(|target| *target != "inside").collect();
    assert_eq!(outer, ["id", "value", "message"]);
    assert!(printed.len() > outer.len(), "what was said inside was handed on");
    assert_eq!(listener.reporter.stats().refused.total(), 0);
}

#[test]
fn a_value_that_panics_costs_its_own_text_and_nothing_else() {
    let listener = Listener::new();
    let logger = &listener.bridge;
    log::info!(logger: logger, target: "value", session_id = SESSION, bad:% = Panics, good = 1; "{Panics}");
    log::info!(logger: logger, target: "id", session_id:? = Panics; "whose it is cannot be known");
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

/// Key-values of another crate's making: the id, then trouble.
struct Troublesome {
    panics_when_asked: bool,
    panics_when_visited: bool,
}

impl Source for Troublesome {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), kv::Error> {
        visitor.visit_pair(Key::from("first"), kv::Value::from(1))?;
        assert!(!self.panics_when_visited, "as the test wants it");
        Err(kv::Error::msg("as the test wants it"))
    }

    fn get(&self, key: Key<'_>) -> Option<kv::Value<'_>> {
        assert!(!self.panics_when_asked, "as the test wants it");
        (key.as_str() == "session_id").then(|| kv::Value::from(SESSION))
    }
}

#[test]
fn key_values_that_fail_or_panic_leave_the_record_to_the_wrapped_logger() {
    let listener = Listener::new();
    let say = |target: &str, panics_when_asked, panics_when_visited| {
        let source = Troublesome { panics_when_asked, panics_when_visited };
        let mut record = Record::builder();
        let record = record.target(target).key_values(&source).file(Some(file!())).line(Some(line!()));
        listener.bridge.log(&record.build());
    };
    say("fails", false, false);
    say("panics when visited", false, true);
    say("panics when asked", true, false);
    let received = listener.received();
    assert_eq!((received.len(), received[0].event_name.as_str()), (1, "fails"));
    assert_eq!(
        data(&received[0]),
        json!({"measurements": {"first": 1}, "metadata": {}}),
        "what it said it said"
    );
    assert_eq!(listener.reporter.stats().refused.invalid_data, 1);
    assert_eq!(listener.printer.printed(), ["fails", "panics when visited", "panics when asked"]);
}

#[test]
fn ten_thousand_fields_are_an_event_and_a_hundred_thousand_too_large_a_one() {
    let listener = Listener::new();
    let say = |target: &str, count: usize| {
        let names: Vec<_> = (0..count).map(|number| format!("f{number}")).collect();
        let mut fields: Vec<_> = names.iter().map(|name| (name.as_str(), kv::Value::from(1))).collect();
        fields.push(("session_id", kv::Value::from(SESSION)));
        listener.bridge.log(&Record::builder().target(target).key_values(&fields).build());
    };
    say("many", 10_000);
    say("too many", 100_000);
    let received = listener.received();
    assert_eq!((received.len(), received[0].event_name.as_str()), (1, "many"));
    assert_eq!(received[0].event_data["measurements"].as_object().unwrap().len(), 10_000);
    assert_eq!(listener.reporter.stats().refused.too_large, 1);
    assert_eq!(listener.printer.printed(), ["many", "too many"]);
}

#[test]
fn fields_named_like_ours_stay_apart_from_ours() {
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
    assert_eq!(data(&received[0]), expected, "of one name the first counts");
    let expected = json!({"measurements": {"message": 1, "nan": null}, "metadata": {"message": "text"}});
    assert_eq!(data(&received[1]), expected);
}

#[test]
fn a_bridge_around_a_bridge_hands_on_once_and_forwards_by_each() {
    let listener = Listener::new();
    let logger = &LogBridge::new(listener.bridge, &listener.attachments);
    log::info!(logger: logger, target: "step", session_id = SESSION; "");
    assert_eq!(listener.printer.printed(), ["step"]);
    assert_eq!(drained(&listener.collector, &listener.reporter).len(), 2);
}
