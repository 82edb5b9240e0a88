//! A batch, and the responsibility for its events.

use std::time::Instant;

use crate::model::stats::DropReason;
use crate::queue::ledger::{Claim, Fate, Ledger};
use crate::wire::batch::Batch;
use crate::worker::delivery::outstanding::{EntryId, Outstanding};

pub(super) struct ClaimedBatch<'a> {
    pub(super) batch: Batch,
    claim: ListedClaim<'a>,
}

/// A claim of events that the worker may keep meanwhile, if they are in its list.
struct ListedClaim<'a> {
    /// `None` once it is over.
    claim: Option<Claim<'a>>,
    entry: Option<(&'a Outstanding, EntryId)>,
}

impl<'a> ClaimedBatch<'a> {
    pub(super) fn new(batch: Batch, ledger: &'a Ledger, entry: Option<(&'a Outstanding, EntryId)>) -> Self {
        let claim = ListedClaim { claim: Some(ledger.claim(batch.load())), entry };
        Self { batch, claim }
    }

    /// An attempt is about to begin. `false`: the worker has kept the events, and there is to be no attempt.
    pub(super) fn attempt_begins(&self, key: &str) -> bool {
        self.claim.entry.is_none_or(|(outstanding, id)| outstanding.attempt_begins(id, key))
    }

    /// Lets the worker keep the events, if it can. See [`Outstanding::offer`].
    pub(super) fn offer(&self, until: Instant, ask: impl FnOnce()) -> bool {
        self.claim.entry.is_none_or(|(outstanding, id)| outstanding.offer(id, until, ask))
    }

    pub(super) fn attempt_ends(&self) {
        if let Some((outstanding, id)) = self.claim.entry {
            outstanding.attempt_ends(id);
        }
    }

    /// Two halves, or the batch itself if it has one event. Both halves are claimed at once, so a panic while one of them
    /// is sent leaves no event without a claim.
    pub(super) fn split(mut self, ledger: &'a Ledger) -> Result<[Self; 2], Split<'a>> {
        let Some(halves) = self.batch.split() else { return Err(Split::Single(self)) };
        let mut entries = [None, None];
        if let Some((outstanding, id)) = self.claim.entry {
            let Some(ids) = outstanding.split(id) else {
                self.leave();
                return Err(Split::Kept);
            };
            entries = ids.map(|id| Some((outstanding, id)));
            self.claim.entry = None;
        }
        let [first, second] = halves;
        let [first_entry, second_entry] = entries;
        let halves = [Self::new(first, ledger, first_entry), Self::new(second, ledger, second_entry)];
        self.claim.hand_over();
        Ok(halves)
    }

    /// Whether the worker has kept the events, and has counted them.
    pub(super) fn is_kept(&self) -> bool {
        self.claim.entry.is_some_and(|(outstanding, id)| !outstanding.is_on_its_way(id))
    }

    /// Gives the events their fate, unless the worker has kept them.
    pub(super) fn settle(mut self, fate: Fate) {
        let is_decided = self.claim.entry.take().is_none_or(|(outstanding, id)| outstanding.settle(id, fate));
        match self.claim.claim.take() {
            Some(claim) if is_decided => claim.settle(fate),
            Some(claim) => claim.hand_over(),
            None => {}
        }
    }

    /// Leaves the events to the worker, which keeps them in the spool. Gives the batch back if there is no spool.
    pub(super) fn give_up(mut self, reason: DropReason) -> Result<(), Self> {
        let Some((outstanding, id)) = self.claim.entry.take() else { return Err(self) };
        outstanding.give_up(id, reason);
        self.claim.hand_over();
        Ok(())
    }

    /// The worker has kept the events.
    pub(super) fn leave(mut self) {
        if let Some((outstanding, id)) = self.claim.entry.take() {
            outstanding.remove(id);
        }
        self.claim.hand_over();
    }
}

/// Why a batch has no halves.
pub(super) enum Split<'a> {
    /// It has one event.
    Single(ClaimedBatch<'a>),
    /// The worker has kept its events.
    Kept,
}

impl ListedClaim<'_> {
    fn hand_over(&mut self) {
        if let Some(claim) = self.claim.take() {
            claim.hand_over();
        }
    }
}

/// A panic loses the claim: the events count as `internal`, unless the worker has kept them.
impl Drop for ListedClaim<'_> {
    fn drop(&mut self) {
        let lost = Fate::Dropped(DropReason::Internal);
        let is_decided = self.entry.take().is_none_or(|(outstanding, id)| outstanding.settle(id, lost));
        if !is_decided {
            self.hand_over();
        }
    }
}
