use std::time::UNIX_EPOCH;

use super::*;

const POLICY: RetryPolicy =
    RetryPolicy { max_retries: 3, base_delay: Duration::from_secs(1), table: AnswerTable::Tinker };

fn step_of(status: u16, should_retry: Option<bool>) -> RetryStep {
    let response = Response { status, should_retry, retry_after: None };
    POLICY.next(0, &Verdict::Response(response), 0.0)
}

const RETRY: RetryStep = RetryStep::Retry(Duration::from_secs(1));
const REJECTED: RetryStep = RetryStep::GiveUp(DropReason::Rejected);
const UNAUTHORIZED: RetryStep = RetryStep::GiveUp(DropReason::Unauthorized);

#[test]
fn each_status_has_its_step() {
    for status in 100..=599 {
        let expected = match status {
            200..=299 => RetryStep::Delivered,
            408 | 409 | 429 | 500..=599 => RETRY,
            413 => RetryStep::Split,
            400 | 422 => RetryStep::Isolate(status),
            401 | 403 => UNAUTHORIZED,
            _ => REJECTED,
        };
        assert_eq!(step_of(status, None), expected, "{status}");
    }
}

#[cfg(feature = "otlp")]
#[test]
fn each_status_of_an_otlp_server_has_its_step_whatever_tinkers_header_says() {
    let policy = RetryPolicy { table: AnswerTable::Otlp, ..POLICY };
    for status in 100..=599 {
        let expected = match status {
            200..=299 => RetryStep::Delivered,
            429 | 502 | 503 | 504 => RETRY,
            413 => RetryStep::Split,
            401 | 403 => UNAUTHORIZED,
            _ => REJECTED,
        };
        for should_retry in [None, Some(true), Some(false)] {
            let response = Response { status, should_retry, retry_after: None };
            assert_eq!(policy.next(0, &Verdict::Response(response), 0.0), expected, "{status}");
        }
    }
    let wait = Duration::from_secs(7);
    let response = Response { status: 429, should_retry: None, retry_after: Some(wait) };
    assert_eq!(policy.next(0, &Verdict::Response(response), 1.0), RetryStep::Retry(wait));
    assert_eq!(policy.next(0, &Verdict::NoAnswer(String::new()), 0.0), RETRY);
}

#[test]
fn a_partial_success_is_never_retried() {
    for rejected in [0, 1, u64::MAX] {
        let verdict = Verdict::PartialSuccess { rejected, message: String::new() };
        assert_eq!(POLICY.next(0, &verdict, 0.0), RetryStep::DeliveredBut { rejected });
    }
}

#[test]
fn should_retry_wins_over_the_status_but_not_over_success() {
    for status in [302, 400, 401, 403, 404, 408, 413, 429, 500, 503] {
        assert_eq!(step_of(status, Some(true)), RETRY, "{status}");
    }
    for status in [302, 404, 408, 409, 429, 500, 503] {
        assert_eq!(step_of(status, Some(false)), REJECTED, "{status}");
    }
    assert_eq!(step_of(403, Some(false)), UNAUTHORIZED);
    assert_eq!(step_of(413, Some(false)), RetryStep::Split, "a split is not a retry");
    assert_eq!(step_of(422, Some(false)), RetryStep::Isolate(422), "neither is the search for an event");
    assert_eq!(step_of(200, Some(true)), RetryStep::Delivered);
}

#[test]
fn waits_double_with_a_tenth_of_jitter_until_the_retries_are_used_up() {
    let no_answer = Verdict::NoAnswer("refused".to_owned());
    let waits = |random| [0, 1, 2, 3].map(|attempt| POLICY.next(attempt, &no_answer, random));
    let exhausted = RetryStep::GiveUp(DropReason::RetriesExhausted);
    let seconds = |seconds| RetryStep::Retry(Duration::from_secs_f64(seconds));
    assert_eq!(waits(0.0), [seconds(1.0), seconds(2.0), seconds(4.0), exhausted]);
    assert_eq!(waits(1.0), [seconds(1.1), seconds(2.2), seconds(4.4), exhausted]);
}

#[test]
fn waits_are_never_longer_than_the_maximum() {
    let policy = RetryPolicy { max_retries: u32::MAX, ..POLICY };
    let no_answer = Verdict::NoAnswer(String::new());
    for attempt in [6, 31, 32, 33, 1_000] {
        assert_eq!(policy.next(attempt, &no_answer, 0.0), RetryStep::Retry(MAX_WAIT), "{attempt}");
    }
}

#[test]
fn an_asked_wait_replaces_the_backoff_without_jitter() {
    let wait = Duration::from_millis(1_500);
    let response = Response { status: 503, should_retry: None, retry_after: Some(wait) };
    assert_eq!(POLICY.next(2, &Verdict::Response(response), 1.0), RetryStep::Retry(wait));
}

