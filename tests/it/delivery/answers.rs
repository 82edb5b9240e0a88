//! Keeps the table of answers, row by row: the effect of each answer on a batch. A retry is the same request again.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use httpmock::MockServer;
use tinker_telemetry::collector::{Answer, Collector, Received};
use tinker_telemetry::event::Event;
use tinker_telemetry::{Config, Reporter, Severity, Stats};

use crate::support::{self, KEY, LIMIT, assert_adds_up, checked_requests, session, sessionless};

/// Plays these answers to a reporter that logs `events` events and drains.
fn play(events: usize, answers: impl IntoIterator<Item = Answer>) -> (Stats, Vec<Arc<Received>>) {
    let collector = Collector::start().unwrap();
    answers.into_iter().for_each(|answer| collector.answer(answer));
    let reporter = sessionless(&collector).max_retries(2).start().unwrap();
    for step in 0..events {
        assert!(reporter.log("step", step, Severity::Info));
    }
    assert!(reporter.wait_until_drained(LIMIT));
    let stats = reporter.stats();
    assert_adds_up(stats);
    assert_eq!(stats.pending, 0);
    assert_eq!(
        stats.delivered,
        collector.events().len() as u64,
        "delivered counts the events that the server acknowledged"
    );
    (stats, checked_requests(&collector))
}

fn assert_same_request(first: &Received, again: &Received) {
    assert_eq!(first.body, again.body, "byte for byte");
    assert_eq!(first.header("x-idempotency-key"), again.header("x-idempotency-key"));
}

#[test]
fn every_2xx_delivers() {
    for status in [200, 201, 202, 204, 299] {
        let (stats, requests) = play(3, [Answer::status(status)]);
        assert_eq!((stats.delivered, requests.len()), (3, 1), "{status}");
    }
}

#[test]
fn a_2xx_delivers_with_any_body() {
    let oversized = vec![b'x'; 10 * 1024 * 1024];
    let replies = [
        Answer::ok().body(""),
        Answer::ok().body("not JSON"),
        Answer::ok().body(oversized),
        Answer::ok().body("{").header("content-length", "1073741824"),
        Answer::ok().body("zz").header("transfer-encoding", "chunked"),
    ];
    for reply in replies {
        let (stats, requests) = play(1, [reply]);
        assert_eq!((stats.delivered, requests.len()), (1, 1));
    }
}

#[test]
fn a_temporary_failure_is_retried_with_the_same_bytes() {
    let failures = [408, 409, 429, 500, 502, 503, 504, 599].map(Answer::status).into_iter();
    for failure in failures.chain([Answer::hang_up()]) {
        let (stats, requests) = play(2, [failure.clone(), failure]);
        assert_eq!((stats.delivered, requests.len()), (2, 3));
        for (retry, request) in requests.iter().enumerate() {
            assert_same_request(&requests[0], request);
            assert_eq!(request.header("x-stainless-retry-count"), Some(retry.to_string().as_str()));
        }
    }
}

#[test]
fn retries_end_and_the_next_batch_is_sent() {
    let collector = Collector::start().unwrap();
    (0..3).for_each(|_| collector.answer(Answer::status(503)));
    let reporter = sessionless(&collector).max_retries(2).start().unwrap();
    reporter.log("lost", (), Severity::Info);
    assert!(reporter.wait_until_drained(LIMIT), "a dropped event is drained too");
    reporter.log("kept", (), Severity::Info);
    assert!(reporter.wait_until_drained(LIMIT));
    let stats = reporter.stats();
    assert_eq!((stats.dropped.retries_exhausted, stats.delivered), (1, 1));
    assert_eq!(support::names(&collector.events()), ["kept"]);
    assert_eq!(checked_requests(&collector).len(), 4);
}

#[test]
fn without_retries_there_is_one_attempt() {
    let collector = Collector::start().unwrap();
    collector.answer(Answer::status(503));
    let reporter = sessionless(&collector).max_retries(0).start().unwrap();
    reporter.log("lost", (), Severity::Info);
    assert!(reporter.wait_until_drained(LIMIT));
    assert_eq!((reporter.stats().dropped.retries_exhausted, collector.requests().len()), (1, 1));
}

#[test]
fn the_wait_that_a_server_requests_is_kept() {
    let requested = Duration::from_millis(120);
    let now = SystemTime::now();
    // A date has no fraction of a second: 3 s ahead is at least 2 s from now.
    let date = httpdate::fmt_http_date(now + Duration::from_secs(3));
    let cases = [
        (Answer::status(503).header("retry-after-ms", "120"), requested),
        (Answer::status(429).header("retry-after", "0.12"), requested),
        (Answer::status(429).header("retry-after", "5").header("retry-after-ms", "120"), requested),
        (Answer::status(503).header("retry-after", date), Duration::from_secs(1)),
    ];
    for (answer, wait) in cases {
        let (stats, requests) = play(1, [answer]);
        assert_eq!(stats.delivered, 1);
        let waited = requests[1].at - requests[0].at;
        assert!(waited >= wait, "{waited:?} is less than {wait:?}");
    }
}

