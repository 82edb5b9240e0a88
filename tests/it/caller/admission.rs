//! Keeps admission: which events are refused, with which reason, and that a refusal affects no other event.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::json;
use tinker_telemetry::collector::Collector;
use tinker_telemetry::event::Event;
use tinker_telemetry::{Config, Reporter, Severity, StartError};

use crate::support::{
    LIMIT, Panics, assert_adds_up, check_request, checked_requests, drained, names, session, sessionless,
};

const INFO: Severity = Severity::Info;

#[test]
fn a_full_queue_refuses_events_and_leaves_a_gap_in_the_indexes() {
    let collector = Collector::start().unwrap();
    let hold = collector.hold_answers();
    let reporter = sessionless(&collector).max_queue_size(3).start().unwrap();
    let accepted = [0, 1, 2, 3, 4].map(|step| reporter.log("step", step, INFO));
    assert_eq!(accepted, [true, true, true, false, false]);
    assert_adds_up(reporter.stats());
    drop(hold);
    assert!(reporter.wait_until_drained(LIMIT));
    assert!(reporter.log("after", (), INFO), "a delivered event frees its place in the queue");
    assert!(reporter.stop(LIMIT));
    let indexes: Vec<_> = collector.events().iter().map(Event::session_index).collect();
    assert_eq!(indexes, [0, 1, 2, 5]);
    let stats = reporter.stats();
    assert_eq!((stats.refused.queue_full, stats.offered, stats.delivered), (2, 6, 4));
}

#[test]
fn threads_share_one_sequence_of_indexes_with_gaps_for_refused_events() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).max_queue_size(20).flush_threshold(5).start().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let reporter = &reporter;
            scope.spawn(move || {
                let (mut calls, mut accepted) = (0, 0);
                while accepted < 200 {
                    calls += 1;
                    if reporter.log("call", json!({"thread": thread, "call": calls}), INFO) {
                        accepted += 1;
                    } else {
                        std::thread::yield_now();
                    }
                }
            });
        }
    });
    assert!(reporter.wait_until_drained(LIMIT));
    assert!(reporter.log("last", (), INFO));
    assert!(reporter.stop(LIMIT));

    let stats = reporter.stats();
    assert_eq!(stats.delivered, 4 * 200 + 1);
    assert!(stats.refused.queue_full > 0, "{stats}");
    let events = collector.events();
    let indexes: Vec<_> = events.iter().map(Event::session_index).collect();
    assert!(indexes.is_sorted_by(|one, next| one < next), "the worker sends in the order of the indexes");
    assert_eq!(indexes.last(), Some(&(stats.offered - 1)), "all other calls came before the last one");
    let mut calls = BTreeMap::new();
    for event in &events {
        let Event::Generic(event) = event else { continue };
        if let (Some(thread), Some(call)) = (event.event_data.get("thread"), event.event_data.get("call")) {
            let before = calls.insert(thread.as_u64(), call.as_u64());
            assert!(before < Some(call.as_u64()), "a thread's events are in the order of its calls");
        }
    }
    assert_eq!(calls.len(), 4);
}

#[test]
fn the_byte_budget_refuses_before_the_count_does() {
    let collector = Collector::start().unwrap();
    let hold = collector.hold_answers();
    let reporter = sessionless(&collector).max_queue_bytes(10_000).start().unwrap();
    let text = "x".repeat(3_000);
    let accepted = [0, 1, 2, 3].map(|_| reporter.log("text", &text, INFO));
    assert_eq!(accepted, [true, true, true, false]);
    assert_eq!(reporter.stats().refused.queue_bytes, 1);
    assert!(reporter.log("small", (), INFO), "an event that fits is accepted");
    drop(hold);
    assert!(reporter.stop(LIMIT));
    assert_eq!(reporter.stats().delivered, 4);
}

