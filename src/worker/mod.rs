//! The one thread: takes events from the queue, gathers them into batches, has each delivered.

pub(crate) mod delivery;
pub(crate) mod outage_log;

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, never, select};

use crate::model::stats::DropReason;
use crate::process::catch_panic::contain;
use crate::queue::admission::Load;
use crate::queue::ledger::Ledger;
use crate::queue::{A_WHILE, Outlet};
use crate::transport::Transport;
use crate::wire::batch::{Batch, Batcher};
use crate::wire::encode::Encoder;
use crate::worker::delivery::Delivery;

pub(crate) struct Worker<T> {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) outlet: Outlet,
    pub(crate) ticker: Receiver<Instant>,
    pub(crate) batcher: Batcher,
    pub(crate) delivery: Delivery<T>,
    pub(crate) encoder: Encoder,
    /// The last flush that was answered.
    pub(crate) flushed: u64,
    /// An event's JSON on its way into the batch.
    pub(crate) json: Vec<u8>,
}

impl<T: Transport> Worker<T> {
    /// The thread's whole life. A panic costs the batch that it struck, counted as `internal`, never the program.
    pub(crate) fn live(mut self) {
        let _guard = FinishOnDrop(Arc::clone(&self.ledger));
        while contain(|| self.run()).is_none() {}
    }

    fn run(&mut self) {
        let nobody = never();
        self.answer(); // a panic may have struck while somebody waited
        while !self.ledger.is_closed() {
            // With events at hand nobody need wake us for one run more: the ticker or the bell will.
            let has_none = self.batcher.is_empty() && self.outlet.is_empty();
            let arrivals = if has_none { &self.outlet.runs } else { &nobody };
            select! {
                recv(self.ticker) -> _ => self.tick(),
                recv(self.outlet.bell) -> rung => match rung {
                    Ok(()) => self.answer(),
                    // Nobody can offer anything any more: this link was made and not taken, after a fork.
                    Err(_) => self.ledger.close(Instant::now()),
                },
                recv(arrivals) -> run => if let Ok(run) = run { self.outlet.keep(*run) },
            }
            while !self.ledger.is_closed() && self.ledger.is_due() && self.send_next() {
                self.attend();
            }
        }
        self.close();
    }

    /// Between two batches: where events come faster than they go there is no other time for those who wait.
    fn attend(&mut self) {
        if self.outlet.bell.try_recv().is_ok() {
            self.answer();
        }
        if self.ticker.try_recv().is_ok() {
            self.tick();
        }
    }

    fn tick(&mut self) {
        self.flush();
        self.delivery.episode.refusals(&self.ledger.refused());
    }

    /// The bell: somebody asked for a flush, or there is enough for a batch, which `run` looks after.
    fn answer(&mut self) {
        let asked = self.ledger.flushes_asked();
        if asked > self.flushed && self.flush() {
            self.flushed = asked;
            self.ledger.flushes_done(asked);
        }
    }

    /// Sends what was gathered, and all that was let in when this began. `false`: the door was closed meanwhile, and
    /// not all could be had.
    fn flush(&mut self) -> bool {
        let end = self.ledger.tickets();
        while self.outlet.next_ticket() < end {
            match self.gather() {
                Gathered::Event => {}
                Gathered::Batch if !self.ledger.is_closed() => {}
                Gathered::Batch | Gathered::Nothing => break,
            }
        }
        self.send_open();
        self.outlet.next_ticket() >= end
    }

    /// Sends one batch, a full one if the queue has enough for it. `false`: there was nothing to send.
    fn send_next(&mut self) -> bool {
        loop {
            match self.gather() {
                Gathered::Event => {}
                Gathered::Batch => return true,
                Gathered::Nothing => return self.send_open(),
            }
        }
    }

    /// The door is closed: sends what is left while there is time, and ends the story of all events.
    fn close(&mut self) {
        while self.has_time() && (self.send_next() || self.outlet.skip() || self.wait_for_callers()) {}
        self.delivery.episode.ends(&self.ledger.stats().if_ended(DropReason::Deadline));
        self.ledger.finish(DropReason::Deadline);
    }

    fn has_time(&self) -> bool {
        self.ledger.deadline().is_some_and(|deadline| Instant::now() < deadline)
    }

    /// Waits a little for callers who were let in before the door was closed and have not put their events in yet;
    /// `false` where there are none.
    fn wait_for_callers(&self) -> bool {
        let are_there = self.ledger.has_pending();
        if are_there {
            self.ledger.pause(Instant::now() + A_WHILE, self.ledger.deadline());
        }
        are_there
    }

    /// Encodes the next event into the open batch, and sends it if that fills it.
    fn gather(&mut self) -> Gathered {
        let Some(event) = self.outlet.next() else { return Gathered::Nothing };
        let weight = event.weight() as u64;
        let claim = self.ledger.claim(Load { events: 1, bytes: weight });
        self.json.clear();
        if self.encoder.write(&event, &mut self.json).is_err() {
            return Gathered::Event; // no random id to be had; the claim counts the event as lost
        }
        claim.hand_over();
        match self.batcher.push(&self.json, weight) {
            Some(full) => {
                self.send(&full);
                Gathered::Batch
            }
            None => Gathered::Event,
        }
    }

    /// `false`: there was nothing to send.
    fn send_open(&mut self) -> bool {
        let open = self.batcher.take();
        open.inspect(|batch| self.send(batch)).is_some()
    }

    fn send(&mut self, batch: &Batch) {
        self.batcher.learn(self.delivery.deliver(batch));
    }
}

/// What came of a look into the queue.
enum Gathered {
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
