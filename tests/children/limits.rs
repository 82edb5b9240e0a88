//! Keeps the behaviour of a process at its limits: without threads, without file descriptors, stopped and continued.
//! Each test runs in a process of its own.
#![cfg(all(unix, feature = "collector"))]

use std::fs;
use std::io::{self, Write};
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tinker_telemetry::collector::Collector;
use tinker_telemetry::{Builder, Config, Reporter, Severity, StartError};

use crate::lines;
use crate::process::{alone, forbid_threads, limit_descriptors, signal, started_alone, url_of_parent};
use crate::real;
use crate::support::{KEY, LIMIT, assert_adds_up, names, sessionless_to};

fn builder_for(url: &str) -> Builder {
    sessionless_to(Config::new(KEY).base_url(url))
}

fn log_and_drain(reporter: &Reporter, name: &'static str) {
    assert!(reporter.log(name, (), Severity::Info));
    assert!(reporter.wait_until_drained(LIMIT));
}

/// Where the threads of this account cannot be limited, this prints that the test is skipped.
fn can_forbid_threads() -> bool {
    let can = forbid_threads();
    if !can {
        real::print_skipped("this account's threads cannot be limited");
    }
    can
}

#[test]
fn a_start_without_a_thread_returns_an_error() {
    alone("limits::a_start_without_a_thread_returns_an_error", "http://127.0.0.1:9", |url| {
        if can_forbid_threads() {
            let started = builder_for(url).start();
            let Err(StartError::Thread(error)) = started else { panic!("{started:?}") };
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        }
    });
}

#[test]
fn a_lookup_without_a_thread_is_a_failed_attempt() {
    let name = "limits::a_lookup_without_a_thread_is_a_failed_attempt";
    alone(name, "http://localhost:9", |url| {
        let panics = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&panics);
        panic::set_hook(Box::new(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        }));
        lines::keep();
        let reporter = builder_for(url).start().unwrap();
        if can_forbid_threads() {
            for _ in 0..3 {
                log_and_drain(&reporter, "nowhere");
            }
            let stats = reporter.stats();
            assert_adds_up(stats);
            assert_eq!(stats.dropped.retries_exhausted, 3, "{stats}");
            let named = lines::warnings_with("the system gives no thread for a name lookup");
            assert_eq!(named.len(), 1, "{}", lines::everything());
            assert_eq!(
                panics.load(Ordering::Relaxed),
                0,
                "a panic would end a program that aborts on panics"
            );
        }
    });
}

#[test]
fn an_ip_address_needs_no_lookup_thread() {
    let collector = Collector::start().unwrap();
    alone("limits::an_ip_address_needs_no_lookup_thread", &collector.url(), |url| {
        let reporter = builder_for(url).start().unwrap();
        if can_forbid_threads() {
            log_and_drain(&reporter, "there");
            assert_eq!(reporter.stats().delivered, 1);
        }
    });
}

#[test]
fn without_file_descriptors_events_are_retried_then_dropped_and_later_ones_arrive() {
    let collector = Collector::start().unwrap();
    let name = "limits::without_file_descriptors_events_are_retried_then_dropped_and_later_ones_arrive";
    alone(name, &collector.url(), |url| {
        let reporter = builder_for(url).start().unwrap();
        let before = limit_descriptors(3);
        assert!(fs::File::open("/dev/null").is_err(), "no file can be opened");
        log_and_drain(&reporter, "lost");
        let stats = reporter.stats();
        assert_adds_up(stats);
        assert_eq!(stats.dropped.retries_exhausted, 1, "{stats}");
        limit_descriptors(before);
        log_and_drain(&reporter, "there");
        assert_eq!(reporter.stats().delivered, 1);
    });
    let events = collector.events();
    assert!(events.is_empty() || names(&events) == ["there"], "{events:?}");
}

/// Without file descriptors a name cannot be looked up either. The resolver then claims that there is no such host.
#[test]
fn a_lack_of_file_descriptors_is_logged_as_such() {
    alone("limits::a_lack_of_file_descriptors_is_logged_as_such", "", |_| {
        lines::keep();
        for host in ["127.0.0.1", "localhost"] {
            let reporter = builder_for(&format!("http://{host}:9")).max_retries(0).start().unwrap();
            let before = limit_descriptors(3);
            log_and_drain(&reporter, "lost");
            limit_descriptors(before);
            assert_eq!(reporter.stats().dropped.retries_exhausted, 1);
            let (.., logged) = lines::take().pop().expect("a warning");
            let expected = format!("telemetry does not reach {host}: Too many open files");
            assert!(logged.starts_with(&expected), "{logged}");
        }
    });
}

