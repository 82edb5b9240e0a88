//! Keeps credentials live. The source gives the first key, and another one when the server rejects a key. A source that
//! fails loses its own batches and never blocks a caller.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use tinker_telemetry::collector::{Answer, Collector};
use tinker_telemetry::{Builder, Config, Reporter, Severity};

use crate::support::{LIMIT, NEVER, assert_adds_up, drain};

fn builder(config: Config, collector: &Collector) -> Builder {
    let config = config.base_url(collector.url());
    let builder = Reporter::sessionless_builder(config).enabled(true).flush_interval(NEVER);
    builder.retry_base_delay(Duration::from_millis(1)).max_retries(1)
}

fn report(reporter: &Reporter) {
    assert!(reporter.log("step", (), Severity::Info));
    drain(reporter);
    assert_adds_up(reporter.stats());
}

/// The key of each request.
fn keys(collector: &Collector) -> Vec<String> {
    let requests = collector.requests();
    requests.iter().map(|request| request.header("x-api-key").unwrap_or("none").to_owned()).collect()
}

/// A source that gives `tml-1`, `tml-2` and so on, and the number of its calls.
fn counting() -> (impl Fn() -> Option<String> + Send + Sync, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    (move || Some(format!("tml-{}", count.fetch_add(1, Ordering::Relaxed) + 1)), calls)
}

#[test]
fn a_source_is_called_once_for_the_first_key_and_once_after_a_401() {
    let collector = Collector::start().unwrap();
    let (source, calls) = counting();
    let reporter = builder(Config::new("").credentials(source), &collector).start().unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 0, "the source is not called before the first request");
    report(&reporter);
    report(&reporter);
    assert_eq!(keys(&collector), ["tml-1", "tml-1"]);
    collector.answer(Answer::status(401));
    report(&reporter);
    assert_eq!(keys(&collector)[2..], ["tml-1", "tml-2"]);
    let requests = collector.requests();
    assert_eq!(requests[2].body, requests[3].body);
    assert_eq!(requests[2].header("x-idempotency-key"), requests[3].header("x-idempotency-key"));
    assert_eq!(reporter.stats().delivered, 3);

    collector.answer_by_default(Answer::status(401));
    report(&reporter);
    assert_eq!(keys(&collector)[4..], ["tml-2", "tml-3"], "the batch is sent again once");
    assert_eq!((reporter.stats().dropped.unauthorized, calls.load(Ordering::Relaxed)), (1, 3));
}

#[test]
fn several_requests_that_are_answered_401_ask_the_source_once() {
    let collector = Collector::start().unwrap();
    let (source, calls) = counting();
    let reporter = builder(Config::new("").credentials(source), &collector).flush_threshold(10_000);
    let reporter = reporter.max_in_flight(4).max_retries(0).start().unwrap();
    (0..4).for_each(|_| collector.answer(Answer::status(401)));
    let hold = collector.hold_answers();
    (0..400).for_each(|step| assert!(reporter.log("step", step, Severity::Info)));
    reporter.flush();
    (0..4).for_each(|_| assert!(collector.next_request(LIMIT).is_some()));
    drop(hold);
    drain(&reporter);
    assert_eq!(keys(&collector)[..4], ["tml-1"; 4]);
    assert_eq!(keys(&collector)[4..], ["tml-2"; 4]);
    assert_eq!((reporter.stats().delivered, calls.load(Ordering::Relaxed)), (400, 2));
    report(&reporter);
    assert_eq!(keys(&collector).last().unwrap(), "tml-2");
}

#[test]
fn a_configured_key_comes_first_and_the_same_key_is_not_sent_again() {
    let collector = Collector::start().unwrap();
    let config = Config::new("tml-given").credentials(|| Some(" tml-given\n".to_owned()));
    let reporter = builder(config, &collector).start().unwrap();
    collector.answer_by_default(Answer::status(401));
    report(&reporter);
    assert_eq!(keys(&collector), ["tml-given"]);
    assert_eq!(reporter.stats().dropped.unauthorized, 1);
}

