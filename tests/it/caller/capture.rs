//! Keeps the captures: an error or a panic inside is reported and returned unchanged to the caller.

use std::error::Error;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::thread;

use tinker_telemetry::collector::Collector;
use tinker_telemetry::event::Event;
use tinker_telemetry::{ApiError, Config, Reporter, Severity, Unchecked};

use crate::support::{LIMIT, Panics};

fn start() -> io::Result<(Collector, Reporter)> {
    let collector = Collector::start()?;
    let config = Config::new("tml-test").base_url(collector.url());
    let reporter = Reporter::builder(config, "session-0001").enabled(true).start();
    Ok((collector, reporter.map_err(io::Error::other)?))
}

/// Name, severity and message of each event except the session's own.
fn reported(reporter: &Reporter, collector: &Collector) -> Vec<(String, Severity, String)> {
    assert!(reporter.wait_until_drained(LIMIT));
    let summary = |event: Event| match event {
        Event::UnhandledException(event) => Some((event.error_type, event.severity, event.error_message)),
        Event::Generic(event) => {
            let message = event.event_data.get("message").map(ToString::to_string).unwrap_or_default();
            Some((event.event_name, event.severity, message))
        }
        _ => None,
    };
    collector.events().into_iter().filter_map(summary).collect()
}

fn row(name: &str, severity: Severity, message: &str) -> (String, Severity, String) {
    (name.to_owned(), severity, message.to_owned())
}

/// An error with an address, by which a test recognises it.
#[derive(Debug)]
struct Marked(Box<u8>);

impl fmt::Display for Marked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "marked {}", self.0)
    }
}

impl Error for Marked {}

#[test]
fn a_success_is_returned_and_not_reported() {
    let (collector, reporter) = start().unwrap();
    assert_eq!(reporter.capture(|| Ok::<_, io::Error>(7)).unwrap(), 7);
    assert_eq!(reporter.capture_fatal(|| Ok::<_, io::Error>(8)).unwrap(), 8);
    reporter.capture(|| ());
    assert_eq!(reported(&reporter, &collector), []);
}

#[test]
fn the_same_error_is_returned() {
    let (_collector, reporter) = start().unwrap();
    let marked = Box::new(7);
    let address = &raw const *marked;
    let error = reporter.capture(|| Err::<(), _>(Marked(marked))).unwrap_err();
    assert_eq!(&raw const *error.0, address);
}

#[test]
fn errors_of_every_kind_are_reported() {
    let (collector, reporter) = start().unwrap();
    let plain = || Err::<(), _>(io::Error::from(io::ErrorKind::NotFound));
    let boxed = || Err::<(), Box<dyn Error>>(Box::new(Marked(Box::new(1))));
    let sendable = || Err::<(), Box<dyn Error + Send + Sync>>(Box::new(Marked(Box::new(2))));
    let any =
        || -> anyhow::Result<()> { Err(anyhow::Error::new(Marked(Box::new(3))).context("while training")) };
    let users = || Err::<(), _>(ApiError::new("no such model").with_status(404));
    reporter.capture(plain).unwrap_err();
    reporter.capture(boxed).unwrap_err();
    reporter.capture(sendable).unwrap_err();
    let error = reporter.capture(any).unwrap_err();
    assert!(error.is::<&str>() && error.downcast_ref::<Marked>().is_some(), "an anyhow error: {error:?}");
    reporter.capture(users).unwrap_err();

    let expected = [
        row("std::io::Error", Severity::Error, "entity not found"),
        row("Marked", Severity::Error, "marked 1"),
        row("Marked", Severity::Error, "marked 2"),
        row("Marked", Severity::Error, "while training: marked 3"),
        row("user_error", Severity::Warning, "\"no such model\""),
    ];
    assert_eq!(reported(&reporter, &collector), expected);
}

#[test]
fn a_panic_is_reported_and_resumes_with_the_same_payload() {
    let (collector, reporter) = start().unwrap();
    let marked = Box::new(7_u8);
    let address = &raw const *marked;
    let panic = AssertUnwindSafe(|| reporter.capture::<(), _>(|| panic_any(marked)));
    let payload = catch_unwind(panic).unwrap_err().downcast::<Box<u8>>().unwrap();
    assert_eq!(&raw const **payload, address);

    let silent = AssertUnwindSafe(|| reporter.capture::<(), _>(|| resume_unwind(Box::new("no hook ran"))));
    catch_unwind(silent).unwrap_err();
    let expected = [
        row("panic", Severity::Error, "panicked with a value that is not text"),
        row("panic", Severity::Error, "no hook ran"),
    ];
    assert_eq!(reported(&reporter, &collector), expected);
}

