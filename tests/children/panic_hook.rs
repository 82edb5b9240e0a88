//! Keeps the panic hook to its word: every panic that no capture catches is reported once and on time, whatever its thread
//! holds, and a thread waits for its report only where it should. `tests/process/panic_on_main.rs` has the panics of a main
//! thread. Each test is played by a process of its own, which is this binary started again as `child`.
#![cfg(all(feature = "panic-hook", feature = "collector"))]

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

/// What some wait for.
const BRIEF: Duration = Duration::from_secs(3);
/// What a slow machine may add.
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
        "quiet" => data_that_panics(builder),
        "worker" => worker_that_panics(builder),
        "logger" => panic_with_the_loggers_lock(builder, log::LevelFilter::Info),
        "logger at trace" => {
            panic_with_the_loggers_lock(builder.shutdown_timeout(BRIEF), log::LevelFilter::Trace);
        }
        "stalled" => stalled_server_and_full_queue(builder),
        "second" => second_panic_while_the_first_waits(builder),
        "recovered" => recovered_panics_during_a_panic(builder),
        "pool" => caught_panics_of_a_pool(builder),
        "vain" => waits_in_vain(builder),
        "chosen" => choice_that_is_replaced(builder),
        "double" => double_panic(&start(builder)),
        "double in capture" => {
            let reporter = start(builder);
            reporter.capture(|| double_panic(&reporter));
        }
        "unprintable" => unprintable(builder),
        "captured" => captured(builder),
        "gone" => gone(builder),
        "owned" => dropped_while_a_thread_waits(builder),
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

/// Has a thread of this name panic, to its end.
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
    let (say, heard) = mpsc::channel();
    let say = Mutex::new(say);
    panic::set_hook(Box::new(move |_| say.lock().unwrap().send(Instant::now()).unwrap()));
    let reporter = start_fatal(builder.shutdown_timeout(BRIEF).max_queue_size(1));
    while reporter.log("filler", (), Severity::Info) {}
    let started = Instant::now();
    die("trainer", "stalled");
    let (said, waited) = (heard.recv().unwrap() - started, started.elapsed());
    assert!(said < Duration::from_secs(1) + SLACK / 3, "the earlier hook was called after {said:?}");
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
    // A wait for each would be 33 seconds.
    assert!((BRIEF..5 * BRIEF).contains(&waited), "{waited:?}");
    assert_eq!(reporter.stats().pending, 13, "start, outer, end, and the inner ones");
    reporter.stop(Duration::ZERO);
}

/// At defaults, as a server has it: a wait would be five seconds.
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

