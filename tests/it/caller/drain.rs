//! Keeps flush, drain, stop and drop: a wait ends when all pending events are settled, and never after its timeout.

use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use tinker_telemetry::collector::{Answer, Collector};
use tinker_telemetry::{Config, Reporter, Severity};

use crate::support::http::Request;
use crate::support::{self, KEY, LIMIT, NEVER, assert_adds_up, names, session, sessionless};

const INFO: Severity = Severity::Info;

#[test]
fn flush_sends_at_once_and_does_not_wait() {
    let collector = Collector::start().unwrap();
    let hold = collector.hold_answers();
    let reporter = sessionless(&collector).start().unwrap();
    reporter.log("step", 1, INFO);
    reporter.flush();
    assert!(collector.next_request(LIMIT).is_some());
    assert_eq!(reporter.stats().pending, 1);
    drop(hold);
    assert!(reporter.wait_until_drained(LIMIT));
}

#[test]
fn the_threshold_sends_without_a_flush() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).flush_threshold(7).start().unwrap();
    for step in 0..7 {
        reporter.log("step", step, INFO);
    }
    let events = collector.wait_for_events(7, LIMIT);
    assert_eq!(events.len(), 7);
}

#[test]
fn enough_bytes_for_a_request_are_sent_without_a_flush() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).max_batch_bytes(10_000).start().unwrap();
    for _ in 0..10 {
        reporter.log("text", "x".repeat(2_000), INFO);
    }
    assert!(collector.next_request(LIMIT).is_some());
}

#[test]
fn a_queue_without_room_is_sent_without_a_flush() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).max_queue_bytes(5_000).start().unwrap();
    assert!(reporter.log("text", "x".repeat(3_000), INFO));
    assert!(!reporter.log("text", "x".repeat(3_000), INFO), "the queue has no room");
    assert_eq!(collector.wait_for_events(1, LIMIT).len(), 1);
}

#[test]
fn the_interval_sends_without_a_flush() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).flush_interval(Duration::from_millis(20)).start().unwrap();
    for round in 1..=3 {
        reporter.log("step", round, INFO);
        assert_eq!(collector.wait_for_events(round, LIMIT).len(), round);
    }
}

#[test]
fn an_exception_starts_a_flush() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).start().unwrap();
    assert!(reporter.log_exception(&std::fmt::Error, Severity::Error));
    assert_eq!(names(&collector.wait_for_events(1, LIMIT)), ["UNHANDLED_EXCEPTION"]);
}

#[test]
fn a_wait_includes_the_batch_on_the_wire() {
    let collector = Collector::start().unwrap();
    let hold = collector.hold_answers();
    let reporter = sessionless(&collector).start().unwrap();
    reporter.log("step", 1, INFO);
    reporter.flush();
    assert!(collector.next_request(LIMIT).is_some(), "the batch is on the wire");
    assert!(!reporter.wait_until_drained(Duration::from_millis(20)));
    drop(hold);
    assert!(reporter.wait_until_drained(LIMIT));
    assert_eq!(reporter.stats().delivered, 1);
}

#[test]
fn a_wait_ends_at_its_timeout_and_loses_no_event() {
    let collector = Collector::start().unwrap();
    let hold = collector.hold_answers();
    let reporter = sessionless(&collector).start().unwrap();
    reporter.log("step", 1, INFO);
    for timeout in [Duration::ZERO, Duration::from_millis(30)] {
        let started = Instant::now();
        assert!(!reporter.wait_until_drained(timeout));
        assert!(started.elapsed() >= timeout);
    }
    drop(hold);
    assert!(reporter.wait_until_drained(Duration::MAX), "a timeout longer than any clock is a long timeout");
    assert_eq!((reporter.stats().delivered, reporter.stats().pending), (1, 0));
}

#[test]
fn without_pending_events_a_drain_needs_no_request() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).start().unwrap();
    assert!(reporter.wait_until_drained(Duration::ZERO));
    assert!(reporter.stop(LIMIT));
    assert!(collector.requests().is_empty());
}

#[test]
fn a_session_that_is_stopped_many_times_ends_once() {
    let collector = Collector::start().unwrap();
    let reporter = session(&collector).start().unwrap();
    reporter.log_fatal_exception(&std::fmt::Error, Severity::Critical);
    reporter.log("after the end", (), INFO);
    let barrier = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                barrier.wait();
                assert!(reporter.stop(LIMIT));
                assert_eq!(reporter.stats().pending, 0);
            });
        }
    });
    assert!(reporter.stop(Duration::ZERO));
    drop(reporter);
    let expected = ["SESSION_START", "UNHANDLED_EXCEPTION", "SESSION_END", "after the end"];
    assert_eq!(names(&collector.events()), expected);
}

