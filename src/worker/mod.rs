//! One thread for each reporter and process: it takes events from the queue, gathers them into batches, and delivers
//! each batch. While there is a backlog, other threads deliver batches for it ([`in_flight`]).
//!
//! `reporter::builder` makes the [`Worker`] and starts its thread. No other part of the crate calls it: callers reach it
//! through the queue, and learn what it did from the ledger.
//!
//! The invariants:
//!
//! - The worker sleeps in one place, until one `select!` has something to receive: from the ticker, the wakeup, and, while
//!   the worker holds no event, the full chunks. No batch is on its way then. While batches are on their way it waits for
//!   their senders. With a spool it wakes meanwhile to write, and waits for no answer that comes too late.
//! - While it encodes an event or delivers a batch it holds their claim in the ledger. If a panic loses the claim, the
//!   events are counted as `internal`. A panic never ends the thread.
//! - Past the deadline of a `stop` it starts no attempt and looks at no event, unless it writes them to the spool.
//! - However the thread ends, no thread waits for it any longer.

pub(crate) mod before_send;
pub(crate) mod delivery;
pub(crate) mod in_flight;
pub(crate) mod keeper;
pub(crate) mod outage_log;
pub(crate) mod ticker;

use std::collections::VecDeque;
use std::iter;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{TryRecvError, after, at, never, select};

use crate::model::stats::DropReason;
use crate::process::catch_panic::catch_panic;
use crate::queue::admission::Load;
use crate::queue::ledger::{Fate, Ledger};
use crate::queue::{CALLER_WAIT, Consumer};
use crate::transport::Transport;
use crate::wire::batch::{Batch, Batcher};
use crate::wire::encode::Encoder;
use crate::worker::before_send::BeforeSend;
use crate::worker::in_flight::InFlight;
use crate::worker::in_flight::keep_times::KeepTimes;
use crate::worker::ticker::Ticker;

/// How long a stop waits past its deadline for what the worker is still writing to the spool.
pub(crate) const WRITE_GRACE: Duration = Duration::from_millis(25);

/// So many batches are kept together at the end, with one wait for the disk.
const KEPT_AT_ONCE: usize = 20;

pub(crate) struct Worker<T> {
    ledger: Arc<Ledger>,
    consumer: Consumer,
    ticker: Ticker,
    /// When events are written to the spool before they are sent. Otherwise it never ticks.
    write_ahead: Ticker,
    batcher: Batcher,
    /// Batches that wait for a sender. More than one only with a spool.
    ready: VecDeque<Batch>,
    in_flight: InFlight<T>,
    encoder: Encoder,
    before_send: BeforeSend,
    /// The number of the last flush that is done.
    flushed: u64,
    /// Only with a spool.
    keep_times: KeepTimes,
    /// The wakeup has come while the worker waited for a sender.
    has_unseen_wakeup: bool,
    /// The JSON of one event, on its way into the batch. Kept, so that its memory is used again.
    json: Vec<u8>,
}

