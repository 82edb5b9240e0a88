//! Keeps what works at the very end of a thread, when the standard library's storage for it is gone: events are reported,
//! and no call panics, which would abort the process. An abort ends all tests, so this binary has no others.
#![cfg(all(target_os = "linux", target_env = "gnu", feature = "collector"))]

#[cfg(all(feature = "log", feature = "panic"))]
#[path = "../support/process.rs"]
mod process;
#[path = "../support/mod.rs"]
mod support;

use std::cell::Cell;
use std::ffi::c_void;
use std::io;
use std::panic;
use std::sync::{Once, mpsc};
use std::thread;

use support::{LIMIT, NEVER, assert_adds_up, names, session, sessionless};
use tinker_telemetry::collector::Collector;
use tinker_telemetry::{Reporter, Severity};

type Work = Box<dyn FnOnce()>;

/// The destructor of a key of the C library.
extern "C" fn destroy(work: *mut c_void) {
    // SAFETY: it is the box that `at_the_end_of_a_thread` stored.
    #[expect(unsafe_code, reason = "the C library passes what was stored")]
    let work = unsafe { Box::from_raw(work.cast::<Work>()) };
    work();
}

/// Does `before` on a new thread, and `last` in the destructor of a key. Returns what `last` returns.
fn at_the_end_of_a_thread<T: Send + 'static>(
    before: impl FnOnce() + Send + 'static,
    last: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (result, results) = mpsc::channel();
    let last: Box<dyn FnOnce() + Send> = Box::new(move || {
        let value = last();
        result.send((value, is_storage_gone())).unwrap();
    });
    let ends = thread::spawn(move || {
        before();
        store(last);
    });
    ends.join().unwrap();
    let (value, is_storage_gone) = results.recv_timeout(LIMIT).unwrap();
    assert!(is_storage_gone, "the destructor came too early to show anything");
    value
}

/// Leaves work to the destructor of a key. Keys with higher numbers are destroyed later. The standard library made its own
/// key when the first threads started, and it left lower numbers free, more than one if several threads made one at once.
/// So the low numbers are taken first.
#[expect(unsafe_code, reason = "keys are the C library's")]
fn store(work: Work) {
    static LOW: Once = Once::new();
    let make_key = |destructor| {
        let mut key = 0;
        // SAFETY: it writes the key.
        assert_eq!(unsafe { libc::pthread_key_create(&raw mut key, destructor) }, 0);
        key
    };
    LOW.call_once(|| (0..16).for_each(|_| _ = make_key(None)));
    let key = make_key(Some(destroy));
    let work = Box::into_raw(Box::new(work));
    // SAFETY: the key was just made, and its destructor takes the box over.
    assert_eq!(unsafe { libc::pthread_setspecific(key, work.cast()) }, 0);
}

/// Whether the standard library no longer knows this thread.
fn is_storage_gone() -> bool {
    static SILENT: Once = Once::new();
    SILENT.call_once(|| {
        let hook = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !IS_ASKED.get() {
                hook(panic);
            }
        }));
    });
    IS_ASKED.set(true);
    let is_gone = panic::catch_unwind(thread::current).is_err();
    IS_ASKED.set(false);
    is_gone
}

thread_local! {
    static IS_ASKED: Cell<bool> = const { Cell::new(false) };
}

fn log(reporter: &Reporter, events: usize) {
    for step in 0..events {
        assert!(reporter.log("last", step, Severity::Info));
    }
}

#[test]
fn the_last_event_of_a_thread_that_never_logged_wakes_the_worker() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).flush_threshold(1).start().unwrap();
    let of_thread = reporter.clone();
    at_the_end_of_a_thread(|| {}, move || log(&of_thread, 1));
    assert_eq!(names(&collector.wait_for_events(1, LIMIT)), ["last"]);
}

#[test]
fn the_last_event_of_a_thread_that_logged_wakes_the_worker() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).flush_threshold(2).start().unwrap();
    let (first, last) = (reporter.clone(), reporter.clone());
    at_the_end_of_a_thread(move || log(&first, 1), move || log(&last, 1));
    assert_eq!(collector.wait_for_events(2, LIMIT).len(), 2);
}

#[test]
fn a_full_chunk_reaches_a_worker_that_sleeps() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).flush_threshold(1_000).start().unwrap();
    let of_thread = reporter.clone();
    at_the_end_of_a_thread(|| {}, move || log(&of_thread, 250));
    assert!(reporter.wait_until_drained(LIMIT));
    assert_eq!(collector.events().len(), 250);
}