#[test]
fn stop_drops_the_pending_events_at_its_deadline_and_returns_false() {
    let collector = Collector::start().unwrap();
    let hold = collector.hold_answers();
    let reporter = session(&collector).start().unwrap();
    reporter.log("step", 1, INFO);
    reporter.flush();
    assert!(collector.next_request(LIMIT).is_some());
    reporter.log("step", 2, INFO);
    assert!(!reporter.stop(Duration::from_millis(50)));
    let stats = reporter.stats();
    assert_eq!((stats.dropped.deadline, stats.pending, stats.delivered), (4, 0, 0));
    assert!(reporter.wait_until_drained(Duration::ZERO), "no event is pending after the stop");
    assert!(!reporter.stop(LIMIT), "a later stop returns the same");
    drop(hold);
    assert_eq!(reporter.stats(), stats, "a late answer changes no count");
}

#[test]
fn stop_ends_the_wait_for_a_retry_and_tries_once_more() {
    let collector = Collector::start().unwrap();
    collector.answer(Answer::status(503).header("retry-after", "60"));
    let reporter = sessionless(&collector).start().unwrap();
    reporter.log("step", 1, INFO);
    reporter.flush();
    assert!(collector.next_request(LIMIT).is_some());
    let started = Instant::now();
    assert!(reporter.stop(LIMIT));
    assert!(started.elapsed() < LIMIT);
    assert_eq!((reporter.stats().delivered, collector.requests().len()), (1, 2));
}

#[test]
fn a_second_stop_can_bring_the_deadline_forward() {
    let collector = Collector::start().unwrap();
    let _hold = collector.hold_answers();
    let reporter = sessionless(&collector).start().unwrap();
    reporter.log("step", 1, INFO);
    let first = {
        let reporter = reporter.clone();
        thread::spawn(move || reporter.stop(10 * LIMIT))
    };
    assert!(collector.next_request(LIMIT).is_some(), "the first stop flushes");
    assert!(!reporter.stop(Duration::ZERO));
    assert!(!first.join().unwrap(), "the second stop ends the first one");
}

#[test]
fn a_stop_does_not_wait_for_a_missing_network() {
    let port = Collector::start().unwrap().port();
    let config = Config::new(KEY).base_url(format!("http://127.0.0.1:{port}"));
    // With the default settings, a retry would wait for a second.
    let reporter = Reporter::builder(config, "session-0001").enabled(true).start().unwrap();
    reporter.log("step", 1, INFO);
    let started = Instant::now();
    assert!(!reporter.stop(2 * LIMIT));
    assert!(started.elapsed() < LIMIT);
    assert_eq!(reporter.stats().dropped.deadline, 3);
}

#[test]
fn only_the_drop_of_the_last_clone_stops_the_reporter() {
    let collector = Collector::start().unwrap();
    let reporter = session(&collector).start().unwrap();
    let clone = reporter.clone();
    let weak = reporter.downgrade();
    drop(reporter);
    assert!(clone.log("still here", (), INFO));
    assert!(weak.upgrade().is_some());
    drop(clone);
    assert_eq!(names(&collector.events()), ["SESSION_START", "still here", "SESSION_END"]);
    assert!(weak.upgrade().is_none());
}

#[test]
fn the_drop_is_bounded_by_the_shutdown_timeout() {
    let collector = Collector::start().unwrap();
    let _hold = collector.hold_answers();
    let reporter = session(&collector).shutdown_timeout(Duration::from_millis(50)).start().unwrap();
    let started = Instant::now();
    drop(reporter);
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(50) && took < LIMIT, "{took:?}");
}

#[test]
fn a_fatal_exception_waits_for_its_delivery_and_at_most_for_its_timeout() {
    let collector = Collector::start().unwrap();
    let reporter = session(&collector).start().unwrap();
    assert!(reporter.log_fatal_exception(&std::fmt::Error, Severity::Critical));
    assert_eq!(names(&collector.events()), ["SESSION_START", "UNHANDLED_EXCEPTION", "SESSION_END"]);

    let hold = collector.hold_answers();
    let reporter = session(&collector).flush_timeout(Duration::from_millis(50)).start().unwrap();
    assert!(reporter.log_fatal_exception(&std::fmt::Error, Severity::Critical));
    assert_eq!(reporter.stats().pending, 3);
    drop(hold);
    assert!(reporter.stop(LIMIT));
}

