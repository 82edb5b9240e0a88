//! What the program's log is told, line by line. The logger is the process's own: it keeps the lines of each thread,
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

fn begin() -> Episode {
    static KEPT: Once = Once::new();
    KEPT.call_once(|| {
        log::set_logger(&Keep).unwrap();
        log::set_max_level(LevelFilter::Info);
    });
    Episode::new("host".to_owned())
}

/// What this thread's log was told since the last look.
fn told() -> Vec<String> {
    LINES.take()
}

fn refused(too_large: u64) -> Refused {
    Refused { too_large, ..Refused::default() }
}

#[test]
fn refusals_are_told_of_once_until_a_look_finds_no_more() {
    let mut episode = begin();
    episode.refusals(&refused(0));
    assert!(told().is_empty(), "no trouble");
    episode.refusals(&refused(3));
    assert_eq!(told(), ["telemetry refused events: 3 new (3 too_large since the start)"]);
    episode.refusals(&refused(5));
    assert!(told().is_empty(), "the same trouble");
    episode.refusals(&refused(5));
    assert!(told().is_empty(), "it is over");
    episode.refusals(&refused(9));
    assert_eq!(told(), ["telemetry refused events: 4 new (9 too_large since the start)"]);
}

#[test]
fn a_program_that_ends_hears_what_it_lost_and_nothing_if_that_is_nothing() {
    let mut episode = begin();
    episode.ends(&Stats { offered: 3, accepted: 3, delivered: 3, ..Stats::default() });
    assert!(told().is_empty(), "nothing was lost");
    let mut stats = Stats { offered: 3, accepted: 2, delivered: 1, pending: 1, ..Stats::default() };
    stats.refused = refused(1);
    episode.ends(&stats.if_ended(DropReason::Deadline));
    let [refusal, all] = &told()[..] else { panic!("two lines") };
    assert_eq!(refusal, "telemetry refused events: 1 new (1 too_large since the start)");
    assert_eq!(all, "telemetry: 3 offered, 1 delivered, 1 dropped (1 deadline), 1 refused (1 too_large)");
}

#[test]
fn what_is_lost_while_requests_fail_is_told_when_they_do_not() {
    let mut episode = begin();
    let silence = Verdict::Silence("timed out".to_owned());
    episode.failed(&silence);
    assert_eq!(told(), ["telemetry does not reach host: timed out"]);
    episode.failed(&silence);
    episode.dropped(2);
    episode.refusals(&refused(3));
    episode.dropped(5);
    assert!(told().is_empty(), "the same trouble");
    episode.delivered(&refused(4));
    assert_eq!(told(), ["telemetry reaches host again; lost meanwhile: 7 dropped, 4 refused"]);
    episode.delivered(&refused(4));
    episode.refusals(&refused(4));
    assert!(told().is_empty(), "all of it was told");
}

#[test]
fn trouble_costs_what_is_lost_while_it_lasts() {
    let mut episode = Episode::new("host".to_owned());
    episode.dropped(7);
    episode.begins(&refused(3));
    episode.failed(&Verdict::Silence("timed out".to_owned()));
    episode.dropped(2);
    episode.begins(&refused(4));
    assert_eq!((episode.dropped, episode.refused_before), (2, 3));
    episode.delivered(&refused(5));
    assert_eq!((episode.dropped, episode.told), (0, 2), "the next look tells of the 3");
}
