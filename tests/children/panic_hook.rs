//! Keeps the promises of the panic hook. Every panic outside a capture is reported once and on time, also while its
//! thread holds a lock. A thread waits for its report only where the panic is fatal. Each scenario runs in a process of
//! its own: this binary, started again as `child`. `tests/process/panic_on_main.rs` has the panics of a main thread.
#![cfg(all(feature = "panic", feature = "collector"))]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::panic::{self, AssertUnwindSafe, catch_unwind, panic_any};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tinker_telemetry::bridge::{self, FatalPanics};
use tinker_telemetry::collector::Collector;
use tinker_telemetry::event::{Event, UnhandledExceptionEvent};
use tinker_telemetry::{Builder, Config, Reporter, Severity, json};

use crate::support::{LIMIT, NEVER, Panics};

/// The shutdown timeout of the scenarios that wait for it.
const BRIEF: Duration = Duration::from_secs(3);
/// The time that a slow machine may add.
const SLACK: Duration = Duration::from_secs(5);

// The process that panics.

#[test]
fn child() {
    let Ok(scenario) = std::env::var("CHILD_SCENARIO") else { return };
    let url = std::env::var("CHILD_URL").unwrap();
    let builder = Reporter::builder(Config::new("tml-test").base_url(url), "session-0001")
        .enabled(true)
        .flush_timeout(NEVER)
        .shutdown_timeout(LIMIT)
        .retry_base_delay(Duration::from_millis(1));
    match scenario.as_str() {
        "thread" => panic_on_thread(builder),
        "odd" => odd_payload_without_a_name(builder),
        "twice" => installed_twice(builder),
        "exit" => earlier_hook_that_exits(builder),
        "data" => data_that_panics(builder),
        "worker" => worker_that_panics(builder),
        "logger" => panic_with_the_loggers_lock(builder, log::LevelFilter::Info),
        "logger at trace" => {
            panic_with_the_loggers_lock(builder.shutdown_timeout(BRIEF), log::LevelFilter::Trace);
        }
        "stalled" => stalled_server_and_full_queue(builder),
        "second" => second_panic_while_the_first_waits(builder),
        "recovered" => recovered_panics_during_a_panic(builder),
        "pool" => caught_panics_of_a_pool(builder),
        "timeout" => wait_without_a_result(builder),
        "chosen" => choice_that_is_replaced(builder),
        "double" => double_panic(&start(builder)),
        "double in capture" => {
            let reporter = start(builder);
            reporter.capture(|| double_panic(&reporter));
        }
        "unprintable" => message_that_panics(builder),
        "captured" => captured_panics(builder),
        "dropped" => reporter_dropped_before_a_panic(builder),
        "dropped during a wait" => dropped_while_a_thread_waits(builder),
        _ => panic!("unknown scenario {scenario}"),
    }
}

fn start(builder: Builder) -> Reporter {
    let reporter = builder.start().unwrap();
    bridge::install_panic_hook(&reporter);
    reporter
}

fn start_fatal(builder: Builder) -> Reporter {
    let reporter = builder.start().unwrap();
    bridge::install_panic_hook_with(&reporter, FatalPanics::Always);
    reporter
}

/// Starts a thread of this name that panics, and waits for its end.
fn die(name: &str, payload: &'static str) {
    let work = move || panic!("{payload}");
    let thread = thread::Builder::new().name(name.to_owned()).spawn::<_, ()>(work).unwrap();
    thread.join().unwrap_err();
}

fn panic_on_thread(builder: Builder) {
    let reporter = start(builder);
    die("trainer", "loss is NaN");
    reporter.log("goes on", (), Severity::Info);
}

fn odd_payload_without_a_name(builder: Builder) {
    let reporter = start(builder);
    thread::spawn(|| panic_any(17_u8)).join().unwrap_err();
    drop(reporter);
}

fn installed_twice(builder: Builder) {
    let reporter = start(builder);
    bridge::install_panic_hook(&reporter);
    bridge::install_panic_hook(&reporter.clone());
    die("trainer", "once");
}

