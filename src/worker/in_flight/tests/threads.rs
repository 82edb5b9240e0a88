//! On which thread a batch is sent.

use super::*;

#[test]
fn with_a_backlog_every_batch_to_the_last_is_sent_by_a_sender_and_without_one_none_is() {
    let bench = Bench::start(4);
    let flush = bench.log_and_flush(4 * BATCH);
    bench.server.wait_for_held(4);
    assert_eq!(bench.server.with(|state| state.from_worker), 0);
    bench.server.answer_all(OK);
    bench.assert_flushed(flush);
    let flush = bench.log_and_flush(BATCH);
    bench.assert_flushed(flush);
    assert_eq!(bench.server.with(|state| (state.arrived, state.from_worker)), (5, 1));
    bench.end();
}

#[test]
fn the_last_batch_of_a_backlog_is_sent_by_a_sender_though_it_is_not_full() {
    let bench = Bench::start(4);
    let flush = bench.log_and_flush(2 * BATCH + 1);
    bench.server.wait_for_held(3);
    assert_eq!(bench.server.with(|state| state.from_worker), 0);
    bench.server.answer_all(OK);
    bench.assert_flushed(flush);
    bench.end();
}

#[test]
fn with_a_limit_of_one_there_is_no_sender_and_no_second_transport() {
    let bench = Bench::start(1);
    let flush = bench.log_and_flush(5 * BATCH);
    bench.server.answer_all(OK);
    bench.assert_flushed(flush);
    let counts = bench.server.with(|state| (state.arrived, state.from_worker, state.transports));
    assert_eq!(counts, (5, 5, 1));
    bench.end();
}
