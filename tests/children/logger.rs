//! Keeps the worker working while the program's logger drops the last reporter, forks, panics or blocks on the worker's
//! thread. A process has one logger, so each test runs in a process of its own.
#![cfg(all(unix, feature = "collector"))]

use std::sync::{Mutex, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use log::{LevelFilter, Log, Metadata, Record};
use tinker_telemetry::bridge::{FatalPanics, install_panic_hook_with};
use tinker_telemetry::collector::{Answer, Collector};
use tinker_telemetry::{Config, Reporter, Severity};

use crate::process::{FINE, alone, fork, fork_here};
use crate::support::{LIMIT, names, session, sessionless};

type Action = Box<dyn FnOnce() + Send>;

/// Runs the action once, on the first line that begins with this text.
struct ActingLogger(Mutex<Option<(&'static str, Action)>>);

static LOGGER: ActingLogger = ActingLogger(Mutex::new(None));

impl Log for ActingLogger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if !thread::current().name().is_some_and(|name| name.starts_with("tinker-")) {
            return;
        }
        let line = record.args().to_string();
        let mut pending = self.0.lock().unwrap();
        if pending.as_ref().is_some_and(|(beginning, _)| line.starts_with(beginning)) {
            let (_, action) = pending.take().unwrap();
            drop(pending);
            action();
        }
    }

    fn flush(&self) {}
}

fn act_on(beginning: &'static str, action: impl FnOnce() + Send + 'static) {
    *LOGGER.0.lock().unwrap() = Some((beginning, Box::new(action)));
    let _ = log::set_logger(&LOGGER); // an earlier call may have set it already
    log::set_max_level(LevelFilter::Trace);
}

#[test]
fn the_last_clone_dropped_on_the_workers_thread_does_not_wait_for_itself() {
    alone("logger::the_last_clone_dropped_on_the_workers_thread_does_not_wait_for_itself", "", |_| {
        let collector = Collector::start().unwrap();
        collector.answer(Answer::status(503));
        let reporter = sessionless(&collector).shutdown_timeout(LIMIT).start().unwrap();
        let last = reporter.clone();
        let (dropped, seen) = mpsc::channel();
        act_on("telemetry to", move || {
            drop(last);
            dropped.send(()).unwrap();
        });
        let hold = collector.hold_answers();
        assert!(reporter.log("retried", (), Severity::Info));
        reporter.flush();
        assert!(collector.next_request(LIMIT).is_some());
        let weak = reporter.downgrade();
        drop(reporter);
        assert!(weak.is_alive(), "the logger has the last clone");
        drop(hold);
        seen.recv_timeout(LIMIT).expect("the drop returned");
        assert!(!weak.is_alive());
        // The worker still sends the events that it has.
        assert_eq!(names(&collector.wait_for_events(1, LIMIT)), ["retried"]);
    });
}

/// Forks on the worker's thread, in the logger, on the first line that begins with this text. In the child the logger
/// returns into a copy of the worker.
fn fork_on(beginning: &'static str) {
    let collector = Collector::start().unwrap();
    collector.answer(Answer::status(503));
    let reporter = sessionless(&collector).retry_base_delay(Duration::from_millis(50)).start().unwrap();
    let (forked, children) = mpsc::channel();
    act_on(beginning, move || {
        if let Some(child) = fork_here() {
            forked.send(child).unwrap();
        }
    });
    assert!(reporter.log("retried", (), Severity::Info));
    assert!(reporter.wait_until_drained(LIMIT));
    assert_eq!(children.recv_timeout(LIMIT).unwrap().wait(), FINE);
    assert_eq!(names(&collector.events()), ["retried"]);
    assert_eq!(collector.requests().len(), 2, "the parent's two attempts");
    assert_eq!(reporter.stats().delivered, 1);
}

#[test]
fn a_copy_of_the_worker_retries_no_request() {
    alone("logger::a_copy_of_the_worker_retries_no_request", "", |_| fork_on("telemetry to"));
}

#[test]
fn a_copy_of_the_worker_sends_no_request() {
    alone("logger::a_copy_of_the_worker_sends_no_request", "", |_| fork_on("Try connect"));
}

#[test]
fn a_copy_of_the_worker_finishes_no_request() {
    // The client has encoded the head (the line shows its bytes in hexadecimal) and has not sent it yet.
    alone("logger::a_copy_of_the_worker_finishes_no_request", "", |_| fork_on("504f 5354 202f 6170")); // `POST /ap`
}

#[test]
fn a_logger_that_panics_on_the_workers_thread_costs_no_event() {
    alone("logger::a_logger_that_panics_on_the_workers_thread_costs_no_event", "", |_| {
        let collector = Collector::start().unwrap();
        // Two lines of this crate, and one that ureq logs while it holds the lock of its pool.
        for line in ["telemetry to", "telemetry reaches", "Use pooled"] {
            let reporter = sessionless(&collector).start().unwrap();
            assert!(reporter.log("opens the connection", (), Severity::Info));
            assert!(reporter.wait_until_drained(LIMIT));
            collector.answer(Answer::status(503));
            let (panics, seen) = mpsc::channel::<()>();
            act_on(line, move || {
                let _panics = panics;
                panic!("in the logger, as the test wants it");
            });
            assert!(reporter.log("retried", (), Severity::Info));
            assert!(reporter.wait_until_drained(LIMIT));
            assert_eq!(reporter.stats().delivered, 2, "{line}: {}", reporter.stats());
            assert_eq!(seen.recv_timeout(LIMIT), Err(mpsc::RecvTimeoutError::Disconnected));
        }
    });
}

#[test]
fn a_logger_that_blocks_the_workers_thread_does_not_block_a_stop() {
    alone("logger::a_logger_that_blocks_the_workers_thread_does_not_block_a_stop", "", |_| {
        // ureq logs the first while it holds the lock of its pool, the second during the request.
        for line in ["Use pooled", "POST"] {
            let collector = Collector::start().unwrap();
            let reporter = sessionless(&collector).start().unwrap();
            assert!(reporter.log("opens the connection", (), Severity::Info));
            assert!(reporter.wait_until_drained(LIMIT));
            let ((blocked, is_blocked), (release, is_released)) = (mpsc::channel(), mpsc::channel::<()>());
            act_on(line, move || {
                blocked.send(()).unwrap();
                let _ = is_released.recv();
            });
            assert!(reporter.log("never sent", (), Severity::Info));
            reporter.flush();
            is_blocked.recv_timeout(LIMIT).unwrap();
            let (stopped, seen) = mpsc::channel();
            let stopping = reporter.clone();
            thread::spawn(move || stopped.send(stopping.stop(Duration::from_millis(50))));
            assert!(!seen.recv_timeout(LIMIT).expect("the stop returned"));
            assert_eq!(reporter.stats().dropped.deadline, 1);
            drop(release);
        }
    });
}

/// Starts its reporter when it receives its first line.
struct LateLogger(OnceLock<Reporter>);

static LATE: LateLogger = LateLogger(OnceLock::new());

impl Log for LateLogger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let start = || {
            Reporter::sessionless_builder(Config::new("tml-test").base_url("http://127.0.0.1:9"))
                .enabled(true)
                .start()
        };
        let reporter = self.0.get_or_init(|| start().unwrap());
        reporter.log("line", record.args().to_string(), Severity::Debug);
    }

    fn flush(&self) {}
}

