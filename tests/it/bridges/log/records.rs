//! Keeps what a record of `log` becomes: the session's records are events with their name, severity and fields.

use log::kv;
use log::{Level, Log};
use serde_json::json;
use tinker_telemetry::bridge::{Attachments, EventFilter, LogBridge};
use tinker_telemetry::collector::Collector;
use tinker_telemetry::{Reporter, Severity};

use super::super::data;
use super::{Listener, Printer, enable_all_levels};
use crate::support::{LIMIT, SESSION, config, drained};

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
fn a_bridge_around_a_bridge_logs_once_and_forwards_twice() {
    let listener = Listener::new();
    let logger = &LogBridge::new(listener.bridge, &listener.attachments);
    log::info!(logger: logger, target: "step", session_id = SESSION; "");
    assert_eq!(listener.printer.printed(), ["step"]);
    assert_eq!(drained(&listener.collector, &listener.reporter).len(), 2);
}
