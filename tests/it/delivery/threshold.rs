//! Keeps the promise of `flush_threshold`: when this many events are pending, all of them are sent.

use tinker_telemetry::collector::{Answer, Collector};
use tinker_telemetry::{Builder, Reporter, Severity};

use crate::support::{LIMIT, checked_requests, sessionless};

/// Logs this many events and waits until the collector has them. It never calls `flush`.
fn log_until_arrived(collector: &Collector, reporter: &Reporter, events: usize) {
    for step in 0..events {
        assert!(reporter.log("step", step, Severity::Info));
    }
    assert_eq!(collector.wait_for_events(events, LIMIT).len(), events);
}

/// The sizes of the requests with this many events, in order, where the threshold is the same number.
fn batches(events: usize, configure: impl Fn(Builder) -> Builder) -> Vec<usize> {
    let collector = Collector::start().unwrap();
    let reporter =
        configure(sessionless(&collector).flush_threshold(events).max_in_flight(1)).start().unwrap();
    log_until_arrived(&collector, &reporter, events);
    checked_requests(&collector).iter().map(|request| request.events().len()).collect()
}

#[test]
fn a_threshold_of_more_than_a_batch_sends_all_batches() {
    assert_eq!(batches(250, |builder| builder), [100, 100, 50]);
}

#[test]
fn a_batch_smaller_than_the_threshold_leaves_no_event_behind() {
    assert_eq!(batches(100, |builder| builder.max_batch_size(10)), [10; 10]);
}

#[test]
fn bytes_up_to_the_size_of_a_batch_are_all_sent() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless(&collector).max_batch_bytes(10_000).start().unwrap();
    // Each event is larger as JSON than in the queue, so ten events are more than a batch.
    for _ in 0..10 {
        assert!(reporter.log("step", "x".repeat(1_000), Severity::Info));
    }
    assert_eq!(collector.wait_for_events(10, LIMIT).len(), 10);
    assert!(checked_requests(&collector).len() > 1);
}

#[test]
fn after_a_413_the_smaller_batches_leave_no_event_behind() {
    let collector = Collector::start().unwrap();
    collector.answer(Answer::status(413));
    let reporter = sessionless(&collector).start().unwrap();
    log_until_arrived(&collector, &reporter, 100);
    assert!(reporter.wait_until_drained(LIMIT), "the worker has seen the responses to both halves");
    drop(collector.take_events());
    log_until_arrived(&collector, &reporter, 100);
    assert!(checked_requests(&collector).len() > 1, "the later batches are smaller");
}

#[test]
fn a_queue_that_is_full_below_the_threshold_is_sent_completely() {
    let collector = Collector::start().unwrap();
    let builder = sessionless(&collector).max_queue_bytes(20_000).max_batch_size(2);
    let reporter = builder.start().unwrap();
    let mut accepted = 0;
    while reporter.log("step", "x".repeat(1_000), Severity::Info) {
        accepted += 1;
    }
    assert_eq!(collector.wait_for_events(accepted, LIMIT).len(), accepted);
}
