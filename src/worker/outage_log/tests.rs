//! Each line that goes into the program's log. A process has one logger, so it keeps the lines of each thread, and so of
//! each test, apart.

use std::cell::RefCell;
use std::sync::Once;

use log::{LevelFilter, Log, Metadata, Record};

use super::*;
use crate::model::stats::DropReason;

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct LineKeeper;

impl Log for LineKeeper {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if record.target().starts_with("tinker_telemetry") {
            let _ = LINES.try_with(|lines| lines.borrow_mut().push(record.args().to_string()));
        }
    }

    fn flush(&self) {}
}

fn install() -> OutageLog {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        log::set_logger(&LineKeeper).unwrap();
        log::set_max_level(LevelFilter::Info);
    });
    OutageLog::new("host".to_owned())
}

/// The lines of this thread since the last call.
fn take_lines() -> Vec<String> {
    LINES.take()
}

fn refused(too_large: u64) -> Refused {
    Refused { too_large, ..Refused::default() }
}

#[test]
fn refusals_are_logged_once_until_a_check_finds_no_more() {
    let mut outage_log = install();
    outage_log.check_refusals(&refused(0));
    assert!(take_lines().is_empty(), "nothing is refused");
    outage_log.check_refusals(&refused(3));
    assert_eq!(take_lines(), ["telemetry refused events: 3 new (3 too_large since the start)"]);
    outage_log.check_refusals(&refused(5));
    assert!(take_lines().is_empty(), "it is in the log");
    outage_log.check_refusals(&refused(5));
    assert!(take_lines().is_empty(), "there are no new ones");
    outage_log.check_refusals(&refused(9));
    assert_eq!(take_lines(), ["telemetry refused events: 4 new (9 too_large since the start)"]);
}

#[test]
fn at_the_end_the_counts_are_logged_if_an_event_was_lost() {
    let mut outage_log = install();
    outage_log.finish(&Stats { offered: 3, accepted: 3, delivered: 3, ..Stats::default() });
    assert!(take_lines().is_empty(), "nothing was lost");
    let mut stats = Stats { offered: 3, accepted: 2, delivered: 1, pending: 1, ..Stats::default() };
    stats.refused = refused(1);
    outage_log.finish(&stats.if_ended(DropReason::Deadline));
    let [refusal, all] = &take_lines()[..] else { panic!("two lines") };
    assert_eq!(refusal, "telemetry refused events: 1 new (1 too_large since the start)");
    assert_eq!(all, "telemetry: 3 offered, 1 delivered, 1 dropped (1 deadline), 1 refused (1 too_large)");
}

#[test]
fn losses_of_an_outage_are_logged_when_it_ends() {
    let mut outage_log = install();
    let no_answer = Verdict::NoAnswer("timed out".to_owned());
    outage_log.attempt_failed(&no_answer);
    assert_eq!(take_lines(), ["telemetry does not reach host: timed out"]);
    outage_log.attempt_failed(&no_answer);
    outage_log.events_dropped(2);
    outage_log.check_refusals(&refused(3));
    outage_log.events_dropped(5);
    assert!(take_lines().is_empty(), "it is in the log");
    outage_log.batch_delivered(&refused(4));
    assert_eq!(take_lines(), ["telemetry reaches host again; lost meanwhile: 7 dropped, 4 refused"]);
    outage_log.batch_delivered(&refused(4));
    outage_log.check_refusals(&refused(4));
    assert!(take_lines().is_empty(), "every loss is in the log");
}

#[test]
fn losses_before_an_outage_are_not_counted_in_it() {
    let mut outage_log = OutageLog::new("host".to_owned());
    outage_log.events_dropped(7);
    outage_log.batch_begins(&refused(3));
    outage_log.attempt_failed(&Verdict::NoAnswer("timed out".to_owned()));
    outage_log.events_dropped(2);
    outage_log.batch_begins(&refused(4));
    assert_eq!((outage_log.dropped, outage_log.refused_before), (2, 3));
    outage_log.batch_delivered(&refused(5));
    assert_eq!((outage_log.dropped, outage_log.logged_refusals), (0, 2), "the next check logs the other 3");
}

#[test]
fn an_attempt_that_began_before_an_outage_does_not_end_it_nor_one_before_its_end_begin_another() {
    let mut outage_log = install();
    let start = Instant::now();
    let at = |second| start + Duration::from_secs(second);
    let failed = |started, ended| Progress::AttemptFailed {
        verdict: Verdict::NoAnswer("timed out".to_owned()),
        started: at(started),
        ended: at(ended),
    };
    let delivered = |started, ended| Progress::BatchDelivered { started: at(started), ended: at(ended) };
    let mut note = |progress| outage_log.note(&progress, &refused(0));
    note(failed(0, 2));
    assert_eq!(take_lines().len(), 1);
    note(delivered(1, 3));
    assert!(take_lines().is_empty(), "it began before the outage");
    note(failed(2, 4));
    note(delivered(4, 5));
    assert_eq!(take_lines().len(), 1, "it began during the outage");
    note(failed(3, 6));
    assert!(take_lines().is_empty(), "it began before the end");
    note(failed(5, 7));
    assert_eq!(take_lines().len(), 1, "the next outage");
}

#[test]
fn the_text_of_a_partial_success_is_logged_once_and_is_one_line_of_bounded_length() {
    let mut log = install();
    let now = Instant::now();
    let said = |rejected, message: &str| Verdict::PartialSuccess { rejected, message: message.to_owned() };
    log.partly_accepted(&said(3, "too old\nERROR forged \u{1b}[31m"), now);
    log.partly_accepted(&said(2, "too old"), now);
    let expected = r"telemetry to host was accepted but for 3 events: too old\nERROR forged \u{1b}[31m";
    assert_eq!(take_lines(), [expected]);
    log.partly_accepted(&said(0, "use another endpoint"), now);
    log.partly_accepted(&said(0, "use another endpoint"), now);
    assert_eq!(take_lines(), ["telemetry to host was accepted with a remark: use another endpoint"]);
    log.partly_accepted(&said(1, &"x".repeat(60_000)), now + 2 * QUIET);
    let [line] = &take_lines()[..] else { panic!("one line") };
    assert!(line.len() < 500, "{line}");
}

#[test]
fn a_disk_that_fails_again_and_again_has_one_warning() {
    let mut outage_log = install();
    let now = Instant::now();
    for at in [now, now + QUIET, now + 2 * QUIET] {
        outage_log.spool_failed(&"no room", at);
    }
    assert_eq!(take_lines(), ["telemetry cannot keep events in its spool: no room"]);
    outage_log.spool_failed(&"no room", now + 3 * QUIET + Duration::from_secs(1));
    assert_eq!(take_lines().len(), 1, "it was quiet for long enough");
}
