//! Keeps the promises of `max_in_flight` over real connections: how many requests a server has at the same time, what
//! flush and stop mean then, and that the session's numbers show the order.

use std::io::{BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use tinker_telemetry::collector::{Answer, Collector};
use tinker_telemetry::event::Event;
use tinker_telemetry::{Builder, Config, Reporter, Severity};

use crate::support::http::Request;
use crate::support::{KEY, LIMIT, assert_adds_up, checked_requests, sessionless, sessionless_to};

const BATCH: usize = 100;

/// A reporter that sends only on request.
fn quiet(builder: Builder) -> Reporter {
    builder.flush_threshold(10_000).start().unwrap()
}

fn log(reporter: &Reporter, events: usize) {
    (0..events).for_each(|step| assert!(reporter.log("step", step, Severity::Info)));
}

#[test]
fn a_server_has_no_more_requests_than_the_setting_and_as_many_only_with_a_backlog() {
    for (limit, events, expected) in [(1, 10, 1), (2, 10, 2), (4, 10, 4), (4, 3, 3), (4, 1, 1), (16, 20, 16)]
    {
        let collector = Collector::start().unwrap();
        let reporter = quiet(sessionless(&collector).max_in_flight(limit));
        let hold = collector.hold_answers();
        log(&reporter, events * BATCH);
        reporter.flush();
        for _ in 0..expected {
            assert!(collector.next_request(LIMIT).is_some(), "{limit} in flight, {events} batches");
        }
        assert!(collector.next_request(Duration::from_millis(20)).is_none(), "{limit} in flight");
        drop(hold);
        assert!(reporter.wait_until_drained(LIMIT));
        assert_eq!(reporter.stats().delivered, (events * BATCH) as u64);
    }
}

#[test]
fn the_default_is_four() {
    let collector = Collector::start().unwrap();
    let reporter = quiet(sessionless(&collector));
    let hold = collector.hold_answers();
    log(&reporter, 10 * BATCH);
    reporter.flush();
    (0..4).for_each(|_| assert!(collector.next_request(LIMIT).is_some()));
    assert!(collector.next_request(Duration::from_millis(20)).is_none());
    drop(hold);
}

#[test]
fn a_drain_returns_when_all_batches_are_settled_and_numbers_tell_their_order() {
    let collector = Collector::start().unwrap();
    let reporter = quiet(sessionless(&collector));
    // The first answers come last.
    for delay in [30, 20, 10, 0] {
        collector.answer(Answer::ok().delay(Duration::from_millis(delay)));
    }
    log(&reporter, 40 * BATCH + 1);
    assert!(reporter.wait_until_drained(LIMIT));
    let stats = reporter.stats();
    assert_adds_up(stats);
    assert_eq!((stats.delivered, stats.pending), (40 * BATCH as u64 + 1, 0));
    let requests = checked_requests(&collector);
    let mut numbers: Vec<u64> =
        requests.iter().flat_map(|request| request.events()).map(Event::session_index).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..=40 * BATCH as u64), "each number is there once");
}

/// Reads one request, answers nothing, and waits until the client ends the connection. Returns when it did.
fn read_until_closed(stream: TcpStream) -> Instant {
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut stream = BufReader::new(stream);
    assert!(Request::read(&mut stream).unwrap().is_some());
    while stream.read(&mut [0; 1024]).is_ok_and(|bytes| bytes > 0) {}
    Instant::now()
}

#[test]
fn a_stop_without_time_breaks_every_request_on_the_wire() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // An attempt that nothing breaks lasts as long as a whole test may.
    let reporter = quiet(sessionless_to(Config::new(KEY).base_url(url)).http_timeout(2 * LIMIT));
    log(&reporter, 6 * BATCH);
    reporter.flush();
    let connections: Vec<_> = (0..4).map(|_| listener.accept().unwrap().0).collect();
    let connections: Vec<_> =
        connections.into_iter().map(|stream| thread::spawn(|| read_until_closed(stream))).collect();
    let started = Instant::now();
    assert!(!reporter.stop(Duration::from_millis(100)));
    assert!(started.elapsed() < LIMIT / 10, "{:?}", started.elapsed());
    let stats = reporter.stats();
    assert_adds_up(stats);
    assert_eq!((stats.dropped.deadline, stats.pending), (6 * BATCH as u64, 0));
    for connection in connections {
        let closed = connection.join().unwrap();
        assert!(closed.duration_since(started) < LIMIT / 2, "an attempt was not broken");
    }
}
