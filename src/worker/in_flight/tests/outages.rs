//! An outage: how many batches are on their way in it, and how it ends.

use super::*;

#[test]
fn during_an_outage_one_batch_at_a_time_is_sent_until_one_is_delivered() {
    let bench = Bench::with(4, NEVER, retries(0));
    let flush = bench.log_and_flush(12 * BATCH);
    bench.server.wait_for_held(4);
    for _ in 0..4 {
        bench.server.answer_first(Reply::Status(503));
    }
    for (lost, reply) in [(5, Reply::NoAnswer), (6, Reply::Status(404)), (7, Reply::NoAnswer)] {
        bench.server.wait_until("no request", |state| state.arrived == lost);
        bench.server.with(|state| state.most_at_once = 0);
        bench.server.wait_for_held(1);
        bench.server.answer_first(reply);
    }
    bench.server.wait_until("no request", |state| state.arrived == 8);
    assert_eq!(bench.server.with(|state| state.most_at_once), 1);
    bench.server.answer_first(OK);
    bench.server.wait_for_held(4);
    bench.server.answer_all(OK);
    bench.assert_flushed(flush);
    let stats = bench.end();
    assert_eq!((stats.dropped.total(), stats.delivered), (7 * BATCH as u64, 5 * BATCH as u64));
}

/// A retry that does not come within a test.
const FAR: RetryPolicy =
    RetryPolicy { max_retries: 1, base_delay: Duration::from_secs(3600), table: AnswerTable::Tinker };

#[test]
fn a_wait_ends_early_only_if_every_batch_on_its_way_waits_for_a_retry_that_comes_too_late() {
    let bench = Bench::with(4, NEVER, FAR);
    bench.log(4 * BATCH);
    let ended = bench.begin_wait();
    bench.server.wait_for_held(4);
    for _ in 0..3 {
        bench.server.answer_first(Reply::Status(503));
    }
    assert!(ended.recv_timeout(Duration::from_millis(200)).is_err(), "a batch is on the wire");
    bench.server.answer_first(Reply::Status(503));
    assert!(!ended.recv_timeout(LIMIT / 2).expect("the wait is in vain"));
    assert_eq!(bench.ledger.stats().pending, 4 * BATCH as u64);
    bench.server.answer_all(OK);
    assert_eq!(bench.end().delivered, 4 * BATCH as u64);
}

#[test]
fn batches_that_fail_together_are_one_failure_and_the_first_answer_is_for_all() {
    let bench = Bench::with(4, NEVER, FAR);
    bench.log(4 * BATCH);
    let ended = bench.begin_wait();
    bench.server.wait_for_held(4);
    for _ in 0..4 {
        bench.server.answer_first(Reply::NoAnswer);
    }
    bench.server.wait_until("no early attempt", |state| state.arrived == 5);
    assert!(!bench.server.is_soon(|state| state.held.len() > 1), "it is one attempt for all");
    assert!(ended.try_recv().is_err());
    bench.server.answer_all(OK);
    assert!(ended.recv_timeout(LIMIT / 2).expect("all are delivered"));
    assert_eq!(bench.end().delivered, 4 * BATCH as u64);
}

#[test]
fn while_the_key_is_rejected_one_batch_at_a_time_is_sent() {
    let bench = Bench::start(4);
    let flush = bench.log_and_flush(8 * BATCH);
    bench.server.wait_for_held(4);
    for _ in 0..4 {
        bench.server.answer_first(Reply::Status(401));
    }
    bench.server.wait_until("no request", |state| state.arrived == 5);
    assert!(!bench.server.is_soon(|state| state.arrived > 5), "another was sent beside it");
    bench.server.answer_all(Reply::Status(401));
    bench.assert_flushed(flush);
    assert_eq!(bench.end().dropped.unauthorized, 8 * BATCH as u64);
}

#[test]
fn a_failed_attempt_stops_the_hand_over_while_others_are_on_the_wire() {
    let bench = Bench::with(4, NEVER, retries(0));
    let flush = bench.log_and_flush(8 * BATCH);
    bench.server.wait_for_held(4);
    bench.server.answer_first(Reply::Status(503));
    while bench.ledger.stats().dropped.retries_exhausted == 0 {
        thread::yield_now();
    }
    for left in [2, 1, 0] {
        // These began before the failure, so they do not end the outage.
        bench.server.answer_first(OK);
        bench.server.wait_until("more requests", |state| state.arrived == 4 || left == 0);
    }
    bench.server.wait_until("no request", |state| state.arrived == 5);
    bench.server.wait_for_held(1);
    bench.server.answer_all(OK);
    bench.assert_flushed(flush);
    assert_eq!(bench.end().dropped.retries_exhausted, BATCH as u64);
}

#[test]
fn the_first_batch_after_an_outage_waits_for_its_moment_and_the_others_behind_it() {
    // The moment is anywhere within a hundred years.
    let base_delay = Duration::from_secs(100 * 365 * 24 * 3600);
    let bench =
        Bench::with(4, NEVER, RetryPolicy { max_retries: 1, base_delay, table: AnswerTable::default() });
    bench.log(8 * BATCH);
    bench.ticker.send(Instant::now()).unwrap();
    bench.server.wait_for_held(4);
    bench.server.answer_first(Reply::Busy);
    bench.server.wait_until("no retry", |state| state.arrived == 5);
    bench.server.wait_for_held(4);
    for _ in 0..4 {
        bench.server.answer_first(OK);
    }
    bench.server.wait_until("the first four are not delivered", |state| state.delivered.len() == 4 * BATCH);
    let has_more = |state: &State| state.arrived > 5;
    assert!(!bench.server.is_soon(has_more), "the others did not wait");
    let flush = bench.flush();
    bench.server.answer_all(OK);
    bench.assert_flushed(flush);
    assert_eq!(bench.end().delivered, 8 * BATCH as u64);
}
