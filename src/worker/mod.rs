//! The one thread: takes events from the queue, gathers them into batches, has each delivered.

pub(crate) mod delivery;
pub(crate) mod keeper;
pub(crate) mod outage_log;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never, select};

use crate::model::stats::DropReason;
use crate::process::catch_panic::catch_panic;
use crate::queue::admission::Load;
use crate::queue::ledger::Ledger;
use crate::queue::{CALLER_WAIT, Consumer};
use crate::transport::Transport;
use crate::wire::batch::{Batch, Batcher};
use crate::wire::encode::Encoder;
use crate::worker::delivery::Delivery;

/// So long after the deadline what could not be sent is still written into the spool.
pub(crate) const WRITE_GRACE: Duration = Duration::from_millis(40);

pub(crate) struct Worker<T> {
    ledger: Arc<Ledger>,
    consumer: Consumer,
    ticker: Receiver<Instant>,
    /// When events are written into the spool. It never ticks where that happens only at the end.
    write_ahead: Receiver<Instant>,
    batcher: Batcher,
    delivery: Delivery<T>,
    encoder: Encoder,
    /// The last flush that was answered.
    flushed: u64,
    /// An event's JSON on its way into the batch.
    json: Vec<u8>,
}

impl<T: Transport> Worker<T> {
    /// Takes events from `consumer`, flushes at each tick of `ticker`, and hands batches to `delivery`.
    pub(crate) fn new(
        ledger: Arc<Ledger>,
        consumer: Consumer,
        ticker: Receiver<Instant>,
        batcher: Batcher,
        delivery: Delivery<T>,
        encoder: Encoder,
    ) -> Self {
        let (write_ahead, json) = (never(), Vec::new());
        Self { ledger, consumer, ticker, write_ahead, batcher, delivery, encoder, flushed: 0, json }
    }

    /// Writes events into the spool at each tick.
    #[cfg(all(feature = "spool", unix))]
    pub(crate) fn write_ahead_at(mut self, ticker: Receiver<Instant>) -> Self {
        self.write_ahead = ticker;
        self
    }

    /// The thread's whole life. A panic costs the batch that it struck, counted as `internal`, never the program.
    pub(crate) fn run_thread(mut self) {
        let _guard = FinishOnDrop(Arc::clone(&self.ledger));
        while catch_panic(|| self.run()).is_none() {}
    }

    fn run(&mut self) {
        let nobody = never();
        self.flush_if_asked(); // a panic may have struck while somebody waited
        while !self.ledger.is_closed() {
            // With events at hand nobody need wake us for one run more: the ticker or the wakeup will.
            let has_none = self.batcher.is_empty() && self.consumer.is_empty();
            let arrivals = if has_none { &self.consumer.chunks } else { &nobody };
            select! {
                recv(self.ticker) -> _ => self.tick(),
                recv(self.write_ahead) -> _ => self.write_ahead(),
                recv(self.consumer.wakeup) -> rung => match rung {
                    Ok(()) => self.flush_if_asked(),
                    // Nobody can offer anything any more: this pipeline was made and not taken, after a fork.
                    Err(_) => self.ledger.close(Instant::now()),
                },
                recv(arrivals) -> chunk => if let Ok(chunk) = chunk { self.consumer.keep(*chunk) },
            }
            while !self.ledger.is_closed() && self.ledger.is_due() && self.send_next() {
                self.handle_signals();
            }
        }
        self.close();
    }

    /// Between two batches: where events come faster than they go there is no other time for those who wait.
    fn handle_signals(&mut self) {
        if self.consumer.wakeup.try_recv().is_ok() {
            self.flush_if_asked();
        }
        if self.write_ahead.try_recv().is_ok() {
            self.write_ahead();
        }
        if self.ticker.try_recv().is_ok() {
            self.tick();
        }
    }

    fn tick(&mut self) {
        self.flush();
        self.delivery.outage_log.refusals(&self.ledger.refused());
    }

