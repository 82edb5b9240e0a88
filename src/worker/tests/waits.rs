//! Programs that wait while no server answers.

use super::*;

/// Longer than every test: a retry that only a waiting program brings forward.
const NO_RETRY: RetryPolicy =
    RetryPolicy { max_retries: 1, base_delay: Duration::from_secs(3600), table: AnswerTable::Tinker };

/// How long an attempt without an answer lasts that is not a quick failure.
const SLOW: Duration = Duration::from_millis(1100);

impl Bench {
    /// Waits for a flush on another thread. Returns when the wait has begun; the thread says how it ended.
    fn begin_wait(&self, timeout: Duration) -> Wait {
        let (ledger, (begin, has_begun)) = (Arc::clone(&self.ledger), mpsc::channel());
        let (ended, end) = mpsc::channel();
        thread::spawn(move || {
            let waiter = ledger.waiter();
            let flush = ledger.ask_flush();
            begin.send(()).unwrap();
            ended.send(waiter.wait_flushed(flush, Instant::now() + timeout)).unwrap();
        });
        has_begun.recv().unwrap();
        self.producer.wake();
        Wait(end)
    }

    /// Waits for the next attempt, and replies when it has lasted a second.
    fn answer_next_slowly(&self, reply: Reply) {
        self.attempts.recv_timeout(LIMIT).expect("an attempt");
        assert!(self.attempts.recv_timeout(SLOW).is_err(), "there is one attempt at a time");
        self.replies.send(reply).unwrap();
    }

    /// An outage that no wait has met yet: the first attempt had no answer, and the retry is far away.
    fn in_an_outage() -> Self {
        let bench = Self::with(THRESHOLD, NO_RETRY);
        bench.log("a");
        bench.flush();
        bench.answer_next(Reply::NoAnswer);
        bench.wait_for_pause();
        bench
    }

    /// Waits until the batch on its way waits before a retry.
    fn wait_for_pause(&self) {
        let began = Instant::now();
        while !self.ledger.is_paused() {
            assert!(began.elapsed() < LIMIT);
            thread::yield_now();
        }
    }

    /// Ends the worker, which has an event that is not delivered.
    fn end_offline(self) {
        self.close(Duration::ZERO);
        self.thread.join().unwrap();
    }

    fn assert_pending(&self, events: u64) {
        let stats = self.ledger.stats();
        assert_eq!((stats.pending, stats.dropped.total()), (events, 0));
    }
}

/// A wait of another thread.
struct Wait(mpsc::Receiver<bool>);

impl Wait {
    /// Its result. It must come long before a deadline of `LIMIT`.
    fn result(self) -> bool {
        self.0.recv_timeout(LIMIT / 2).expect("the wait has ended")
    }

    fn is_over(&self) -> bool {
        self.0.try_recv().is_ok()
    }
}

#[test]
fn a_wait_ends_if_every_retry_comes_after_its_deadline_and_the_flush_stays_asked() {
    let bench = Bench::start();
    bench.log("a");
    let wait = bench.begin_wait(LIMIT);
    bench.answer_next(Reply::LongRetryAfter);
    assert!(!wait.result());
    bench.assert_pending(1);
    let later = bench.begin_wait(LIMIT);
    assert!(!later.result(), "a server that answers is not asked before its time");
    assert!(bench.attempts.try_recv().is_err());
    bench.close(LIMIT);
    bench.answer_next(Reply::Status(200));
    assert!(bench.ledger.wait_finished(Instant::now() + LIMIT));
    assert_eq!(bench.ledger.stats().delivered, 1);
}

#[test]
fn a_wait_lasts_if_the_retry_comes_before_its_deadline() {
    let bench = Bench::start();
    bench.log("a");
    let wait = bench.begin_wait(4 * LIMIT);
    bench.answer_next(Reply::LongRetryAfter);
    bench.wait_for_pause();
    assert!(bench.attempts.recv_timeout(SLOW).is_err());
    assert!(!wait.is_over());
    bench.close(LIMIT);
    bench.answer_next(Reply::Status(200));
    assert!(wait.result());
}

#[test]
fn a_wait_ends_if_the_attempt_after_a_quick_failure_fails_too() {
    let bench = Bench::with(THRESHOLD, NO_RETRY);
    bench.log("a");
    let wait = bench.begin_wait(LIMIT);
    assert_eq!(bench.answer_next(Reply::NoAnswer).retry, 0);
    assert_eq!(bench.answer_next(Reply::NoAnswer).retry, 1);
    assert!(!wait.result());
    bench.assert_pending(1);
    assert!(bench.attempts.try_recv().is_err(), "one attempt");
    bench.end_offline();
}

