//! Keeps what a program's log has of lost events when `stop` returns: a program that exits after it has no later moment. A
//! process has one logger, so each test runs in a process of its own.
#![cfg(all(unix, feature = "collector"))]

use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use log::Level;
use socket2::{Domain, Socket, Type};
use tinker_telemetry::collector::{Answer, Collector};
use tinker_telemetry::{Config, Reporter, Severity};

use crate::lines;
use crate::process::alone;
use crate::support::{KEY, LIMIT, sessionless, sessionless_to};

/// How late a stop may be. This is a test of the log, not of the time: the machine may be busy.
const LATE: Duration = Duration::from_secs(2);

fn log(reporter: &Reporter, events: usize) {
    for step in 0..events {
        assert!(reporter.log("step", step, Severity::Info));
    }
}

/// Stops the reporter, and looks into the log at once: it has the counts as a warning, and no other line.
fn assert_stop_logs_the_counts(reporter: &Reporter, timeout: Duration) {
    let started = Instant::now();
    assert!(!reporter.stop(timeout));
    let (logged, took) = (lines::take(), started.elapsed());
    let counts = reporter.stats().to_string();
    assert!(reporter.stats().dropped.deadline > 0, "{counts}");
    let logged: Vec<_> = logged.into_iter().map(|(_, level, line)| (level, line)).collect();
    assert_eq!(logged, [(Level::Warn, counts)]);
    assert!(took < timeout + LATE, "{took:?}");
}

#[test]
fn a_stop_that_cuts_a_healthy_servers_work_short_logs_the_counts() {
    alone("losses::a_stop_that_cuts_a_healthy_servers_work_short_logs_the_counts", "", |_| {
        lines::keep();
        let collector = Collector::start().unwrap();
        (0..100).for_each(|_| collector.answer(Answer::ok().delay(Duration::from_millis(20))));
        let reporter = sessionless(&collector).max_batch_size(10).start().unwrap();
        log(&reporter, 5_000);
        assert_stop_logs_the_counts(&reporter, Duration::from_millis(300));
        assert!(reporter.stats().delivered > 0, "{}", reporter.stats());
    });
}

#[test]
fn a_stop_without_time_logs_the_counts() {
    alone("losses::a_stop_without_time_logs_the_counts", "", |_| {
        lines::keep();
        let collector = Collector::start().unwrap();
        for _ in 0..20 {
            let reporter = sessionless(&collector).start().unwrap();
            log(&reporter, 1);
            assert_stop_logs_the_counts(&reporter, Duration::ZERO);
        }
    });
}

#[test]
fn a_stop_during_an_attempt_logs_the_counts() {
    alone("losses::a_stop_during_an_attempt_logs_the_counts", "", |_| {
        lines::keep();
        let collector = Collector::start().unwrap();
        let _hold = collector.hold_answers();
        let reporter = sessionless(&collector).start().unwrap();
        log(&reporter, 1);
        reporter.flush();
        assert!(collector.next_request(LIMIT).is_some());
        assert_stop_logs_the_counts(&reporter, Duration::from_millis(50));
    });
}

/// The attempt begins during the stop, so it has the time until the deadline, and ends together with the stop.
#[cfg(target_os = "linux")]
#[test]
fn an_attempt_that_the_deadline_cuts_is_not_logged_as_an_outage() {
    use std::fs;

    fn is_worker_there() -> bool {
        let threads =
            fs::read_dir("/proc/self/task").unwrap().map(|thread| thread.unwrap().path().join("comm"));
        threads.filter_map(|name| fs::read_to_string(name).ok()).any(|name| name.trim() == "tinker-reporter")
    }

    alone("losses::an_attempt_that_the_deadline_cuts_is_not_logged_as_an_outage", "", |_| {
        lines::keep();
        let collector = Collector::start().unwrap();
        let _hold = collector.hold_answers();
        let reporter = sessionless(&collector).start().unwrap();
        while !is_worker_there() {
            thread::yield_now(); // it has its name when it has begun
        }
        log(&reporter, 1);
        assert_stop_logs_the_counts(&reporter, Duration::from_millis(200));
        assert_eq!(collector.requests().len(), 1);
        while is_worker_there() {
            thread::yield_now();
        }
        assert!(lines::take().is_empty(), "the worker logs nothing more");
    });
}

