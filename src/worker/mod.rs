//! One thread for each reporter and process: it takes events from the queue, gathers them into batches, and delivers
//! each batch.
//!
//! `reporter::builder` makes the [`Worker`] and starts its thread. No other part of the crate calls it: callers reach it
//! through the queue, and learn what it did from the ledger.
//!
//! The invariants:
//!
//! - The worker sleeps in one place, until one `select!` has something to receive: from the ticker, the wakeup, and, while
//!   the worker holds no event, the full chunks.
//! - While it encodes an event or delivers a batch it holds their claim in the ledger. If a panic loses the claim, the
//!   events are counted as `internal`. A panic never ends the thread.
//! - Past the deadline of a `stop` it starts no attempt and looks at no event.
//! - However the thread ends, no thread waits for it any longer.

pub(crate) mod before_send;
pub(crate) mod delivery;
pub(crate) mod keeper;
pub(crate) mod outage_log;
pub(crate) mod ticker;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{after, never, select};

use crate::model::stats::DropReason;
use crate::process::catch_panic::catch_panic;
use crate::queue::admission::Load;
use crate::queue::ledger::{Fate, Ledger};
use crate::queue::{CALLER_WAIT, Consumer};
use crate::transport::Transport;
use crate::wire::batch::{Batch, Batcher};
use crate::wire::encode::Encoder;
use crate::worker::before_send::BeforeSend;
use crate::worker::delivery::Delivery;
use crate::worker::ticker::Ticker;

/// So long after the deadline what could not be sent is still written into the spool.
pub(crate) const WRITE_GRACE: Duration = Duration::from_millis(40);

pub(crate) struct Worker<T> {
    ledger: Arc<Ledger>,
    consumer: Consumer,
    ticker: Ticker,
    /// When events are written to the spool ahead of their sending. Without that it never ticks.
    write_ahead: Ticker,
    batcher: Batcher,
    delivery: Delivery<T>,
    encoder: Encoder,
    before_send: BeforeSend,
    /// The number of the last flush that is done.
    flushed: u64,
    /// The JSON of one event, on its way into the batch. Kept, so that its memory is used again.
    json: Vec<u8>,
}

impl<T: Transport> Worker<T> {
    /// Takes events from `consumer`, flushes at each tick of `ticker`, and hands batches to `delivery`.
    pub(crate) fn new(
        ledger: Arc<Ledger>,
        consumer: Consumer,
        ticker: Ticker,
        batcher: Batcher,
        delivery: Delivery<T>,
        encoder: Encoder,
    ) -> Self {
        let before_send = BeforeSend::default();
        Self {
            ledger,
            consumer,
            ticker,
            write_ahead: Ticker::never(),
            batcher,
            delivery,
            encoder,
            before_send,
            flushed: 0,
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
        while catch_panic(|| self.run()).is_none() {}
    }

    fn run(&mut self) {
        let no_chunks = never();
        self.flush_if_asked(); // a panic may have interrupted a flush that a thread waits for
        self.send_while_due(); // or the events that were due
        while !self.ledger.is_closed() {
            // While the worker holds events, a full chunk need not wake it: the ticker or the wakeup will.
            let is_empty = self.batcher.is_empty() && self.consumer.is_empty();
            let arrivals = if is_empty { &self.consumer.chunks } else { &no_chunks };
            let next_look = self.consumer.next_look().map_or_else(never, after);
            self.consumer
                .sleep_until_ready([&self.ticker.next, &self.write_ahead.next, &next_look], arrivals);
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
            self.send_while_due();
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
        while !self.ledger.is_closed() && self.consumer.has_below(end) && self.send_next() {
            has_sent = true;
            self.handle_signals();
        }
        // The last event may have found no room in the last batch, and opened another.
        let has_sent_rest = !self.ledger.is_closed() && self.send_open();
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
        self.delivery.outage_log.check_refusals(&self.ledger.refused());
    }

    /// Answers the wakeup. It means that a flush was asked for, or that enough is pending for a batch, which `run` sends.
    fn flush_if_asked(&mut self) {
        if self.ledger.flushes_asked() > self.flushed {
            if self.ledger.is_fatal() {
                self.write_ahead();
            }
            self.flush();
        }
    }

    fn write_ahead_tick(&mut self) {
        self.write_ahead.rearm(); // before anything that can panic
        self.write_ahead();
    }

    /// Writes to the spool what was accepted before this call and is not sent yet.
    fn write_ahead(&mut self) {
        if self.delivery.has_keeper() {
            self.gather_below(self.ledger.admitted());
            self.delivery.write_ahead(self.batcher.open_mut());
        }
    }

    /// Sends every event that was accepted before this call. Then the flushes that were asked for are done, unless the
    /// reporter was closed meanwhile and some are left, or a caller that is held up in the queue holds some back.
    fn flush(&mut self) {
        let asked = self.ledger.flushes_asked();
        let end = self.ledger.admitted();
        self.gather_below(end);
        self.send_open();
        if asked > self.flushed && self.consumer.is_through(end) {
            self.flushed = asked;
            self.ledger.flushes_done(asked);
        }
    }

    /// Gathers the events before this sequence number, and sends the batches that they fill.
    fn gather_below(&mut self, end: u64) {
        while self.consumer.has_below(end) {
            match self.gather() {
                GatherStep::Event => {}
                GatherStep::Batch if !self.ledger.is_closed() => {}
                GatherStep::Batch | GatherStep::Nothing => break,
            }
        }
    }

    /// Sends one batch, a full one if the queue has enough events. `false` if there was nothing to send.
    fn send_next(&mut self) -> bool {
        loop {
            match self.gather() {
                GatherStep::Event => {}
                GatherStep::Batch => return true,
                GatherStep::Nothing => return self.send_open(),
            }
        }
    }

    /// Sends what is left while there is time, and gives the rest its fate. The reporter is closed: nothing is added.
    fn close(&mut self) {
        while self.has_time() && (self.send_next() || self.wait_for_callers()) {}
        self.delivery.close_spool(); // a thread that sees the end may want the files
        if self.ledger.claim_log() {
            self.delivery.outage_log.finish(&self.ledger.stats().if_ended(DropReason::Deadline));
            self.ledger.mark_logged();
        }
        self.ledger.finish(DropReason::Deadline);
    }

    fn has_time(&self) -> bool {
        let more = if self.delivery.has_keeper() { WRITE_GRACE } else { Duration::ZERO };
        self.ledger.deadline().is_some_and(|deadline| Instant::now() < deadline + more)
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

    /// Encodes the next event into the open batch. Sends the batch if that fills it.
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
        match self.batcher.push(&self.json, weight) {
            Some(full) => {
                self.send(full);
                GatherStep::Batch
            }
            None => GatherStep::Event,
        }
    }

    /// Sends the open batch. `false` if it is empty.
    fn send_open(&mut self) -> bool {
        let open = self.batcher.take();
        open.map(|batch| self.send(batch)).is_some()
    }

    fn send(&mut self, batch: Batch) {
        self.batcher.learn(self.delivery.deliver(batch));
    }
}

/// What one step of gathering did.
enum GatherStep {
    /// The queue was empty.
    Nothing,
    /// It took an event.
    Event,
    /// It took an event, and sent a batch that was full.
    Batch,
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
