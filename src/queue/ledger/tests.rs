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
fn a_lost_claim_is_internal() {
    let ledger = ledger_with(2);
    drop(ledger.claim(load(2)));
    let stats = ledger.stats();
    assert_eq!((stats.dropped.internal, stats.pending), (2, 0));
}

#[test]
fn finish_settles_the_rest_once_and_for_all() {
    let ledger = ledger_with(5);
    let on_the_wire = ledger.claim(load(2));
    ledger.finish(DropReason::Deadline);
    on_the_wire.settle(Fate::Delivered);
    ledger.finish(DropReason::Internal);
    assert_eq!(ledger.admit(1, Lane::Session), Err(RefusalReason::Stopped));
    let stats = ledger.stats();
    assert_eq!((stats.delivered, stats.dropped.deadline, stats.dropped.internal), (0, 5, 0));
    assert_eq!((stats.pending, stats.refused.stopped), (0, 1));
}

#[test]
fn a_waiter_is_freed_by_its_flush_and_by_the_end_but_by_no_earlier_flush() {
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
fn nobody_who_flushes_or_closes_is_kept_waiting_by_who_lingers() {
    let ledger = ledger_with(1);
    let lingers_until = |act: &dyn Fn()| {
        let (lingering, over) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                ledger.wait_before_next_batch(Instant::now() + FAR);
                lingering.send(()).unwrap();
            });
            act();
            over.recv_timeout(FAR / 2).expect("the wait was cut short");
        });
    };
    lingers_until(&|| assert_eq!(ledger.ask_flush(), 1));
    lingers_until(&|| ());
    ledger.flushes_done(1);
    let until = Instant::now() + Duration::from_millis(20);
    ledger.wait_before_next_batch(until);
    assert!(Instant::now() >= until, "with nobody waiting it takes its time");
    lingers_until(&|| ledger.close(Instant::now() + FAR));
}

#[test]
fn a_pause_takes_its_time_unless_there_is_a_deadline_that_was_not_seen() {
    let ledger = ledger_with(1);
    let takes_its_time = |seen| {
        let until = Instant::now() + Duration::from_millis(20);
        ledger.pause(until, seen);
        Instant::now() >= until
    };
    assert_eq!(ledger.ask_flush(), 1);
    assert!(takes_its_time(None), "a flush is no reason to hurry a server");
    let deadline = Instant::now() + FAR;
    ledger.close(deadline);
    assert!(takes_its_time(Some(deadline)), "that much was known");
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
    let (paused, over) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            ledger.pause(started + FAR, None);
            paused.send(()).unwrap();
        });
        ledger.close(started + FAR);
        over.recv_timeout(FAR / 2).expect("the pause was cut short");
    });
    ledger.close(started + 2 * FAR);
    assert_eq!(ledger.deadline(), Some(started + FAR));
    ledger.close(started);
    assert_eq!(ledger.deadline(), Some(started));
}
