//! What the worker does for the spool while senders send.
//!
//! Everything that touches the spool's files happens here, on the worker's thread. Senders leave what they could not send in
//! time among those that are outstanding, and the worker keeps it. If a program waits and no server answers, the worker
//! keeps a batch that is still on the wire. It goes with its idempotency key, so a second delivery does no harm.

use std::sync::Arc;
use std::time::Instant;

use crate::model::stats::DropReason;
use crate::process::fork;
use crate::queue::ledger::{Claim, Fate, Ledger};
use crate::transport::abort::Abort;
use crate::wire::batch::Batch;
use crate::wire::envelope::idempotency_key;
use crate::wire::ids::Ids;
use crate::worker::delivery::outstanding::{EntryId, Note, Outstanding};
use crate::worker::keeper::{KeepError, Keeper};
use crate::worker::outage_log::{OutageLog, Progress};

pub(super) struct Keeping {
    ledger: Arc<Ledger>,
    keeper: Keeper,
    outstanding: Arc<Outstanding>,
    keys: Box<Ids>,
    abort_handle: Option<Abort>,
    /// When a batch was last kept.
    last_kept: Option<Instant>,
}

/// A batch to keep, and how it comes to that.
struct ToKeep<'a> {
    batch: Batch,
    key: Option<String>,
    claim: Claim<'a>,
    reason: DropReason,
}

impl<'a> ToKeep<'a> {
    /// Claims the batch. If it cannot be kept, its events are dropped for this reason.
    fn new(ledger: &'a Ledger, batch: Batch, key: Option<String>, reason: DropReason) -> Self {
        Self { claim: ledger.claim(batch.load()), batch, key, reason }
    }
}

impl Keeping {
    pub(super) fn new(ledger: Arc<Ledger>, keeper: Keeper, abort_handle: Option<Abort>) -> Self {
        let (outstanding, keys) = (Arc::default(), Box::new(Ids::new()));
        Self { ledger, keeper, outstanding, keys, abort_handle, last_kept: None }
    }

    pub(super) fn start_replay(&mut self) {
        self.keeper.start_replay();
    }

    pub(super) fn look_again(&mut self) {
        self.keeper.look_again();
    }

    pub(super) fn outstanding(&self) -> &Arc<Outstanding> {
        &self.outstanding
    }

    /// Lists a batch that is about to be sent, and writes it first if that is wanted.
    pub(super) fn list(&mut self, batch: &Batch, log: &mut OutageLog) -> EntryId {
        let mut copy = batch.clone();
        let mut key = None;
        let is_fatal = self.ledger.is_fatal();
        if self.keeper.is_write_ahead() || is_fatal {
            key = self.keys.next().ok().map(idempotency_key);
            let written = self.keeper.write(&mut copy, key.as_deref());
            let written = if is_fatal { written.and_then(|()| self.keeper.sync()) } else { written };
            note_outcome(&written, log);
            if written.is_err() {
                key = None;
            }
        }
        let is_written = self.keeper.has(&copy);
        self.outstanding.add(copy, key, is_written)
    }

