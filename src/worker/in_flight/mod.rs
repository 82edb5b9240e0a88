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
//!
//! With a spool senders send every batch, so that the worker is free to write ([`Keeping`]). If it keeps a batch whose
//! sender still waits for an answer, it waits for that sender no longer: the sender ends when its attempt does.

pub(super) mod keep_times;
mod keeping;
mod senders;

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Receiver;

use crate::process::catch_panic::catch_panic;
use crate::queue::ledger::Ledger;
use crate::transport::Transport;
use crate::transport::abort::Abort;
use crate::transport::retry::Verdict;
use crate::wire::batch::Batch;
use crate::worker::delivery::Delivery;
use crate::worker::delivery::outstanding::{Due, EntryId};
use crate::worker::keeper::Keeper;
use crate::worker::outage_log::{OutageLog, Progress};
use keeping::Keeping;
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
    /// Those whose batches the worker has kept. They end by themselves.
    abandoned: Vec<Senders<T>>,
    /// `None` without a spool.
    keeping: Option<Keeping>,
    /// When the last attempt began, if no server was reached or none answered.
    unreachable_since: Option<Instant>,
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
        let (idle, abandoned) = (Vec::new(), Vec::new());
        Self {
            ledger,
            outage_log,
            limit,
            own: delivery,
            idle,
            senders: None,
            abandoned,
            keeping: None,
            unreachable_since: None,
        }
    }

    /// Keeps in the spool what cannot be sent in time, if there is one.
    pub(crate) fn with_keeper(self, keeper: Option<Keeper>, abort_handle: Option<Abort>) -> Self {
        let Some(keeper) = keeper else { return self };
        let keeping = Keeping::new(Arc::clone(&self.ledger), keeper, abort_handle);
        let own = self.own.with_outstanding(Arc::clone(keeping.outstanding()));
        Self { own, keeping: Some(keeping), ..self }
    }

    /// With a spool: starts to send what earlier runs kept, on a thread of its own.
    pub(super) fn start_replay(&mut self) {
        self.keeping.iter_mut().for_each(Keeping::start_replay);
    }

    /// The same, if files were left to other processes. They may have ended since.
    pub(super) fn look_again(&mut self) {
        self.keeping.iter_mut().for_each(Keeping::look_again);
    }

    pub(super) fn has_spool(&self) -> bool {
        self.keeping.is_some()
    }

    /// Sends a batch on this thread and returns when each of its events has its fate. See [`Delivery::deliver`].
    pub(super) fn deliver(&mut self, mut batch: Batch) -> Option<usize> {
        let entry = self.list(&mut batch);
        let Self { ledger, outage_log, own, keeping, .. } = self;
        let too_large = own.deliver(batch, entry, &mut |progress| match (progress, &mut *keeping) {
            (Progress::BatchOffered, Some(keeping)) => keeping.do_what_is_left(outage_log),
            (progress, _) => outage_log.note(&progress, &ledger.refused()),
        });
        self.do_what_is_left();
        too_large
    }

    /// The batch's entry, if there is a spool.
    fn list(&mut self, batch: &mut Batch) -> Option<EntryId> {
        let Self { outage_log, keeping, .. } = self;
        keeping.as_mut().map(|keeping| keeping.list(batch, outage_log))
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

    /// Whether batches with another full one behind them may be handed to senders. The first batch after an outage is sent
    /// alone: it waits for a random moment, and the others behind it.
    fn allows_several(&self) -> bool {
        self.limit > 1 && !self.outage_log.is_outage() && !self.own.follows_outage()
    }

    /// Whether a sender is to send the next batch. `has_backlog`: there is another full one behind it.
    pub(super) fn wants_sender(&self, has_backlog: bool) -> bool {
        self.has_spool() || has_backlog && self.allows_several()
    }

    /// Sends a batch on a sender's thread. Gives it back if there is no thread to be had, or no second transport.
    pub(super) fn hand_over(&mut self, mut batch: Batch) -> Result<(), Batch> {
        // A panic of the HTTP client must not cost the batch, which has no claim yet.
        let another = || catch_panic(|| self.own.another()).flatten();
        let Some(delivery) = self.idle.pop().or_else(another) else { return Err(batch) };
        let limit = self.limit;
        if !self.senders.get_or_insert_with(|| Senders::new(limit)).has_thread() {
            self.idle.push(delivery);
            return Err(batch);
        }
        let entry = self.list(&mut batch);
        let Some(senders) = &mut self.senders else { return Err(batch) };
        senders.send(delivery, batch, entry).inspect_err(|_| {
            if let Some((keeping, entry)) = self.keeping.as_ref().zip(entry) {
                keeping.outstanding().remove(entry);
            }
        })
    }

    /// Waits for the next report of a sender. To be called only while batches are on their way. `None` if the report is of a
    /// batch that has no fate yet. With a spool this does not wait.
    pub(super) fn wait(&mut self) -> Option<Settled> {
        let wait = if self.keeping.is_some() { Senders::try_wait } else { Senders::wait };
        let report = self.senders.as_mut().and_then(wait);
        let settled = report.and_then(|report| self.note(report));
        self.do_what_is_left();
        settled
    }

    fn note(&mut self, report: Report<T>) -> Option<Settled> {
        match report {
            Report::Progress(progress) => {
                let was_outage = self.outage_log.is_outage();
                self.outage_log.note(&progress, &self.ledger.refused());
                match &progress {
                    Progress::AttemptFailed { verdict, started, .. } => {
                        let is_unreachable = matches!(verdict, Verdict::NoAnswer(_));
                        self.unreachable_since = is_unreachable.then_some(*started);
                        self.prepare();
                    }
                    Progress::BatchDelivered { started, .. } => {
                        self.unreachable_since = None;
                        let is_released =
                            self.keeping.as_mut().is_some_and(|keeping| keeping.release(*started));
                        if is_released || was_outage {
                            self.start_replay(); // the last one may have ended at the outage
                        }
                    }
                    _ => {}
                }
                None
            }
            Report::Done { delivery, too_large } => {
                if self.idle.len() < self.limit {
                    self.idle.push(delivery);
                }
                Some(Settled { too_large })
            }
        }
    }

    /// Where reports arrive, if batches are on their way.
    pub(super) fn reports(&self) -> Option<&Receiver<Report<T>>> {
        self.senders.as_ref().map(Senders::reports)
    }

    /// With a spool: does what senders have left to do. See [`Keeping::do_what_is_left`].
    pub(super) fn do_what_is_left(&mut self) {
        let abandoned = std::mem::take(&mut self.abandoned);
        for mut senders in abandoned {
            while let Some(report) = senders.try_wait() {
                self.note(report);
            }
            if senders.busy() > 0 {
                self.abandoned.push(senders);
            }
        }
        let Self { outage_log, keeping, .. } = self;
        if let Some(keeping) = keeping {
            keeping.do_what_is_left(outage_log);
        }
    }

    /// Whether the last attempt that began after this moment found no server, or one that does not answer.
    pub(super) fn is_unreachable_since(&self, moment: Instant) -> bool {
        self.unreachable_since.is_some_and(|since| since >= moment)
    }

    /// With a spool: writes events that are not sent yet.
    pub(super) fn write_ahead<'a>(&mut self, batches: impl Iterator<Item = &'a mut Batch>) {
        let Self { outage_log, keeping, .. } = self;
        if let Some(keeping) = keeping {
            keeping.write_ahead(batches, outage_log);
        }
    }

    /// With a spool: looks at the folder.
    pub(super) fn prepare(&mut self) {
        self.keeping.iter_mut().for_each(Keeping::prepare);
    }

    /// With a spool: since when the first of the senders waits for an answer.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        self.keeping.as_ref().and_then(Keeping::waits_since)
    }

    /// With a spool: keeps what has waited for an answer since this moment or longer.
    pub(super) fn keep_unanswered(&mut self, since: Instant) {
        let Self { outage_log, keeping, .. } = self;
        if keeping
            .as_mut()
            .is_some_and(|keeping| keeping.keep_outstanding(Due::UnansweredSince(since), outage_log))
        {
            self.abandoned.extend(self.senders.take());
        }
    }

    /// With a spool: keeps everything. These batches were not sent.
    pub(super) fn keep_all(&mut self, unsent: Vec<Batch>) {
        self.do_what_is_left();
        let Self { outage_log, keeping, .. } = self;
        let Some(keeping) = keeping else { return };
        keeping.keep_outstanding(Due::All, outage_log);
        keeping.keep_unsent(unsent, outage_log);
        if self.senders.as_ref().is_some_and(|senders| senders.busy() > 0) {
            keeping.abort();
        }
        self.abandoned.extend(self.senders.take());
    }

    /// Closes the spool's files: a thread that sees the reporter's end may want them.
    pub(super) fn close_spool(&mut self) {
        self.do_what_is_left();
        self.keeping = None;
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
