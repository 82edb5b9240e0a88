//! Several batches on their way, by transports that each test controls: how many there are at the same time, and that
//! each event has one fate.

mod outages;
mod senders;
mod server;
#[cfg(all(feature = "spool", unix))]
mod spool;
mod threads;

use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use proptest::prelude::*;
use uuid::Uuid;

use self::server::{Reply, Server, State, ToServer};
use super::*;
use crate::model::config::Protocol;
use crate::model::event::Severity;
use crate::model::stats::Stats;
use crate::payload::record::{EventHeader, Record};
use crate::queue::admission::{Admission, Lane, Load};
use crate::queue::{Producer, queue};
use crate::transport::retry::{AnswerTable, RetryPolicy};
use crate::wire::batch::Batcher;
use crate::wire::encode::Encoder;
use crate::wire::envelope::Envelope;
use crate::wire::session_index::SessionIndex;
use crate::worker::Worker;
use crate::worker::ticker::Ticker;

const LIMIT: Duration = Duration::from_secs(30);
const BATCH: usize = 10;

/// A worker, and all that a test may do to it.
struct Bench {
    server: Arc<Server>,
    ledger: Arc<Ledger>,
    producer: Producer,
    ticker: Sender<Instant>,
    thread: JoinHandle<()>,
}

fn retries(max_retries: u32) -> RetryPolicy {
    RetryPolicy { max_retries, base_delay: Duration::from_millis(1), table: AnswerTable::default() }
}

/// A threshold that no test reaches.
const NEVER: usize = 100_000;

impl Bench {
    fn start(limit: usize) -> Self {
        Self::with(limit, NEVER, retries(3))
    }

    fn with(limit: usize, threshold: usize, policy: RetryPolicy) -> Self {
        let server = Arc::<Server>::default();
        let limits = Load { events: NEVER as u64, bytes: 1 << 30 };
        let admission = Admission::new(limits, Load { events: threshold as u64, ..limits });
        let ledger = Arc::new(Ledger::new(admission));
        let (producer, consumer) = queue(Arc::clone(&ledger), NEVER);
        let (ticker, ticks) = bounded(1);
        let envelope = Envelope::new(&Protocol::default(), "session-0001", Uuid::nil());
        let transport = ToServer::new(&server);
        let delivery = Delivery::new(Arc::clone(&ledger), transport, envelope, policy, LIMIT);
        let log = OutageLog::new("host".to_owned());
        let in_flight = InFlight::new(Arc::clone(&ledger), delivery, log, limit);
        let worker = Worker::new(
            Arc::clone(&ledger),
            consumer,
            Ticker::by_hand(ticks),
            Batcher::new(BATCH, 1_000_000),
            in_flight,
            Encoder::new(SessionIndex::default()),
        );
        let thread = thread::spawn(|| worker.run_thread());
        Self { server, ledger, producer, ticker, thread }
    }

    fn log(&self, events: usize) {
        for _ in 0..events {
            let record = Record::generic(EventHeader::now(0, Severity::Info), "e", &(), usize::MAX).unwrap();
            self.producer.offer(record, Lane::Ordinary).unwrap();
        }
    }

    fn flush(&self) -> u64 {
        let flush = self.ledger.ask_flush();
        self.producer.wake();
        flush
    }

    fn log_and_flush(&self, events: usize) -> u64 {
        self.log(events);
        self.flush()
    }

    /// Waits for a flush on another thread, which says how the wait ended.
    fn begin_wait(&self) -> mpsc::Receiver<bool> {
        let (ledger, (begin, has_begun), (ended, end)) =
            (Arc::clone(&self.ledger), mpsc::channel(), mpsc::channel());
        thread::spawn(move || {
            let waiter = ledger.waiter();
            let flush = ledger.ask_flush();
            begin.send(()).unwrap();
            ended.send(waiter.wait_flushed(flush, Instant::now() + LIMIT)).unwrap();
        });
        has_begun.recv().unwrap();
        self.producer.wake();
        end
    }

    fn is_flushed(&self, flush: u64) -> bool {
        self.ledger.wait_flushed(flush, Instant::now())
    }

    fn assert_flushed(&self, flush: u64) {
        assert!(self.ledger.wait_flushed(flush, Instant::now() + LIMIT));
    }

    fn close(&self, timeout: Duration) {
        self.ledger.close(Instant::now() + timeout);
        self.producer.wake();
    }

    /// Ends the worker, which must leave nothing unsettled. Returns the counts.
    fn end(self) -> Stats {
        self.close(LIMIT);
        self.thread.join().unwrap();
        let stats = self.ledger.stats();
        assert_eq!(stats.pending, 0);
        assert_adds_up(stats);
        stats
    }
}

fn assert_adds_up(stats: Stats) {
    assert_eq!(stats.offered, stats.accepted + stats.refused.total(), "{stats}");
    assert_eq!(stats.accepted, stats.delivered + stats.dropped.total() + stats.pending, "{stats}");
}

const OK: Reply = Reply::Status(200);

