//! Keeps the programs that panic: one for each scenario of the panic hook.

use std::io::{self, Read, Write};
use std::panic::{self, AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tinker_telemetry::bridge::{self, FatalPanics};
use tinker_telemetry::{Builder, Config, Reporter, Severity, json};

use crate::support::{LIMIT, NEVER, Panics};

/// The shutdown timeout of the scenarios that wait for it.
const BRIEF: Duration = Duration::from_secs(3);
/// The time that a slow machine may add.
const SLACK: Duration = Duration::from_secs(5);

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
