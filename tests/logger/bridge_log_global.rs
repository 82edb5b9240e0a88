//! Keeps the bridge from `log` from forwarding the reporter's own records. Here it is the logger of the process, at
//! `TRACE`, and the server does not answer.
#![cfg(all(feature = "log", feature = "collector"))]

#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use log::{LevelFilter, Log, Metadata, Record};
use support::{LIMIT, SESSION, assert_adds_up, session};
use tinker_telemetry::bridge::{Attachments, EventFilter, LogBridge};
use tinker_telemetry::collector::{Answer, Collector};

/// A logger that records the crates that log.
#[derive(Clone, Default)]
struct Printer(Arc<Mutex<BTreeSet<String>>>);

impl Log for Printer {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let root = record.target().split("::").next().unwrap();
        self.0.lock().unwrap().insert(root.to_owned());
    }

    fn flush(&self) {}
}

/// A logger that adds the session's id to every record, as in a program with one session.
struct SessionLogger<L>(L);

impl<L: Log> Log for SessionLogger<L> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        let id = [("session_id", SESSION)];
        self.0.log(&record.to_builder().key_values(&id).build());
    }

    fn flush(&self) {}
}

/// With this variable the test runs for a minute, long enough for all timers of the client.
const LONG: &str = "TINKER_TELEMETRY_LONG_TESTS";

#[test]
fn at_trace_with_a_stalled_server_no_record_of_the_reporter_is_forwarded() {
    let collector = Collector::start().unwrap();
    let attachments = Attachments::new();
    let printer = Printer::default();
    let logger = SessionLogger(LogBridge::new(printer.clone(), &attachments));
    log::set_boxed_logger(Box::new(logger)).unwrap();
    log::set_max_level(LevelFilter::Trace);
    let second = LogBridge::new(Printer::default(), &attachments);
    assert!(second.install(LevelFilter::Off).is_err(), "the process has a logger");
    assert_eq!(log::max_level(), LevelFilter::Trace, "a failed install does not change the level");

    let reporter = session(&collector)
        .http_timeout(Duration::from_millis(20))
        .flush_interval(Duration::from_millis(5))
        .max_retries(1)
        .start()
        .unwrap();
    attachments.attach("listener", &reporter, EventFilter::all()).unwrap();
    let hold = collector.hold_answers();
    let is_long = std::env::var_os(LONG).is_some();
    let (started, least) = (Instant::now(), if is_long { Duration::from_secs(60) } else { Duration::ZERO });
    let (mut records, mut requests) = (0, 0);
    while requests < 20 || started.elapsed() < least {
        assert!(started.elapsed() < least + LIMIT, "{requests} requests");
        log::info!(target: "step", "{records}");
        records += 1;
        // On a loaded machine an attempt may time out before it arrives. Then the next one counts.
        requests += i32::from(collector.next_request(Duration::from_millis(100)).is_some());
    }
    // A request of the program itself: the same targets on another thread than the worker's.
    let agent =
        ureq::Agent::config_builder().timeout_global(Some(Duration::from_millis(20))).build().new_agent();
    assert!(agent.get(collector.url()).call().is_err());
    assert_eq!(
        reporter.stats().offered,
        1 + records,
        "the session's start and the program's records, and no other record"
    );

    collector.answer_by_default(Answer::ok());
    drop(hold);
    assert!(reporter.wait_until_drained(LIMIT));
    let names: Vec<_> = collector.events().iter().map(|event| event.name().to_owned()).collect();
    assert!(names.iter().all(|name| ["SESSION_START", "step"].contains(&name.as_str())), "{names:?}");
    assert_eq!(reporter.stats().offered, 1 + records);
    assert_adds_up(reporter.stats());
    let crates = printer.0.lock().unwrap();
    for root in ["ureq", "ureq_proto", "tinker_telemetry"] {
        assert!(crates.contains(root), "{root} logs, so the bridge had records to leave out");
    }
}
