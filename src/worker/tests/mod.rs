//! The worker with a transport and a ticker that each test controls: when it wakes, what a panic costs, and how much time
//! an attempt has.

mod callers;
#[cfg(all(feature = "spool", unix))]
mod spool;
mod waits;

use std::sync::{Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use uuid::Uuid;

use super::*;
use crate::model::config::Protocol;
use crate::model::event::{Severity, TelemetrySendRequest};
use crate::payload::record::{EventHeader, Record};
use crate::queue::admission::{Admission, Lane};
use crate::queue::chunk::{self, Chunk};
use crate::queue::{Producer, queue};
use crate::transport::retry::{AnswerTable, Response, RetryPolicy, Verdict};
use crate::wire::envelope::{Envelope, Request};
use crate::wire::session_index::SessionIndex;
use crate::worker::delivery::Delivery;
use crate::worker::keeper::Keeper;
use crate::worker::outage_log::OutageLog;

const LIMIT: Duration = Duration::from_secs(30);
const HTTP_TIMEOUT: Duration = Duration::from_secs(5);

/// Shows each attempt to the test, and replies as the test says.
#[derive(Clone)]
struct ControlledTransport {
    attempts: mpsc::Sender<Attempt>,
    replies: Arc<Mutex<mpsc::Receiver<Reply>>>,
    /// Whether it can send several requests at a time.
    has_others: bool,
}

#[derive(Debug)]
struct Attempt {
    names: Vec<String>,
    retry: u32,
    limit: Duration,
}

enum Reply {
    Status(u16),
    /// The server asks for a wait that is longer than any test.
    LongRetryAfter,
    NoAnswer,
    Panic,
}

impl Transport for ControlledTransport {
    fn post(&mut self, request: &Request, retry: u32, limit: Duration) -> Verdict {
        let sent: TelemetrySendRequest = serde_json::from_slice(&request.body).unwrap();
        let names = sent.events.iter().map(|event| event.name().to_owned()).collect();
        self.attempts.send(Attempt { names, retry, limit }).unwrap();
        let response = Response { status: 503, should_retry: None, retry_after: Some(2 * LIMIT) };
        let reply = self.replies.lock().unwrap().recv().unwrap();
        Verdict::Response(match reply {
            Reply::Status(status) => Response { status, retry_after: None, ..response },
            Reply::LongRetryAfter => response,
            Reply::NoAnswer => return Verdict::NoAnswer("timed out".to_owned()),
            Reply::Panic => panic!("in the transport, on purpose"),
        })
    }

    fn another(&self) -> Option<Self> {
        self.has_others.then(|| self.clone())
    }
}

/// A worker, and all that a test may do to it.
struct Bench {
    ledger: Arc<Ledger>,
    producer: Producer,
    /// The full chunks that the worker has not taken.
    chunks: Receiver<Box<Chunk>>,
    /// Empty once the worker has received the wakeup.
    wakeup: Receiver<()>,
    ticker: Sender<Instant>,
    attempts: mpsc::Receiver<Attempt>,
    replies: mpsc::Sender<Reply>,
    thread: JoinHandle<()>,
}

const THRESHOLD: usize = 10;

fn record(name: &str) -> Record {
    Record::generic(EventHeader::now(0, Severity::Info), name, &(), usize::MAX).unwrap()
}

impl Bench {
    fn start() -> Self {
        Self::with(
            THRESHOLD,
            RetryPolicy {
                max_retries: 3,
                base_delay: Duration::from_millis(1),
                table: AnswerTable::default(),
            },
        )
    }

    fn with(threshold: usize, policy: RetryPolicy) -> Self {
        Self::with_keeper(threshold, policy, None)
    }

    /// With a keeper there are senders.
    fn with_keeper(threshold: usize, policy: RetryPolicy, keeper: Option<Keeper>) -> Self {
        const MOST: usize = 10_000;
        let limits = Load { events: MOST as u64, bytes: 10_000_000 };
        let admission = Admission::new(limits, Load { events: threshold as u64, ..limits });
        let ledger = Arc::new(Ledger::new(admission));
        let (producer, consumer) = queue(Arc::clone(&ledger), MOST);
        let (chunks, wakeup) = (consumer.chunks.clone(), consumer.wakeup.clone());
        let (ticker, ticks) = bounded(1);
        let (attempt, attempts) = mpsc::channel();
        let (replies, reply) = mpsc::channel();
        let transport = ControlledTransport {
            attempts: attempt,
            replies: Arc::new(Mutex::new(reply)),
            has_others: keeper.is_some(),
        };
        let envelope = Envelope::new(&Protocol::default(), "session-0001", Uuid::nil());
        let delivery = Delivery::new(Arc::clone(&ledger), transport, envelope, policy, HTTP_TIMEOUT);
        let outage_log = OutageLog::new("host".to_owned());
        let in_flight = InFlight::new(Arc::clone(&ledger), delivery, outage_log, 1).with_keeper(keeper, None);
        let encoder = Encoder::new(SessionIndex::default());
        let batcher = Batcher::new(100, 1_000_000);
        let worker =
            Worker::new(Arc::clone(&ledger), consumer, Ticker::by_hand(ticks), batcher, in_flight, encoder);
        let thread = thread::spawn(|| worker.run_thread());
        Self { ledger, producer, chunks, wakeup, ticker, attempts, replies, thread }
    }

    fn log(&self, name: &'static str) {
        self.producer.offer(record(name), Lane::Ordinary).unwrap();
    }

    /// The same by a caller that is held up inside the queue, until the test calls the result.
    fn log_held_up(&self, name: &'static str) -> impl FnOnce() {
        self.producer.offer_half(record(name))
    }

    fn flush(&self) -> u64 {
        let flush = self.ledger.ask_flush();
        self.producer.wake();
        flush
    }

    fn close(&self, timeout: Duration) {
        self.ledger.close(Instant::now() + timeout);
        self.producer.wake();
    }

    /// Waits for the next attempt, and answers it with this reply.
    fn answer_next(&self, reply: Reply) -> Attempt {
        let attempt = self.attempts.recv_timeout(LIMIT).expect("an attempt");
        self.replies.send(reply).unwrap();
        attempt
    }

    fn assert_flushed(&self, flush: u64) {
        assert!(self.ledger.wait_flushed(flush, Instant::now() + LIMIT));
    }

    /// Ends the worker. It must have nothing left to send.
    fn end(self) {
        self.close(LIMIT);
        self.thread.join().unwrap();
        assert!(!self.ledger.has_pending());
    }

    /// Wakes the worker, and waits until it has received the wakeup.
    fn wake(&self) {
        self.producer.wake();
        let started = Instant::now();
        while !self.wakeup.is_empty() {
            assert!(started.elapsed() < LIMIT, "the worker does not wake");
            thread::yield_now();
        }
    }

    fn wait_until_queued(&self, events: usize) {
        let started = Instant::now();
        while self.producer.len() != events {
            assert!(started.elapsed() < LIMIT, "{} are queued, not {events}", self.producer.len());
            thread::yield_now();
        }
    }
}

#[test]
fn no_event_wakes_the_worker_until_the_threshold() {
    let bench = Bench::start();
    for queued in (1..).take(THRESHOLD - 1) {
        bench.log("waits");
        bench.wake();
        assert_eq!(bench.producer.len(), queued);
    }
    bench.log("reaches the threshold");
    let attempt = bench.answer_next(Reply::Status(200));
    assert_eq!(attempt.names.len(), THRESHOLD);
    bench.end();
}

#[test]
fn a_full_chunk_wakes_the_worker_only_while_it_holds_no_event() {
    let bench = Bench::with(
        10 * chunk::FULL,
        RetryPolicy { max_retries: 0, base_delay: LIMIT, table: AnswerTable::default() },
    );
    let fill = || (0..chunk::FULL).for_each(|_| bench.log("fills a chunk"));
    fill();
    bench.wait_until_queued(0);
    // From here on the worker would take a chunk at once if it listened for one.
    for queued in 1..9 {
        fill();
        bench.wake();
        assert_eq!(bench.chunks.len(), queued);
    }
    fill();
    assert_eq!(bench.answer_next(Reply::Status(200)).names.len(), 100, "the threshold is reached");
    let flush = bench.flush();
    for _ in 0..9 {
        assert_eq!(bench.answer_next(Reply::Status(200)).names.len(), 100);
    }
    bench.assert_flushed(flush);
    bench.end();
}

#[test]
fn a_tick_sends_all_events() {
    let bench = Bench::start();
    bench.log("a");
    bench.log("b");
    bench.ticker.send(Instant::now()).unwrap();
    assert_eq!(bench.answer_next(Reply::Status(200)).names, ["a", "b"]);
    bench.end();
}

#[test]
fn a_flush_covers_what_was_logged_before_it() {
    let bench = Bench::start();
    bench.log("a");
    let flush = bench.flush();
    let attempt = bench.attempts.recv_timeout(LIMIT).unwrap();
    bench.log("while a is on the wire");
    let later = bench.flush();
    assert!(!bench.ledger.wait_flushed(flush, Instant::now()));
    bench.replies.send(Reply::Status(200)).unwrap();
    bench.assert_flushed(flush);
    assert_eq!((attempt.names, attempt.retry, attempt.limit), (vec!["a".to_owned()], 0, HTTP_TIMEOUT));
    assert!(!bench.ledger.wait_flushed(later, Instant::now()), "the later flush is not done");
    bench.answer_next(Reply::Status(200));
    bench.assert_flushed(later);
    bench.end();
}

#[test]
fn a_flush_is_done_while_events_come_faster_than_they_are_sent() {
    let bench = Bench::start();
    let fill = || (0..2 * THRESHOLD).for_each(|_| bench.log("more"));
    fill();
    let first = bench.attempts.recv_timeout(LIMIT).unwrap();
    let flush = bench.flush();
    // While each batch is on the wire, enough events for the next one come.
    let mut attempts = vec![first];
    while !bench.ledger.wait_flushed(flush, Instant::now()) && attempts.len() < 10 {
        fill();
        bench.replies.send(Reply::Status(200)).unwrap();
        attempts.push(bench.attempts.recv_timeout(LIMIT).unwrap());
    }
    assert!(bench.ledger.wait_flushed(flush, Instant::now()), "{} batches later", attempts.len());
    bench.close(LIMIT);
    while !bench.ledger.wait_finished(Instant::now()) {
        let _ = bench.replies.send(Reply::Status(200)); // fails if the worker has just ended
        thread::yield_now();
    }
    bench.thread.join().unwrap();
}

#[test]
fn a_panic_costs_the_batch_that_it_interrupts_and_nothing_else() {
    let bench = Bench::start();
    bench.log("lost");
    let flush = bench.flush();
    bench.answer_next(Reply::Panic);
    bench.assert_flushed(flush);
    bench.log("next");
    let flush = bench.flush();
    bench.answer_next(Reply::Status(200));
    bench.assert_flushed(flush);
    let stats = bench.ledger.stats();
    assert_eq!((stats.dropped.internal, stats.delivered, stats.pending), (1, 1, 0));
    bench.end();
}

#[test]
fn after_a_panic_the_events_that_are_due_are_sent() {
    let bench = Bench::start();
    (0..THRESHOLD).for_each(|_| bench.log("lost"));
    let _on_the_wire = bench.attempts.recv_timeout(LIMIT).unwrap();
    (0..THRESHOLD).for_each(|_| bench.log("due"));
    bench.replies.send(Reply::Panic).unwrap();
    assert_eq!(bench.answer_next(Reply::Status(200)).names, ["due"; THRESHOLD]);
    bench.end();
}

#[test]
fn a_panic_in_one_half_counts_the_other_half_too() {
    let bench = Bench::start();
    for name in ["a", "b", "c", "d"] {
        bench.log(name);
    }
    bench.flush();
    assert_eq!(bench.answer_next(Reply::Status(413)).names.len(), 4);
    assert_eq!(bench.answer_next(Reply::Panic).names, ["a", "b"]);
    bench.close(LIMIT);
    bench.thread.join().unwrap();
    let stats = bench.ledger.stats();
    assert_eq!((stats.dropped.internal, stats.pending), (4, 0));
}

#[test]
fn a_panic_while_closing_costs_its_batch_and_ends_every_wait() {
    let bench = Bench::start();
    bench.log("lost");
    bench.flush();
    let _on_the_wire = bench.attempts.recv_timeout(LIMIT).unwrap();
    bench.log("next");
    bench.close(LIMIT);
    bench.replies.send(Reply::Panic).unwrap();
    assert_eq!(bench.answer_next(Reply::Status(200)).names, ["next"]);
    assert!(bench.ledger.wait_finished(Instant::now() + LIMIT));
    let stats = bench.ledger.stats();
    assert_eq!((stats.dropped.internal, stats.delivered, stats.pending), (1, 1, 0));
}

#[test]
fn a_close_gives_the_current_batch_a_last_attempt_within_the_deadline() {
    let bench = Bench::start();
    bench.log("a");
    bench.flush();
    bench.answer_next(Reply::LongRetryAfter);
    bench.close(HTTP_TIMEOUT / 2);
    let last = bench.answer_next(Reply::LongRetryAfter);
    assert!(last.retry == 1 && last.limit <= HTTP_TIMEOUT / 2, "{last:?}");
    drop(bench.replies); // one more attempt would panic, not hang
    assert!(bench.ledger.wait_finished(Instant::now() + LIMIT), "the worker waits past the deadline");
    bench.thread.join().unwrap();
    assert_eq!(bench.ledger.stats().dropped.deadline, 1);
}

#[test]
fn a_close_leaves_one_attempt_if_no_server_answers() {
    let bench = Bench::start();
    bench.log("a");
    bench.flush();
    let _on_the_wire = bench.attempts.recv_timeout(LIMIT).unwrap();
    bench.close(LIMIT);
    bench.replies.send(Reply::NoAnswer).unwrap();
    assert_eq!(bench.answer_next(Reply::NoAnswer).retry, 1);
    drop(bench.replies); // one more attempt would panic, not hang
    bench.thread.join().unwrap();
    assert!(bench.attempts.try_recv().is_err());
    assert_eq!(bench.ledger.stats().dropped.deadline, 1);
}

#[test]
fn past_the_deadline_nothing_is_attempted() {
    let bench = Bench::start();
    bench.log("a");
    bench.flush();
    let _on_the_wire = bench.attempts.recv_timeout(LIMIT).unwrap();
    let rest = 3 * chunk::FULL;
    (0..rest).for_each(|_| bench.log("b"));
    bench.close(Duration::ZERO);
    bench.replies.send(Reply::Status(503)).unwrap();
    drop(bench.replies); // one more attempt would panic, not hang
    bench.thread.join().unwrap();
    assert!(bench.attempts.try_recv().is_err());
    assert_eq!(bench.ledger.stats().dropped.deadline, 1 + rest as u64);
    assert_eq!(bench.producer.len(), rest, "the worker did not look at them");
}

#[test]
fn after_an_outage_a_batch_waits_for_a_random_moment_unless_a_flush_is_asked_for() {
    // The moment is anywhere within a hundred years.
    let base_delay = Duration::from_secs(100 * 365 * 24 * 3600);
    let bench =
        Bench::with(THRESHOLD, RetryPolicy { max_retries: 0, base_delay, table: AnswerTable::default() });
    bench.log("lost");
    let flush = bench.flush();
    bench.answer_next(Reply::Status(503));
    bench.assert_flushed(flush);
    bench.log("waits");
    bench.ticker.send(Instant::now()).unwrap();
    bench.wait_until_queued(0);
    assert!(bench.attempts.recv_timeout(Duration::from_millis(50)).is_err(), "it did not wait");
    let flush = bench.flush();
    assert_eq!(bench.answer_next(Reply::Status(200)).names, ["waits"]);
    bench.assert_flushed(flush);
    bench.end();
}

#[test]
fn however_the_thread_ends_every_wait_ends_and_pending_events_are_internal() {
    let limits = Load { events: 10, bytes: 100 };
    let ledger = Arc::new(Ledger::new(Admission::new(limits, limits)));
    ledger.admit(1, Lane::Ordinary).unwrap();
    drop(FinishOnDrop(Arc::clone(&ledger)));
    assert!(ledger.wait_finished(Instant::now()));
    assert_eq!(ledger.stats().dropped.internal, 1);
}
