//! What the worker does for the spool while senders send.
//!
//! Everything that touches the spool's files happens here, on the worker's thread. Senders leave what they could not send in
//! time among those that are outstanding, and the worker keeps it. If a program waits and no server answers, the worker
//! keeps a batch that is still on the wire. It goes with its idempotency key, so a second delivery does no harm.

use std::sync::Arc;
use std::time::Instant;

use crate::model::stats::DropReason;
use crate::process::fork;
use crate::queue::admission::Load;
use crate::queue::ledger::{Claim, Fate, Ledger};
use crate::transport::abort::Abort;
use crate::wire::batch::Batch;
use crate::wire::envelope::idempotency_key;
use crate::wire::ids::Ids;
use crate::worker::delivery::outstanding::{Decision, Due, EntryId, Note, Outstanding};
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
    claim: Claim<'a>,
    reason: DropReason,
    /// Its sender may still wait for an answer.
    on_its_way: Option<EntryId>,
}

impl<'a> ToKeep<'a> {
    /// Claims the batch. If it cannot be kept, its events are dropped for this reason.
    fn new(ledger: &'a Ledger, batch: Batch, reason: DropReason) -> Self {
        Self { claim: ledger.claim(batch.load()), batch, reason, on_its_way: None }
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
    pub(super) fn list(&mut self, batch: &mut Batch, log: &mut OutageLog) -> EntryId {
        let mut copy = batch.clone();
        let is_fatal = self.ledger.is_fatal();
        if self.keeper.is_write_ahead() || is_fatal {
            copy.set_key(self.keys.next().ok().map(idempotency_key));
            let written = self.keeper.write(&mut copy);
            let written = if is_fatal { written.and_then(|()| self.keeper.sync()) } else { written };
            // Where the disk is waited for, what it has not synced yet says nothing about it.
            if written.is_err() || is_fatal || !self.keeper.is_synced() {
                self.note_error(written.as_ref().err(), log);
            }
            if written.is_err() {
                copy.set_key(None);
            }
        }
        batch.set_key(copy.key().map(str::to_owned));
        let is_written = self.keeper.has(&copy);
        self.outstanding.add(copy, is_written)
    }

    /// Writes events that are not sent yet.
    pub(super) fn write_ahead<'a>(
        &mut self,
        batches: impl Iterator<Item = &'a mut Batch>,
        log: &mut OutageLog,
    ) {
        let mut batches = batches.filter(|batch| !batch.is_empty()).peekable();
        if batches.peek().is_none() {
            return; // which says nothing about the disk
        }
        let mut written = Ok(());
        for batch in batches {
            written = written.and(self.keeper.write(batch));
        }
        let written = written.and(self.keeper.sync());
        self.note_error(written.as_ref().err(), log);
    }

    /// Looks at the folder, so that there is less to do at the end.
    pub(super) fn prepare(&mut self) {
        self.keeper.prepare();
    }

    /// Does what senders have left to do: notes fates in the file, and keeps what they have given up or offer.
    pub(super) fn do_what_is_left(&mut self, log: &mut OutageLog) {
        for note in self.outstanding.take_notes() {
            match note {
                Note::Over(entry) => self.keeper.done(&entry.batch, entry.is_key_written),
                Note::DeliveredAfterAll(entry, fate) => {
                    self.ledger.deliver_spooled(entry.batch.len() as u64, fate);
                    self.keeper.done_after_all(&entry.batch);
                }
            }
        }
        let ledger = Arc::clone(&self.ledger);
        let given_up = self.outstanding.take_given_up().into_iter();
        let to_keep = given_up.map(|(entry, reason)| ToKeep::new(&ledger, entry.batch, reason));
        self.keep(to_keep.collect(), true, log);
        self.keep_due(Due::Offered, log);
    }