#[test]
fn as_many_requests_are_on_the_wire_as_the_limit_allows_and_there_are_batches() {
    for limit in [1, 2, 4, 16] {
        for batches in [1, 2, 3, 4, 7, 20] {
            let bench = Bench::start(limit);
            let flush = bench.log_and_flush(batches * BATCH);
            for settled in 0..batches {
                bench.server.wait_for_held(limit.min(batches - settled));
                assert!(!bench.is_flushed(flush), "{settled} of {batches} are settled");
                bench.server.answer_first(OK);
            }
            bench.assert_flushed(flush);
            let most = bench.server.with(|state| state.most_at_once);
            assert_eq!(most, limit.min(batches), "{batches} batches, {limit} in flight");
            assert_eq!(bench.end().delivered, (batches * BATCH) as u64);
        }
    }
}

#[test]
fn with_less_than_two_full_batches_one_request_is_on_the_wire() {
    let bench = Bench::start(4);
    let flush = bench.log_and_flush(2 * BATCH - 1);
    assert_eq!(bench.server.answer_first(OK).len(), BATCH);
    assert_eq!(bench.server.answer_first(OK).len(), BATCH - 1);
    bench.assert_flushed(flush);
    assert_eq!(bench.server.with(|state| (state.most_at_once, state.transports)), (1, 1));
    bench.end();
}

#[test]
fn a_flush_is_done_when_the_last_of_its_batches_has_its_fate_in_whatever_order() {
    let bench = Bench::start(4);
    let flush = bench.log_and_flush(4 * BATCH);
    bench.server.wait_for_held(4);
    for nth in [3, 1, 1] {
        bench.server.answer_nth(nth, OK);
    }
    bench.server.wait_until("not three delivered", |state| state.delivered.len() == 3 * BATCH);
    assert!(!bench.is_flushed(flush), "the first batch is on the wire");
    bench.server.answer_first(OK);
    bench.assert_flushed(flush);
    assert_eq!(bench.ledger.stats().pending, 0);
    bench.end();
}

#[test]
fn the_threshold_and_the_close_send_several_at_once_too() {
    let bench = Bench::with(4, 3 * BATCH, retries(3));
    bench.log(3 * BATCH);
    bench.server.wait_for_held(3);
    bench.log(5 * BATCH);
    bench.close(LIMIT);
    bench.server.answer_first(OK);
    bench.server.answer_all(OK);
    assert_eq!(bench.end().delivered, 8 * BATCH as u64);
    let bench = Bench::start(4);
    bench.log(6 * BATCH);
    bench.close(LIMIT);
    bench.server.wait_for_held(4);
    bench.server.answer_all(OK);
    assert_eq!(bench.end().delivered, 6 * BATCH as u64);
}

#[test]
fn the_worker_does_not_sleep_while_batches_are_on_their_way() {
    let bench = Bench::with(4, 3 * BATCH, retries(3));
    bench.log(3 * BATCH);
    bench.server.wait_for_held(3);
    bench.log(1);
    bench.ticker.send(Instant::now()).unwrap();
    assert!(!bench.server.is_soon(|state| state.arrived > 3), "the tick was received");
    bench.server.answer_all(OK);
    bench.server.wait_until("the tick sent nothing", |state| state.delivered.len() == 3 * BATCH + 1);
    bench.end();
}

#[test]
fn a_tick_during_a_backlog_is_not_lost() {
    let bench = Bench::start(2);
    let flush = bench.log_and_flush(4 * BATCH);
    bench.server.wait_for_held(2);
    bench.log(1);
    bench.ticker.send(Instant::now()).unwrap();
    bench.server.answer_all(OK);
    bench.assert_flushed(flush);
    bench.server.wait_until("the tick sent nothing", |state| state.delivered.len() == 4 * BATCH + 1);
    bench.end();
}

#[test]
fn the_senders_end_with_the_backlog_and_their_transports_stay() {
    let bench = Bench::start(4);
    for _ in 0..3 {
        let flush = bench.log_and_flush(8 * BATCH);
        for _ in 0..8 {
            bench.server.answer_first(OK);
        }
        bench.assert_flushed(flush);
    }
    let transports = bench.server.with(|state| state.transports);
    assert!(transports <= 1 + 4, "{transports}");
    bench.end();
}

#[test]
fn a_panic_costs_its_batch_and_neither_the_sender_nor_the_flush() {
    let bench = Bench::start(4);
    let flush = bench.log_and_flush(6 * BATCH);
    bench.server.wait_for_held(4);
    bench.server.answer_nth(2, Reply::Panic);
    bench.server.wait_for_held(4);
    bench.server.answer_nth(1, Reply::Panic);
    bench.server.answer_all(OK);
    bench.assert_flushed(flush);
    let stats = bench.end();
    assert_eq!((stats.dropped.internal, stats.delivered), (2 * BATCH as u64, 4 * BATCH as u64));
}

