//! Keeps the hook `before_send`: a changed event is sent changed, a withheld event is counted and not sent, and a hook
//! that panics, reports or hangs does no harm. Keeps the context of every event as well.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value, json};
use tinker_telemetry::collector::Collector;
use tinker_telemetry::event::{Event, GenericEvent};
use tinker_telemetry::{Config, Reporter, Severity, StartError, WeakReporter};

use crate::support::{
    LIMIT, NEVER, assert_adds_up, checked_requests, config, data, drained, names, session, sessionless,
};

const INFO: Severity = Severity::Info;

#[test]
fn a_changed_event_is_sent_changed_and_all_else_stays_the_same() {
    let collector = Collector::start().unwrap();
    let builder = session(&collector).before_send(|mut event| {
        match &mut event {
            Event::UnhandledException(error) => error.error_message = "scrubbed".to_owned(),
            Event::Generic(event) => drop(event.event_data.remove("user")),
            _ => {}
        }
        Some(event)
    });
    let reporter = builder.start().unwrap();
    assert!(reporter.log("saved", json!({"user": "canary", "step": 1, "loss": 0.5}), INFO));
    assert!(reporter.log_exception(&io::Error::other("canary"), Severity::Error));
    assert!(reporter.stop(LIMIT));
    let requests = checked_requests(&collector);
    assert!(requests.iter().all(|request| !String::from_utf8_lossy(&request.body).contains("\"canary\"")));
    let events = collector.events();
    assert_eq!(names(&events), ["SESSION_START", "saved", "UNHANDLED_EXCEPTION", "SESSION_END"]);
    assert_eq!(*events[1].data().unwrap(), *json!({"step": 1, "loss": 0.5}).as_object().unwrap());
    assert_eq!(events[2].as_exception().unwrap().error_message, "scrubbed");
    assert_eq!(reporter.stats().delivered, 4);
}

#[test]
fn a_withheld_event_and_one_whose_hook_panics_are_counted_and_not_sent() {
    let collector = Collector::start().unwrap();
    let calls = AtomicU64::new(0);
    let builder = sessionless(&collector).before_send(move |event| {
        assert!(event.name() != "panics", "as the test wants it");
        // Every second event is kept.
        (event.name() != "sampled" || calls.fetch_add(1, Ordering::Relaxed) % 2 == 0).then_some(event)
    });
    let reporter = builder.start().unwrap();
    for step in 0..10 {
        assert!(reporter.log("sampled", step, INFO));
        assert!(reporter.log("panics", "canary", INFO));
    }
    assert!(reporter.log("kept", (), INFO));
    let events = drained(&collector, &reporter);
    assert_eq!(events.len(), 6);
    assert!(events.iter().all(|event| event.event_name != "panics"));
    let stats = reporter.stats();
    assert_eq!((stats.delivered, stats.dropped.withheld, stats.dropped.total()), (6, 15, 15));
    assert_adds_up(stats);
    assert!(reporter.stop(LIMIT), "a withheld event is settled");
}

#[test]
fn a_reporter_that_withholds_all_events_drains_and_sends_no_request() {
    let collector = Collector::start().unwrap();
    let reporter = session(&collector).before_send(|_| None).start().unwrap();
    for step in 0..250 {
        assert!(reporter.log("step", step, INFO));
    }
    assert!(reporter.wait_until_drained(LIMIT) && reporter.stop(LIMIT));
    assert_eq!(reporter.stats().dropped.withheld, 252);
    assert!(collector.requests().is_empty());
}