#[test]
fn fatal_and_session_events_are_accepted_by_a_full_queue() {
    let collector = Collector::start().unwrap();
    let hold = collector.hold_answers();
    let reporter =
        session(&collector).max_queue_size(2).flush_timeout(std::time::Duration::ZERO).start().unwrap();
    assert!(reporter.log("last", (), INFO));
    assert!(!reporter.log("too many", (), INFO));
    for _ in 0..100 {
        assert!(reporter.log_fatal_exception(&std::fmt::Error, Severity::Critical));
    }
    drop(hold);
    assert!(reporter.stop(LIMIT));
    let events = collector.events();
    assert_eq!(names(&events)[..2], ["SESSION_START", "last"]);
    let count = |name| names(&events).into_iter().filter(|other| *other == name).count();
    assert_eq!((count("UNHANDLED_EXCEPTION"), count("SESSION_END")), (100, 1));
}

#[test]
fn an_event_without_room_in_the_queue_is_not_serialised() {
    struct Unreachable;
    impl Serialize for Unreachable {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            unreachable!("a refused event was serialised")
        }
    }
    let collector = Collector::start().unwrap();
    let hold = collector.hold_answers();
    let reporter = sessionless(&collector).max_queue_size(1).start().unwrap();
    assert!(reporter.log("fills the queue", (), INFO));
    assert!(!reporter.log("refused", Unreachable, INFO));
    drop(hold);
    assert!(reporter.stop(LIMIT));
    assert!(!reporter.log("refused", Unreachable, INFO));
    let refused = reporter.stats().refused;
    assert_eq!((refused.queue_full, refused.stopped, refused.invalid_data), (1, 1, 0));
}

#[test]
fn an_event_over_the_size_limit_is_too_large() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).start().unwrap();
    let limit = 256 * 1024;
    let overhead = "name".len() + r#"{"value":""}"#.len();
    let fits = "x".repeat(limit - overhead);
    assert!(reporter.log("name", &fits, INFO));
    assert!(!reporter.log("name", fits + "x", INFO));
    assert!(!reporter.log("n".repeat(limit + 1), (), INFO), "the name counts too");
    assert!(reporter.stop(LIMIT));
    let stats = reporter.stats();
    assert_eq!((stats.refused.too_large, stats.delivered), (2, 1));
}

struct Fails;

impl Serialize for Fails {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("cannot"))
    }
}

#[test]
fn data_that_fails_or_panics_is_refused_and_no_other_event_is_lost() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).start().unwrap();
    assert!(reporter.log("before", (), INFO));
    assert!(!reporter.log("panics", Panics, INFO));
    assert!(!reporter.log("panics deep inside", json!({"a": [1]}).as_object().map(|_| [Some(Panics)]), INFO));
    assert!(!reporter.log("fails", Fails, INFO));
    assert!(!reporter.log("not a JSON key", BTreeMap::from([((1, 2), 3)]), INFO));
    assert!(reporter.log("after", (), INFO));
    assert!(reporter.stop(LIMIT));
    assert_eq!(names(&collector.events()), ["before", "after"]);
    assert_eq!(reporter.stats().refused.invalid_data, 4);
}

#[test]
fn data_with_more_than_a_hundred_levels_is_refused_and_the_other_events_are_delivered() {
    let around = |inner, level| if level % 2 == 0 { json!([inner]) } else { json!({"in": inner}) };
    let nested = |levels| (1..levels).fold(json!([]), around);
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).start().unwrap();
    assert!(reporter.log("before", (), INFO));
    for levels in [101, 102, 124, 200, 1_000] {
        assert!(!reporter.log("too deep", nested(levels), INFO), "{levels}");
    }
    for levels in [99, 100] {
        assert!(reporter.log("deep", nested(levels), INFO), "{levels}");
    }
    assert!(reporter.log("after", (), INFO));
    assert!(reporter.stop(LIMIT));
    // All accepted events share one request, and the collector reads all its levels.
    assert_eq!(collector.requests().len(), 1);
    assert_eq!(names(&collector.events()), ["before", "deep", "deep", "after"]);
    let stats = reporter.stats();
    assert_eq!((stats.refused.invalid_data, stats.refused.total(), stats.delivered), (5, 5, 4));
}