#[test]
fn an_invalid_wait_is_ignored() {
    for value in ["-1", "NaN", "inf", "Sat, 01 Jan 2000 00:00:00 GMT", "soon", ""] {
        let (stats, requests) = play(1, [Answer::status(503).header("retry-after", value)]);
        assert_eq!((stats.delivered, requests.len()), (1, 2), "{value:?}");
        assert!(requests[1].at - requests[0].at < LIMIT, "{value:?}");
    }
}

#[test]
fn x_should_retry_takes_precedence_over_the_status() {
    for status in [302, 400, 404, 413] {
        let (stats, requests) = play(2, [Answer::status(status).header("x-should-retry", "true")]);
        assert_eq!((stats.delivered, requests.len()), (2, 2), "{status}");
        assert_same_request(&requests[0], &requests[1]);
    }
    for status in [408, 429, 500, 503] {
        let (stats, requests) = play(2, [Answer::status(status).header("x-should-retry", "false")]);
        assert_eq!((stats.dropped.rejected, requests.len()), (2, 1), "{status}");
    }
}

#[test]
fn a_request_that_is_too_large_is_split_and_all_events_keep_their_ids() {
    let (stats, requests) = play(5, [Answer::status(413), Answer::status(413), Answer::status(413)]);
    // 5 → 2 + 3; 2 → 1 + 1; the single event is dropped.
    assert_eq!((stats.delivered, stats.dropped.too_large), (4, 1));
    let sizes: Vec<_> = requests.iter().map(|request| request.events().len()).collect();
    assert_eq!(sizes, [5, 2, 1, 1, 3]);
    let ids = |at: usize| requests[at].events().iter().map(Event::id);
    assert!(ids(0).eq(ids(1).chain(ids(4))) && ids(1).eq(ids(2).chain(ids(3))));
    let keys: std::collections::HashSet<_> =
        requests.iter().map(|request| request.header("x-idempotency-key")).collect();
    assert_eq!(keys.len(), requests.len(), "each part is a request of its own");
    for request in &requests {
        assert_eq!(request.header("x-stainless-retry-count"), Some("0"), "a split is not a retry");
    }
}

/// Sends eight events and then eight more to a collector that gives these answers and then 200. Returns the requests,
/// and the number of events of each.
fn eight_twice(answers: &[u16]) -> (Vec<Arc<Received>>, Vec<usize>) {
    let collector = Collector::start().unwrap();
    for status in answers {
        collector.answer(Answer::status(*status));
    }
    let reporter = sessionless(&collector).start().unwrap();
    for _ in 0..2 {
        for step in 0..8 {
            reporter.log("step", step, Severity::Info);
        }
        assert!(reporter.wait_until_drained(LIMIT));
    }
    assert_eq!(reporter.stats().delivered, 16);
    let requests = collector.requests();
    let sizes = requests.iter().map(|request| request.events().len()).collect();
    (requests, sizes)
}

#[test]
fn a_size_that_was_too_large_is_remembered() {
    let (requests, sizes) = eight_twice(&[413]);
    assert_eq!(sizes[..3], [8, 4, 4]);
    assert!(requests[3..].iter().all(|later| later.body.len() < requests[0].body.len() * 3 / 4), "{sizes:?}");
}

#[test]
fn the_smallest_of_several_too_large_sizes_is_remembered() {
    // 8 → 4 + 4; the first 4 → 2 + 2; its first 2 → 1 + 1; the last 4 → 2 + 2.
    let (_, sizes) = eight_twice(&[413, 413, 413, 200, 200, 200, 413, 200, 200]);
    assert_eq!(sizes[..9], [8, 4, 2, 1, 1, 2, 4, 2, 2]);
    assert!(sizes[9..].iter().all(|size| *size == 1), "{sizes:?}");
}

#[test]
fn a_401_or_403_drops_the_batch_as_unauthorized_without_a_retry() {
    for status in [401, 403] {
        let (stats, requests) = play(3, [Answer::status(status)]);
        assert_eq!((stats.dropped.unauthorized, requests.len()), (3, 1), "{status}");
    }
}

#[test]
fn every_other_status_is_a_rejection() {
    for status in [300, 304, 402, 404, 405, 410, 418, 451, 600] {
        let (stats, requests) = play(3, [Answer::status(status)]);
        assert_eq!((stats.dropped.rejected, requests.len()), (3, 1), "{status}");
    }
}

