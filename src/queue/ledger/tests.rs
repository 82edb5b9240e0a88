use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::*;

const FAR: Duration = Duration::from_secs(60);

fn ledger_with(events: u64) -> Ledger {
    let limits = Load { events: 1_000, bytes: 1_000_000 };
    let ledger = Ledger::new(Admission::new(limits, limits));
    for _ in 0..events {
        ledger.admit(10, Lane::Ordinary).unwrap();
    }
    ledger
}

fn load(events: u64) -> Load {
    Load { events, bytes: events * 10 }
}

#[test]
fn every_fate_is_counted_once_and_the_equations_hold() {
    let ledger = ledger_with(9);
    ledger.refuse(RefusalReason::InvalidData);
    ledger.claim(load(3)).settle(Fate::Delivered);
    ledger.claim(load(2)).settle(Fate::Dropped(DropReason::Rejected));
    let stats = ledger.stats();
    assert_eq!((stats.offered, stats.accepted, stats.pending), (10, 9, 4));
    assert_eq!((stats.delivered, stats.dropped.rejected, stats.refused.invalid_data), (3, 2, 1));
}

#[test]
fn a_claim_is_settled_in_parts_and_the_equations_hold() {
    for (others, delivered, dropped) in [(0, 5, 0), (2, 3, 2), (5, 0, 5), (6, 0, 5), (u64::MAX, 0, 5)] {
        let ledger = ledger_with(7);
        ledger.claim(load(5)).settle(Fate::DeliveredBut { rejected: others });
        let stats = ledger.stats();
        assert_eq!((stats.accepted, stats.pending), (7, 2), "{others}");
        assert_eq!((stats.delivered, stats.dropped.rejected), (delivered, dropped), "{others}");
    }
}

#[test]
fn a_lost_claim_is_internal() {
    let ledger = ledger_with(2);
    drop(ledger.claim(load(2)));
    let stats = ledger.stats();
    assert_eq!((stats.dropped.internal, stats.pending), (2, 0));
}

#[test]
fn finish_settles_the_rest_and_nothing_changes_it_later() {
    let ledger = ledger_with(5);
    let claimed = ledger.claim(load(2));
    ledger.finish(DropReason::Deadline);
    claimed.settle(Fate::Delivered);
    ledger.finish(DropReason::Internal);
    assert_eq!(ledger.admit(1, Lane::Session), Err(RefusalReason::Stopped));
    let stats = ledger.stats();
    assert_eq!((stats.delivered, stats.dropped.deadline, stats.dropped.internal), (0, 5, 0));
    assert_eq!((stats.pending, stats.refused.stopped), (0, 1));
}

#[test]
fn a_wait_ends_with_its_flush_or_with_the_worker_but_not_with_an_earlier_flush() {
    let ledger = ledger_with(1);
    let (first, second) = (ledger.ask_flush(), ledger.ask_flush());
    let now = Instant::now();
    assert!(!ledger.wait_flushed(first, now));
    ledger.flushes_done(first);
    assert!(ledger.wait_flushed(first, now));
    assert!(!ledger.wait_flushed(second, now));
    ledger.finish(DropReason::Deadline);
    assert!(ledger.wait_flushed(second, now));
}

#[test]
fn a_flush_or_a_close_ends_the_wait_before_the_next_batch() {
    let ledger = ledger_with(1);
    let is_ended_by = |act: &dyn Fn()| {
        let (ended, end) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                ledger.wait_before_next_batch(Instant::now() + FAR);
                ended.send(()).unwrap();
            });
            act();
            end.recv_timeout(FAR / 2).expect("the wait was cut short");
        });
    };
    is_ended_by(&|| assert_eq!(ledger.ask_flush(), 1));
    is_ended_by(&|| ());
    ledger.flushes_done(1);
    let until = Instant::now() + Duration::from_millis(20);
    ledger.wait_before_next_batch(until);
    assert!(Instant::now() >= until, "it lasts if no thread waits for a flush");
    is_ended_by(&|| ledger.close(Instant::now() + FAR));
}

#[test]
fn a_pause_lasts_unless_there_is_a_deadline_that_the_caller_does_not_know() {
    let ledger = ledger_with(1);
    let lasts = |known| {
        let until = Instant::now() + Duration::from_millis(20);
        ledger.pause(until, known);
        Instant::now() >= until
    };
    assert_eq!(ledger.ask_flush(), 1);
    assert!(lasts(None), "a flush does not shorten the wait before a retry");
    let deadline = Instant::now() + FAR;
    ledger.close(deadline);
    assert!(lasts(Some(deadline)), "it is the deadline that the caller knows");
    let started = Instant::now();
    ledger.pause(started + FAR, None);
    ledger.finish(DropReason::Deadline);
    ledger.pause(started + FAR, Some(deadline));
    assert!(started.elapsed() < FAR / 2);
}

#[test]
fn a_close_cuts_a_pause_short_and_may_only_bring_the_deadline_forward() {
    let ledger = ledger_with(0);
    let started = Instant::now();
    let (ended, end) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            ledger.pause(started + FAR, None);
            ended.send(()).unwrap();
        });
        ledger.close(started + FAR);
        end.recv_timeout(FAR / 2).expect("the pause was cut short");
    });
    ledger.close(started + 2 * FAR);
    assert_eq!(ledger.deadline(), Some(started + FAR));
    ledger.close(started);
    assert_eq!(ledger.deadline(), Some(started));
}

#[test]
fn a_logger_that_is_stuck_is_waited_for_once() {
    let ledger = ledger_with(0);
    ledger.wait_logged(Instant::now());
    let started = Instant::now();
    ledger.wait_logged(started + FAR);
    assert!(started.elapsed() < FAR / 2);
}
