//! Keeps the bridge from `log` unharmed by bad records: those that log themselves, that panic or fail, that are too
//! large, that have the names of our own fields, or that the reporter itself causes.

use std::fmt::{self, Display};

use log::kv::{self, Key, Source, VisitSource};
use log::{Level, Log, Metadata, Record};
use serde::{Serialize, Serializer};
use serde_json::json;
use tinker_telemetry::Severity;
use tinker_telemetry::bridge::LogBridge;

use super::super::data;
use super::{Listener, Printer};
use crate::support::{Panics, SESSION};

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
