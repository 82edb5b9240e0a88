//! Keeps the drop of the last clone: it delivers and is on time in the destructor of a thread-local, during a panic,
//! and in an async task.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use tinker_telemetry::collector::{Collector, Hold};
use tinker_telemetry::{Reporter, Severity};

use crate::support::{LIMIT, names, session, sessionless};

const TIMEOUT: Duration = Duration::from_millis(200);
/// Shorter than all other limits here, and enough for a loaded machine. The fault suite measures how exact the bound
/// is.
const SLACK: Duration = Duration::from_secs(10);

/// A reporter of a session with one pending event.
fn with_event(collector: &Collector) -> Reporter {
    let reporter = session(collector).shutdown_timeout(LIMIT).start().unwrap();
    assert!(reporter.log("pending", (), Severity::Info));
    reporter
}

fn assert_all_arrived(collector: &Collector) {
    assert_eq!(names(&collector.events()), ["SESSION_START", "pending", "SESSION_END"]);
}

/// A reporter whose last drop ends at its timeout.
fn without_answers(collector: &Collector) -> (Reporter, Hold) {
    let hold = collector.hold_answers();
    let reporter = sessionless(collector).shutdown_timeout(TIMEOUT).start().unwrap();
    assert!(reporter.log("never answered", (), Severity::Info));
    (reporter, hold)
}

fn assert_on_time(started: Instant) {
    let took = started.elapsed();
    assert!(took >= TIMEOUT, "{took:?}: the drop did not wait");
    assert!(took <= TIMEOUT + SLACK, "{took:?}");
}

thread_local! {
    static DROPPED_LAST: RefCell<Option<Reporter>> = const { RefCell::new(None) };
    static LOGS_LAST: RefCell<Option<LogsWhenDropped>> = const { RefCell::new(None) };
}

/// Logs from a destructor, when other thread-locals may not exist any more.
struct LogsWhenDropped(Reporter);

impl Drop for LogsWhenDropped {
    fn drop(&mut self) {
        assert!(self.0.log("last", "data that needs a buffer", Severity::Info));
    }
}

#[test]
fn the_last_drop_delivers_and_is_bounded_in_a_thread_locals_destructor() {
    let collector = Collector::start().unwrap();
    let reporter = with_event(&collector);
    thread::spawn(|| DROPPED_LAST.set(Some(reporter))).join().unwrap();
    assert_all_arrived(&collector);

    let (reporter, _hold) = without_answers(&collector);
    let started = Instant::now();
    thread::spawn(|| DROPPED_LAST.set(Some(reporter))).join().unwrap();
    assert_on_time(started);
}

#[test]
fn a_log_in_a_thread_locals_destructor_is_accepted() {
    let collector = Collector::start().unwrap();
    let reporter = session(&collector).shutdown_timeout(LIMIT).start().unwrap();
    thread::spawn(|| {
        // This destructor is registered first, so it runs last: after that of the buffer that the next call creates.
        LOGS_LAST.set(Some(LogsWhenDropped(reporter.clone())));
        assert!(reporter.log("first", (), Severity::Info));
        drop(reporter);
    })
    .join()
    .unwrap();
    assert_eq!(names(&collector.events()), ["SESSION_START", "first", "last", "SESSION_END"]);
}

#[test]
fn the_last_drop_delivers_and_is_bounded_during_a_panic() {
    let collector = Collector::start().unwrap();
    let reporter = with_event(&collector);
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _dropped_by_the_unwinding = reporter;
        panic!("as the test wants it");
    }));
    assert!(unwound.is_err());
    assert_all_arrived(&collector);

    let (reporter, _hold) = without_answers(&collector);
    let started = Instant::now();
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _dropped_by_the_unwinding = reporter;
        panic!("as the test wants it");
    }));
    assert!(unwound.is_err());
    assert_on_time(started);
}

#[test]
fn the_last_drop_delivers_and_is_bounded_in_a_tokio_task() {
    let collector = Collector::start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let reporter = with_event(&collector);
    runtime.block_on(async {
        let task = tokio::spawn(async move {
            assert!(!reporter.wait_until_drained(Duration::ZERO));
            drop(reporter);
        });
        task.await.unwrap();
    });
    assert_all_arrived(&collector);

    // The same in a task that the runtime cancels when it is dropped.
    let (reporter, _hold) = without_answers(&collector);
    drop(runtime.spawn(async move {
        let _kept = reporter;
        std::future::pending::<()>().await;
    }));
    runtime.block_on(tokio::task::yield_now());
    let started = Instant::now();
    drop(runtime);
    assert_on_time(started);
}
