//! The batches of senders, as the worker sees them. Only a reporter with a spool has this list.
//!
//! A sender may wait for a server that never answers. The worker can keep its batch in the spool all the same: for each
//! batch, and for each half of one, there is an entry with a copy. The sender and the worker both may decide what becomes
//! of the events, and the first one does. The lock is held for some fields, never across I/O.
//!
//! If no server can be reached and a program waits, a sender offers its batch: it waits until the worker has kept the batch,
//! or could not. Then the sender goes on with it.
//!
//! Only the worker touches the spool's files. What a sender decides stays in the list until the worker has noted it there.

use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::model::stats::DropReason;
use crate::queue::ledger::Fate;
use crate::wire::batch::Batch;

/// A disk that takes longer to write a batch hangs. Its sender no longer waits for that.
const LONGEST_WRITE: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(crate) struct Outstanding {
    list: Mutex<List>,
    /// The worker has decided about a batch that was offered.
    decided: Condvar,
}

#[derive(Default)]
struct List {
    entries: Vec<Entry>,
    next: u64,
    /// The worker could not keep the last batch that it was to keep.
    is_spool_failing: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntryId(u64);

pub(crate) struct Entry {
    id: EntryId,
    /// The worker's copy, with its places in the spool, and the key of the request as soon as one is chosen.
    pub(crate) batch: Batch,
    /// Whether the events are in the spool's file.
    pub(crate) is_written: bool,
    /// Whether the file knows the key.
    pub(crate) is_key_written: bool,
    /// When the attempt began that is on the wire.
    since: Option<Instant>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The sender decides.
    OnItsWay,
    /// The sender waits whether the worker can keep the events.
    Offered,
    /// The sender has given up for this reason, and the worker is to keep the events.
    ToKeep(DropReason),
    /// The worker is writing the events to the file. The sender may still be waiting for an answer.
    Taken,
    /// The worker has kept the events. The sender may still be waiting for an answer.
    Kept,
    /// The worker has taken the events, and then the sender found out this fate.
    KeptBut(Fate),
    /// The events have their fate, which the file does not know yet.
    Over,
}

/// Which batches the worker takes over.
#[derive(Clone, Copy)]
pub(crate) enum Due {
    /// Those that were offered.
    Offered,
    /// Those whose sender has waited for an answer since this moment or longer, and those that wait behind them.
    UnansweredSince(Instant),
    All,
}

/// What the worker has to note in the spool's file.
pub(crate) enum Note {
    /// The events have their fate.
    Over(Entry),
    /// The events count as spooled, and have this fate.
    DeliveredAfterAll(Entry, Fate),
}

/// Who decides about a batch that could not be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Its sender has, and this is the fate of the events.
    Fate(Fate),
    /// Its sender will.
    Sender,
    /// The worker.
    Worker,
}

impl Outstanding {
    /// Adds a batch that a sender is about to get.
    pub(crate) fn add(&self, batch: Batch, is_written: bool) -> EntryId {
        let is_key_written = is_written && batch.key().is_some();
        self.list().add(batch, is_written, is_key_written)
    }

    /// Removes a batch that no sender got.
    pub(crate) fn remove(&self, id: EntryId) {
        self.list().entries.retain(|entry| entry.id != id);
    }

    /// An attempt is about to begin. `false`: the worker has kept the events meanwhile, and there is to be no attempt.
    pub(super) fn attempt_begins(&self, id: EntryId, key: &str) -> bool {
        let mut list = self.list_without_taken(id);
        let Some(entry) = list.entry(id).filter(|entry| entry.state == State::OnItsWay) else { return false };
        entry.since = Some(Instant::now());
        entry.batch.set_key(Some(key.to_owned()));
        true
    }

    /// The attempt is over.
    pub(super) fn attempt_ends(&self, id: EntryId) {
        if let Some(entry) = self.list().entry(id) {
            entry.since = None;
        }
    }