fn earlier_hook_that_exits(builder: Builder) {
    panic::set_hook(Box::new(|_| std::process::exit(7)));
    let _reporter = start_fatal(builder);
    die("trainer", "before the exit");
}

fn data_that_panics(builder: Builder) {
    let reporter = start(builder);
    assert!(!reporter.log("panics", Panics, Severity::Info));
    assert!(reporter.log("goes on", (), Severity::Info));
}

fn worker_that_panics(builder: Builder) {
    struct PanicsOnce(Mutex<bool>);
    impl log::Log for PanicsOnce {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, _: &log::Record<'_>) {
            let on_worker = thread::current().name() == Some("tinker-reporter");
            let first = on_worker && !std::mem::replace(&mut *self.0.lock().unwrap(), true);
            assert!(!first, "on the worker, as the test wants it");
        }
        fn flush(&self) {}
    }
    log::set_boxed_logger(Box::new(PanicsOnce(Mutex::new(false)))).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let reporter = start(builder);
    assert!(reporter.wait_until_drained(LIMIT));
}

fn panic_with_the_loggers_lock(builder: Builder, level: log::LevelFilter) {
    struct Locked(Mutex<String>);
    impl log::Log for Locked {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *text = record.args().to_string();
        }
        fn flush(&self) {}
    }
    log::set_boxed_logger(Box::new(Locked(Mutex::default()))).unwrap();
    log::set_max_level(level);
    let reporter = start_fatal(builder);
    thread::spawn(|| log::error!("{Panics}")).join().unwrap_err();
    assert!(
        level == log::LevelFilter::Trace || reporter.stats().delivered == 3,
        "the panicking thread waited"
    );
    assert!(reporter.wait_until_drained(LIMIT));
}

fn stalled_server_and_full_queue(builder: Builder) {
    let (sender, hook_calls) = mpsc::channel();
    let sender = Mutex::new(sender);
    panic::set_hook(Box::new(move |_| sender.lock().unwrap().send(Instant::now()).unwrap()));
    let reporter = start_fatal(builder.shutdown_timeout(BRIEF).max_queue_size(1));
    while reporter.log("filler", (), Severity::Info) {}
    let started = Instant::now();
    die("trainer", "stalled");
    let (called, waited) = (hook_calls.recv().unwrap() - started, started.elapsed());
    assert!(called < Duration::from_secs(1) + SLACK / 3, "the earlier hook was called after {called:?}");
    assert!((BRIEF..BRIEF + SLACK).contains(&waited), "{waited:?}");
    assert_eq!(reporter.stats().pending, 3, "the filler, the panic, the session's end");
    reporter.stop(Duration::ZERO);
}

fn second_panic_while_the_first_waits(builder: Builder) {
    let reporter = start_fatal(builder);
    let first = thread::spawn(|| die("first", "first"));
    io::stdin().read_exact(&mut [0]).unwrap(); // the first is on the wire
    let second = thread::spawn(|| die("second", "second"));
    first.join().unwrap();
    second.join().unwrap();
    assert_eq!(reporter.stats().pending, 0);
}

/// Runs a function when it is dropped.
struct OnDrop(fn());

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0();
    }
}

fn recovered_panics_during_a_panic(builder: Builder) {
    let reporter = start_fatal(builder.shutdown_timeout(BRIEF));
    let started = Instant::now();
    let thread = thread::spawn(|| {
        let _recovers = OnDrop(|| (0..10).for_each(|_| drop(catch_unwind(|| panic!("inner")))));
        panic!("outer");
    });
    thread.join().unwrap_err();
    let waited = started.elapsed();
    // One wait per panic would be 33 seconds.
    assert!((BRIEF..5 * BRIEF).contains(&waited), "{waited:?}");
    assert_eq!(reporter.stats().pending, 13, "start, outer, end, and the inner ones");
    reporter.stop(Duration::ZERO);
}