#[test]
fn a_source_that_fails_loses_its_batches_and_is_called_again() {
    let collector = Collector::start().unwrap();
    let next_key = Arc::new(Mutex::new(None));
    let shared = Arc::clone(&next_key);
    let source = move || -> Option<String> {
        let key: Option<String> = shared.lock().unwrap().clone();
        assert!(key.as_deref() != Some("panic"), "as the test wants it");
        key
    };
    let reporter = builder(Config::new("").credentials(source), &collector).start().unwrap();
    let bad = [None, Some(""), Some("panic"), Some("tml-1\r\nx-evil: 1"), Some("tml-ü")];
    for (nth, key) in (1..).zip(bad) {
        *next_key.lock().unwrap() = key.map(str::to_owned);
        report(&reporter);
        assert_eq!(reporter.stats().dropped.retries_exhausted, nth, "{key:?}");
    }
    assert_eq!(collector.requests().len(), 0);
    *next_key.lock().unwrap() = Some("tml-valid".to_owned());
    report(&reporter);
    assert_eq!(keys(&collector), ["tml-valid"]);
}

#[test]
fn a_source_that_hangs_delays_no_caller_and_no_stop() {
    let collector = Collector::start().unwrap();
    let (begun, seen) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let source = move || {
        let _ = begun.send(thread::current().id());
        let _ = released.lock().unwrap().recv();
        None
    };
    let reporter = builder(Config::new("").credentials(source), &collector).start().unwrap();
    assert!(reporter.log("step", (), Severity::Info));
    reporter.flush();
    assert_ne!(seen.recv_timeout(LIMIT).unwrap(), thread::current().id());
    let before = Instant::now();
    assert!(reporter.log("step", (), Severity::Info));
    assert!(!reporter.stop(Duration::from_millis(50)));
    assert!(before.elapsed() < Duration::from_secs(3), "the stop does not wait for the source");
    assert_eq!(reporter.stats().dropped.deadline, 2);
    drop(release);
}

/// A token without a signature, whose time is over at this Unix time.
fn token(expires: u64) -> String {
    let payload = format!("{{\"exp\":{expires}}}");
    format!("eyJhbGciOiJub25lIn0.{}.", BASE64_URL_SAFE_NO_PAD.encode(payload))
}

#[test]
fn a_token_whose_time_is_over_is_replaced_before_the_request() {
    let collector = Collector::start().unwrap();
    let next_year = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 365 * 24 * 60 * 60;
    let (expired, valid) = (token(1_700_000_000), token(next_year));
    let (given, calls) = (valid.clone(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&calls);
    let source = move || {
        count.fetch_add(1, Ordering::Relaxed);
        Some(given.clone())
    };
    let reporter = builder(Config::new(expired).credentials(source), &collector).start().unwrap();
    report(&reporter);
    report(&reporter);
    assert_eq!(keys(&collector), [&*valid, &*valid]);
    assert_eq!((reporter.stats().delivered, calls.load(Ordering::Relaxed)), (2, 1));
}

/// The clock of this machine may be wrong.
#[test]
fn an_expired_token_is_sent_if_there_is_no_other_and_the_source_is_asked_once() {
    let collector = Collector::start().unwrap();
    let expired = token(1_700_000_000);
    let (given, calls) = (expired.clone(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&calls);
    let source = move || {
        count.fetch_add(1, Ordering::Relaxed);
        Some(given.clone())
    };
    let reporter = builder(Config::new(expired.as_str()).credentials(source), &collector).start().unwrap();
    report(&reporter);
    report(&reporter);
    assert_eq!(keys(&collector), [&*expired, &*expired]);
    assert_eq!((reporter.stats().delivered, calls.load(Ordering::Relaxed)), (2, 1));
}