    /// Writes events that are not sent yet.
    pub(super) fn write_ahead<'a>(
        &mut self,
        batches: impl Iterator<Item = &'a mut Batch>,
        log: &mut OutageLog,
    ) {
        let mut outcome = Ok(());
        for batch in batches.filter(|batch| !batch.is_empty()) {
            outcome = outcome.and(self.keeper.write(batch, None));
        }
        note_outcome(&outcome.and(self.keeper.sync()), log);
    }

    /// Looks at the folder, so that there is less to do at the end.
    pub(super) fn prepare(&mut self) {
        self.keeper.prepare();
    }

    /// Does what senders have left to do: notes fates in the file, and keeps what they have given up.
    pub(super) fn do_what_is_left(&mut self, log: &mut OutageLog) {
        for note in self.outstanding.take_notes() {
            match note {
                Note::Over(entry) => {
                    if let Some(key) = &entry.key {
                        self.keeper.done(&entry.batch, key, entry.is_key_written);
                    }
                }
                Note::DeliveredAfterAll(entry, fate) => {
                    self.ledger.deliver_spooled(entry.batch.len() as u64, fate);
                    if let Some(key) = &entry.key {
                        self.keeper.done_after_all(&entry.batch, key);
                    }
                }
            }
        }
        let ledger = Arc::clone(&self.ledger);
        let given_up = self.outstanding.take_given_up().into_iter();
        let to_keep = given_up.map(|(entry, reason)| ToKeep::new(&ledger, entry.batch, entry.key, reason));
        self.keep(to_keep.collect(), log);
    }

    /// Since when the first of the senders waits for an answer.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        self.outstanding.waits_since()
    }

    /// Keeps what has waited for an answer since this moment or longer; with `None` all that is on its way. Returns whether
    /// that leaves no batch without a fate.
    pub(super) fn keep_outstanding(&mut self, since: Option<Instant>, log: &mut OutageLog) -> bool {
        let ledger = Arc::clone(&self.ledger);
        let (mut ids, mut to_keep) = (Vec::new(), Vec::new());
        for (id, batch, key) in self.outstanding.take_over(since) {
            ids.push(id);
            to_keep.push(ToKeep::new(&ledger, batch, key, DropReason::Deadline));
        }
        let kept = self.keep(to_keep, log);
        for (id, batch) in ids.into_iter().zip(kept) {
            match batch {
                Some(batch) => self.outstanding.put_back(id, batch),
                None => self.outstanding.remove(id),
            }
        }
        self.do_what_is_left(log); // a sender may have given up meanwhile
        !self.outstanding.has_any_without_fate()
    }

    /// Keeps batches that were not sent.
    pub(super) fn keep_unsent(&mut self, batches: Vec<Batch>, log: &mut OutageLog) {
        let ledger = Arc::clone(&self.ledger);
        let to_keep =
            batches.into_iter().map(|batch| ToKeep::new(&ledger, batch, None, DropReason::Deadline));
        self.keep(to_keep.collect(), log);
    }

    /// Writes batches, and gives their events their fate. Returns those that are in the file.
    fn keep(&mut self, mut to_keep: Vec<ToKeep<'_>>, log: &mut OutageLog) -> Vec<Option<Batch>> {
        if to_keep.is_empty() {
            return Vec::new();
        }
        self.last_kept = Some(Instant::now());
        let mut batches: Vec<_> =
            to_keep.iter_mut().map(|to_keep| (&mut to_keep.batch, to_keep.key.as_deref())).collect();
        let outcomes = self.keeper.keep_all(&mut batches);
        let settle = |(to_keep, outcome): (ToKeep<'_>, Result<(), KeepError>)| {
            note_outcome(&outcome, log);
            let reason = match outcome {
                Ok(()) => {
                    to_keep.claim.settle(Fate::Spooled);
                    return Some(to_keep.batch);
                }
                Err(error) if error.is_full() => DropReason::SpoolFull,
                Err(_) => to_keep.reason,
            };
            log.note(&Progress::EventsDropped(to_keep.batch.len() as u64), &self.ledger.refused());
            to_keep.claim.settle(Fate::Dropped(reason));
            None
        };
        to_keep.into_iter().zip(outcomes).map(settle).collect()
    }

    /// A server has answered an attempt that began at this moment. If that is after the last keep, a replay of this process
    /// can send what was kept, unless a sender still waits for an answer to a part of it.
    pub(super) fn release(&mut self, started: Instant) {
        if self.last_kept.is_some_and(|kept| kept <= started) && !self.outstanding.has_any_kept() {
            self.keeper.release();
        }
    }

    /// Ends the attempts on the wire, which no longer matter. The HTTP client logs meanwhile, and the logger may be stuck.
    pub(super) fn abort(&self) {
        self.abort_handle.iter().for_each(Abort::kill_command);
        let abort_handle = self.abort_handle.clone();
        let _ = fork::start_thread("tinker-abort", move || abort_handle.iter().for_each(Abort::abort));
    }
}

fn note_outcome(outcome: &Result<(), KeepError>, log: &mut OutageLog) {
    match outcome {
        Ok(()) => log.spool_works(),
        Err(error) => log.spool_failed(error),
    }
}
