//! Keeps the bridge from `log` from forwarding the reporter's own records where it is the program's one logger, at `TRACE`,
//! with a server that does not answer.
#![cfg(all(feature = "log-bridge", feature = "collector"))]

#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use log::{LevelFilter, Log, Metadata, Record};
use support::{LIMIT, SESSION, assert_adds_up, session};
use tinker_telemetry::bridge::{Attachments, EventFilter, LogBridge};
use tinker_telemetry::collector::{Answer, Collector};

/// A logger that keeps the crates that it heard from.
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

/// A logger that says of every record that it is the session's, as one that knows the program's only session may.
struct Stamps<L>(L);

impl<L: Log> Log for Stamps<L> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        let stamp = [("session_id", SESSION)];
        self.0.log(&record.to_builder().key_values(&stamp).build());
    }

    fn flush(&self) {}
}

/// Long enough for everything that comes with time to come: set to any value, the test goes on for a minute.
const LONG: &str = "TINKER_TELEMETRY_LONG_TESTS";

#[test]
fn at_trace_with_a_stalled_server_nothing_that_the_reporter_says_comes_back() {
    let collector = Collector::start().unwrap();
    let attachments = Attachments::new();
    let printer = Printer::default();
    let stamping = Stamps(LogBridge::new(printer.clone(), &attachments));
    log::set_boxed_logger(Box::new(stamping)).unwrap();
    log::set_max_level(LevelFilter::Trace);
    let second = LogBridge::new(Printer::default(), &attachments);
    assert!(second.install(LevelFilter::Off).is_err(), "there is a logger");
    assert_eq!(log::max_level(), LevelFilter::Trace, "and nothing was changed");

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
    let (mut said, mut requests) = (0, 0);
    while requests < 20 || started.elapsed() < least {
        assert!(started.elapsed() < least + LIMIT, "{requests} requests");
        log::info!(target: "step", "{said}");
        said += 1;
        // On a loaded machine an attempt may run out of time before it arrives; then the next is waited for.
        requests += i32::from(collector.next_request(Duration::from_millis(100)).is_some());
    }
    // A request of the program's own: the same targets, on a thread that is not the worker's.
    let agent =
        ureq::Agent::config_builder().timeout_global(Some(Duration::from_millis(20))).build().new_agent();
    assert!(agent.get(collector.url()).call().is_err());
    assert_eq!(
        reporter.stats().offered,
        1 + said,
        "the session's start, and what was said: nothing came back"
    );

    collector.answer_by_default(Answer::ok());
    drop(hold);
    assert!(reporter.wait_until_drained(LIMIT));
    let names: Vec<_> = collector.events().iter().map(|event| event.name().to_owned()).collect();
    assert!(names.iter().all(|name| ["SESSION_START", "step"].contains(&name.as_str())), "{names:?}");
    assert_eq!(reporter.stats().offered, 1 + said);
    assert_adds_up(reporter.stats());
    let heard_from = printer.0.lock().unwrap();
    for root in ["ureq", "ureq_proto", "tinker_telemetry"] {
        assert!(heard_from.contains(root), "{root} is handed on, so there was something to come back");
    }
}