    /// No server can be reached: the worker may keep the events. `ask` wakes it. Waits for what it decides, until `until` at
    /// most. Returns whether the sender goes on with the events.
    pub(super) fn offer(&self, id: EntryId, until: Instant, ask: impl FnOnce()) -> bool {
        match self.list_without_taken(id).entry(id) {
            Some(entry) if entry.state == State::OnItsWay => entry.state = State::Offered,
            _ => return false,
        }
        ask();
        let mut list = self.list_while(until, |list| list.state(id) == Some(State::Offered));
        if let Some(entry) = list.entry(id).filter(|entry| entry.state == State::Offered) {
            entry.state = State::OnItsWay; // the worker has no time for it
        }
        drop(list);
        self.list_without_taken(id).state(id) == Some(State::OnItsWay)
    }

    /// Puts two halves in the place of a batch. `None`: the worker has kept the events meanwhile.
    pub(super) fn split(&self, id: EntryId) -> Option<[EntryId; 2]> {
        let mut list = self.list_without_taken(id);
        let halves = list.entry(id).filter(|entry| entry.state == State::OnItsWay)?.batch.split()?;
        let whole = list.take(id)?;
        Some(halves.map(|half| list.add(half, whole.is_written, false)))
    }

    /// Whether its sender decides.
    pub(super) fn is_on_its_way(&self, id: EntryId) -> bool {
        self.list().state(id) == Some(State::OnItsWay)
    }

    /// The sender knows the fate. `false`: the worker has taken the events meanwhile, and counts them.
    pub(super) fn settle(&self, id: EntryId, fate: Fate) -> bool {
        let mut list = self.list();
        let Some(entry) = list.entry(id) else { return false };
        let is_decided = entry.state == State::OnItsWay;
        match entry.state {
            State::Taken | State::Kept => entry.state = State::KeptBut(fate),
            State::OnItsWay if entry.is_written => entry.state = State::Over,
            _ => _ = list.take(id),
        }
        is_decided
    }

    /// The sender gives up for this reason: the worker is to keep the events, unless it has taken them already.
    pub(super) fn give_up(&self, id: EntryId, reason: DropReason) {
        let mut list = self.list();
        match list.entry(id) {
            Some(entry) if entry.state == State::OnItsWay => entry.state = State::ToKeep(reason),
            _ => _ = list.take(id),
        }
    }

    /// What there is to note in the file.
    pub(crate) fn take_notes(&self) -> Vec<Note> {
        let over = self.list().take_all(|entry| matches!(entry.state, State::Over | State::KeptBut(_)));
        let note = |entry: Entry| match entry.state {
            State::Over => Some(Note::Over(entry)),
            State::KeptBut(fate) if fate.is_delivery() => Some(Note::DeliveredAfterAll(entry, fate)),
            _ => None, // a later run will find the same out
        };
        over.into_iter().filter_map(note).collect()
    }

    /// The batches that senders have given up.
    pub(crate) fn take_given_up(&self) -> Vec<(Entry, DropReason)> {
        let given_up = self.list().take_all(|entry| matches!(entry.state, State::ToKeep(_)));
        let with_reason = |entry: Entry| match entry.state {
            State::ToKeep(reason) => (entry, reason),
            _ => (entry, DropReason::Deadline),
        };
        given_up.into_iter().map(with_reason).collect()
    }

    /// The worker decides about these batches from now on. It gives each back with [`put_back`](Self::put_back) when it is
    /// kept, or with [`keep_failed`](Self::keep_failed).
    pub(crate) fn take_over(&self, due: Due) -> Vec<(EntryId, Batch)> {
        let mut list = self.list();
        let is_mute = |entry: &Entry| match due {
            Due::UnansweredSince(since) => entry.since.is_some_and(|began| began <= since),
            Due::Offered | Due::All => false,
        };
        let has_mute = list.entries.iter().any(|entry| entry.is_senders() && is_mute(entry));
        let is_due = |entry: &Entry| match due {
            Due::Offered => entry.state == State::Offered,
            Due::UnansweredSince(_) => is_mute(entry) || has_mute && entry.since.is_none(),
            Due::All => true,
        };
        let due = list.entries.iter_mut().filter(|entry| entry.is_senders() && is_due(entry));
        due.map(|entry| {
            entry.state = State::Taken;
            (entry.id, mem::take(&mut entry.batch))
        })
        .collect()
    }