    /// The wakeup: somebody asked for a flush, or there is enough for a batch, which `run` looks after.
    fn flush_if_asked(&mut self) {
        let asked = self.ledger.flushes_asked();
        if asked > self.flushed && self.ledger.is_fatal() {
            self.write_ahead();
        }
        if asked > self.flushed && self.flush() {
            self.flushed = asked;
            self.ledger.flushes_done(asked);
        }
    }

    /// Sends what was gathered, and all that was let in when this began. `false`: the door was closed meanwhile, and
    /// not all could be had.
    fn flush(&mut self) -> bool {
        let has_all = self.gather_all();
        self.send_open();
        has_all
    }

    /// Writes into the spool what was let in when this began and is not sent yet.
    fn write_ahead(&mut self) {
        if self.delivery.has_keeper() {
            self.gather_all();
            self.delivery.write_ahead(self.batcher.open_mut());
        }
    }

    /// Gathers all that was let in when this began, and sends the batches that this fills. `false`: the door was closed
    /// meanwhile, and not all could be had.
    fn gather_all(&mut self) -> bool {
        let end = self.ledger.admitted();
        while self.consumer.next_sequence() < end {
            match self.gather() {
                GatherStep::Event => {}
                GatherStep::Batch if !self.ledger.is_closed() => {}
                GatherStep::Batch | GatherStep::Nothing => break,
            }
        }
        self.consumer.next_sequence() >= end
    }

    /// Sends one batch, a full one if the queue has enough for it. `false`: there was nothing to send.
    fn send_next(&mut self) -> bool {
        loop {
            match self.gather() {
                GatherStep::Event => {}
                GatherStep::Batch => return true,
                GatherStep::Nothing => return self.send_open(),
            }
        }
    }

    /// The door is closed: sends what is left while there is time, and ends the story of all events.
    fn close(&mut self) {
        while self.has_time() && (self.send_next() || self.consumer.skip() || self.wait_for_callers()) {}
        self.delivery.close_spool(); // who sees the end may want the files
        self.delivery.outage_log.ends(&self.ledger.stats().if_ended(DropReason::Deadline));
        self.ledger.finish(DropReason::Deadline);
    }

    fn has_time(&self) -> bool {
        let more = if self.delivery.has_keeper() { WRITE_GRACE } else { Duration::ZERO };
        self.ledger.deadline().is_some_and(|deadline| Instant::now() < deadline + more)
    }

    /// Waits a little for callers who were let in before the door was closed and have not put their events in yet;
    /// `false` where there are none.
    fn wait_for_callers(&self) -> bool {
        let are_there = self.ledger.has_pending();
        if are_there {
            self.ledger.pause(Instant::now() + CALLER_WAIT, self.ledger.deadline());
        }
        are_there
    }

    /// Encodes the next event into the open batch, and sends it if that fills it.
    fn gather(&mut self) -> GatherStep {
        let Some(event) = self.consumer.next() else { return GatherStep::Nothing };
        let weight = event.weight() as u64;
        let claim = self.ledger.claim(Load { events: 1, bytes: weight });
        self.json.clear();
        if self.encoder.write(&event, &mut self.json).is_err() {
            return GatherStep::Event; // no random id to be had; the claim counts the event as lost
        }
        claim.hand_over();
        match self.batcher.push(&self.json, weight) {
            Some(mut full) => {
                self.send(&mut full);
                GatherStep::Batch
            }
            None => GatherStep::Event,
        }
    }

    /// `false`: there was nothing to send.
    fn send_open(&mut self) -> bool {
        let open = self.batcher.take();
        open.map(|mut batch| self.send(&mut batch)).is_some()
    }

    fn send(&mut self, batch: &mut Batch) {
        self.batcher.learn(self.delivery.deliver(batch));
    }
}

/// What came of a look into the queue.
enum GatherStep {
    /// All that there was has been taken.
    Nothing,
    Event,
    /// An event that filled a batch, which was sent.
    Batch,
}

/// Frees whoever waits, however the thread ends.
struct FinishOnDrop(Arc<Ledger>);

impl Drop for FinishOnDrop {
    fn drop(&mut self) {
        self.0.finish(DropReason::Internal);
    }
}

#[cfg(test)]
mod tests;
