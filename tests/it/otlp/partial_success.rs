//! Keeps what becomes of a batch that an OTLP server accepts in part: it is never sent again, and each event is counted.

use tinker_telemetry::Severity;
use tinker_telemetry::collector::{Answer, Collector};

use crate::otlp::{partial_success, play, records_of, to};
use crate::support::{LIMIT, assert_adds_up};

#[test]
fn rejected_records_are_counted_as_rejected_and_the_rest_as_delivered() {
    for (rejected, counted) in [(0, 0), (1, 1), (3, 3), (5, 5), (6, 5), (i64::MAX, 5)] {
        let (stats, requests) = play(5, [partial_success(rejected, "too old")]);
        assert_eq!((stats.dropped.rejected, stats.delivered), (counted, 5 - counted), "{rejected}");
        assert_eq!(requests.len(), 1, "{rejected}");
    }
}

#[test]
fn a_message_alone_rejects_nothing() {
    let (stats, requests) = play(5, [partial_success(0, "use another endpoint")]);
    assert_eq!((stats.delivered, stats.dropped.total(), requests.len()), (5, 0, 1));
    let (stats, _) = play(5, [partial_success(0, "")]);
    assert_eq!(stats.delivered, 5);
}

#[test]
fn a_number_below_zero_rejects_nothing() {
    let (stats, requests) = play(5, [partial_success(-3, "")]);
    assert_eq!((stats.delivered, stats.dropped.rejected, requests.len()), (5, 0, 1));
}

#[test]
fn each_half_of_a_batch_has_its_own_part() {
    let answers = [Answer::status(413), partial_success(2, "a"), partial_success(1, "b")];
    let (stats, requests) = play(6, answers);
    assert_eq!((stats.dropped.rejected, stats.delivered), (3, 3));
    assert_eq!(requests.iter().map(|request| records_of(request).len()).collect::<Vec<_>>(), [6, 3, 3]);
}

#[test]
fn a_status_that_fails_says_nothing_about_parts() {
    let collector = Collector::start().unwrap();
    let reporter = to(&collector).max_retries(0).start().unwrap();
    let body = [0x0a, 0x02, 0x08, 0x01];
    for status in [400, 503] {
        collector.answer(Answer::status(status).body(body));
        reporter.log("step", 1, Severity::Info);
        assert!(reporter.wait_until_drained(LIMIT));
    }
    let stats = reporter.stats();
    assert_adds_up(stats);
    assert_eq!((stats.delivered, stats.dropped.rejected, stats.dropped.retries_exhausted), (0, 1, 1));
}