    /// The batch is in the file, under its key if it had one. Its sender may find out later that it was delivered.
    pub(crate) fn put_back(&self, id: EntryId, batch: Batch) {
        if let Some(entry) = self.list().entry(id) {
            (entry.is_written, entry.is_key_written) = (true, batch.key().is_some());
            entry.batch = batch;
            if entry.state == State::Taken {
                entry.state = State::Kept;
            }
        }
        self.decided.notify_all();
    }

    /// The batch could not be kept. If its sender has found out the fate meanwhile, that is it. Else the events are the
    /// sender's again, if it goes on: with `is_end` it does not.
    pub(crate) fn keep_failed(&self, id: EntryId, batch: Batch, is_end: bool) -> Decision {
        let mut list = self.list();
        self.decided.notify_all();
        let Some(mut entry) = list.take(id) else { return Decision::Worker };
        let fate = match entry.state {
            State::KeptBut(fate) => Some(fate),
            _ if is_end => return Decision::Worker,
            _ => None,
        };
        entry.state = if fate.is_some() { State::Over } else { State::OnItsWay };
        entry.batch = batch;
        if fate.is_none() || entry.is_written {
            list.entries.push(entry);
        }
        fate.map_or(Decision::Sender, Decision::Fate)
    }

    /// Notes whether batches can be kept. While they cannot, a program that waits is better served by a sender that goes on.
    pub(crate) fn set_spool_failing(&self, is_failing: bool) {
        self.list().is_spool_failing = is_failing;
    }

    pub(crate) fn is_spool_failing(&self) -> bool {
        self.list().is_spool_failing
    }

    /// Since when the first attempt waits for an answer, of those that are on the wire.
    pub(crate) fn waits_since(&self) -> Option<Instant> {
        let list = self.list();
        list.entries.iter().filter(|entry| entry.is_senders()).filter_map(|entry| entry.since).min()
    }

    /// Whether there is a batch whose events have no fate yet.
    pub(crate) fn has_any_without_fate(&self) -> bool {
        let has_none = |entry: &Entry| entry.is_senders() || matches!(entry.state, State::ToKeep(_));
        self.list().entries.iter().any(has_none)
    }

    /// Whether a batch was kept whose sender may still be waiting for an answer, or has had one that the file does not know.
    pub(crate) fn has_any_kept(&self) -> bool {
        let is_kept = |entry: &Entry| matches!(entry.state, State::Kept | State::KeptBut(_));
        self.list().entries.iter().any(is_kept)
    }

    /// The list without what is about to change: a batch that the worker writes may be its sender's again.
    fn list_without_taken(&self, id: EntryId) -> MutexGuard<'_, List> {
        self.list_while(Instant::now() + LONGEST_WRITE, |list| list.state(id) == Some(State::Taken))
    }

    /// The list, once this is no longer so, or at `until`.
    fn list_while(&self, until: Instant, is_so: impl Fn(&List) -> bool) -> MutexGuard<'_, List> {
        let timeout = until.saturating_duration_since(Instant::now());
        let waited = self.decided.wait_timeout_while(self.list(), timeout, |list| is_so(list));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// A poisoned lock is used like any other: nothing panics while it is held.
    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Whether its sender has it.
    fn is_senders(&self) -> bool {
        matches!(self.state, State::OnItsWay | State::Offered)
    }
}

impl List {
    fn add(&mut self, batch: Batch, is_written: bool, is_key_written: bool) -> EntryId {
        let id = EntryId(self.next);
        self.next += 1;
        let (since, state) = (None, State::OnItsWay);
        self.entries.push(Entry { id, batch, is_written, is_key_written, since, state });
        id
    }

    fn entry(&mut self, id: EntryId) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.id == id)
    }

    fn state(&self, id: EntryId) -> Option<State> {
        self.entries.iter().find(|entry| entry.id == id).map(|entry| entry.state)
    }

    fn take(&mut self, id: EntryId) -> Option<Entry> {
        let at = self.entries.iter().position(|entry| entry.id == id)?;
        Some(self.entries.remove(at))
    }

    fn take_all(&mut self, is_wanted: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let (wanted, others) = mem::take(&mut self.entries).into_iter().partition(is_wanted);
        self.entries = others;
        wanted
    }
}

#[cfg(test)]
mod tests;