#[test]
fn retry_after_reads_milliseconds_seconds_and_dates() {
    let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let read = |ms, after| retry_after(ms, after, now);
    let wait = |seconds| Some(Duration::from_secs_f64(seconds));
    assert_eq!(read(Some("1500"), Some("30")), wait(1.5), "milliseconds first");
    assert_eq!(read(None, Some("30")), wait(30.0));
    assert_eq!(read(None, Some(" 0.5 ")), wait(0.5));
    assert_eq!(read(Some("soon"), Some("2")), wait(2.0), "unreadable falls through");
    assert_eq!(read(None, Some("60")), wait(60.0));
    assert_eq!(read(None, Some("Tue, 14 Nov 2023 22:13:50 GMT")), wait(30.0));
}

#[test]
fn a_server_that_asks_for_more_than_a_minute_gets_a_minute() {
    let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    for text in ["60.001", "61", "120", "99999999999999999999999999", "Tue, 14 Nov 2023 23:13:20 GMT"] {
        assert_eq!(retry_after(None, Some(text), now), Some(MAX_WAIT), "{text}");
    }
    assert_eq!(retry_after(Some("60001"), None, now), Some(MAX_WAIT));
}

#[test]
fn a_wait_that_is_none_counts_as_no_header() {
    let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let dates = ["Tue, 14 Nov 2023 22:13:20 GMT", "Mon, 01 Jan 1900 00:00:00 GMT"];
    let numbers = ["", "0", "-1", "1e300", "-1e300", "NaN", "inf", "-inf", "1e-300", "0x10", "९", "1;2"];
    for text in dates.into_iter().chain(numbers) {
        assert_eq!(retry_after(None, Some(text), now), None, "{text:?}");
    }
}

/// So many that the result does not depend on single random numbers.
const CLIENTS: u16 = 2_000;
const WINDOW: f64 = 0.1;

/// The moment of each client's first attempt that succeeds, if the server is back after `outage`: in seconds since the
/// first flush that fails. All clients flush at the same moments, `interval` apart.
fn arrivals(outage: f64, interval: f64, random: &mut impl FnMut() -> f64) -> Vec<f64> {
    let no_answer = Verdict::NoAnswer(String::new());
    let arrival = |random: &mut dyn FnMut() -> f64| {
        let (mut now, mut is_outage) = (0.0, false);
        loop {
            // The next tick. Ticks that came while the client was busy count as one.
            let flush = (now / interval).ceil() * interval;
            now = flush + if is_outage { POLICY.spread(random()).as_secs_f64() } else { 0.0 };
            for attempt in 0.. {
                if now >= outage {
                    return now;
                }
                let step = POLICY.next(attempt, &no_answer, random());
                is_outage = step.is_outage();
                let RetryStep::Retry(wait) = step else { break };
                now += wait.as_secs_f64();
            }
        }
    };
    (0..CLIENTS).map(|_| arrival(random)).collect()
}

/// The most arrivals within any tenth of a second.
fn peak(mut arrivals: Vec<f64>) -> f64 {
    arrivals.sort_by(f64::total_cmp);
    let end = |first: &f64| arrivals.partition_point(|at| *at < first + WINDOW);
    let peak = arrivals.iter().enumerate().map(|(index, first)| end(first) - index).max();
    f64::from(u16::try_from(peak.unwrap_or_default()).unwrap())
}

#[test]
fn clients_that_recover_at_once_do_not_arrive_together() {
    // A generator that is the same in every run.
    let mut state = 0x5eed_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(state >> 32).unwrap()) / (f64::from(u32::MAX) + 1.0)
    };
    // The number in one window, if they come evenly within the base delay.
    let mean = f64::from(CLIENTS) * WINDOW / POLICY.base_delay.as_secs_f64();
    // From the first batch that all of them gave up, to long after.
    for tenths in (80..600).step_by(3) {
        let outage = f64::from(tenths) / 10.0;
        let peak = peak(arrivals(outage, 10.0, &mut random));
        assert!(peak <= 2.0 * mean, "{peak} at once, {mean} in the mean, after {outage} s");
    }
}

#[test]
fn an_outage_is_a_failure_that_a_retry_may_not_have() {
    for status in [408, 429, 500, 503] {
        assert!(step_of(status, None).is_outage(), "{status}");
    }
    for status in [200, 400, 401, 413] {
        assert!(!step_of(status, None).is_outage(), "{status}");
    }
    assert!(POLICY.next(3, &Verdict::NoAnswer(String::new()), 0.0).is_outage(), "the last attempt too");
}
