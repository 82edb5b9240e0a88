//! Keeps the table of answers of an OTLP endpoint, row by row: the effect of each answer on a batch.

use std::time::{Duration, SystemTime};

use tinker_telemetry::collector::{Answer, Collector};
use tinker_telemetry::{Config, Severity};

use crate::otlp::{play, records_of, to};
use crate::support::{LIMIT, sessionless_to};

#[test]
fn every_2xx_delivers_whatever_its_body() {
    let bodies = [&b""[..], b"{}", b"{\"partialSuccess\":{}}", b"not protobuf", b"\x0a\x7f\x08"];
    let answers = bodies.map(|body| Answer::status(200).body(body)).into_iter();
    let oversized = Answer::status(200).body(vec![0x0a; 1024 * 1024]);
    for answer in answers.chain([201, 202, 204].map(Answer::status)).chain([oversized]) {
        let (stats, requests) = play(3, [answer.clone()]);
        assert_eq!((stats.delivered, requests.len()), (3, 1), "{answer:?}");
    }
}

#[test]
fn the_four_statuses_that_may_pass_and_silence_are_retried_with_the_same_bytes() {
    let failures = [429, 502, 503, 504].map(Answer::status).into_iter();
    for failure in failures.chain([Answer::hang_up()]) {
        let (stats, requests) = play(2, [failure.clone(), failure.clone()]);
        assert_eq!((stats.delivered, requests.len()), (2, 3), "{failure:?}");
        assert!(requests.iter().all(|request| request.body == requests[0].body));
        let (stats, requests) = play(2, [failure.clone(), failure.clone(), failure]);
        assert_eq!((stats.dropped.retries_exhausted, requests.len()), (2, 3));
    }
}

#[test]
fn any_other_status_is_final_and_no_part_is_sent_again() {
    for status in [301, 307, 400, 404, 405, 408, 409, 415, 422, 500, 501, 505, 599] {
        // Tinker's header means nothing here.
        let (stats, requests) = play(2, [Answer::status(status).header("x-should-retry", "true")]);
        assert_eq!((stats.dropped.rejected, requests.len()), (2, 1), "{status}");
    }
    for status in [401, 403] {
        let (stats, requests) = play(2, [Answer::status(status)]);
        assert_eq!((stats.dropped.unauthorized, requests.len()), (2, 1), "{status}");
    }
}

#[test]
fn a_batch_that_is_too_large_is_split_down_to_the_event() {
    let (stats, requests) = play(4, [413, 200, 413, 413, 200].map(Answer::status));
    assert_eq!((stats.delivered, stats.dropped.too_large), (3, 1));
    let records: Vec<_> = requests.iter().map(|request| records_of(request).len()).collect();
    assert_eq!(records, [4, 2, 2, 1, 1]);
}

#[test]
fn the_wait_that_a_server_asks_for_is_kept() {
    // A date has no fraction of a second: 3 s ahead is at least 2 s from now.
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3));
    let cases = [
        (Answer::status(429).header("retry-after", "0.12"), Duration::from_millis(120)),
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
fn a_server_that_is_down_costs_a_stop_no_more_than_another() {
    let port = Collector::start().unwrap().port();
    let reporter = sessionless_to(Config::otlp(format!("http://127.0.0.1:{port}"))).start().unwrap();
    reporter.log("step", 1, Severity::Info);
    assert!(!reporter.stop(LIMIT) || reporter.stats().pending == 0);
    assert_eq!(reporter.stats().dropped.total(), 1);
}

#[test]
fn an_answer_whose_body_never_ends_takes_no_longer_than_the_attempt() {
    let collector = Collector::start().unwrap();
    collector.answer(Answer::status(200).body("x").header("content-length", "9"));
    let reporter = to(&collector).http_timeout(Duration::from_millis(300)).start().unwrap();
    reporter.log("step", 1, Severity::Info);
    assert!(reporter.wait_until_drained(LIMIT));
    assert_eq!((reporter.stats().delivered, collector.requests().len()), (1, 1));
}
