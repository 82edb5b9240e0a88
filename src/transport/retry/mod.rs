//! What an answer means for the batch that it answers. Pure: values in, one step out.

use std::time::{Duration, SystemTime};

use crate::model::stats::DropReason;

/// What one attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Answer(Answer),
    /// Nobody was reached, or nobody answered in time: the cause, in words fit for a log line.
    Silence(String),
    /// Somebody was there, and ended the connection without an answer: the cause, likewise.
    HungUp(String),
}

/// What is read of an answer. Its body says nothing that matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The header `x-should-retry`.
    pub(crate) should_retry: Option<bool>,
    /// The headers `retry-after-ms` and `retry-after`, where they name a wait we are ready to keep.
    pub(crate) retry_after: Option<Duration>,
}

/// What to do with the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Delivered,
    /// Send the same bytes again after this wait.
    Retry(Duration),
    /// Cut it in two and send the halves; a single event is dropped as `too_large`.
    Split,
    GiveUp(DropReason),
}

impl Step {
    /// Whether the attempt failed as one that may work later does: then it is an outage until one does not.
    pub(crate) fn is_outage(self) -> bool {
        matches!(self, Self::Retry(_) | Self::GiveUp(DropReason::RetriesExhausted))
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryPolicy {
    pub(crate) max_retries: u32,
    pub(crate) base_delay: Duration,
}

/// No wait is longer: neither what a server may ask for, since it would hold up a worker that has other batches,
/// nor what doubling comes to.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The part of a wait that chance may add, so that many clients of a server that recovers do not return at once.
const JITTER: f64 = 0.1;

impl RetryPolicy {
    /// The step after attempt number `attempt` (the first is 0) had this verdict. `chance` in 0..1 sets the jitter.
    pub(crate) fn next(&self, attempt: u32, verdict: &Verdict, chance: f64) -> Step {
        let answer = match verdict {
            Verdict::Silence(_) | Verdict::HungUp(_) => return self.retry(attempt, None, chance),
            Verdict::Answer(answer) => answer,
        };
        match (answer.status, answer.should_retry) {
            (200..=299, _) => Step::Delivered,
            (_, Some(true)) | (408 | 409 | 429 | 500..=599, None) => {
                self.retry(attempt, answer.retry_after, chance)
            }
            (413, _) => Step::Split,
            (401 | 403, _) => Step::GiveUp(DropReason::Unauthorized),
            _ => Step::GiveUp(DropReason::Rejected),
        }
    }

    /// How long a batch waits for its first attempt after one that met an outage. Many clients that lost a server
    /// together flush together (their tickers keep time, so a tenth of jitter between attempts does not part them):
    /// each comes at a moment of its own within the base delay. An outage shorter than a batch's retries ends with one
    /// of these, and they have that tenth alone: only what comes after it is spread.
    pub(crate) fn spread(&self, chance: f64) -> Duration {
        self.base_delay.mul_f64(chance)
    }

    fn retry(&self, attempt: u32, asked: Option<Duration>, chance: f64) -> Step {
        if attempt >= self.max_retries {
            return Step::GiveUp(DropReason::RetriesExhausted);
        }
        Step::Retry(asked.unwrap_or_else(|| self.backoff(attempt, chance)))
    }

    /// The base delay doubled with every attempt, plus up to a tenth.
    fn backoff(&self, attempt: u32, chance: f64) -> Duration {
        let factor = 1_u32.checked_shl(attempt).unwrap_or(u32::MAX);
        let delay = self.base_delay.saturating_mul(factor).min(LONGEST_WAIT);
        delay + delay.mul_f64(JITTER * chance)
    }
}

/// The wait that the headers ask for: `retry-after-ms`, else `retry-after` in seconds or as a date. Only a wait of
/// more than nothing and at most [`LONGEST_WAIT`] counts; a header that says anything else is not there.
pub(crate) fn retry_after(ms: Option<&str>, after: Option<&str>, now: SystemTime) -> Option<Duration> {
    let from_ms = ms.and_then(|text| parse_number(text, 0.001));
    let from_seconds = || after.and_then(|text| parse_number(text, 1.0));
    let from_date = || after.and_then(|text| parse_date(text, now));
    from_ms.or_else(from_seconds).or_else(from_date)
}

fn parse_number(text: &str, unit: f64) -> Option<Duration> {
    let seconds = text.trim().parse::<f64>().ok()? * unit;
    Duration::try_from_secs_f64(seconds).ok().filter(is_acceptable)
}

fn parse_date(text: &str, now: SystemTime) -> Option<Duration> {
    let at = httpdate::parse_http_date(text.trim()).ok()?;
    at.duration_since(now).ok().filter(is_acceptable)
}

fn is_acceptable(wait: &Duration) -> bool {
    !wait.is_zero() && *wait <= LONGEST_WAIT
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const POLICY: RetryPolicy = RetryPolicy { max_retries: 3, base_delay: Duration::from_secs(1) };

    fn answered(status: u16, should_retry: Option<bool>) -> Step {
        let answer = Answer { status, should_retry, retry_after: None };
        POLICY.next(0, &Verdict::Answer(answer), 0.0)
    }

    const RETRY: Step = Step::Retry(Duration::from_secs(1));
    const REJECTED: Step = Step::GiveUp(DropReason::Rejected);
    const UNAUTHORIZED: Step = Step::GiveUp(DropReason::Unauthorized);

    #[test]
    fn each_status_has_its_step() {
        for status in 100..=599 {
            let expected = match status {
                200..=299 => Step::Delivered,
                408 | 409 | 429 | 500..=599 => RETRY,
                413 => Step::Split,
                401 | 403 => UNAUTHORIZED,
                _ => REJECTED,
            };
            assert_eq!(answered(status, None), expected, "{status}");
        }
    }

    #[test]
    fn the_servers_wish_wins_over_the_status_but_not_over_success() {
        for status in [302, 400, 401, 403, 404, 408, 413, 429, 500, 503] {
            assert_eq!(answered(status, Some(true)), RETRY, "{status}");
        }
        for status in [302, 400, 408, 409, 429, 500, 503] {
            assert_eq!(answered(status, Some(false)), REJECTED, "{status}");
        }
        assert_eq!(answered(403, Some(false)), UNAUTHORIZED);
        assert_eq!(answered(413, Some(false)), Step::Split, "a split is not a retry");
        assert_eq!(answered(200, Some(true)), Step::Delivered);
    }

    #[test]
    fn waits_double_with_a_tenth_of_jitter_until_the_retries_are_used_up() {
        let silence = Verdict::Silence("refused".to_owned());
        let waits = |chance| [0, 1, 2, 3].map(|attempt| POLICY.next(attempt, &silence, chance));
        let exhausted = Step::GiveUp(DropReason::RetriesExhausted);
        let seconds = |seconds| Step::Retry(Duration::from_secs_f64(seconds));
        assert_eq!(waits(0.0), [seconds(1.0), seconds(2.0), seconds(4.0), exhausted]);
        assert_eq!(waits(1.0), [seconds(1.1), seconds(2.2), seconds(4.4), exhausted]);
    }

    #[test]
    fn waits_never_pass_the_longest() {
        let policy = RetryPolicy { max_retries: u32::MAX, ..POLICY };
        let silence = Verdict::Silence(String::new());
        for attempt in [6, 31, 32, 33, 1_000] {
            assert_eq!(policy.next(attempt, &silence, 0.0), Step::Retry(LONGEST_WAIT), "{attempt}");
        }
    }

    #[test]
    fn an_asked_wait_replaces_the_backoff_without_jitter() {
        let wait = Duration::from_millis(1_500);
        let answer = Answer { status: 503, should_retry: None, retry_after: Some(wait) };
        assert_eq!(POLICY.next(2, &Verdict::Answer(answer), 1.0), Step::Retry(wait));
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
    fn hostile_waits_are_not_there() {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let dates = [
            "Tue, 14 Nov 2023 22:13:20 GMT",
            "Tue, 14 Nov 2023 23:13:20 GMT",
            "Mon, 01 Jan 1900 00:00:00 GMT",
        ];
        let numbers =
            ["", "0", "-1", "60.001", "1e300", "-1e300", "NaN", "inf", "-inf", "1e-300", "0x10", "९", "1;2"];
        for text in dates.into_iter().chain(numbers) {
            assert_eq!(retry_after(None, Some(text), now), None, "{text:?}");
        }
        assert_eq!(retry_after(Some("60001"), None, now), None);
    }

    /// Many, so that what is seen is the policy and not the luck of one draw.
    const CLIENTS: u16 = 2_000;
    const WINDOW: f64 = 0.1;

    /// Seconds from the first flush that fails to when each client's first attempt gets through, if the server is back
    /// after `outage`. They all flush at the same moments, `interval` apart.
    fn arrivals(outage: f64, interval: f64, chance: &mut impl FnMut() -> f64) -> Vec<f64> {
        let silence = Verdict::Silence(String::new());
        let arrival = |chance: &mut dyn FnMut() -> f64| {
            let (mut now, mut is_outage) = (0.0, false);
            loop {
                // The next tick; the ticks that a client was too busy for are one.
                let flush = (now / interval).ceil() * interval;
                now = flush + if is_outage { POLICY.spread(chance()).as_secs_f64() } else { 0.0 };
                for attempt in 0.. {
                    if now >= outage {
                        return now;
                    }
                    let step = POLICY.next(attempt, &silence, chance());
                    is_outage = step.is_outage();
                    let Step::Retry(wait) = step else { break };
                    now += wait.as_secs_f64();
                }
            }
        };
        (0..CLIENTS).map(|_| arrival(chance)).collect()
    }

    /// The most arrivals that any stretch of a tenth of a second has.
    fn peak(mut arrivals: Vec<f64>) -> f64 {
        arrivals.sort_by(f64::total_cmp);
        let end = |first: &f64| arrivals.partition_point(|at| *at < first + WINDOW);
        let peak = arrivals.iter().enumerate().map(|(place, first)| end(first) - place).max();
        f64::from(u16::try_from(peak.unwrap_or_default()).unwrap())
    }

    #[test]
    fn clients_that_recover_at_once_do_not_arrive_together() {
        // A generator that is the same in every run.
        let mut state = 0x5eed_u64;
        let mut chance = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f64::from(u32::try_from(state >> 32).unwrap()) / (f64::from(u32::MAX) + 1.0)
        };
        // Spread evenly over the base delay, so many come in a window.
        let mean = f64::from(CLIENTS) * WINDOW / POLICY.base_delay.as_secs_f64();
        // From the first batch that was given up on, by all of them, to long after.
        for tenths in (80..600).step_by(3) {
            let outage = f64::from(tenths) / 10.0;
            let peak = peak(arrivals(outage, 10.0, &mut chance));
            assert!(peak <= 2.0 * mean, "{peak} at once, {mean} in the mean, after {outage} s");
        }
    }

    #[test]
    fn an_outage_is_what_a_retry_may_mend() {
        for status in [408, 429, 500, 503] {
            assert!(answered(status, None).is_outage(), "{status}");
        }
        for status in [200, 400, 401, 413] {
            assert!(!answered(status, None).is_outage(), "{status}");
        }
        assert!(POLICY.next(3, &Verdict::Silence(String::new()), 0.0).is_outage(), "the last attempt too");
    }
}