#[test]
fn a_stop_while_connecting_hangs_logs_the_counts() {
    alone("losses::a_stop_while_connecting_hangs_logs_the_counts", "", |_| {
        lines::keep();
        let (listener, _fillers) = full_backlog();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let reporter = sessionless_to(Config::new(KEY).base_url(url)).start().unwrap();
        log(&reporter, 1);
        reporter.flush();
        // The attempt begins before the stop, so it may take 30 s.
        assert!(!reporter.wait_until_drained(Duration::from_millis(100)));
        assert_stop_logs_the_counts(&reporter, Duration::from_millis(50));
    });
}

/// A listener whose backlog is full, so that connecting to it takes for ever.
fn full_backlog() -> (TcpListener, Vec<TcpStream>) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    socket.listen(0).unwrap();
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().unwrap();
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
    let fillers: Vec<_> = std::iter::from_fn(connect).take(64).collect();
    assert!(fillers.len() < 64, "the backlog never fills");
    (listener, fillers)
}

#[test]
fn each_of_two_stops_finds_the_counts_in_the_log() {
    alone("losses::each_of_two_stops_finds_the_counts_in_the_log", "", |_| {
        lines::keep();
        let collector = Collector::start().unwrap();
        let _hold = collector.hold_answers();
        for _ in 0..20 {
            let reporter = sessionless(&collector).start().unwrap();
            log(&reporter, 1);
            let stop = || {
                reporter.stop(Duration::from_millis(20));
                lines::warnings_with("1 dropped (1 deadline)").len()
            };
            let found = thread::scope(|scope| {
                [scope.spawn(stop), scope.spawn(stop)].map(|stop| stop.join().unwrap())
            });
            assert_eq!(found, [1, 1]);
            lines::take();
        }
    });
}

#[test]
fn events_that_were_refused_are_in_the_log_when_a_stop_returns() {
    alone("losses::events_that_were_refused_are_in_the_log_when_a_stop_returns", "", |_| {
        lines::keep();
        let collector = Collector::start().unwrap();
        let reporter = sessionless(&collector).start().unwrap();
        log(&reporter, 1);
        assert!(!reporter.log("too large", "x".repeat(300_000), Severity::Info));
        assert!(reporter.stop(LIMIT));
        let logged = lines::take();
        let counts = reporter.stats().to_string();
        assert!(logged.iter().all(|(_, level, _)| *level == Level::Warn), "{logged:?}");
        assert_eq!(logged.last().unwrap().2, counts);
    });
}

#[test]
fn a_fatal_exception_that_waits_in_vain_logs_the_counts() {
    alone("losses::a_fatal_exception_that_waits_in_vain_logs_the_counts", "", |_| {
        lines::keep();
        let collector = Collector::start().unwrap();
        let _hold = collector.hold_answers();
        let reporter = sessionless(&collector).flush_timeout(Duration::ZERO).start().unwrap();
        assert!(reporter.log_fatal_exception(&std::fmt::Error, Severity::Critical));
        let [session, (_, level, counts)] = &lines::take()[..] else { panic!("two lines") };
        assert!(session.2.ends_with("ended with a fatal exception"), "{session:?}");
        assert_eq!((*level, counts.as_str()), (Level::Warn, "telemetry: 1 offered, 0 delivered, 1 pending"));
        reporter.stop(Duration::ZERO);
    });
}

#[test]
fn a_program_that_lost_nothing_has_no_line() {
    alone("losses::a_program_that_lost_nothing_has_no_line", "", |_| {
        lines::keep();
        let collector = Collector::start().unwrap();
        let reporter = sessionless(&collector).start().unwrap();
        log(&reporter, 1_000);
        assert!(reporter.stop(LIMIT));
        assert!(lines::take().is_empty());
    });
}
