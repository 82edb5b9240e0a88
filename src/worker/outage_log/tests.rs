//! What the program's log is logged, line by line. The logger is the process's own: it keeps the lines of each thread,
//! and so of each test, apart.

use std::cell::RefCell;
use std::sync::Once;

use log::{LevelFilter, Log, Metadata, Record};

use super::*;
use crate::model::stats::DropReason;

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct Keep;

impl Log for Keep {
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

fn begin() -> OutageLog {
    static KEPT: Once = Once::new();
    KEPT.call_once(|| {
        log::set_logger(&Keep).unwrap();
        log::set_max_level(LevelFilter::Info);
    });
    OutageLog::new("host".to_owned())
}

/// What this thread's log was logged since the last look.
fn logged() -> Vec<String> {
    LINES.take()
}

fn refused(too_large: u64) -> Refused {
    Refused { too_large, ..Refused::default() }
}

#[test]
fn refusals_are_told_of_once_until_a_look_finds_no_more() {
    let mut outage_log = begin();
    outage_log.refusals(&refused(0));
    assert!(logged().is_empty(), "no trouble");
    outage_log.refusals(&refused(3));
    assert_eq!(logged(), ["telemetry refused events: 3 new (3 too_large since the start)"]);
    outage_log.refusals(&refused(5));
    assert!(logged().is_empty(), "the same trouble");
    outage_log.refusals(&refused(5));
    assert!(logged().is_empty(), "it is over");
    outage_log.refusals(&refused(9));
    assert_eq!(logged(), ["telemetry refused events: 4 new (9 too_large since the start)"]);
}

#[test]
fn a_program_that_ends_hears_what_it_lost_and_nothing_if_that_is_nothing() {
    let mut outage_log = begin();
    outage_log.ends(&Stats { offered: 3, accepted: 3, delivered: 3, ..Stats::default() });
    assert!(logged().is_empty(), "nothing was lost");
    let mut stats = Stats { offered: 3, accepted: 2, delivered: 1, pending: 1, ..Stats::default() };
    stats.refused = refused(1);
    outage_log.ends(&stats.if_ended(DropReason::Deadline));
    let [refusal, all] = &logged()[..] else { panic!("two lines") };
    assert_eq!(refusal, "telemetry refused events: 1 new (1 too_large since the start)");
    assert_eq!(all, "telemetry: 3 offered, 1 delivered, 1 dropped (1 deadline), 1 refused (1 too_large)");
}

#[test]
fn what_is_lost_while_requests_fail_is_told_when_they_do_not() {
    let mut outage_log = begin();
    let silence = Verdict::Silence("timed out".to_owned());
    outage_log.failed(&silence);
    assert_eq!(logged(), ["telemetry does not reach host: timed out"]);
    outage_log.failed(&silence);
    outage_log.dropped(2);
    outage_log.refusals(&refused(3));
    outage_log.dropped(5);
    assert!(logged().is_empty(), "the same trouble");
    outage_log.delivered(&refused(4));
    assert_eq!(logged(), ["telemetry reaches host again; lost meanwhile: 7 dropped, 4 refused"]);
    outage_log.delivered(&refused(4));
    outage_log.refusals(&refused(4));
    assert!(logged().is_empty(), "all of it was logged");
}

#[test]
fn trouble_costs_what_is_lost_while_it_lasts() {
    let mut outage_log = OutageLog::new("host".to_owned());
    outage_log.dropped(7);
    outage_log.begins(&refused(3));
    outage_log.failed(&Verdict::Silence("timed out".to_owned()));
    outage_log.dropped(2);
    outage_log.begins(&refused(4));
    assert_eq!((outage_log.dropped, outage_log.refused_before), (2, 3));
    outage_log.delivered(&refused(5));
    assert_eq!((outage_log.dropped, outage_log.logged), (0, 2), "the next look tells of the 3");
}
