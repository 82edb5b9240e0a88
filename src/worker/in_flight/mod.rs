//! The batches that are on their way: one, on the worker's own thread, or several, on threads of senders.
//!
//! One request at a time is enough as long as there is no backlog: there is no thread, and no second connection. With a
//! backlog the round trip is what limits: 100 events in 20 ms are 5 000 a second. So while another full batch is ready
//! behind the one to be sent, batches are handed to [`Senders`], up to the limit at the same time. The worker gathers the
//! next batch meanwhile, and waits only when the limit is reached.
//!
//! The worker decides what is sent where. The invariants:
//!
//! - A [`Delivery`] moves to the sender together with its batch, and comes back with the result, after a panic too. No
//!   lock is held while it sends.
//! - Senders exist only while a backlog is sent. Before a flush is done, and before the worker sleeps, they have ended.
//! - In an outage one batch is on its way. The first attempt that fails begins it, and a batch that is delivered ends it.
//!   Otherwise an outage would use up the attempts of several batches in the time in which it now uses up those of one.
//!   Batches that are on their way already make their own retries.
//! - Only the worker writes to the program's log. Senders report to it.

mod senders;

use std::sync::Arc;

use crate::process::catch_panic::catch_panic;
use crate::queue::ledger::Ledger;
use crate::transport::Transport;
use crate::wire::batch::Batch;
use crate::worker::delivery::Delivery;
use crate::worker::outage_log::OutageLog;
use senders::{Report, Senders};

pub(crate) struct InFlight<T> {
    ledger: Arc<Ledger>,
    pub(super) outage_log: OutageLog,
    /// How many batches may be on their way at the same time.
    limit: usize,
    /// The worker's own, which never moves to a sender. The others are made from it.
    own: Delivery<T>,
    /// Those that senders have used, at most as many as the limit. Their connections are open.
    idle: Vec<Delivery<T>>,
    /// Only while a backlog is sent.
    senders: Option<Senders<T>>,
}

/// A batch on a sender's thread has its fate.
pub(super) struct Settled {
    /// As [`Delivery::deliver`] returns it.
    pub(super) too_large: Option<usize>,
}

impl<T: Transport + Send + 'static> InFlight<T> {
    /// Sends by `delivery`, and by others like it, up to `limit` at the same time.
    pub(crate) fn new(
        ledger: Arc<Ledger>,
        delivery: Delivery<T>,
        outage_log: OutageLog,
        limit: usize,
    ) -> Self {
        Self { ledger, outage_log, limit, own: delivery, idle: Vec::new(), senders: None }
    }

    /// Sends a batch on this thread and returns when each of its events has its fate. See [`Delivery::deliver`].
    pub(super) fn deliver(&mut self, batch: Batch) -> Option<usize> {
        let Self { ledger, outage_log, own, .. } = self;
        own.deliver(batch, &mut |progress| outage_log.note(&progress, &ledger.refused()))
    }

    /// Whether batches are on their way.
    pub(super) fn is_busy(&self) -> bool {
        self.busy() > 0
    }

    fn busy(&self) -> usize {
        self.senders.as_ref().map_or(0, Senders::busy)
    }

    /// Whether the next batch has to wait: a report is there that may say more, or too many batches are on their way.
    pub(super) fn must_wait(&self) -> bool {
        let is_full = self.is_busy() && (self.busy() >= self.limit || !self.allows_several());
        is_full || self.senders.as_ref().is_some_and(Senders::has_report)
    }

    /// Whether a batch with another full one behind it is to be handed to a sender. The first batch after an outage is
    /// not: it waits for a random moment, and the others behind it.
    pub(super) fn allows_several(&self) -> bool {
        self.limit > 1 && !self.outage_log.is_outage() && !self.own.follows_outage()
    }

    /// Sends a batch on a sender's thread. Gives it back if there is no thread to be had, or no second transport.
    pub(super) fn hand_over(&mut self, batch: Batch) -> Result<(), Batch> {
        // A panic of the HTTP client must not cost the batch, which has no claim yet.
        let another = || catch_panic(|| self.own.another()).flatten();
        let Some(delivery) = self.idle.pop().or_else(another) else { return Err(batch) };
        let limit = self.limit;
        let senders = self.senders.get_or_insert_with(|| Senders::new(limit));
        if senders.has_thread() {
            return senders.send(delivery, batch);
        }
        self.idle.push(delivery);
        Err(batch)
    }

    /// Waits for the next report of a sender. To be called only while batches are on their way. `None` if the report is of a
    /// batch that has no fate yet.
    pub(super) fn wait(&mut self) -> Option<Settled> {
        match self.senders.as_mut()?.wait()? {
            Report::Progress(progress) => {
                self.outage_log.note(&progress, &self.ledger.refused());
                None
            }
            Report::Done { delivery, too_large } => {
                self.idle.push(delivery);
                Some(Settled { too_large })
            }
        }
    }

    /// Ends the senders, when no batch is on its way any more. Returns when they have ended.
    pub(super) fn end_senders(&mut self) {
        if let Some(senders) = self.senders.take() {
            senders.end();
        }
    }
}

#[cfg(test)]
mod tests;
