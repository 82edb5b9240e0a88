//! Keeps the load on a recovered server low: reporters that lost it at the same time do not return at the same time,
//! and no drain or stop waits for this. It is a binary of its own, since it times arrivals and holds hundreds of
//! connections.
#![cfg(feature = "collector")]

#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use support::{LIMIT, assert_adds_up, sessionless};
use tinker_telemetry::collector::{Answer, Collector};
use tinker_telemetry::{Reporter, Severity};

const REPORTERS: usize = 200;
/// The time over which the reporters return.
const BASE_DELAY: Duration = Duration::from_secs(1);
const WINDOW: Duration = Duration::from_millis(100);

/// Reporters that send each event at once, and whose server has just ended.
fn in_an_outage(count: usize, base_delay: Duration) -> (Vec<Reporter>, u16) {
    let collector = Collector::start().unwrap();
    let start = || {
        let builder = sessionless(&collector).flush_threshold(1).max_retries(0).retry_base_delay(base_delay);
        builder.start().unwrap()
    };
    let reporters: Vec<_> = (0..count).map(|_| start()).collect();
    let port = collector.port();
    drop(collector);
    lose_one_each(&reporters);
    (reporters, port)
}

fn lose_one_each(reporters: &[Reporter]) {
    for reporter in reporters {
        assert!(reporter.log("lost", (), Severity::Info));
    }
    for reporter in reporters {
        assert!(reporter.wait_until_drained(LIMIT));
        assert_adds_up(reporter.stats());
    }
}

/// The server rejects one request of each reporter and accepts its retry.
fn retry_through_an_outage(reporters: &[Reporter], collector: &Collector) {
    let hold = collector.hold_answers();
    for reporter in reporters {
        collector.answer(Answer::status(503));
        assert!(reporter.log("late", (), Severity::Info));
        assert!(collector.next_request(LIMIT).is_some());
    }
    drop(hold);
    for reporter in reporters {
        assert!(reporter.wait_until_drained(LIMIT));
        assert_adds_up(reporter.stats());
    }
    assert_eq!((collector.requests().len(), collector.take_events().len()), (2 * REPORTERS, REPORTERS));
}

/// The largest number of arrivals within a tenth of a second, when the server is back and every reporter has an event.
fn peak_of_return(reporters: &[Reporter], collector: &Collector) -> usize {
    for reporter in reporters {
        assert!(reporter.log("kept", (), Severity::Info));
    }
    assert_eq!(collector.wait_for_events(reporters.len(), LIMIT).len(), reporters.len());
    let arrivals: Vec<Instant> = collector.requests().iter().map(|request| request.at).collect();
    let within =
        |first: &Instant| arrivals.iter().filter(|at| (*first..*first + WINDOW).contains(at)).count();
    arrivals.iter().map(within).max().unwrap()
}

/// Asserts that the reporters do not arrive together. A pause of the machine makes some arrive together, so one good
/// return of three is enough.
fn assert_spread(mut peak_of_return: impl FnMut() -> usize) {
    let mean = REPORTERS * usize::try_from(WINDOW.as_millis()).unwrap() / 1000; // over the base delay
    let mut peaks = Vec::new();
    while peaks.len() < 3 {
        peaks.push(peak_of_return());
        if peaks.last().is_some_and(|peak| *peak <= 2 * mean) {
            println!("{peaks:?} of {REPORTERS} at once, {mean} on average");
            return;
        }
    }
    panic!("{peaks:?} at once, {mean} on average");
}

#[test]
fn reporters_that_recover_at_once_do_not_arrive_together() {
    let (reporters, port) = in_an_outage(REPORTERS, BASE_DELAY);
    assert_spread(|| {
        let peak = peak_of_return(&reporters, &Collector::start_on(port).unwrap());
        lose_one_each(&reporters);
        peak
    });
}

#[test]
fn reporters_that_retried_through_an_outage_do_not_send_their_next_events_together() {
    let collector = Collector::start().unwrap();
    let start = || sessionless(&collector).flush_threshold(1).retry_base_delay(BASE_DELAY).start().unwrap();
    let reporters: Vec<_> = (0..REPORTERS).map(|_| start()).collect();
    assert_spread(|| {
        retry_through_an_outage(&reporters, &collector);
        let peak = peak_of_return(&reporters, &collector);
        collector.take_events();
        peak
    });
}

#[test]
fn a_drain_or_a_stop_does_not_wait_for_the_spread() {
    // The spread delays each reporter by half a minute on average, if nothing ends its wait.
    let (reporters, port) = in_an_outage(12, Duration::from_secs(60));
    let collector = Collector::start_on(port).unwrap();
    for (place, reporter) in reporters.into_iter().enumerate() {
        assert!(reporter.log("kept", (), Severity::Info));
        let started = Instant::now();
        match place % 3 {
            0 => assert!(reporter.wait_until_drained(LIMIT)),
            1 => assert!(reporter.stop(LIMIT)),
            _ => drop(reporter),
        }
        assert!(started.elapsed() < LIMIT / 6, "{:?}", started.elapsed());
    }
    assert_eq!(collector.events().len(), 12);
}
