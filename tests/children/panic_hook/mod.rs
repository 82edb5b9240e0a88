//! Keeps the promises of the panic hook. Every panic outside a capture is reported once and on time, also while its
//! thread holds a lock. A thread waits for its report only where the panic is fatal. Each scenario runs in a process of
//! its own: this binary, started again as `programs::child`. `tests/process/panic_on_main.rs` has the panics of a main
//! thread.
#![cfg(all(feature = "panic", feature = "collector"))]

mod programs;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use tinker_telemetry::Severity;
use tinker_telemetry::collector::Collector;
use tinker_telemetry::event::{Event, UnhandledExceptionEvent};

use crate::support::LIMIT;

/// A child and its standard error, which arrives when the child ends.
struct Watched {
    child: Child,
    output: mpsc::Receiver<String>,
}

/// The exit code of a child, its standard error, and its events from the collector.
struct Outcome {
    code: Option<i32>,
    output: String,
    events: Vec<Event>,
}

impl Watched {
    fn start(scenario: &str, collector: &Collector, backtrace: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["panic_hook::programs::child", "--exact", "--nocapture"])
            .envs([("CHILD_SCENARIO", scenario), ("CHILD_URL", &collector.url())])
            .env("RUST_BACKTRACE", backtrace)
            .env_remove("RUST_LIB_BACKTRACE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let (done, output) = mpsc::channel();
        thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            done.send(text)
        });
        Self { child, output }
    }

    fn end(mut self, collector: &Collector) -> Outcome {
        let Ok(output) = self.output.recv_timeout(LIMIT) else {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
            panic!("the child hangs: {}", self.output.recv().unwrap());
        };
        Outcome { code: self.child.wait().unwrap().code(), output, events: collector.events() }
    }
}

fn play(scenario: &str) -> Outcome {
    let collector = Collector::start().unwrap();
    Watched::start(scenario, &collector, "0").end(&collector)
}

impl Outcome {
    fn exceptions(&self) -> Vec<&UnhandledExceptionEvent> {
        let exceptions = self.events.iter().filter_map(|event| match event {
            Event::UnhandledException(exception) => Some(exception),
            _ => None,
        });
        exceptions.collect()
    }

    fn messages(&self) -> Vec<&str> {
        self.exceptions().into_iter().map(|exception| exception.error_message.as_str()).collect()
    }

    fn names(&self) -> Vec<&str> {
        self.events.iter().map(Event::name).collect()
    }
}

/// The event names of a session with one fatal exception.
const FATAL: [&str; 3] = ["SESSION_START", "UNHANDLED_EXCEPTION", "SESSION_END"];

/// The event names of a session that goes on after a panic.
const GOES_ON: [&str; 4] = ["SESSION_START", "UNHANDLED_EXCEPTION", "goes on", "SESSION_END"];

#[test]
fn a_panic_of_a_thread_is_an_exception_with_message_thread_and_location_and_the_session_goes_on() {
    let outcome = play("thread");
    assert_eq!((outcome.names(), outcome.code), (GOES_ON.to_vec(), Some(0)), "{}", outcome.output);
    let exception = outcome.exceptions()[0];
    assert_eq!((exception.severity, exception.error_type.as_str()), (Severity::Error, "panic"));
    assert_eq!(exception.error_message, "loss is NaN");
    let traceback = exception.traceback.as_ref().unwrap();
    assert!(
        traceback.starts_with("thread 'trainer' panicked at tests/children/panic_hook/programs.rs:"),
        "{traceback}"
    );
    assert!(traceback.ends_with(":\nloss is NaN"), "the environment demands no backtrace: {traceback}");
    assert!(outcome.output.contains("loss is NaN"), "the earlier hook is called: {}", outcome.output);
}

#[test]
fn rust_backtrace_in_the_environment_adds_the_backtrace() {
    let collector = Collector::start().unwrap();
    let outcome = Watched::start("thread", &collector, "1").end(&collector);
    let traceback = outcome.exceptions()[0].traceback.as_ref().unwrap();
    assert!(
        traceback.contains("\n\nStack backtrace:\n") && traceback.contains("programs::die"),
        "{traceback}"
    );
}

#[test]
fn a_payload_that_is_not_text_on_a_thread_without_a_name_is_reported() {
    let outcome = play("odd");
    assert_eq!(outcome.messages(), ["panicked with a value that is not text"]);
    let traceback = outcome.exceptions()[0].traceback.as_ref().unwrap();
    assert!(traceback.starts_with("thread '<unnamed>' panicked at "), "{traceback}");
}

#[test]
fn a_hook_installed_twice_reports_once() {
    assert_eq!(play("twice").names(), FATAL);
}

#[test]
fn an_earlier_hook_that_exits_comes_after_the_report() {
    let outcome = play("exit");
    assert_eq!((outcome.names(), outcome.code), (FATAL.to_vec(), Some(7)));
}

#[test]
fn data_that_panics_is_refused_and_its_panic_is_not_reported() {
    let outcome = play("data");
    assert_eq!((outcome.names(), outcome.code), (vec!["SESSION_START", "goes on", "SESSION_END"], Some(0)));
}

#[test]
fn the_workers_own_panic_is_not_reported() {
    let outcome = play("worker");
    assert_eq!((outcome.names(), outcome.code), (vec!["SESSION_START", "SESSION_END"], Some(0)));
    assert!(outcome.output.contains("on the worker, as the test wants it"), "{}", outcome.output);
}

