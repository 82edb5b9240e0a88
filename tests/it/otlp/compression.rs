//! Keeps the compression of requests: which bodies are compressed, and that a server which does not accept it loses
//! nothing.

use tinker_telemetry::collector::{Answer, Collector, Received};
use tinker_telemetry::{Config, Reporter, Severity};

use crate::otlp::{assert_is_otlp, plain_body, to};
use crate::support::{KEY, LIMIT, assert_adds_up, check_body, sessionless_to};

/// Logs an event whose request is larger than 1 KB, and drains.
fn log_large(reporter: &Reporter) {
    assert!(reporter.log("large", "data ".repeat(1_000), Severity::Info));
    assert!(reporter.wait_until_drained(LIMIT));
    assert_adds_up(reporter.stats());
}

fn is_compressed(request: &Received) -> bool {
    request.header("content-encoding").is_some()
}

/// Plays these answers to a reporter that sends `batches` large batches. Returns which requests were compressed.
fn compressed(batches: u64, answers: &[u16]) -> (Vec<bool>, tinker_telemetry::Stats) {
    let collector = Collector::start().unwrap();
    for status in answers {
        collector.answer(Answer::status(*status));
    }
    let reporter = to(&collector).max_retries(0).start().unwrap();
    (0..batches).for_each(|_| log_large(&reporter));
    let requests = collector.requests();
    for request in &requests {
        assert_is_otlp(request);
    }
    (requests.iter().map(|request| is_compressed(request)).collect(), reporter.stats())
}

#[test]
fn a_large_body_is_compressed_and_a_small_one_is_not() {
    let collector = Collector::start().unwrap();
    let reporter = to(&collector).start().unwrap();
    log_large(&reporter);
    reporter.log("small", 1, Severity::Info);
    assert!(reporter.wait_until_drained(LIMIT));
    let requests = collector.requests();
    assert_eq!(requests.iter().map(|request| is_compressed(request)).collect::<Vec<_>>(), [true, false]);
    assert!(requests[0].body.len() < 1_000 && plain_body(&requests[0]).len() > 5_000);
    assert_eq!(reporter.stats().delivered, 2);
}

#[test]
fn compression_can_be_switched_off() {
    let collector = Collector::start().unwrap();
    let reporter = sessionless_to(Config::otlp(collector.url()).gzip(false)).start().unwrap();
    log_large(&reporter);
    assert!(!is_compressed(&collector.requests()[0]));
}

#[test]
fn a_server_that_does_not_accept_it_gets_the_batch_plain_at_once_and_only_plain_ones_from_then_on() {
    for status in [400, 415] {
        let (compressed, stats) = compressed(3, &[status]);
        assert_eq!(compressed, [true, false, false, false], "{status}");
        assert_eq!((stats.delivered, stats.dropped.total()), (3, 0), "without a retry");
    }
}

#[test]
fn events_that_the_server_does_not_accept_are_no_reason_to_send_plain_ones() {
    let (compressed, stats) = compressed(2, &[400, 400]);
    assert_eq!(compressed, [true, false, true]);
    assert_eq!((stats.delivered, stats.dropped.rejected), (1, 1));
}

#[test]
fn a_plain_body_that_fails_for_another_reason_is_handled_by_the_table() {
    let (compressed, stats) = compressed(2, &[415, 503]);
    assert_eq!(compressed, [true, false, false]);
    assert_eq!((stats.delivered, stats.dropped.retries_exhausted), (1, 1));
}

#[test]
fn retries_have_the_same_compressed_bytes() {
    let collector = Collector::start().unwrap();
    (0..2).for_each(|_| collector.answer(Answer::status(503)));
    let reporter = to(&collector).max_retries(2).start().unwrap();
    log_large(&reporter);
    let requests = collector.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| is_compressed(request) && request.body == requests[0].body));
}

#[test]
fn tinkers_backend_gets_compressed_bodies_only_if_asked() {
    let collector = Collector::start().unwrap();
    let config = Config::new(KEY).base_url(collector.url());
    let asked = sessionless_to(config.clone().gzip(true)).start().unwrap();
    collector.answer(Answer::status(200));
    collector.answer(Answer::status(400));
    for reporter in [&sessionless_to(config).start().unwrap(), &asked] {
        log_large(reporter);
    }
    let requests = collector.requests();
    assert_eq!(
        requests.iter().map(|request| is_compressed(request)).collect::<Vec<_>>(),
        [false, true, false]
    );
    assert_eq!(asked.stats().delivered, 1);
    for request in &requests {
        assert_eq!(check_body(&plain_body(request)).events.len(), 1);
    }
    let key = |request: &Received| request.header("x-idempotency-key").map(str::to_owned);
    assert!(key(&requests[1]).is_some() && key(&requests[1]) == key(&requests[2]), "the same batch");
}