    /// Since when the first of the senders waits for an answer, if its batch can be kept.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        self.outstanding.waits_since().filter(|_| !self.outstanding.is_spool_failing())
    }

    /// Keeps these of the batches that are on their way. If not all, then not if that failed the last time. Returns whether
    /// that leaves no batch without a fate.
    pub(super) fn keep_outstanding(&mut self, due: Due, log: &mut OutageLog) -> bool {
        if !matches!(due, Due::All) && self.outstanding.is_spool_failing() {
            return false;
        }
        self.keep_due(due, log);
        self.do_what_is_left(log); // a sender may have given up meanwhile
        !self.outstanding.has_any_without_fate()
    }

    fn keep_due(&mut self, due: Due, log: &mut OutageLog) {
        let ledger = Arc::clone(&self.ledger);
        let taken = self.outstanding.take_over(due).into_iter();
        let to_keep = taken.map(|(id, batch)| {
            let to_keep = ToKeep::new(&ledger, batch, DropReason::Deadline);
            ToKeep { on_its_way: Some(id), ..to_keep }
        });
        self.keep(to_keep.collect(), matches!(due, Due::All), log);
    }

    /// Keeps batches that were not sent.
    pub(super) fn keep_unsent(&mut self, batches: Vec<Batch>, log: &mut OutageLog) {
        let ledger = Arc::clone(&self.ledger);
        let to_keep = batches.into_iter().map(|batch| ToKeep::new(&ledger, batch, DropReason::Deadline));
        self.keep(to_keep.collect(), true, log);
    }

    /// Writes batches, and gives their events their fate. `is_end`: no sender may go on with what cannot be written.
    fn keep(&mut self, mut to_keep: Vec<ToKeep<'_>>, is_end: bool, log: &mut OutageLog) {
        if to_keep.is_empty() {
            return;
        }
        self.last_kept = Some(Instant::now());
        let mut batches: Vec<_> = to_keep.iter_mut().map(|to_keep| &mut to_keep.batch).collect();
        let kept = self.keeper.keep_all(&mut batches);
        for (to_keep, kept) in to_keep.into_iter().zip(kept) {
            self.note_error(kept.error.as_ref(), log);
            match kept.error {
                None => {
                    to_keep.claim.settle(Fate::Spooled);
                    if let Some(id) = to_keep.on_its_way {
                        self.outstanding.put_back(id, to_keep.batch);
                    }
                }
                Some(error) => self.settle_rest(to_keep, kept.load, &error, is_end, log),
            }
        }
    }

    /// A batch could not be kept, or only a part of it.
    fn settle_rest(
        &self,
        mut to_keep: ToKeep<'_>,
        kept: Load,
        error: &KeepError,
        is_end: bool,
        log: &mut OutageLog,
    ) {
        let decision = to_keep
            .on_its_way
            .map_or(Decision::Worker, |id| self.outstanding.keep_failed(id, to_keep.batch.clone(), is_end));
        match decision {
            Decision::Fate(fate) => self.end(to_keep.claim, fate, log),
            Decision::Sender => to_keep.claim.hand_over(),
            Decision::Worker => {
                let reason = if error.is_full() { DropReason::SpoolFull } else { to_keep.reason };
                to_keep.claim.settle_part(kept, Fate::Spooled);
                self.end(to_keep.claim, Fate::Dropped(reason), log);
            }
        }
    }

    fn end(&self, claim: Claim<'_>, fate: Fate, log: &mut OutageLog) {
        if matches!(fate, Fate::Dropped(_)) {
            log.note(&Progress::EventsDropped(claim.events()), &self.ledger.refused());
        }
        claim.settle(fate);
    }

    /// A server has answered an attempt that began at this moment. If that is after the last keep, a replay of this process
    /// can send what was kept, unless a sender still waits for an answer to a part of it. Returns whether there is
    /// something for it.
    pub(super) fn release(&mut self, started: Instant) -> bool {
        let is_answer_of_later = self.last_kept.is_some_and(|kept| kept <= started);
        is_answer_of_later && !self.outstanding.has_any_kept() && self.keeper.release()
    }

    /// Ends the attempts on the wire, which no longer matter. The HTTP client logs meanwhile, and the logger may be stuck.
    pub(super) fn abort(&self) {
        self.abort_handle.iter().for_each(Abort::kill_command);
        let abort_handle = self.abort_handle.clone();
        let _ = fork::start_thread("tinker-abort", move || abort_handle.iter().for_each(Abort::abort));
    }

    fn note_error(&self, error: Option<&KeepError>, log: &mut OutageLog) {
        self.outstanding.set_spool_failing(error.is_some());
        if let Some(error) = error {
            log.spool_failed(error, Instant::now());
        }
    }
}