#[test]
fn a_panic_that_holds_the_loggers_lock_is_reported() {
    // At trace level the worker's HTTP client needs the lock too. It gets the lock when the wait is over.
    for scenario in ["logger", "logger at trace"] {
        let outcome = play(scenario);
        assert_eq!(
            (outcome.names(), outcome.code),
            (FATAL.to_vec(), Some(0)),
            "{scenario}: {}",
            outcome.output
        );
    }
}

#[test]
fn with_a_stalled_server_and_a_full_queue_a_fatal_panic_waits_for_the_shutdown_timeout() {
    let collector = Collector::start().unwrap();
    let _hold = collector.hold_answers();
    let outcome = Watched::start("stalled", &collector, "0").end(&collector);
    assert_eq!(outcome.code, Some(0), "{}", outcome.output);
}

#[test]
fn a_panic_while_another_thread_waits_for_its_own_is_reported_too() {
    let collector = Collector::start().unwrap();
    let hold = collector.hold_answers();
    let mut watched = Watched::start("second", &collector, "0");
    collector.next_request(LIMIT).unwrap();
    watched.child.stdin.take().unwrap().write_all(b"!").unwrap();
    drop(hold);
    let outcome = watched.end(&collector);
    let mut messages = outcome.messages();
    messages.sort_unstable();
    assert_eq!((messages, outcome.code), (vec!["first", "second"], Some(0)), "{}", outcome.output);
}

#[test]
fn a_thread_waits_once_for_a_stalled_server_and_not_for_its_next_panics() {
    let collector = Collector::start().unwrap();
    let _hold = collector.hold_answers();
    let outcome = Watched::start("recovered", &collector, "0").end(&collector);
    assert_eq!(outcome.code, Some(0), "{}", outcome.output);
}

#[test]
fn panics_that_a_pool_catches_cause_no_wait_and_do_not_end_the_session() {
    let collector = Collector::start().unwrap();
    let _hold = collector.hold_answers();
    let outcome = Watched::start("pool", &collector, "0").end(&collector);
    assert_eq!(outcome.code, Some(0), "{}", outcome.output);
}

#[test]
fn after_a_wait_without_a_delivery_no_thread_waits_until_the_next_delivery() {
    let collector = Collector::start().unwrap();
    let hold = collector.hold_answers();
    let mut watched = Watched::start("timeout", &collector, "0");
    let mut lines = BufReader::new(watched.child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "please answer"));
    drop(hold);
    drop(lines.by_ref().last());
    let outcome = watched.end(&collector);
    assert_eq!(outcome.code, Some(0), "{}", outcome.output);
    assert_eq!(outcome.messages().last(), Some(&"waits again and is delivered"));
}

#[test]
fn an_explicit_choice_decides_what_is_fatal_and_a_later_choice_replaces_it() {
    let outcome = play("chosen");
    assert_eq!((outcome.names(), outcome.code), (GOES_ON.to_vec(), Some(0)), "{}", outcome.output);
}

#[test]
fn a_panic_in_a_destructor_during_a_panic_is_reported_too() {
    for scenario in ["double", "double in capture"] {
        let outcome = play(scenario);
        assert_eq!(outcome.code, None, "the process aborts");
        let messages = ["first", "second, in a destructor", "panic in a destructor during cleanup"];
        assert_eq!(outcome.messages(), messages, "{scenario}");
    }
}

#[test]
fn a_message_that_panics_aborts_the_program_as_it_does_without_the_hook() {
    let outcome = play("unprintable");
    assert_eq!(outcome.code, None, "the process aborts");
    assert!(outcome.output.contains("panicked while processing panic"), "{}", outcome.output);
}

#[test]
fn a_captured_panic_is_reported_once_by_each_capture_and_with_its_location() {
    let outcome = play("captured");
    assert_eq!(outcome.code, Some(0), "{}", outcome.output);
    // From the inner capture, the outer one, the spawned thread, and the fatal one, which ends the session.
    assert_eq!(outcome.messages(), ["captured", "captured", "spawned", "fatal"]);
    let severities: Vec<_> = outcome.exceptions().iter().map(|exception| exception.severity).collect();
    assert_eq!(severities, [Severity::Error, Severity::Error, Severity::Error, Severity::Critical]);
    for exception in outcome.exceptions() {
        let traceback = exception.traceback.as_ref().unwrap();
        assert!(traceback.contains(" panicked at tests/children/panic_hook/programs.rs:"), "{traceback}");
        assert!(traceback.ends_with(&exception.error_message), "{traceback}");
    }
    assert_eq!(outcome.names().last(), Some(&"SESSION_END"));
}

#[test]
fn the_drop_waits_while_a_panicking_thread_waits_too() {
    let collector = Collector::start().unwrap();
    let _hold = collector.hold_answers();
    let mut watched = Watched::start("dropped during a wait", &collector, "0");
    collector.next_request(LIMIT).unwrap();
    watched.child.stdin.take().unwrap().write_all(b"!").unwrap();
    let outcome = watched.end(&collector);
    assert_eq!(outcome.code, Some(0), "{}", outcome.output);
}

#[test]
fn the_hook_does_not_keep_the_session_alive() {
    let outcome = play("dropped");
    assert_eq!((outcome.names(), outcome.code), (vec!["SESSION_START", "SESSION_END"], Some(0)));
    assert!(outcome.output.contains("after the drop"), "{}", outcome.output);
}