#[test]
fn a_fatal_capture_ends_the_session_and_waits_for_the_report() {
    let (collector, reporter) = start().unwrap();
    reporter.capture_fatal(|| Err::<(), _>(Marked(Box::new(7)))).unwrap_err();
    assert_eq!(reporter.stats().pending, 0, "the capture waits for the report");
    let events = collector.events();
    let names: Vec<_> = events.iter().map(Event::name).collect();
    assert_eq!(names, ["SESSION_START", "UNHANDLED_EXCEPTION", "SESSION_END"]);
    assert_eq!(events[1].severity(), Severity::Critical);

    let panic = AssertUnwindSafe(|| reporter.capture_fatal::<(), _>(|| panic!("fatal")));
    catch_unwind(panic).unwrap_err();
    assert_eq!(reporter.stats().pending, 0, "the capture waits for the report");
    assert_eq!(collector.events().len(), 4, "the session ends once");
}

#[test]
fn an_error_that_panics_when_formatted_is_returned_too() {
    let (collector, reporter) = start().unwrap();
    assert!(reporter.capture(|| Err::<(), _>(Panics)).is_err());
    assert!(reporter.capture_fatal(|| Err::<(), _>(Panics)).is_err());
    assert_eq!(reported(&reporter, &collector), []);
    assert_eq!(reporter.stats().refused.invalid_data, 2);
}

#[test]
fn an_error_of_a_spawned_thread_is_reported_and_returned_by_join() {
    let (collector, reporter) = start().unwrap();
    let spawn = |name: &str| thread::Builder::new().name(name.to_owned());
    let fails = reporter.spawn(spawn("fails"), || Err::<(), _>(Marked(Box::new(7)))).unwrap();
    assert_eq!(fails.thread().name(), Some("fails"));
    assert_eq!(fails.join().unwrap().unwrap_err().to_string(), "marked 7");
    let panics = reporter.spawn::<(), _>(spawn("panics"), || panic!("in a thread")).unwrap();
    assert_eq!(panics.join().unwrap_err().downcast_ref(), Some(&"in a thread"));
    let expected = [
        row("it::caller::capture::Marked", Severity::Error, "marked 7"),
        row("panic", Severity::Error, "in a thread"),
    ];
    assert_eq!(reported(&reporter, &collector), expected);
}

#[test]
fn a_spawned_thread_does_not_keep_the_session_alive() {
    let (collector, reporter) = start().unwrap();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let work = move || released.recv_timeout(LIMIT);
    let thread = reporter.spawn(thread::Builder::new(), work).unwrap();
    drop(reporter);
    assert_eq!(collector.events().last().map(Event::name), Some("SESSION_END"));
    drop(release);
    assert!(thread.join().unwrap().is_err(), "the thread ends as without a reporter");
}

#[test]
fn a_disabled_reporter_only_runs_the_work() {
    let reporter = Reporter::disabled();
    assert!(reporter.capture(|| Err::<(), _>("x".parse::<i8>().unwrap_err())).is_err());
    let thread = reporter.spawn(thread::Builder::new(), || Ok::<_, io::Error>(7)).unwrap();
    assert_eq!(thread.join().unwrap().unwrap(), 7);
}

#[test]
fn a_capture_reports_with_the_chosen_severity() {
    let (collector, reporter) = start().unwrap();
    let fails = || Err::<(), _>(Marked(Box::new(1)));
    assert!(reporter.capture_at(Severity::Warning, fails).is_err());
    let panics = || -> Result<(), Marked> { panic_any("as chosen") };
    let work = || reporter.capture_at(Severity::Debug, panics);
    assert!(catch_unwind(AssertUnwindSafe(work)).is_err());
    assert!(reporter.capture_fatal_at(Severity::Error, fails).is_err());
    let severities: Vec<_> =
        reported(&reporter, &collector).into_iter().map(|(_, severity, _)| severity).collect();
    assert_eq!(severities, [Severity::Warning, Severity::Debug, Severity::Error]);
}

#[test]
fn work_with_any_return_type_is_captured() {
    let (collector, reporter) = start().unwrap();
    assert_eq!(reporter.capture_panics(|| vec![1, 2]), [1, 2]);
    let panics = || reporter.capture_panics::<Option<u8>>(|| panic_any("of any work"));
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    let thread = reporter.spawn(thread::Builder::new(), || Unchecked("plain")).unwrap();
    assert_eq!(thread.join().unwrap().0, "plain");
    let text = reporter.capture(|| Err::<u8, _>("a text".to_owned()));
    assert_eq!(text, Err("a text".to_owned()));
    assert_eq!(reporter.capture(|| Err::<u8, _>("borrowed")), Err("borrowed"));
    let expected = [
        row("panic", Severity::Error, "of any work"),
        row("Error", Severity::Error, "a text"),
        row("Error", Severity::Error, "borrowed"),
    ];
    assert_eq!(reported(&reporter, &collector), expected);
}
