//! Keeps the cost of a 400 and of a 422. An event that the server rejects is lost alone: the others of its batch are
//! delivered. A program whose events are all rejected costs three requests per batch.

use httpmock::MockServer;
use tinker_telemetry::collector::{Answer, Collector};
use tinker_telemetry::{Config, Reporter, Severity, Stats};

use crate::support::{KEY, LIMIT, assert_adds_up, checked_requests, sessionless, sessionless_to};

const BATCH: usize = 100;

fn report(reporter: &Reporter, events: usize, bad: &[usize]) -> Stats {
    for step in 0..events {
        let text = if bad.contains(&step) { "bad" } else { "good" };
        assert!(reporter.log("step", text, Severity::Info));
    }
    assert!(reporter.wait_until_drained(LIMIT));
    let stats = reporter.stats();
    assert_adds_up(stats);
    assert_eq!(stats.pending, 0);
    stats
}

/// Sends a batch to a server that answers with `status` to each request with a bad event. Returns the counts and the
/// number of requests.
fn report_to_strict(status: u16, bad: &[usize]) -> (Stats, usize) {
    let server = MockServer::start();
    let rejected = server.mock(|when, then| {
        when.body_includes("\"bad\"");
        then.status(status);
    });
    let accepted = server.mock(|when, then| {
        when.body_excludes("\"bad\"");
        then.status(200);
    });
    let config = Config::new(KEY).base_url(server.base_url());
    let reporter = sessionless_to(config).flush_threshold(BATCH).start().unwrap();
    (report(&reporter, BATCH, bad), rejected.calls() + accepted.calls())
}

#[test]
fn one_bad_event_is_lost_alone_and_costs_about_fourteen_requests() {
    for (status, place) in [(400, 0), (400, 49), (400, 99), (422, 50)] {
        let (stats, requests) = report_to_strict(status, &[place]);
        assert_eq!((stats.delivered, stats.dropped.rejected), (99, 1), "{status} for event {place}");
        assert!((13..=15).contains(&requests), "{requests} requests for event {place}");
    }
}

#[test]
fn bad_events_side_by_side_cost_a_few_events_around_them() {
    // The search ends at the events 46 to 49, where both halves have a bad event.
    let (stats, requests) = report_to_strict(422, &[47, 48]);
    assert_eq!((stats.delivered, stats.dropped.rejected), (96, 4));
    assert!(requests <= 15, "{requests}");
}

#[test]
fn a_program_whose_events_are_all_rejected_costs_three_requests_per_batch() {
    for status in [400, 422] {
        let collector = Collector::start().unwrap();
        (0..6).for_each(|_| collector.answer(Answer::status(status)));
        let reporter = sessionless(&collector).flush_threshold(BATCH).max_in_flight(1).start().unwrap();
        assert_eq!(report(&reporter, 2 * BATCH, &[]).dropped.rejected, 200, "{status}");
        let sizes: Vec<_> =
            checked_requests(&collector).iter().map(|request| request.events().len()).collect();
        assert_eq!(sizes, [100, 50, 50, 100, 50, 50], "{status}");
    }
}

#[test]
fn a_single_event_that_is_rejected_costs_one_request() {
    let (stats, sizes) = play(1, &[422]);
    assert_eq!((stats.dropped.rejected, sizes), (1, vec![1]));
}

#[test]
fn a_batch_that_is_rejected_only_as_a_whole_is_delivered_in_halves() {
    let (stats, sizes) = play(8, &[400]);
    assert_eq!((stats.delivered, sizes), (8, vec![8, 4, 4]));
}

#[test]
fn no_search_begins_in_a_half_if_the_other_half_fails_by_an_outage() {
    let (stats, sizes) = play(8, &[400, 400, 503]);
    assert_eq!((stats.dropped.rejected, stats.dropped.retries_exhausted), (4, 4));
    assert_eq!(sizes, [8, 4, 4]);
    let (stats, sizes) = play(8, &[400, 401, 400]);
    assert_eq!((stats.dropped.unauthorized, stats.dropped.rejected), (4, 4));
    assert_eq!(sizes, [8, 4, 4]);
}

#[test]
fn a_half_may_be_too_large_while_the_other_has_a_bad_event() {
    // The first four are too large, so they go as two and two. The last event of the last four is bad.
    let (stats, sizes) = play(8, &[400, 413, 200, 200, 400, 200, 400, 200, 400]);
    assert_eq!((stats.delivered, stats.dropped.rejected), (7, 1));
    assert_eq!(sizes, [8, 4, 2, 2, 4, 2, 2, 1, 1]);
}

#[test]
fn x_should_retry_takes_precedence_over_the_search() {
    let collector = Collector::start().unwrap();
    collector.answer(Answer::status(422).header("x-should-retry", "true"));
    let reporter = sessionless(&collector).start().unwrap();
    assert_eq!(report(&reporter, 8, &[]).delivered, 8);
    assert_eq!(collector.requests().len(), 2);
}

/// Sends events to a collector that answers with these statuses and then with 200. Returns the counts, and the number
/// of events of each request.
fn play(events: usize, statuses: &[u16]) -> (Stats, Vec<usize>) {
    let collector = Collector::start().unwrap();
    for status in statuses {
        collector.answer(Answer::status(*status));
    }
    let reporter = sessionless(&collector).max_retries(0).start().unwrap();
    let stats = report(&reporter, events, &[]);
    let sizes = checked_requests(&collector).iter().map(|request| request.events().len()).collect();
    (stats, sizes)
}
