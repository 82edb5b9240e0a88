//! The worker with a spool.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::model::stats::Stats;
use crate::spool::replay::Seen;
use crate::spool::replay::replays::Replays;
use crate::spool::settings::Spool;
use crate::spool::store::Store;

/// A worker whose spool is at `below` in a folder of its own.
fn start(below: &str) -> (TempDir, Bench) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "not a folder").unwrap();
    let store = Store::new(Spool::at(folder.path().join(below)), "https://host".to_owned(), b"key");
    let envelope = Envelope::new(&Protocol::default(), "session-0001", Uuid::nil());
    let keeper = Keeper::new(store, &envelope, false, Replays::new(|| Ok(Seen::default())));
    let policy =
        RetryPolicy { max_retries: 3, base_delay: Duration::from_millis(1), table: AnswerTable::default() };
    (folder, Bench::with_keeper(THRESHOLD, policy, Some(keeper)))
}

fn wait_until(bench: &Bench, is_so: impl Fn(&Stats) -> bool) {
    let began = Instant::now();
    while !is_so(&bench.ledger.stats()) {
        assert!(began.elapsed() < LIMIT, "{}", bench.ledger.stats());
        thread::yield_now();
    }
}

#[test]
fn what_a_caller_puts_in_late_is_kept_too_when_a_stop_finds_no_server() {
    let (_folder, bench) = start("spool");
    let release = bench.log_held_up("first");
    bench.log("second");
    bench.close(LIMIT);
    assert_eq!(bench.answer_next(Reply::NoAnswer).names, ["second"]);
    wait_until(&bench, |stats| stats.spooled == 1);
    release();
    bench.thread.join().unwrap();
    let stats = bench.ledger.stats();
    assert_eq!((stats.spooled, stats.dropped.total(), stats.pending), (2, 0, 0), "{stats}");
}

#[test]
fn where_the_spool_cannot_be_used_a_batch_that_a_program_waits_for_stays_with_its_sender() {
    let (_folder, bench) = start("file/spool");
    bench.log("first");
    let flush = bench.flush();
    let waiter = bench.ledger.waiter();
    let attempt = bench.attempts.recv_timeout(LIMIT).unwrap();
    assert_eq!(attempt.names, ["first"]);
    // After a second without an answer the worker tries to keep it.
    assert!(!waiter.wait_flushed(flush, Instant::now() + Duration::from_millis(1500)));
    bench.replies.send(Reply::Status(200)).unwrap();
    bench.assert_flushed(flush);
    drop(waiter);
    assert_eq!(bench.ledger.stats().delivered, 1);
    bench.end();
}

#[test]
fn what_the_spool_does_not_take_stays_in_memory_and_the_program_waits_as_without_one() {
    let (_folder, bench) = start("file/spool");
    bench.log("first");
    let (flush, waiter) = (bench.flush(), bench.ledger.waiter());
    let first = bench.answer_next(Reply::NoAnswer);
    assert!(!waiter.wait_flushed(flush, Instant::now() + LIMIT), "the wait is in vain");
    let second = bench.answer_next(Reply::Status(200));
    assert_eq!((&second.names, second.retry), (&first.names, 1));
    bench.assert_flushed(flush);
    drop(waiter);
    assert_eq!((bench.ledger.stats().delivered, bench.ledger.stats().dropped.total()), (1, 0));
    bench.end();
}

#[test]
fn what_the_spool_takes_a_program_does_not_wait_for() {
    let (_folder, bench) = start("spool");
    bench.log("first");
    let (flush, waiter) = (bench.flush(), bench.ledger.waiter());
    bench.answer_next(Reply::NoAnswer);
    assert!(waiter.wait_flushed(flush, Instant::now() + LIMIT));
    drop(waiter);
    assert_eq!(bench.ledger.stats().spooled, 1);
    assert!(bench.attempts.try_recv().is_err(), "there was a second attempt");
    bench.end();
}

#[test]
fn without_a_program_that_waits_a_batch_has_all_its_attempts_before_it_is_kept() {
    let (_folder, bench) = start("spool");
    bench.log("first");
    bench.flush();
    let retries: Vec<_> = (0..4).map(|_| bench.answer_next(Reply::NoAnswer).retry).collect();
    assert_eq!(retries, [0, 1, 2, 3]);
    wait_until(&bench, |stats| stats.spooled == 1);
    bench.end();
}