#[test]
fn a_logger_may_start_the_reporter_at_any_level() {
    alone("logger::a_logger_may_start_the_reporter_at_any_level", "", |_| {
        log::set_logger(&LATE).unwrap();
        log::set_max_level(LevelFilter::Trace);
        let (logged, is_logged) = mpsc::channel();
        thread::spawn(move || {
            log::trace!("the first line");
            logged.send(()).unwrap();
        });
        is_logged.recv_timeout(LIMIT).expect("a start that logs waits for itself here");
        let reporter = LATE.0.get().unwrap();
        assert_eq!(reporter.stats().accepted, 1);
        reporter.stop(Duration::ZERO);
    });
}

/// Panics on every line of this crate, at the level of a program that logs little.
struct Panics;

impl Log for Panics {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("tinker_telemetry")
    }

    fn log(&self, record: &Record<'_>) {
        assert!(!self.enabled(record.metadata()), "in the logger, on purpose");
    }

    fn flush(&self) {}
}

#[test]
fn a_logger_that_panics_on_the_callers_thread_ends_no_call_and_is_no_event() {
    alone("logger::a_logger_that_panics_on_the_callers_thread_ends_no_call_and_is_no_event", "", |_| {
        log::set_logger(&Panics).unwrap();
        log::set_max_level(LevelFilter::Info);
        let collector = Collector::start().unwrap();
        let reporter = session(&collector).start().unwrap();
        install_panic_hook_with(&reporter, FatalPanics::Always);
        assert!(reporter.log_fatal_exception(&std::fmt::Error, Severity::Critical));
        assert!(reporter.log("goes on", (), Severity::Info));
        assert!(reporter.stop(LIMIT));
        let stats = reporter.stats();
        assert_eq!((stats.offered, stats.delivered), (4, 4), "{stats}");
        let expected = ["SESSION_START", "UNHANDLED_EXCEPTION", "SESSION_END", "goes on"];
        assert_eq!(names(&collector.events()), expected);
    });
}

/// Writes every line under a lock.
struct Locks(Mutex<()>);

static LOCKS: Locks = Locks(Mutex::new(()));

impl Log for Locks {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, _: &Record<'_>) {
        let _lock = self.0.lock();
    }

    fn flush(&self) {}
}

#[test]
fn a_child_whose_loggers_lock_was_held_at_the_fork_ends_on_time() {
    alone("logger::a_child_whose_loggers_lock_was_held_at_the_fork_ends_on_time", "", |_| {
        log::set_logger(&LOCKS).unwrap();
        log::set_max_level(LevelFilter::Info);
        let collector = Collector::start().unwrap();
        let reporter = session(&collector).flush_timeout(LIMIT / 2).start().unwrap();
        let (held, release) = (mpsc::channel(), mpsc::channel::<()>());
        let holder = thread::spawn(move || {
            let _lock = LOCKS.0.lock();
            held.0.send(()).unwrap();
            let _ = release.1.recv();
        });
        held.1.recv_timeout(LIMIT).unwrap();
        let child = fork(|| {
            assert!(reporter.log_fatal_exception(&std::fmt::Error, Severity::Critical));
            assert_eq!(reporter.stats().delivered, 1);
            // A start that has something to warn of.
            let odd = Config::new("odd").base_url(collector.url());
            assert!(Reporter::sessionless_builder(odd).enabled(true).start().unwrap().stop(LIMIT / 2));
        });
        assert_eq!(child.wait(), FINE);
        drop(release.0);
        holder.join().unwrap();
    });
}