fn waits_in_vain(builder: Builder) {
    let reporter = start_fatal(builder.http_timeout(Duration::from_secs(1)).max_retries(0));
    die("first", "waits until the report is given up");
    assert_eq!((reporter.stats().pending, reporter.stats().dropped.total()), (0, 3));
    die("second", "does not wait");
    assert_eq!(reporter.stats().pending, 1);
    println!("\nmay be answered"); // for the parent, which has kept all answers until now
    io::stdout().flush().unwrap();
    while reporter.stats().delivered == 0 {
        reporter.log("after the outage", (), Severity::Info);
        reporter.wait_until_drained(LIMIT);
    }
    die("third", "waits again, and not in vain");
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

fn unprintable(builder: Builder) {
    let _reporter = start(builder);
    thread::spawn(|| panic!("{Panics}")).join().unwrap_err();
}

fn captured(builder: Builder) {
    let reporter = start(builder);
    let work = || {
        drop(catch_unwind(|| panic!("recovered inside")));
        reporter.capture::<(), _>(|| {
            let _recovers = OnDrop(|| drop(catch_unwind(|| panic!("recovered on the way"))));
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

fn gone(builder: Builder) {
    let reporter = start(builder);
    drop(reporter);
    die("late", "no reporter is left");
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

// The process that watches.

struct Watched {
    child: Child,
    output: mpsc::Receiver<String>,
}

/// How a child ended, what it wrote, and what the collector has of it.
struct Seen {
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

    fn end(mut self, collector: &Collector) -> Seen {
        let Ok(output) = self.output.recv_timeout(LIMIT) else {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
            panic!("the child hangs: {}", self.output.recv().unwrap());
        };
        Seen { code: self.child.wait().unwrap().code(), output, events: collector.events() }
    }
}

fn play(scenario: &str) -> Seen {
    let collector = Collector::start().unwrap();
    Watched::start(scenario, &collector, "0").end(&collector)
}

impl Seen {
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

/// The names of what a session with one fatal exception has.
const FATAL: [&str; 3] = ["SESSION_START", "UNHANDLED_EXCEPTION", "SESSION_END"];

/// The names of what a session has in which a panic was not fatal.
const GOES_ON: [&str; 4] = ["SESSION_START", "UNHANDLED_EXCEPTION", "goes on", "SESSION_END"];

#[test]
fn a_panic_of_a_thread_is_an_exception_with_its_message_thread_and_place_and_the_session_goes_on() {
    let seen = play("thread");
    assert_eq!((seen.names(), seen.code), (GOES_ON.to_vec(), Some(0)), "{}", seen.output);
    let exception = seen.exceptions()[0];
    assert_eq!((exception.severity, exception.error_type.as_str()), (Severity::Error, "panic"));
    assert_eq!(exception.error_message, "loss is NaN");
    let traceback = exception.traceback.as_ref().unwrap();
    assert!(
        traceback.starts_with("thread 'trainer' panicked at tests/children/panic_hook.rs:"),
        "{traceback}"
    );
    assert!(traceback.ends_with(":\nloss is NaN"), "no backtrace was asked for: {traceback}");
    assert!(seen.output.contains("loss is NaN"), "the hook before is called: {}", seen.output);
}

#[test]
fn the_environment_asks_for_the_backtrace() {
    let collector = Collector::start().unwrap();
    let seen = Watched::start("thread", &collector, "1").end(&collector);
    let traceback = seen.exceptions()[0].traceback.as_ref().unwrap();
    assert!(
        traceback.contains("\n\nStack backtrace:\n") && traceback.contains("panic_hook::die"),
        "{traceback}"
    );
}

#[test]
fn a_payload_that_is_not_text_on_a_thread_without_a_name_is_reported() {
    let seen = play("odd");
    assert_eq!(seen.messages(), ["panicked with a value that is not text"]);
    let traceback = seen.exceptions()[0].traceback.as_ref().unwrap();
    assert!(traceback.starts_with("thread '<unnamed>' panicked at "), "{traceback}");
}

#[test]
fn a_hook_installed_twice_reports_once() {
    assert_eq!(play("twice").names(), FATAL);
}

#[test]
fn an_earlier_hook_that_exits_comes_after_the_report() {
    let seen = play("exit");
    assert_eq!((seen.names(), seen.code), (FATAL.to_vec(), Some(7)));
}

#[test]
fn data_that_panics_is_refused_and_is_no_fatal_exception() {
    let seen = play("quiet");
    assert_eq!((seen.names(), seen.code), (vec!["SESSION_START", "goes on", "SESSION_END"], Some(0)));
}

#[test]
fn the_workers_own_panic_is_not_reported() {
    let seen = play("worker");
    assert_eq!((seen.names(), seen.code), (vec!["SESSION_START", "SESSION_END"], Some(0)));
    assert!(seen.output.contains("on the worker, as the test wants it"), "{}", seen.output);
}

#[test]
fn a_panic_that_holds_the_loggers_lock_is_reported() {
    // At trace level the worker's HTTP client wants the lock too, and gets it when the wait is over.
    for scenario in ["logger", "logger at trace"] {
        let seen = play(scenario);
        assert_eq!((seen.names(), seen.code), (FATAL.to_vec(), Some(0)), "{scenario}: {}", seen.output);
    }
}

#[test]
fn with_a_stalled_server_and_a_full_queue_a_fatal_panic_costs_its_shutdown_timeout() {
    let collector = Collector::start().unwrap();
    let _hold = collector.hold_answers();
    let seen = Watched::start("stalled", &collector, "0").end(&collector);
    assert_eq!(seen.code, Some(0), "{}", seen.output);
}

#[test]
fn a_panic_while_another_thread_waits_for_its_own_is_reported_too() {
    let collector = Collector::start().unwrap();
    let hold = collector.hold_answers();
    let mut watched = Watched::start("second", &collector, "0");
    collector.next_request(LIMIT).unwrap();
    watched.child.stdin.take().unwrap().write_all(b"!").unwrap();
    drop(hold);
    let seen = watched.end(&collector);
    let mut messages = seen.messages();
    messages.sort_unstable();
    assert_eq!((messages, seen.code), (vec!["first", "second"], Some(0)), "{}", seen.output);
}

#[test]
fn a_thread_that_waited_in_vain_does_not_wait_again_for_its_next_panics() {
    let collector = Collector::start().unwrap();
    let _hold = collector.hold_answers();
    let seen = Watched::start("recovered", &collector, "0").end(&collector);
    assert_eq!(seen.code, Some(0), "{}", seen.output);
}

#[test]
fn panics_that_a_pool_catches_cost_no_wait_and_do_not_end_the_session() {
    let collector = Collector::start().unwrap();
    let _hold = collector.hold_answers();
    let seen = Watched::start("pool", &collector, "0").end(&collector);
    assert_eq!(seen.code, Some(0), "{}", seen.output);
}

#[test]
fn after_a_wait_in_vain_no_thread_waits_until_something_was_delivered() {
    let collector = Collector::start().unwrap();
    let hold = collector.hold_answers();
    let mut watched = Watched::start("vain", &collector, "0");
    let mut lines = BufReader::new(watched.child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "may be answered"));
    drop(hold);
    drop(lines.by_ref().last());
    let seen = watched.end(&collector);
    assert_eq!(seen.code, Some(0), "{}", seen.output);
    assert_eq!(seen.messages().last(), Some(&"waits again, and not in vain"));
}

#[test]
fn a_choice_overrides_what_is_fatal_and_a_later_choice_replaces_it() {
    let seen = play("chosen");
    assert_eq!((seen.names(), seen.code), (GOES_ON.to_vec(), Some(0)), "{}", seen.output);
}

#[test]
fn a_panic_in_a_destructor_during_a_panic_leaves_nothing_unsaid() {
    for scenario in ["double", "double in capture"] {
        let seen = play(scenario);
        assert_eq!(seen.code, None, "the process aborts");
        let said = ["first", "second, in a destructor", "panic in a destructor during cleanup"];
        assert_eq!(seen.messages(), said, "{scenario}");
    }
}

#[test]
fn a_message_that_panics_ends_the_program_as_it_would_without_us() {
    let seen = play("unprintable");
    assert_eq!(seen.code, None, "the process aborts");
    assert!(seen.output.contains("panicked while processing panic"), "{}", seen.output);
}

#[test]
fn a_captured_panic_is_reported_once_by_each_capture_and_with_its_place() {
    let seen = play("captured");
    assert_eq!(seen.code, Some(0), "{}", seen.output);
    // By the inner capture, the outer, the thread's; the fatal one ends the session.
    assert_eq!(seen.messages(), ["captured", "captured", "spawned", "fatal"]);
    let severities: Vec<_> = seen.exceptions().iter().map(|exception| exception.severity).collect();
    assert_eq!(severities, [Severity::Error, Severity::Error, Severity::Error, Severity::Critical]);
    for exception in seen.exceptions() {
        let traceback = exception.traceback.as_ref().unwrap();
        assert!(traceback.contains(" panicked at tests/children/panic_hook.rs:"), "{traceback}");
        assert!(traceback.ends_with(&exception.error_message), "{traceback}");
    }
    assert_eq!(seen.names().last(), Some(&"SESSION_END"));
}

#[test]
fn the_drop_waits_though_a_panicking_thread_waits_already() {
    let collector = Collector::start().unwrap();
    let _hold = collector.hold_answers();
    let mut watched = Watched::start("owned", &collector, "0");
    collector.next_request(LIMIT).unwrap();
    watched.child.stdin.take().unwrap().write_all(b"!").unwrap();
    let seen = watched.end(&collector);
    assert_eq!(seen.code, Some(0), "{}", seen.output);
}

#[test]
fn the_hook_does_not_keep_the_session_going() {
    let seen = play("gone");
    assert_eq!((seen.names(), seen.code), (vec!["SESSION_START", "SESSION_END"], Some(0)));
    assert!(seen.output.contains("no reporter is left"), "{}", seen.output);
}