#[test]
fn a_refused_event_is_counted() {
    let collector = Collector::start().unwrap();
    let hold = collector.hold_answers();
    let reporter = sessionless(&collector).max_queue_size(1).flush_threshold(1).start().unwrap();
    log(&reporter, 1);
    assert!(collector.next_request(LIMIT).is_some());
    let of_thread = reporter.clone();
    let refused = move || of_thread.log("last", (), Severity::Info);
    assert!(!at_the_end_of_a_thread(|| {}, refused));
    assert_eq!(reporter.stats().refused.queue_full, 1);
    drop(hold);
}

#[test]
fn errors_flushes_waits_and_the_last_drop_work() {
    let collector = Collector::start().unwrap();
    let reporter = session(&collector).shutdown_timeout(LIMIT).start().unwrap();
    let weak = reporter.downgrade();
    let last = move || {
        assert!(weak.log("weakly", (), Severity::Info));
        let error = io::Error::other("the last one");
        assert!(reporter.log_exception(&error, Severity::Error));
        reporter.flush();
        assert!(reporter.wait_until_drained(LIMIT));
        assert_adds_up(reporter.stats());
        log(&reporter, 1);
        drop(reporter);
    };
    at_the_end_of_a_thread(|| {}, last);
    let expected = ["SESSION_START", "weakly", "UNHANDLED_EXCEPTION", "last", "SESSION_END"];
    assert_eq!(names(&collector.events()), expected);
}

#[test]
fn a_fatal_exception_and_a_stop_are_on_time() {
    let collector = Collector::start().unwrap();
    let reporter = session(&collector).flush_interval(NEVER).start().unwrap();
    let last = move || {
        let error = io::Error::other("the last one");
        assert!(reporter.log_fatal_exception(&error, Severity::Critical));
        assert!(reporter.stop(LIMIT));
    };
    at_the_end_of_a_thread(|| {}, last);
    assert_eq!(names(&collector.events()), ["SESSION_START", "UNHANDLED_EXCEPTION", "SESSION_END"]);
}

#[test]
fn a_reporter_can_be_started() {
    let collector = Collector::start().unwrap();
    let builder = sessionless(&collector);
    let last = move || {
        let reporter = builder.start().unwrap();
        log(&reporter, 1);
        assert!(reporter.wait_until_drained(LIMIT));
    };
    at_the_end_of_a_thread(|| {}, last);
    assert_eq!(names(&collector.events()), ["last"]);
}

#[test]
fn a_panic_that_is_captured_is_reported() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).start().unwrap();
    let of_thread = reporter.clone();
    let captured = move || of_thread.capture_panics(|| panic!("on purpose"));
    let last = || panic::catch_unwind(captured).is_err();
    assert!(at_the_end_of_a_thread(|| {}, last), "it is passed on");
    assert!(reporter.wait_until_drained(LIMIT));
    assert_eq!(names(&collector.events()), ["UNHANDLED_EXCEPTION"]);
}

/// Logs a record at the end of a thread, and does `after` there. Returns the names of the events.
#[cfg(feature = "log")]
fn log_a_record(prepare: impl FnOnce(&Reporter), after: impl FnOnce() + Send + 'static) -> Vec<String> {
    use support::SESSION;
    use tinker_telemetry::bridge::{Attachments, EventFilter, LogBridge};

    struct Silent;
    impl log::Log for Silent {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, _: &log::Record<'_>) {}
        fn flush(&self) {}
    }

    let collector = Collector::start().unwrap();
    let reporter = session(&collector).start().unwrap();
    prepare(&reporter);
    let attachments = Attachments::new();
    attachments.attach("test", &reporter, EventFilter::all()).unwrap();
    let bridge = LogBridge::new(Silent, &attachments);
    log::set_max_level(log::LevelFilter::Info);
    let last = move || {
        log::info!(logger: bridge, target: "last", session_id = SESSION; "of the thread");
        after();
    };
    at_the_end_of_a_thread(|| {}, last);
    assert!(reporter.wait_until_drained(LIMIT));
    names(&collector.events()).into_iter().map(str::to_owned).collect()
}

#[cfg(feature = "log")]
#[test]
fn a_record_is_forwarded() {
    assert_eq!(log_a_record(|_| {}, || {}), ["SESSION_START", "last"]);
}

/// A panic inside a panic hook aborts the process, and the hook asks for the thread too.
#[cfg(all(feature = "log", feature = "panic"))]
#[test]
fn a_record_is_forwarded_and_a_later_panic_reported_with_the_panic_hook() {
    let test = "a_record_is_forwarded_and_a_later_panic_reported_with_the_panic_hook";
    process::alone(test, "", |_| {
        let panic = || assert!(panic::catch_unwind(|| panic!("on purpose")).is_err());
        let events = log_a_record(tinker_telemetry::bridge::install_panic_hook, panic);
        assert_eq!(events, ["SESSION_START", "last", "UNHANDLED_EXCEPTION"]);
    });
}