/// With the default settings, as in a server. One wait would be five seconds.
fn caught_panics_of_a_pool(_: Builder) {
    let url = std::env::var("CHILD_URL").unwrap();
    let config = Config::new("tml-test").base_url(url);
    let reporter = start(Reporter::builder(config, "session-0001").enabled(true));
    let started = Instant::now();
    let pool = thread::spawn(|| (0..3).for_each(|_| drop(catch_unwind(|| panic!("of a job")))));
    pool.join().unwrap();
    let elapsed = started.elapsed();
    assert!(elapsed < SLACK, "{elapsed:?}");
    assert_eq!(reporter.stats().pending, 4, "the session's start and the panics, and no end");
    reporter.stop(Duration::ZERO);
}

fn wait_without_a_result(builder: Builder) {
    let reporter = start_fatal(builder.http_timeout(Duration::from_secs(1)).max_retries(0));
    die("first", "waits until the report is dropped");
    assert_eq!((reporter.stats().pending, reporter.stats().dropped.total()), (0, 3));
    die("second", "does not wait");
    assert_eq!(reporter.stats().pending, 1);
    println!("\nplease answer"); // the parent holds all answers until this line
    io::stdout().flush().unwrap();
    while reporter.stats().delivered == 0 {
        reporter.log("after the outage", (), Severity::Info);
        reporter.wait_until_drained(LIMIT);
    }
    die("third", "waits again and is delivered");
    assert_eq!(reporter.stats().pending, 0);
}

fn choice_that_is_replaced(builder: Builder) {
    let reporter = start_fatal(builder);
    bridge::install_panic_hook_with(&reporter, FatalPanics::Never);
    die("trainer", "not fatal");
    reporter.log("goes on", json!({"fatal": false}), Severity::Info);
}

fn double_panic(_reporter: &Reporter) {
    let _panics = OnDrop(|| panic!("second, in a destructor"));
    panic!("first");
}

fn message_that_panics(builder: Builder) {
    let _reporter = start(builder);
    thread::spawn(|| panic!("{Panics}")).join().unwrap_err();
}

fn captured_panics(builder: Builder) {
    let reporter = start(builder);
    let work = || {
        drop(catch_unwind(|| panic!("recovered inside")));
        reporter.capture::<(), _>(|| {
            let _recovers = OnDrop(|| drop(catch_unwind(|| panic!("recovered during the unwinding"))));
            panic!("captured")
        });
    };
    let payload = catch_unwind(AssertUnwindSafe(|| reporter.capture::<(), _>(work))).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"captured"));

    let thread = thread::Builder::new().name("loader".to_owned());
    let thread = reporter.spawn::<(), _>(thread, || panic!("spawned")).unwrap();
    assert_eq!(thread.join().unwrap_err().downcast_ref(), Some(&"spawned"));
    assert!(reporter.wait_until_drained(LIMIT));

    let fatal = || reporter.capture_fatal::<(), _>(|| panic!("fatal"));
    catch_unwind(AssertUnwindSafe(fatal)).unwrap_err();
    assert_eq!(reporter.stats().pending, 0, "capture_fatal waits");
}

fn reporter_dropped_before_a_panic(builder: Builder) {
    let reporter = start(builder);
    drop(reporter);
    die("late", "after the drop");
}

fn dropped_while_a_thread_waits(builder: Builder) {
    let reporter = start_fatal(builder.shutdown_timeout(BRIEF));
    let dying = thread::spawn(|| die("dying", "not the owner"));
    io::stdin().read_exact(&mut [0]).unwrap(); // the report is on the wire
    let started = Instant::now();
    drop(reporter);
    let waited = started.elapsed();
    assert!((BRIEF..BRIEF + SLACK).contains(&waited), "{waited:?}");
    dying.join().unwrap();
}

// The parent process.

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
            .args(["panic_hook::child", "--exact", "--nocapture"])
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
        traceback.starts_with("thread 'trainer' panicked at tests/children/panic_hook.rs:"),
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
        traceback.contains("\n\nStack backtrace:\n") && traceback.contains("panic_hook::die"),
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
        assert!(traceback.contains(" panicked at tests/children/panic_hook.rs:"), "{traceback}");
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