#[test]
fn a_batch_that_is_too_large_is_split_beside_the_others_and_makes_later_ones_smaller() {
    let bench = Bench::start(4);
    let flush = bench.log_and_flush(4 * BATCH);
    bench.server.wait_for_held(4);
    bench.server.answer_nth(1, Reply::Status(413));
    bench.server.wait_until("no half", |state| state.held.iter().any(|(_, names)| names.len() == BATCH / 2));
    assert!(!bench.is_flushed(flush));
    bench.server.answer_all(OK);
    bench.assert_flushed(flush);
    bench.server.with(|state| state.default = None);
    let flush = bench.log_and_flush(2 * BATCH);
    assert!(bench.server.answer_first(OK).len() <= BATCH / 2);
    bench.server.answer_all(OK);
    bench.assert_flushed(flush);
    assert_eq!(bench.end().delivered, 6 * BATCH as u64);
}

#[test]
fn a_report_is_read_before_the_next_batch_is_handed_over() {
    let server = Arc::<Server>::default();
    let limits = Load { events: 10, bytes: 100 };
    let ledger = Arc::new(Ledger::new(Admission::new(limits, limits)));
    ledger.admit(1, Lane::Ordinary).unwrap();
    let envelope = Envelope::new(&Protocol::default(), "session-0001", Uuid::nil());
    let delivery = Delivery::new(Arc::clone(&ledger), ToServer::new(&server), envelope, retries(0), LIMIT);
    let mut in_flight = InFlight::new(Arc::clone(&ledger), delivery, OutageLog::new("host".to_owned()), 4);
    let mut batcher = Batcher::new(1, 100);
    let event = br#"{"event":"SESSION_START","event_id":"00000000-0000-0000-0000-000000000000",
        "event_session_index":0,"severity":"INFO","timestamp":"2026-01-01T00:00:00.000000Z"}"#;
    assert!(in_flight.hand_over(batcher.push(event, 1).unwrap()).is_ok());
    assert!(in_flight.allows_several());
    server.answer_first(Reply::Status(401));
    let started = Instant::now();
    while !in_flight.must_wait() {
        assert!(started.elapsed() < LIMIT, "the report is not seen");
        thread::yield_now();
    }
    while in_flight.is_busy() {
        in_flight.wait();
    }
    in_flight.end_senders();
    assert!(!in_flight.allows_several());
    assert_eq!(ledger.stats().dropped.unauthorized, 1);
}

#[test]
fn past_the_deadline_of_a_stop_nothing_is_attempted_and_all_is_counted() {
    let bench = Bench::start(4);
    bench.log_and_flush(10 * BATCH);
    bench.server.wait_for_held(4);
    bench.close(Duration::ZERO);
    bench.server.answer_all(Reply::Status(503));
    bench.thread.join().unwrap();
    let stats = bench.ledger.stats();
    assert_adds_up(stats);
    assert_eq!((stats.dropped.deadline, stats.pending), (10 * BATCH as u64, 0));
    assert_eq!(bench.server.with(|state| state.arrived), 4);
}

#[test]
fn numbers_are_complete_and_each_is_there_once() {
    let bench = Bench::start(4);
    let flush = bench.log_and_flush(50 * BATCH + 3);
    for nth in (0..51).map(|batch| batch % 3) {
        bench.server.wait_until("no request", |state| !state.held.is_empty());
        let held = bench.server.with(|state| state.held.len());
        bench.server.answer_nth(nth.min(held - 1), OK);
    }
    bench.assert_flushed(flush);
    let mut numbers = bench.server.with(|state| std::mem::take(&mut state.delivered));
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..50 * BATCH as u64 + 3));
    bench.end();
}

fn replies() -> impl Strategy<Value = Vec<(Reply, usize)>> {
    let reply = prop_oneof![
        6 => Just(OK),
        1 => Just(Reply::Status(413)),
        1 => Just(Reply::Status(400)),
        1 => Just(Reply::Status(404)),
        1 => Just(Reply::Status(503)),
        1 => Just(Reply::NoAnswer),
        1 => Just(Reply::Panic),
    ];
    proptest::collection::vec((reply, 0..4_usize), 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_snapshot_adds_up_and_each_event_has_one_fate_whatever_the_server_answers(
        limit in 1..=5_usize,
        events in 0..150_usize,
        replies in replies(),
    ) {
        let bench = Bench::with(limit, NEVER, retries(1));
        let flush = bench.log_and_flush(events);
        for (reply, nth) in replies {
            while !bench.is_flushed(flush) {
                assert_adds_up(bench.ledger.stats());
                let held = bench.server.with(|state| state.held.len());
                prop_assert!(held <= limit);
                if held > 0 {
                    bench.server.answer_nth(nth % held, reply);
                    break;
                }
                thread::yield_now();
            }
        }
        bench.server.answer_all(OK);
        bench.assert_flushed(flush);
        let stats = bench.ledger.stats();
        assert_adds_up(stats);
        prop_assert_eq!((stats.accepted, stats.pending), (events as u64, 0));
        let delivered = bench.server.with(|state| state.delivered.len());
        prop_assert_eq!(delivered as u64, stats.delivered);
        prop_assert_eq!(bench.server.with(|state| state.most_at_once <= limit), true);
        bench.end();
    }
}