#[test]
fn a_stopped_process_reports_again_after_it_continues() {
    const INTERVAL: Duration = Duration::from_millis(50);

    let collector = Collector::start().unwrap();
    let name = "limits::a_stopped_process_reports_again_after_it_continues";
    let Some(mut child) = started_alone(name, &collector.url()) else {
        let reporter = builder_for(&url_of_parent()).flush_interval(INTERVAL).start().unwrap();
        assert!(reporter.log("before", (), Severity::Info));
        io::stdin().read_line(&mut String::new()).unwrap(); // until the parent has stopped and continued this process
        assert!(reporter.log("after", (), Severity::Info));
        io::stdin().read_line(&mut String::new()).unwrap(); // until the ticker has sent the event, without a flush
        assert!(reporter.wait_until_drained(LIMIT));
        assert_eq!(reporter.stats().delivered, 2);
        return;
    };
    assert_eq!(collector.wait_for_events(1, LIMIT).len(), 1);
    assert!(collector.next_request(LIMIT).is_some());
    signal(&child, libc::SIGSTOP);
    assert!(collector.next_request(20 * INTERVAL).is_none());
    signal(&child, libc::SIGCONT);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"continued\n").unwrap();
    let events = collector.wait_for_events(2, LIMIT);
    assert_eq!(names(&events), ["before", "after"]);
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_deadline_passes_while_the_process_is_stopped() {
    const TIMEOUT: Duration = Duration::from_secs(3);

    let collector = Collector::start().unwrap();
    let name = "limits::a_deadline_passes_while_the_process_is_stopped";
    let hold = collector.hold_answers();
    let Some(mut child) = started_alone(name, &collector.url()) else {
        let reporter = builder_for(&url_of_parent()).start().unwrap();
        assert!(reporter.log("never answered", (), Severity::Info));
        assert!(!reporter.stop(TIMEOUT));
        assert_eq!(reporter.stats().dropped.deadline, 1);
        return;
    };
    assert!(collector.next_request(LIMIT).is_some());
    signal(&child, libc::SIGSTOP);
    assert!(collector.next_request(TIMEOUT + Duration::from_millis(500)).is_none());
    let continued = Instant::now();
    signal(&child, libc::SIGCONT);
    assert!(child.wait().unwrap().success());
    let elapsed = continued.elapsed();
    assert!(elapsed < TIMEOUT / 2, "the stop took {elapsed:?} after its deadline");
    drop(hold);
}

/// A program whose attempt may take this long is stopped for twice that time, and the server answers meanwhile.
const ATTEMPT: Duration = Duration::from_millis(500);

/// Runs `program` in a process of its own with a reporter. It is suspended during its first attempt.
fn suspended_in_an_attempt(name: &str, program: impl FnOnce(Reporter)) {
    let collector = Collector::start().unwrap();
    let hold = collector.hold_answers();
    let Some(mut child) = started_alone(name, &collector.url()) else {
        program(builder_for(&url_of_parent()).http_timeout(ATTEMPT).max_retries(0).start().unwrap());
        return;
    };
    assert!(collector.next_request(LIMIT).is_some());
    signal(&child, libc::SIGSTOP);
    drop(hold);
    assert!(collector.next_request(2 * ATTEMPT).is_none());
    signal(&child, libc::SIGCONT);
    assert!(child.wait().unwrap().success());
    let requests = collector.requests();
    assert_eq!(requests.len(), 2);
    let keys = [0, 1].map(|at| requests[at].header("x-idempotency-key"));
    assert!(keys[0] == keys[1], "the server can tell that it is the same attempt");
}

#[test]
fn a_pause_during_a_stop_is_no_verdict_on_the_server() {
    suspended_in_an_attempt("limits::a_pause_during_a_stop_is_no_verdict_on_the_server", |reporter| {
        assert!(reporter.log("step", (), Severity::Info));
        assert!(reporter.stop(LIMIT), "{}", reporter.stats());
        assert_eq!(reporter.stats().delivered, 1);
    });
}

#[test]
fn a_pause_uses_up_no_retry() {
    suspended_in_an_attempt("limits::a_pause_uses_up_no_retry", |reporter| {
        log_and_drain(&reporter, "step");
        assert_eq!(reporter.stats().delivered, 1, "{}", reporter.stats());
    });
}