#[test]
fn a_rejected_batch_is_searched_for_the_invalid_event() {
    for status in [400, 422] {
        let (stats, requests) = play(4, [Answer::status(status), Answer::ok(), Answer::status(status)]);
        // 4 → 2 + 2. The first two are delivered; the last two go as 1 + 1, and the server accepts each.
        let sizes: Vec<_> = requests.iter().map(|request| request.events().len()).collect();
        assert_eq!((stats.delivered, sizes), (4, vec![4, 2, 2, 1, 1]), "{status}");
        let keys: std::collections::HashSet<_> =
            requests.iter().map(|request| request.header("x-idempotency-key").unwrap().to_owned()).collect();
        assert_eq!(keys.len(), 5, "each is a request of its own");
    }
    let all = [Answer::status(400), Answer::status(400), Answer::status(400)];
    let (stats, requests) = play(4, all);
    assert_eq!(
        (stats.dropped.rejected, requests.len()),
        (4, 3),
        "both halves are rejected, so the search ends"
    );
}

#[test]
fn a_redirect_is_never_followed() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = MockServer::start();
        let seen = elsewhere.mock(|when, then| {
            when.any_request();
            then.status(200);
        });
        let redirecting = MockServer::start();
        redirecting.mock(|when, then| {
            when.any_request();
            then.status(status).header("location", elsewhere.url("/api/v1/telemetry"));
        });
        let config = Config::new(KEY).base_url(redirecting.base_url());
        let reporter = Reporter::sessionless_builder(config).enabled(true).start().unwrap();
        reporter.log("step", 1, Severity::Info);
        assert!(reporter.wait_until_drained(LIMIT));
        assert_eq!((reporter.stats().dropped.rejected, seen.calls()), (1, 0), "{status}");
    }
}

#[test]
fn headers_and_path_of_the_configuration_are_sent() {
    let server = MockServer::start();
    let expected = server.mock(|when, then| {
        when.method("POST")
            .path("/base/api/v1/telemetry")
            .header("x-api-key", KEY)
            .header("x-team", "blue")
            .header("cf-access-client-id", "id")
            .header("cf-access-client-secret", "secret");
        then.status(202);
    });
    let config = Config::new(KEY)
        .base_url(server.url("/base/"))
        .header("X-Team", "blue")
        .cloudflare_access("id", "secret");
    let reporter = Reporter::sessionless_builder(config).enabled(true).start().unwrap();
    reporter.log("step", 1, Severity::Info);
    assert!(reporter.wait_until_drained(LIMIT));
    assert_eq!((reporter.stats().delivered, expected.calls()), (1, 1));
}

#[test]
fn an_attempt_ends_at_the_http_timeout_and_is_retried() {
    let collector = Collector::start().unwrap();
    collector.answer(Answer::ok().delay(LIMIT));
    let reporter = sessionless(&collector).http_timeout(Duration::from_millis(50)).start().unwrap();
    reporter.log("step", 1, Severity::Info);
    reporter.flush();
    // The server acknowledges the first attempt after the client's timeout.
    let first = collector.next_request(LIMIT).unwrap();
    let again = collector.next_request(LIMIT).unwrap();
    assert_same_request(&first, &again);
    assert!(reporter.wait_until_drained(LIMIT));
    assert_eq!(reporter.stats().delivered, 1);
}

#[test]
fn a_timeout_longer_than_any_clock_is_a_long_timeout() {
    let collector = Collector::start().unwrap();
    let longest = sessionless(&collector).http_timeout(Duration::MAX).flush_interval(Duration::MAX);
    let reporter = longest.start().unwrap();
    reporter.log("a", (), Severity::Info);
    assert!(reporter.wait_until_drained(LIMIT));
    assert_eq!(reporter.stats().delivered, 1);
}

#[test]
fn a_refused_connection_is_retried_until_the_server_listens() {
    let port = Collector::start().unwrap().port(); // the port is free again, since the collector has been dropped
    let config = Config::new(KEY).base_url(format!("http://127.0.0.1:{port}"));
    let reporter = Reporter::sessionless_builder(config)
        .enabled(true)
        .max_retries(u32::MAX)
        .retry_base_delay(Duration::from_millis(5))
        .start()
        .unwrap();
    reporter.log("step", 1, Severity::Info);
    assert!(!reporter.wait_until_drained(Duration::from_millis(50)));
    let collector = Collector::start_on(port).unwrap();
    assert!(reporter.wait_until_drained(LIMIT));
    assert_eq!((reporter.stats().delivered, collector.events().len()), (1, 1));
}

#[test]
fn a_mix_of_answers_delivers_each_event_of_a_session_once() {
    let collector = Collector::start().unwrap();
    for status in [503, 413, 429, 500, 200, 413, 408] {
        collector.answer(Answer::status(status));
    }
    let reporter = session(&collector).start().unwrap();
    for step in 0..50 {
        reporter.log("step", step, Severity::Info);
    }
    assert!(reporter.stop(LIMIT));
    let mut indexes: Vec<_> = collector.events().iter().map(Event::session_index).collect();
    indexes.sort_unstable();
    assert!(indexes.into_iter().eq(0..52), "each of the 52 events arrives once");
    assert_eq!(reporter.stats().delivered, 52);
}