impl<T: Transport + Send + 'static> Worker<T> {
    /// Takes events from `consumer`, flushes at each tick of `ticker`, and sends batches through `in_flight`.
    pub(crate) fn new(
        ledger: Arc<Ledger>,
        consumer: Consumer,
        ticker: Ticker,
        batcher: Batcher,
        in_flight: InFlight<T>,
        encoder: Encoder,
    ) -> Self {
        let before_send = BeforeSend::default();
        Self {
            ledger,
            consumer,
            ticker,
            write_ahead: Ticker::never(),
            batcher,
            ready: VecDeque::new(),
            in_flight,
            encoder,
            before_send,
            flushed: 0,
            keep_times: KeepTimes::default(),
            has_unseen_wakeup: false,
            json: Vec::new(),
        }
    }

    /// Writes events to the spool at each tick.
    #[cfg(all(feature = "spool", unix))]
    pub(crate) fn write_ahead_at(self, write_ahead: Ticker) -> Self {
        Self { write_ahead, ..self }
    }

    /// Asks this about each event before it goes into a batch.
    pub(crate) fn with_before_send(self, before_send: BeforeSend) -> Self {
        Self { before_send, ..self }
    }

    /// What the thread does from its start to its end. A panic costs the batch that it interrupts, which is counted as
    /// `internal`. Then the worker goes on.
    pub(crate) fn run_thread(mut self) {
        let _guard = FinishOnDrop(Arc::clone(&self.ledger));
        self.in_flight.start_replay();
        while catch_panic(|| self.run()).is_none() {}
    }

    fn run(&mut self) {
        let no_chunks = never();
        self.settle_in_flight(); // a panic may have interrupted that
        self.flush_if_asked(); // or a flush that a thread waits for
        self.catch_up(); // or the events that were due
        while !self.ledger.is_closed() {
            // While the worker holds events, a full chunk need not wake it: the ticker or the wakeup will.
            let is_empty = self.batcher.is_empty() && self.consumer.is_empty() && self.ready.is_empty();
            let arrivals = if is_empty { &self.consumer.chunks } else { &no_chunks };
            let next_look = self.consumer.next_look().map_or_else(never, after);
            let times = [&self.ticker.next, &self.write_ahead.next, &next_look];
            self.consumer.sleep_until_ready(&times, arrivals);
            select! {
                recv(self.ticker.next) -> _ => self.tick(),
                recv(self.write_ahead.next) -> _ => self.write_ahead_tick(),
                recv(next_look) -> _ => self.look_for_callers(),
                recv(self.consumer.wakeup) -> wakeup => match wakeup {
                    Ok(()) => self.flush_if_asked(),
                    // The producer is gone: two threads of a forked child each made a pipeline, and this is the other one.
                    Err(_) => self.ledger.close(Instant::now()),
                },
                recv(arrivals) -> chunk => if let Ok(chunk) = chunk { self.consumer.keep(*chunk) },
                default => {}
            }
            self.catch_up();
        }
        self.close();
    }

    /// Sends what is pending as long as the threshold is reached.
    fn send_while_due(&mut self) {
        while !self.ledger.is_closed() && self.ledger.is_due() && self.send_due() {}
    }

    /// Sends every event that was admitted when this began, not only as many as it takes to get below the threshold.
    /// `false`: there was nothing to send.
    fn send_due(&mut self) -> bool {
        let end = self.ledger.admitted();
        let mut has_sent = false;
        while !self.ledger.is_closed() && self.has_below(end) && self.send_next() {
            has_sent = true;
            self.handle_signals();
        }
        // The last event may have found no room in the last batch, and opened another.
        let has_sent_rest = !self.ledger.is_closed() && self.send_open();
        self.settle_in_flight();
        self.flush_if_asked(); // what a flush waits for may be among the events
        has_sent || has_sent_rest
    }

    /// A caller was held up inside the queue. What a flush waits for may be there now.
    fn look_for_callers(&mut self) {
        self.consumer.collect_held_up();
        self.flush_if_asked();
    }

    /// Looks at the wakeup and the ticker between two batches. While events come faster than they are sent, `select!` is
    /// not reached.
    fn handle_signals(&mut self) {
        if self.consumer.wakeup.try_recv().is_ok() {
            self.flush_if_asked();
        }
        if self.write_ahead.next.try_recv().is_ok() {
            self.write_ahead_tick();
        }
        if self.ticker.next.try_recv().is_ok() {
            self.tick();
        }
    }

    fn tick(&mut self) {
        self.ticker.rearm(); // before anything that can panic
        self.flush();
        self.in_flight.outage_log.check_refusals(&self.ledger.refused());
        self.in_flight.do_what_is_left(); // a sender that was abandoned may have had an answer
        self.in_flight.look_again();
    }

    fn write_ahead_tick(&mut self) {
        self.write_ahead.rearm(); // before anything that can panic
        self.write_ahead();
    }

    /// Writes to the spool what was accepted before this call and is not sent yet.
    fn write_ahead(&mut self) {
        self.gather_ahead();
        let Self { in_flight, ready, batcher, .. } = self;
        in_flight.write_ahead(ready.iter_mut().chain(iter::once(batcher.open_mut())));
    }

    /// Gathers what was accepted before this call. Full batches are sent later, in their order.
    fn gather_ahead(&mut self) {
        self.gather_until(|worker| worker.is_past_deadline());
    }

    /// The same, until this is the case.
    fn gather_until(&mut self, mut is_over: impl FnMut(&mut Self) -> bool) {
        let end = self.ledger.admitted();
        while self.consumer.has_below(end) && !is_over(self) {
            match self.gather() {
                GatherStep::Event => {}
                GatherStep::Batch(full) => self.ready.push_back(full),
                GatherStep::Nothing => break,
            }
        }
    }

    fn is_past_deadline(&self) -> bool {
        self.ledger.deadline().is_some_and(|deadline| Instant::now() >= deadline + WRITE_GRACE)
    }

    /// Answers the wakeup. It means that a flush was asked for, or that enough is pending for a batch, which `run` sends.
    fn flush_if_asked(&mut self) {
        if self.ledger.flushes_asked() > self.flushed {
            if self.ledger.is_fatal() && self.in_flight.has_spool() {
                self.write_ahead();
            }
            self.flush();
        }
    }

    /// Sends what is due, and answers the wakeups that came while the worker waited for a sender.
    fn catch_up(&mut self) {
        self.send_while_due();
        while std::mem::take(&mut self.has_unseen_wakeup) {
            self.flush_if_asked();
            self.send_while_due();
        }
    }

    /// Sends every event that was accepted before this call. Then the flushes that were asked for are done, unless the
    /// reporter was closed meanwhile and some are left, or a caller that is held up in the queue holds some back.
    fn flush(&mut self) {
        let asked = self.ledger.flushes_asked();
        let end = self.ledger.admitted();
        while self.has_below(end) {
            match self.next_step() {
                GatherStep::Event => {}
                GatherStep::Batch(batch) => {
                    self.send(batch);
                    if self.ledger.is_closed() {
                        break;
                    }
                }
                GatherStep::Nothing => break,
            }
        }
        self.send_open();
        self.settle_in_flight();
        // After a close, with a spool, what the consumer has given out may be gathered and not sent.
        let is_left_to_close = self.ledger.is_closed() && !(self.ready.is_empty() && self.batcher.is_empty());
        if asked > self.flushed && !is_left_to_close && self.consumer.is_through(end) {
            self.flushed = asked;
            self.ledger.flushes_done(asked);
        }
    }

    /// Sends one batch, a full one if the queue has enough events, or hands it to a sender. `false` if there was nothing to
    /// send.
    fn send_next(&mut self) -> bool {
        loop {
            match self.next_step() {
                GatherStep::Event => {}
                GatherStep::Batch(batch) => {
                    self.send(batch);
                    return true;
                }
                GatherStep::Nothing => return self.send_open(),
            }
        }
    }

    /// Whether there may be an event with a sequence below `end` that is not in the open batch.
    fn has_below(&mut self, end: u64) -> bool {
        !self.ready.is_empty() || self.consumer.has_below(end)
    }

    /// Sends what is left while there is time, and gives the rest its fate. The reporter is closed: nothing is added.
    fn close(&mut self) {
        while self.has_time() && (self.send_next() || self.settle_in_flight() || self.wait_for_callers()) {}
        if self.in_flight.has_spool() {
            self.keep_all();
            while self.ledger.deadline().is_some_and(|end| Instant::now() < end) && self.wait_for_callers() {
                self.keep_all();
            }
            self.in_flight.close_spool();
        } else {
            self.settle_in_flight();
        }
        if self.ledger.claim_log() {
            self.in_flight.outage_log.finish(&self.ledger.stats().if_ended(DropReason::Deadline));
            self.ledger.mark_logged();
        }
        self.ledger.finish(DropReason::Deadline);
    }

    /// Whether there is time for a batch, once the reporter is closed. With a spool time is left to write the rest, and the
    /// rest is not tried if no server can be reached: the next run can send it.
    fn has_time(&mut self) -> bool {
        let is_hopeless = self.in_flight.has_spool()
            && self
                .keep_times
                .closed_since()
                .is_some_and(|closed| self.in_flight.is_unreachable_since(closed));
        !is_hopeless && self.send_until().is_none_or(|end| Instant::now() < end)
    }

    /// Until when batches are sent. `None` before the close.
    fn send_until(&mut self) -> Option<Instant> {
        if !self.in_flight.has_spool() {
            return self.ledger.send_until();
        }
        let deadline = self.ledger.deadline()?;
        Some(self.keep_times.send_until(deadline, self.ledger.pending().events, Instant::now()))
    }

    /// Keeps everything that is pending in the spool: first what is gathered, then the rest, as long as there is time.
    fn keep_all(&mut self) {
        loop {
            let unsent = self.ready.drain(..).chain(self.batcher.take()).collect();
            self.in_flight.keep_all(unsent);
            self.gather_until(|worker| worker.ready.len() >= KEPT_AT_ONCE || worker.is_past_deadline());
            if self.ready.is_empty() && self.batcher.is_empty() {
                break;
            }
        }
    }

    /// Waits a little for callers that were admitted before the close and have not put their events in yet. `false` if
    /// there are none.
    fn wait_for_callers(&self) -> bool {
        let has_callers = self.ledger.has_pending();
        if has_callers {
            self.ledger.pause(Instant::now() + CALLER_WAIT, self.ledger.deadline());
        }
        has_callers
    }

    /// The next batch that is ready, or else the next event.
    fn next_step(&mut self) -> GatherStep {
        self.ready.pop_front().map_or_else(|| self.gather(), GatherStep::Batch)
    }

    /// Encodes the next event into the open batch.
    fn gather(&mut self) -> GatherStep {
        let Some(event) = self.consumer.next() else { return GatherStep::Nothing };
        let weight = event.weight() as u64;
        let claim = self.ledger.claim(Load { events: 1, bytes: weight });
        self.json.clear();
        if self.encoder.write(&event, &mut self.json).is_err() {
            return GatherStep::Event; // the system has no random id; the claim counts the event as lost
        }
        if let Err(reason) = self.before_send.apply(&mut self.json) {
            claim.settle(Fate::Dropped(reason));
            return GatherStep::Event;
        }
        claim.hand_over();
        self.batcher.push(&self.json, weight).map_or(GatherStep::Event, GatherStep::Batch)
    }

    /// Sends the open batch. `false` if it is empty.
    fn send_open(&mut self) -> bool {
        let open = self.batcher.take();
        open.map(|batch| self.send(batch)).is_some()
    }

    /// Sends a batch on this thread. With a backlog a sender does it: if another full batch is ready behind this one, or
    /// if others are on their way already. With a spool a sender always does it.
    fn send(&mut self, batch: Batch) {
        self.ready.push_front(batch); // where it is written ahead, and kept, like the others
        while self.in_flight.must_wait() {
            self.wait_for_sender();
        }
        if self.in_flight.has_spool() && !self.has_time() {
            self.keep_all();
        }
        let Some(batch) = self.ready.pop_front() else { return };
        let behind = self.ledger.pending().without(batch.load());
        let has_backlog = self.in_flight.is_busy() || self.batcher.is_filled_by(behind);
        let rest = if self.in_flight.wants_sender(has_backlog) {
            self.in_flight.hand_over(batch).err()
        } else {
            Some(batch)
        };
        if let Some(batch) = rest {
            self.batcher.learn(self.in_flight.deliver(batch));
        }
    }

    /// Waits until every batch that is on its way has its fate. `false` if there is none.
    fn settle_in_flight(&mut self) -> bool {
        let was_busy = self.in_flight.is_busy();
        while self.in_flight.is_busy() {
            self.wait_for_sender();
        }
        self.in_flight.end_senders();
        was_busy
    }

    /// The worker waits here, and nowhere else, for a sender. The wakeup and the ticker wait too: what they ask for needs a
    /// sender that is free.
    fn wait_for_sender(&mut self) {
        if self.in_flight.has_spool() {
            self.sleep_beside_senders();
        }
        if let Some(settled) = self.in_flight.wait() {
            self.batcher.learn(settled.too_large);
        }
    }

    /// Sleeps until a sender reports. With a spool the worker wakes for other reasons too: it is time to write, a program
    /// begins to wait, or there is no time to wait for an answer any longer.
    fn sleep_beside_senders(&mut self) {
        let Some(reports) = self.in_flight.reports().cloned() else { return };
        if self.ledger.is_closed() {
            self.gather_until(|worker| !reports.is_empty() || !worker.has_time());
        }
        let due = self.next_look_at_senders().map_or_else(never, at);
        self.consumer.sleep_until_ready(&[&self.write_ahead.next, &due], &reports);
        match self.consumer.wakeup.try_recv() {
            Ok(()) => {
                self.has_unseen_wakeup = true;
                if self.ledger.is_fatal() {
                    self.write_ahead();
                }
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => self.ledger.close(Instant::now()), // as in `run`
        }
        if self.write_ahead.next.try_recv().is_ok() {
            self.write_ahead_tick();
        }
        self.look_at_senders();
    }

    /// When to [`look_at_senders`](Self::look_at_senders) if nothing else happens.
    fn next_look_at_senders(&mut self) -> Option<Instant> {
        self.keep_times.see(self.ledger.is_awaited(), Instant::now());
        let send_until = self.send_until();
        let write_at = send_until.and_then(|end| self.keep_times.write_at(end));
        let unanswered = self.keep_times.unanswered_at(self.in_flight.waits_since(), Instant::now());
        [send_until, write_at, unanswered].into_iter().flatten().min()
    }

    /// Keeps what has had no answer for too long, if a program waits, and everything if there is no more time to send. Half-way
    /// to that it writes what is not sent yet: then there is less to do at the end.
    fn look_at_senders(&mut self) {
        let now = Instant::now();
        let send_until = self.send_until();
        if send_until.is_some_and(|end| now >= end) {
            return self.keep_all();
        }
        if let Some(since) = self.keep_times.unanswered_since(now) {
            self.in_flight.keep_unanswered(since);
        }
        if send_until.and_then(|end| self.keep_times.write_at(end)).is_some_and(|half| now >= half) {
            self.keep_times.mark_written();
            self.in_flight.prepare();
            self.write_ahead();
        }
    }
}

/// What one step of gathering did.
enum GatherStep {
    /// The queue was empty.
    Nothing,
    /// It took an event.
    Event,
    /// A batch is full.
    Batch(Batch),
}

/// Frees all waiting threads, however the worker's thread ends.
struct FinishOnDrop(Arc<Ledger>);

impl Drop for FinishOnDrop {
    fn drop(&mut self) {
        self.0.finish(DropReason::Internal);
        if self.0.claim_log() {
            self.0.mark_logged();
        }
    }
}

#[cfg(test)]
mod tests;
