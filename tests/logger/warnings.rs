//! Keeps the lines of this crate in the program's log: one warning when an outage begins, one line when it ends, and no
//! line from a caller's `log`. The test sets the logger of the process, so this binary has one test.
#![cfg(feature = "collector")]

#[path = "../support/log.rs"]
mod log;
#[path = "../support/mod.rs"]
mod support;

use std::thread;

use ::log::Level;
use support::{LIMIT, session, sessionless};
use tinker_telemetry::collector::{Answer, Collector};
use tinker_telemetry::{Reporter, Severity};

/// The lines since the last call. Asserts that none is from this thread, which only calls `log`.
fn lines() -> Vec<(Level, String)> {
    let own = thread::current().id();
    log::take()
        .into_iter()
        .map(|(thread, level, text)| {
            assert_ne!(thread, own, "{text}");
            (level, text)
        })
        .collect()
}

fn report(reporter: &Reporter, events: u64) {
    for step in 0..events {
        reporter.log("step", step, Severity::Info);
    }
    assert!(reporter.wait_until_drained(LIMIT));
}

fn refuse(reporter: &Reporter, events: u64) {
    for _ in 0..events {
        assert!(!reporter.log("too large", "x".repeat(300_000), Severity::Info));
    }
}

#[test]
fn each_problem_is_logged_once() {
    log::keep();
    let collector = Collector::start().unwrap();

    // An outage: many batches and attempts fail. There is one line at its begin and one at its end.
    let reporter = sessionless(&collector).max_retries(1).max_batch_size(1).max_in_flight(1).start().unwrap();
    (0..6).for_each(|_| collector.answer(Answer::status(503)));
    report(&reporter, 4);
    assert_eq!(reporter.stats().dropped.retries_exhausted, 3);
    let expected = [
        (Level::Warn, "telemetry to 127.0.0.1 got status 503".to_owned()),
        (Level::Info, "telemetry reaches 127.0.0.1 again; lost meanwhile: 3 dropped, 0 refused".to_owned()),
    ];
    assert_eq!(lines(), expected);
    report(&reporter, 1);
    assert_eq!(lines(), [], "a delivery without a problem is not logged");

    // Several requests fail at the same time: that is one outage, which the next delivery ends.
    let reporter = sessionless(&collector).max_retries(0).max_batch_size(1).flush_threshold(100);
    let reporter = reporter.start().unwrap();
    let hold = collector.hold_answers();
    (0..4).for_each(|_| collector.answer(Answer::status(503)));
    (0..4).for_each(|step| assert!(reporter.log("step", step, Severity::Info)));
    reporter.flush();
    (0..4).for_each(|_| assert!(collector.next_request(LIMIT).is_some()));
    drop(hold);
    assert!(reporter.wait_until_drained(LIMIT));
    report(&reporter, 1);
    let expected = [
        (Level::Warn, "telemetry to 127.0.0.1 got status 503".to_owned()),
        (Level::Info, "telemetry reaches 127.0.0.1 again; lost meanwhile: 4 dropped, 0 refused".to_owned()),
    ];
    assert_eq!(lines(), expected);

    // Events that were refused before an outage do not count as its loss.
    let reporter = sessionless(&collector).max_retries(0).start().unwrap();
    refuse(&reporter, 3);
    collector.answer(Answer::status(503));
    report(&reporter, 1);
    refuse(&reporter, 2);
    report(&reporter, 1);
    let (_, text) = lines().pop().unwrap();
    assert_eq!(text, "telemetry reaches 127.0.0.1 again; lost meanwhile: 1 dropped, 2 refused");

    // A rejected key: the line has the status.
    collector.answer(Answer::status(401));
    report(&reporter, 1);
    let [(Level::Warn, text)] = &lines()[..] else { panic!("one warning") };
    assert!(text.contains("401"), "{text}");

    // The same during an outage.
    let reporter = sessionless(&collector).max_retries(0).start().unwrap();
    for status in [503, 401, 503, 403] {
        collector.answer(Answer::status(status));
        report(&reporter, 1);
    }
    let named = lines().into_iter().map(|(_, text)| text.rsplit(' ').next().unwrap().to_owned());
    assert_eq!(named.collect::<Vec<_>>(), ["503", "401"]);

    // An event that the server rejects: one warning for any number of such batches. No outage begins or ends. A batch
    // that is only too large is not logged.
    let reporter = sessionless(&collector).start().unwrap();
    for statuses in [&[422, 200, 422][..], &[400, 422, 200], &[422, 422, 422]] {
        for status in statuses {
            collector.answer(Answer::status(*status));
        }
        report(&reporter, 2);
    }
    assert_eq!(lines(), [(Level::Warn, "telemetry to 127.0.0.1 got status 422".to_owned())]);
    for status in [413, 200, 200] {
        collector.answer(Answer::status(status));
    }
    report(&reporter, 2);
    assert_eq!(lines(), []);

    // A refusal without an outage: one warning with the reason, which the worker logs when it next checks the counts.
    // Of several refusals it may count some only later, so the test makes one.
    let reporter = sessionless(&collector).flush_interval(std::time::Duration::from_secs(1)).start().unwrap();
    refuse(&reporter, 1);
    let started = std::time::Instant::now();
    let warning = loop {
        assert!(started.elapsed() < LIMIT, "no warning of the refusals");
        if let Some(line) = lines().pop() {
            break line;
        }
        thread::yield_now();
    };
    assert_eq!(warning.0, Level::Warn);
    assert_eq!(warning.1, "telemetry refused events: 1 new (1 too_large since the start)");

    // A fatal exception is logged with the session's id, by the thread that waits for the report.
    let fatal = session(&collector).start().unwrap();
    thread::spawn(move || fatal.log_fatal_exception(&std::fmt::Error, Severity::Critical)).join().unwrap();
    assert_eq!(lines(), [(Level::Info, "session session-0001 ended with a fatal exception".to_owned())]);
}