#[test]
fn a_disabled_reporter_does_nothing() {
    let collector = Collector::start().unwrap();
    let switched_off = session(&collector).enabled(false).start().unwrap();
    for reporter in [Reporter::disabled(), switched_off] {
        assert!(!reporter.is_enabled() && reporter.session_id().is_none());
        assert!(!reporter.log("step", 1, INFO));
        assert!(!reporter.log_exception(&std::fmt::Error, Severity::Error));
        assert!(!reporter.log_fatal_exception(&std::fmt::Error, Severity::Error));
        reporter.flush();
        assert!(reporter.wait_until_drained(Duration::ZERO));
        assert!(reporter.stop(Duration::ZERO));
        assert_eq!(reporter.stats(), tinker_telemetry::Stats::default());
        assert!(reporter.downgrade().upgrade().is_none());
    }
    assert!(collector.requests().is_empty());
    assert!(
        !Reporter::builder(Config::new(""), "").enabled(false).start().unwrap().is_enabled(),
        "a disabled reporter needs no key"
    );
}

/// A server that records the highest acknowledged round of each thread of the test.
struct Acknowledged(Vec<AtomicU64>);

impl Acknowledged {
    fn serve(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Arc::clone(self);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, server) = (stream.unwrap(), Arc::clone(&server));
                thread::spawn(move || server.answer(&stream));
            }
        });
        url
    }

    fn answer(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Ok(Some(request)) = Request::read(&mut reader) {
            for event in support::check_body(&request.body).events {
                let tinker_telemetry::event::Event::Generic(event) = event else { continue };
                let (thread, round): (usize, u64) =
                    serde_json::from_value(event.event_data["value"].clone()).unwrap();
                self.0[thread].fetch_max(round, Ordering::SeqCst);
            }
            (&*stream).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        }
    }
}

#[test]
fn no_wait_returns_early_while_eight_threads_log_and_flush() {
    const THREADS: usize = 8;
    const ROUNDS: u64 = 1_250;
    let acknowledged = Arc::new(Acknowledged((0..THREADS).map(|_| AtomicU64::new(0)).collect()));
    let config = Config::new(KEY).base_url(acknowledged.serve());
    let reporter = Reporter::sessionless_builder(config).enabled(true).flush_interval(NEVER).start().unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let snapshots = scope.spawn(|| {
            let mut last = reporter.stats();
            while !done.load(Ordering::Relaxed) {
                let stats = reporter.stats();
                assert_adds_up(stats);
                assert!(
                    stats.accepted >= last.accepted && stats.delivered >= last.delivered,
                    "counts only grow"
                );
                last = stats;
                thread::yield_now();
            }
        });
        let loggers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (reporter, acknowledged) = (reporter.clone(), &acknowledged);
                scope.spawn(move || {
                    for round in 1..=ROUNDS {
                        assert!(reporter.log("round", (thread, round), INFO));
                        if round % 3 == 0 {
                            reporter.flush();
                        }
                        assert!(reporter.wait_until_drained(LIMIT));
                        let seen = acknowledged.0[thread].load(Ordering::SeqCst);
                        assert!(seen >= round, "drained at {seen} before {round} was acknowledged");
                    }
                })
            })
            .collect();
        for logger in loggers {
            logger.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        snapshots.join().unwrap();
    });
    assert!(reporter.stop(LIMIT));
    assert_eq!(reporter.stats().delivered, THREADS as u64 * ROUNDS);
}

#[test]
fn an_event_that_races_with_a_stop_is_refused_or_delivered() {
    for _ in 0..200 {
        let collector = Collector::start().unwrap();
        let reporter = sessionless(&collector).start().unwrap();
        let barrier = Barrier::new(5);
        let accepted: u64 = thread::scope(|scope| {
            let loggers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        (0..50).map(|step| u64::from(reporter.log("step", step, INFO))).sum::<u64>()
                    })
                })
                .collect();
            barrier.wait();
            assert!(reporter.stop(LIMIT));
            loggers.into_iter().map(|logger| logger.join().unwrap()).sum()
        });
        let stats = reporter.stats();
        assert_adds_up(stats);
        assert_eq!((stats.accepted, stats.delivered, stats.pending), (accepted, accepted, 0));
        assert_eq!(stats.offered, 200);
        assert_eq!(collector.events().len() as u64, accepted);
    }
}

#[test]
fn a_connection_that_breaks_during_a_stop_loses_no_event() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).start().unwrap();
    reporter.log("step", 1, INFO);
    collector.answer(Answer::hang_up());
    assert!(reporter.stop(LIMIT), "{}", reporter.stats());
    assert_eq!((reporter.stats().delivered, collector.requests().len()), (1, 2));
}