#[test]
fn a_server_that_is_back_after_a_quick_failure_gets_the_events() {
    let bench = Bench::with(THRESHOLD, NO_RETRY);
    bench.log("a");
    let wait = bench.begin_wait(LIMIT);
    bench.answer_next(Reply::NoAnswer);
    bench.answer_next(Reply::Status(200));
    assert!(wait.result());
    assert_eq!(bench.ledger.stats().delivered, 1);
    bench.end();
}

#[test]
fn a_wait_ends_with_the_first_attempt_if_that_had_a_second_and_no_answer() {
    let bench = Bench::with(THRESHOLD, NO_RETRY);
    bench.log("a");
    let wait = bench.begin_wait(LIMIT);
    bench.answer_next_slowly(Reply::NoAnswer);
    assert!(!wait.result());
    assert!(bench.attempts.try_recv().is_err(), "no retry");
    bench.assert_pending(1);
    bench.end_offline();
}

#[test]
fn a_server_that_takes_a_second_for_its_answer_is_waited_for() {
    let bench = Bench::with(THRESHOLD, NO_RETRY);
    bench.log("a");
    let wait = bench.begin_wait(LIMIT);
    bench.answer_next_slowly(Reply::Status(200));
    assert!(wait.result());
    bench.end();
}

#[test]
fn a_server_that_answers_503_is_waited_for_after_an_outage_too() {
    let bench = Bench::start();
    bench.log("a");
    let wait = bench.begin_wait(LIMIT);
    bench.answer_next(Reply::NoAnswer);
    bench.answer_next(Reply::Status(503));
    bench.answer_next(Reply::Status(503));
    bench.answer_next(Reply::Status(200));
    assert!(wait.result());
    bench.end();
}

#[test]
fn in_a_known_outage_a_wait_has_one_attempt_at_once_and_costs_the_batch_none() {
    let bench = Bench::in_an_outage();
    for _ in 0..5 {
        let wait = bench.begin_wait(LIMIT);
        bench.answer_next(Reply::NoAnswer);
        assert!(!wait.result());
        bench.assert_pending(1);
        assert!(bench.attempts.try_recv().is_err(), "one attempt");
    }
    let _wait = bench.begin_wait(LIMIT);
    bench.answer_next(Reply::Status(200));
    bench.end();
}

#[test]
fn in_a_known_outage_a_wait_does_not_last_as_long_as_an_attempt() {
    let bench = Bench::in_an_outage();
    for _ in 0..2 {
        let wait = bench.begin_wait(LIMIT);
        assert!(!wait.result(), "the attempt has no answer");
        bench.assert_pending(1);
    }
    bench.attempts.recv_timeout(LIMIT).expect("the attempt of the first wait");
    assert!(bench.attempts.try_recv().is_err(), "the second wait finds it on its way");
    bench.replies.send(Reply::Status(200)).unwrap();
    bench.end();
}

#[test]
fn in_a_known_outage_the_attempts_after_a_close_have_a_second() {
    let bench = Bench::in_an_outage();
    bench.close(LIMIT);
    let last = bench.answer_next(Reply::Status(200));
    assert!(last.retry == 1 && last.limit <= Duration::from_secs(1), "{last:?}");
    bench.thread.join().unwrap();
    assert_eq!(bench.ledger.stats().delivered, 1);
}

#[test]
fn after_a_wait_in_vain_the_attempts_after_a_close_have_a_tenth_of_a_second() {
    let bench = Bench::in_an_outage();
    let wait = bench.begin_wait(LIMIT);
    bench.answer_next(Reply::NoAnswer);
    assert!(!wait.result());
    bench.close(LIMIT);
    let end = bench.ledger.send_until().unwrap();
    assert!(end <= Instant::now() + Duration::from_millis(100));
    drop(bench.replies); // an attempt that comes panics, and does not hang
    bench.thread.join().unwrap();
    assert!(!bench.ledger.has_pending());
}

#[test]
fn a_server_that_answers_after_a_close_has_all_the_time_of_the_stop() {
    let bench = Bench::in_an_outage();
    bench.log("b");
    bench.close(LIMIT);
    assert!(bench.answer_next(Reply::Status(200)).limit <= Duration::from_secs(1));
    let next = bench.answer_next(Reply::Status(200));
    assert!(next.limit > Duration::from_secs(1), "{next:?}");
    bench.thread.join().unwrap();
    assert_eq!(bench.ledger.stats().delivered, 2);
}
