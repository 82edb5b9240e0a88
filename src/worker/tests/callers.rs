//! Callers that are held up inside the queue.

use super::*;

#[test]
fn a_caller_that_is_held_up_delays_only_its_own_event() {
    let bench =
        Bench::with(10_000, RetryPolicy { max_retries: 0, base_delay: LIMIT, table: AnswerTable::default() });
    (0..500).for_each(|_| bench.log("before"));
    let release = bench.log_held_up("held up");
    (0..500).for_each(|_| bench.log("after"));
    let flush = bench.flush();
    let batches = [(); 10].map(|()| bench.answer_next(Reply::Status(200)).names);
    assert_eq!(batches.concat(), [["before"; 500], ["after"; 500]].concat());
    bench.assert_flushed(flush);
    let stats = bench.ledger.stats();
    assert_eq!((stats.delivered, stats.pending), (1_000, 1), "its call has not returned");
    release();
    bench.log("later");
    let flush = bench.flush();
    assert_eq!(bench.answer_next(Reply::Status(200)).names, ["held up", "later"]);
    bench.assert_flushed(flush);
    bench.end();
}

#[test]
fn a_flush_waits_for_the_earlier_events_of_a_caller_that_is_held_up() {
    let bench = Bench::start();
    bench.log("earlier");
    let release = bench.log_held_up("held up");
    bench.log("of another shard");
    let flush = bench.flush();
    assert_eq!(bench.answer_next(Reply::Status(200)).names, ["of another shard"]);
    assert!(!bench.ledger.wait_flushed(flush, Instant::now() + Duration::from_millis(50)));
    release(); // which wakes no thread
    assert_eq!(bench.answer_next(Reply::Status(200)).names, ["earlier", "held up"]);
    bench.assert_flushed(flush);
    bench.end();
}

#[test]
fn while_a_caller_is_held_up_at_the_threshold_other_events_are_sent() {
    let bench = Bench::start();
    (1..THRESHOLD).for_each(|_| bench.log("earlier"));
    let release = bench.log_held_up("reaches the threshold");
    bench.wake();
    // No event reaches the threshold any more: it is reached already.
    for _ in 0..3 {
        bench.log("of another shard");
        assert_eq!(bench.answer_next(Reply::Status(200)).names, ["of another shard"]);
    }
    release();
    assert_eq!(bench.answer_next(Reply::Status(200)).names.len(), THRESHOLD);
    bench.end();
}

#[test]
fn at_the_close_a_caller_that_is_held_up_delays_only_its_own_event() {
    let bench = Bench::start();
    let release = bench.log_held_up("first");
    bench.log("second");
    bench.close(LIMIT);
    assert_eq!(bench.answer_next(Reply::Status(200)).names, ["second"]);
    release();
    assert_eq!(bench.answer_next(Reply::Status(200)).names, ["first"]);
    bench.thread.join().unwrap();
    assert_eq!(bench.ledger.stats().delivered, 2);
}

#[test]
fn a_caller_that_is_never_released_is_waited_for_until_the_deadline() {
    let bench = Bench::start();
    let _held_up = bench.log_held_up("first");
    bench.log("second");
    let flush = bench.flush();
    bench.close(LIMIT);
    assert_eq!(bench.answer_next(Reply::Status(200)).names, ["second"]);
    assert!(!bench.ledger.wait_flushed(flush, Instant::now() + Duration::from_millis(50)));
    bench.close(Duration::ZERO);
    assert!(bench.ledger.wait_finished(Instant::now() + LIMIT));
    let stats = bench.ledger.stats();
    assert_eq!((stats.delivered, stats.dropped.deadline, stats.pending), (1, 1, 0));
}