#[test]
fn an_event_that_the_hook_makes_too_large_is_dropped_and_the_largest_accepted_one_is_sent() {
    let collector = Collector::start().unwrap();
    let builder = sessionless(&collector).max_event_bytes(1_000).before_send(|mut event| {
        if let Event::Generic(event) = &mut event {
            if event.event_name == "grows" {
                event.event_data.insert("more".to_owned(), Value::from("x".repeat(2_000)));
            }
        }
        Some(event)
    });
    let reporter = builder.start().unwrap();
    assert!(reporter.log("grows", (), INFO));
    assert!(reporter.log("full", json!({"text": "x".repeat(1_000 - 4 - r#"{"text":""}"#.len())}), INFO));
    assert_eq!(drained(&collector, &reporter).len(), 1);
    assert_eq!((reporter.stats().delivered, reporter.stats().dropped.too_large), (1, 1));
}

#[test]
fn a_replaced_event_keeps_its_id_and_its_index() {
    let collector = Collector::start().unwrap();
    let builder = sessionless(&collector)
        .before_send(|event| Some(GenericEvent::new(format!("was {}", event.name())).into()));
    let reporter = builder.start().unwrap();
    for _ in 0..2 {
        assert!(reporter.log("step", (), INFO));
    }
    let events = drained(&collector, &reporter);
    assert_eq!(events.iter().map(|event| event.event_session_index).collect::<Vec<_>>(), [0, 1]);
    assert!(events.iter().all(|event| event.event_name == "was step" && !event.event_id.is_nil()));
    assert_ne!(events[0].event_id, events[1].event_id);
}

#[test]
fn an_event_logged_in_the_hook_is_refused() {
    let collector = Collector::start().unwrap();
    let other = sessionless(&collector).start().unwrap();
    let inside = other.clone();
    let builder = sessionless(&collector).before_send(move |event| {
        assert!(!inside.log("from the hook", (), INFO));
        Some(event)
    });
    let reporter = builder.start().unwrap();
    assert!(reporter.log("step", (), INFO));
    assert_eq!(drained(&collector, &reporter).len(), 1);
    assert_eq!((other.stats().refused.reentrant, reporter.stats().delivered), (1, 1));
}

#[test]
fn a_hook_that_uses_its_own_reporter_is_refused_and_waits_for_nothing() {
    let collector = Collector::start().unwrap();
    let own = Arc::new(OnceLock::<WeakReporter>::new());
    let inside = Arc::clone(&own);
    let builder = sessionless(&collector).before_send(move |event| {
        let reporter = inside.get().unwrap();
        let error = io::Error::other("from the hook");
        assert!(!reporter.log("from the hook", (), INFO));
        assert!(!reporter.log_exception(&error, Severity::Error));
        assert!(!reporter.log_fatal_exception(&error, Severity::Error));
        reporter.flush();
        // This event is pending, so a wait would be in vain.
        assert!(!reporter.wait_until_drained(NEVER));
        Some(event)
    });
    let reporter = builder.start().unwrap();
    own.set(reporter.downgrade()).unwrap();
    for _ in 0..2 {
        assert!(reporter.log("step", (), INFO));
        assert!(reporter.wait_until_drained(LIMIT));
    }
    let stats = reporter.stats();
    assert_eq!((stats.delivered, stats.dropped.total()), (2, 0), "no assertion in the hook has failed");
    assert_eq!((stats.refused.reentrant, stats.refused.total()), (6, 6));
    assert_adds_up(stats);
}

#[test]
fn a_hook_that_stops_its_own_reporter_does_not_wait_for_itself() {
    let collector = Collector::start().unwrap();
    let own = Arc::new(OnceLock::<WeakReporter>::new());
    let inside = Arc::clone(&own);
    let builder = sessionless(&collector).before_send(move |event| {
        inside.get().unwrap().stop(NEVER);
        Some(event)
    });
    let reporter = builder.start().unwrap();
    own.set(reporter.downgrade()).unwrap();
    assert!(reporter.log("step", (), INFO));
    assert!(reporter.wait_until_drained(LIMIT));
    assert_eq!(reporter.stats().delivered, 1);
    assert!(!reporter.log("step", (), INFO), "the reporter is stopped");
}

#[test]
fn a_hook_that_hangs_does_not_delay_a_stop() {
    let collector = Collector::start().unwrap();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (begun, seen) = std::sync::mpsc::channel();
    let released = std::sync::Mutex::new(released);
    let builder = sessionless(&collector).before_send(move |event| {
        let _ = begun.send(());
        let _ = released.lock().unwrap().recv();
        Some(event)
    });
    let reporter = builder.start().unwrap();
    assert!(reporter.log("step", (), INFO));
    reporter.flush();
    seen.recv_timeout(LIMIT).unwrap();
    assert!(!reporter.stop(std::time::Duration::from_millis(50)));
    assert_eq!(reporter.stats().dropped.deadline, 1);
    assert_adds_up(reporter.stats());
    drop(release);
}

/// Lists in a list, so many levels in all.
fn nested(levels: usize) -> Value {
    (1..levels).fold(json!([]), |inner, _| json!([inner]))
}

#[test]
fn data_that_are_made_too_deep_are_withheld_and_the_rest_of_the_batch_is_delivered() {
    let collector = Collector::start().unwrap();
    let builder = sessionless(&collector).before_send(|mut event| {
        if let Event::Generic(event) = &mut event {
            let levels = event.event_data["levels"].as_u64().unwrap();
            event.event_data.insert("nested".to_owned(), nested(usize::try_from(levels).unwrap()));
        }
        Some(event)
    });
    let reporter = builder.start().unwrap();
    for levels in [1, 99, 100, 200] {
        assert!(reporter.log("deep", json!({"levels": levels}), INFO));
    }
    assert_eq!(drained(&collector, &reporter).len(), 2);
    let stats = reporter.stats();
    assert_eq!((stats.delivered, stats.dropped.withheld), (2, 2));
}

#[test]
fn a_context_that_is_too_deep_is_an_error_of_the_start() {
    let collector = Collector::start().unwrap();
    let start = |levels| sessionless(&collector).context("nested", nested(levels)).start();
    let reporter = start(99).unwrap();
    assert!(reporter.log("deep", (), INFO));
    assert_eq!(drained(&collector, &reporter).len(), 1);
    assert!(matches!(start(100), Err(StartError::InvalidSetting { setting: "context", .. })));
}

#[test]
fn every_event_has_the_context_and_its_own_fields_take_precedence() {
    let collector = Collector::start().unwrap();
    let builder =
        sessionless(&collector).context("run", "replaced").context("release", "1.2").context("run", 17);
    let reporter = builder.start().unwrap();
    assert!(reporter.log("none", (), INFO));
    assert!(reporter.log("value", 3, INFO));
    assert!(reporter.log("own", json!({"release": "mine", "deep": {"run": 1}}), INFO));
    let events: Vec<_> = drained(&collector, &reporter).iter().map(data).collect();
    let expected = [
        json!({"release": "1.2", "run": 17}),
        json!({"value": 3, "release": "1.2", "run": 17}),
        json!({"release": "mine", "deep": {"run": 1}, "run": 17}),
    ];
    assert_eq!(events, expected);
    let error = sessionless(&collector).context("large", "x".repeat(16 * 1024)).start().unwrap_err();
    assert!(matches!(error, StartError::InvalidSetting { setting: "context", .. }), "{error}");
}

#[test]
fn a_key_of_the_context_clashes_neither_with_a_field_of_the_request_nor_with_an_own_key_of_any_spelling() {
    let collector = Collector::start().unwrap();
    let names = [
        "event",
        "event_id",
        "event_name",
        "event_data",
        "severity",
        "session_id",
        "measurements",
        "\u{e9}\"",
    ];
    let builder =
        names.iter().fold(sessionless(&collector), |builder, name| builder.context(*name, "context"));
    let reporter = builder.start().unwrap();
    assert!(reporter.log("none", (), INFO));
    let own: Map<_, _> = names.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    assert!(reporter.log("own", &own, INFO));
    let events = drained(&collector, &reporter); // each request agrees with the schema
    assert_eq!((events[0].event_name.as_str(), events[0].severity), ("none", INFO));
    assert!(names.iter().all(|name| events[0].event_data[*name] == "context"), "{:?}", events[0]);
    assert_eq!(events[1].event_data, own, "an own field takes precedence, and so does a null");
}

#[test]
fn an_sdk_can_set_its_own_version_and_user_agent() {
    let collector = Collector::start().unwrap();
    let named = config(&collector).sdk_version("7.8.9").user_agent("my-sdk/7.8.9");
    let reporter = Reporter::sessionless_builder(named).enabled(true).flush_interval(NEVER).start().unwrap();
    assert!(reporter.log("step", Map::new(), INFO) && reporter.wait_until_drained(LIMIT));
    let request = &checked_requests(&collector)[0];
    assert_eq!(request.header("user-agent"), Some("my-sdk/7.8.9"));
    assert_eq!(request.header("x-stainless-package-version"), Some("7.8.9"));
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["sdk_version"], "7.8.9");
    for wrong in ["", "1\r\nx-evil: 1", "ü", " 1"] {
        for config in [Config::new("k").sdk_version(wrong), Config::new("k").user_agent(wrong)] {
            let error = Reporter::sessionless_builder(config).enabled(true).start().unwrap_err();
            assert!(matches!(error, StartError::InvalidSetting { .. }), "{wrong:?}: {error}");
        }
    }
}