#[test]
fn an_event_logged_while_another_is_serialised_is_reentrant() {
    struct Logs(Reporter, Arc<Mutex<Vec<bool>>>);
    impl Serialize for Logs {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.1.lock().unwrap().push(self.0.log("inner", (), INFO));
            serializer.serialize_u8(1)
        }
    }
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).start().unwrap();
    let results = Arc::new(Mutex::new(Vec::new()));
    assert!(reporter.log("outer", Logs(reporter.clone(), Arc::clone(&results)), INFO));
    assert!(reporter.log("next", (), INFO));
    assert!(reporter.stop(LIMIT));
    assert_eq!(*results.lock().unwrap(), [false]);
    assert_eq!(reporter.stats().refused.reentrant, 1);
    assert_eq!(names(&collector.events()), ["outer", "next"]);
}

#[test]
fn a_fatal_exception_inside_a_serialize_is_refused_and_the_session_goes_on() {
    struct Dies<'r>(&'r Reporter);
    impl Serialize for Dies<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            fn die() {
                panic!("while serialising, as the test wants it")
            }
            assert!(!self.0.log_fatal_exception(&std::fmt::Error, Severity::Critical));
            self.0.capture_fatal(|| Err::<(), _>(std::fmt::Error)).unwrap_err();
            self.0.capture_fatal(die);
            serializer.serialize_unit()
        }
    }
    let collector = Collector::start().unwrap();
    let reporter = session(&collector).start().unwrap();
    assert!(!reporter.log("outer", Dies(&reporter), INFO));
    assert!(reporter.log("next", (), INFO));
    assert!(reporter.stop(LIMIT));
    let stats = reporter.stats();
    assert_eq!((stats.refused.reentrant, stats.refused.invalid_data), (3, 1));
    assert_adds_up(stats);
    assert_eq!(names(&collector.events()), ["SESSION_START", "next", "SESSION_END"]);
}

#[test]
fn a_wait_or_stop_inside_a_serialize_returns_false_at_once() {
    struct Stops(Reporter, Arc<Mutex<Vec<bool>>>);
    impl Serialize for Stops {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.1.lock().unwrap().push(self.0.wait_until_drained(LIMIT));
            self.1.lock().unwrap().push(self.0.stop(LIMIT));
            serializer.serialize_u8(1)
        }
    }
    let collector = Collector::start().unwrap();
    let hold = collector.hold_answers();
    let reporter = sessionless(&collector).start().unwrap();
    let results = Arc::new(Mutex::new(Vec::new()));
    assert!(reporter.log("before", (), INFO));
    assert!(!reporter.log("outer", Stops(reporter.clone(), Arc::clone(&results)), INFO));
    assert_eq!(*results.lock().unwrap(), [false, false]);
    drop(hold);
    assert!(reporter.stop(LIMIT));
    assert_eq!(names(&collector.events()), ["before"]);
}

#[test]
fn a_stopped_reporter_refuses_all_events() {
    let collector = Collector::start().unwrap();
    let reporter = session(&collector).start().unwrap();
    assert!(reporter.stop(LIMIT));
    assert!(!reporter.log("late", (), INFO));
    assert!(!reporter.log_exception(&std::fmt::Error, Severity::Error));
    assert!(!reporter.log_fatal_exception(&std::fmt::Error, Severity::Error));
    let stats = reporter.stats();
    assert_eq!((stats.refused.stopped, stats.delivered), (3, 2));
    assert_adds_up(stats);
}

#[test]
fn a_batch_holds_at_most_a_hundred_events_and_a_mebibyte() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).flush_threshold(1_000).max_in_flight(1).start().unwrap();
    for step in 0..250 {
        assert!(reporter.log("step", step, INFO));
    }
    assert!(reporter.wait_until_drained(LIMIT));
    let sizes: Vec<_> = collector.requests().iter().map(|request| request.events().len()).collect();
    assert_eq!(sizes, [100, 100, 50]);

    collector.take_events();
    let large = "\u{1}".repeat(30_000); // six bytes per character on the wire
    for _ in 0..20 {
        assert!(reporter.log("large", &large, INFO));
    }
    assert!(reporter.stop(LIMIT));
    let requests = collector.requests();
    assert!(requests.iter().all(|request| request.body.len() <= 1024 * 1024));
    assert!(
        requests.iter().map(|request| request.body.len()).max().unwrap() > 800 * 1024,
        "the largest request is nearly a mebibyte"
    );
    assert_eq!(requests.iter().map(|request| request.events().len()).sum::<usize>(), 20);
}

/// A valid endpoint with and without the feature `tls`, for reporters that send nothing.
fn unused() -> Config {
    Config::new("k").base_url("http://127.0.0.1:9")
}

#[test]
fn a_setting_out_of_bounds_is_an_error_with_its_name() {
    use std::time::Duration;
    let builder = || Reporter::sessionless_builder(unused()).enabled(true);
    let mut bad = vec![
        ("flush_interval", builder().flush_interval(Duration::ZERO)),
        ("flush_threshold", builder().flush_threshold(0)),
        ("http_timeout", builder().http_timeout(Duration::ZERO)),
        ("retry_base_delay", builder().retry_base_delay(Duration::from_secs(61))),
        ("max_queue_size", builder().max_queue_size(0)),
        ("max_queue_size", builder().max_queue_size(usize::MAX)),
        ("max_batch_size", builder().max_batch_size(0)),
        ("max_batch_size", builder().max_batch_size(10_001)),
        ("max_in_flight", builder().max_in_flight(0)),
        ("max_in_flight", builder().max_in_flight(17)),
        ("max_queue_bytes", builder().max_queue_bytes(0)),
        ("max_batch_bytes", builder().max_batch_bytes(0)),
        ("max_event_bytes", builder().max_event_bytes(0)),
    ];
    // No number of bytes in a `usize` of 32 bits is too large.
    if usize::BITS > 32 {
        bad.push(("max_queue_bytes", builder().max_queue_bytes(usize::MAX)));
    }
    for (name, builder) in bad {
        let error = builder.start().unwrap_err();
        assert!(matches!(error, StartError::InvalidSetting { setting, .. } if setting == name), "{error}");
        assert!(error.to_string().starts_with(name));
    }
    assert!(builder().max_batch_size(10_000).max_in_flight(16).start().is_ok());
}

#[test]
fn a_reporter_can_be_used_on_any_thread_and_inside_catch_unwind() {
    let reporter = Reporter::disabled();
    let works = || reporter.log("step", 1, INFO);
    std::thread::scope(|scope| assert!(!scope.spawn(works).join().unwrap()));
    assert!(!std::panic::catch_unwind(works).unwrap());
    let weak = reporter.downgrade();
    assert!(std::panic::catch_unwind(|| weak.upgrade()).unwrap().is_none());
}

#[test]
fn an_empty_session_id_is_refused() {
    for id in ["", " ", "\n"] {
        let started = Reporter::builder(unused(), id).enabled(true).start();
        assert!(matches!(started, Err(StartError::EmptySessionId)), "{id:?}");
    }
}

#[test]
fn a_name_can_be_any_kind_of_text() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).start().unwrap();
    let owned = format!("epoch.{}", 7);
    let local: &str = &owned;
    let shared: Arc<str> = local.into();
    assert!(reporter.log("static", (), Severity::Info));
    assert!(reporter.log(local, (), Severity::Info) && reporter.log(&owned, (), Severity::Info));
    assert!(reporter.log(shared, (), Severity::Info) && reporter.log(owned.clone(), (), Severity::Info));
    assert!(reporter.log(std::borrow::Cow::Borrowed(local), (), Severity::Info));
    drained(&collector, &reporter);
    assert_eq!(names(&collector.events())[1..], ["epoch.7"; 5]);
}

#[test]
fn a_clone_of_a_builder_reports_to_a_session_of_its_own() {
    let collector = Collector::start().unwrap();
    let settings = sessionless(&collector).max_queue_size(2);
    let ids = ["5d1f4c53-9b7e-4f8d-8c3a-9e640a6e4b8c", "0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64"];
    for id in ids {
        let reporter = settings.clone().session_id(id).start().unwrap();
        assert_eq!(reporter.session_id(), Some(id));
        assert!(reporter.stop(LIMIT));
    }
    let sessions = checked_requests(&collector)
        .iter()
        .map(|request| check_request(request).session_id)
        .collect::<Vec<_>>();
    assert_eq!(sessions, ids);
    assert_eq!(names(&collector.events()), ["SESSION_START", "SESSION_END", "SESSION_START", "SESSION_END"]);
}
