//! The batches of senders, as the worker sees them. Only a reporter with a spool has this list.
//!
//! A sender may wait for a server that never answers. The worker can keep its batch in the spool all the same: for each
//! batch, and for each half of one, there is an entry with a copy. The sender and the worker both may decide what becomes
//! of the events, and the first one does. The lock is held for some fields, never across I/O.
//!
//! Only the worker touches the spool's files. What a sender decides stays in the list until the worker has noted it there.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::model::stats::DropReason;
use crate::queue::ledger::Fate;
use crate::wire::batch::Batch;

#[derive(Default)]
pub(crate) struct Outstanding(Mutex<List>);

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
    /// The worker's copy, with its places in the spool.
    pub(crate) batch: Batch,
    /// The idempotency key of the request, as soon as one is chosen.
    pub(crate) key: Option<String>,
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
    /// The sender has given up for this reason, and the worker is to keep the events.
    ToKeep(DropReason),
    /// The worker has decided: it keeps the events. The sender may still be waiting for an answer.
    Kept,
    /// The events have their fate, which the file does not know yet.
    Over,
    /// The worker kept the events, and then they were delivered, or most of them.
    DeliveredAfterAll(Fate),
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
    pub(crate) fn add(&self, batch: Batch, key: Option<String>, is_written: bool) -> EntryId {
        let is_key_written = is_written && key.is_some();
        self.list().add(batch, key, is_written, is_key_written)
    }

    /// Removes a batch that no sender got.
    pub(crate) fn remove(&self, id: EntryId) {
        self.list().entries.retain(|entry| entry.id != id);
    }

    /// The key that the worker has chosen for the first attempt.
    pub(super) fn key(&self, id: EntryId) -> Option<String> {
        self.list().entry(id).and_then(|entry| entry.key.clone())
    }

    /// An attempt is about to begin. `false`: the worker has kept the events meanwhile, and there is to be no attempt.
    pub(super) fn attempt_begins(&self, id: EntryId, key: &str) -> bool {
        let mut list = self.list();
        let Some(entry) = list.entry(id).filter(|entry| entry.state == State::OnItsWay) else { return false };
        entry.since = Some(Instant::now());
        entry.key.get_or_insert_with(|| key.to_owned());
        true
    }

    /// The attempt is over.
    pub(super) fn attempt_ends(&self, id: EntryId) {
        if let Some(entry) = self.list().entry(id) {
            entry.since = None;
        }
    }

    /// Puts two halves in the place of a batch. `None`: the worker has kept the events meanwhile.
    pub(super) fn split(&self, id: EntryId) -> Option<[EntryId; 2]> {
        let mut list = self.list();
        let halves = list.entry(id).filter(|entry| entry.state == State::OnItsWay)?.batch.split()?;
        let whole = list.take(id)?;
        Some(halves.map(|half| list.add(half, None, whole.is_written, false)))
    }

    /// Whether its sender decides.
    pub(super) fn is_on_its_way(&self, id: EntryId) -> bool {
        self.list().entry(id).is_some_and(|entry| entry.state == State::OnItsWay)
    }

    /// The sender knows the fate. `false`: the worker has kept the events meanwhile, and has counted them.
    pub(super) fn settle(&self, id: EntryId, fate: Fate) -> bool {
        let mut list = self.list();
        let Some(entry) = list.entry(id) else { return false };
        let is_decided = entry.state == State::OnItsWay;
        match (entry.state, fate) {
            (State::OnItsWay, _) if entry.is_written => entry.state = State::Over,
            (State::Kept, Fate::Delivered | Fate::DeliveredBut { .. }) => {
                entry.state = State::DeliveredAfterAll(fate);
            }
            _ => _ = list.take(id),
        }
        is_decided
    }

    /// The sender gives up for this reason: the worker is to keep the events, unless it has already.
    pub(super) fn give_up(&self, id: EntryId, reason: DropReason) {
        let mut list = self.list();
        match list.entry(id) {
            Some(entry) if entry.state == State::OnItsWay => entry.state = State::ToKeep(reason),
            _ => _ = list.take(id),
        }
    }

    /// What there is to note in the file.
    pub(crate) fn take_notes(&self) -> Vec<Note> {
        let over =
            self.list().take_all(|entry| matches!(entry.state, State::Over | State::DeliveredAfterAll(_)));
        let note = |entry: Entry| match entry.state {
            State::DeliveredAfterAll(fate) => Note::DeliveredAfterAll(entry, fate),
            _ => Note::Over(entry),
        };
        over.into_iter().map(note).collect()
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

    /// The batches whose sender has waited for an answer since this moment or longer, and those that wait behind them; with
    /// `None` all. The worker decides about them from now on, and gives each back with [`put_back`](Self::put_back) when it
    /// is kept.
    pub(crate) fn take_over(&self, since: Option<Instant>) -> Vec<(EntryId, Batch, Option<String>)> {
        let has_waited = |entry: &Entry| match (since, entry.since) {
            (None, _) => true,
            (Some(since), Some(began)) => began <= since,
            (Some(_), None) => false,
        };
        let mut list = self.list();
        let is_mute = list.entries.iter().any(|entry| entry.state == State::OnItsWay && has_waited(entry));
        let is_due = |entry: &Entry| has_waited(entry) || is_mute && entry.since.is_none();
        let due = list.entries.iter_mut().filter(|entry| entry.state == State::OnItsWay && is_due(entry));
        due.map(|entry| {
            entry.state = State::Kept;
            (entry.id, mem::take(&mut entry.batch), entry.key.clone())
        })
        .collect()
    }

    /// The batch is in the file, under its key if it had one. Its sender may find out later that it was delivered.
    pub(crate) fn put_back(&self, id: EntryId, batch: Batch) {
        if let Some(entry) = self.list().entry(id) {
            entry.batch = batch;
            (entry.is_written, entry.is_key_written) = (true, entry.key.is_some());
        }
    }

    /// The batch could not be kept. If its sender has delivered it meanwhile, that is its fate. Else the events are the
    /// sender's again, if it goes on: with `is_end` it does not.
    pub(crate) fn keep_failed(&self, id: EntryId, batch: Batch, is_written: bool, is_end: bool) -> Decision {
        let mut list = self.list();
        let Some(mut entry) = list.take(id) else { return Decision::Worker };
        let fate = match entry.state {
            State::DeliveredAfterAll(fate) => Some(fate),
            _ if is_end => return Decision::Worker,
            _ => None,
        };
        entry.state = if fate.is_some() { State::Over } else { State::OnItsWay };
        entry.batch = batch;
        entry.is_written |= is_written;
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
        let on_the_way = list.entries.iter().filter(|entry| entry.state == State::OnItsWay);
        on_the_way.filter_map(|entry| entry.since).min()
    }

    /// Whether there is a batch whose events have no fate yet.
    pub(crate) fn has_any_without_fate(&self) -> bool {
        let has_none = |entry: &Entry| matches!(entry.state, State::OnItsWay | State::ToKeep(_));
        self.list().entries.iter().any(has_none)
    }

    /// Whether a batch was kept whose sender may still be waiting for an answer, or has had one that the file does not know.
    pub(crate) fn has_any_kept(&self) -> bool {
        let is_kept = |entry: &Entry| matches!(entry.state, State::Kept | State::DeliveredAfterAll(_));
        self.list().entries.iter().any(is_kept)
    }

    /// A poisoned lock is used like any other: nothing panics while it is held.
    fn list(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl List {
    fn add(&mut self, batch: Batch, key: Option<String>, is_written: bool, is_key_written: bool) -> EntryId {
        let id = EntryId(self.next);
        self.next += 1;
        let (since, state) = (None, State::OnItsWay);
        self.entries.push(Entry { id, batch, key, is_written, is_key_written, since, state });
        id
    }

    fn entry(&mut self, id: EntryId) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.id == id)
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
mod tests {
    use super::*;
    use crate::wire::batch::Batcher;

    fn batch(events: usize) -> Batch {
        let mut batcher = Batcher::new(usize::MAX, usize::MAX);
        for _ in 0..events {
            assert!(batcher.push(b"{}", 1).is_none());
        }
        batcher.take().unwrap()
    }

    #[test]
    fn the_first_to_decide_about_a_batch_is_the_only_one() {
        let outstanding = Outstanding::default();
        let (by_sender, by_worker) =
            (outstanding.add(batch(2), None, false), outstanding.add(batch(2), None, false));
        assert!(outstanding.settle(by_sender, Fate::Delivered));
        let taken = outstanding.take_over(None);
        assert_eq!(taken.iter().map(|(id, ..)| *id).collect::<Vec<_>>(), [by_worker]);
        assert!(!outstanding.attempt_begins(by_worker, "key"), "no attempt after the keep");
        assert!(outstanding.split(by_worker).is_none(), "nor of its halves");
        assert!(!outstanding.settle(by_worker, Fate::Dropped(DropReason::Rejected)));
        assert!(outstanding.take_notes().is_empty());
    }

    #[test]
    fn an_entry_knows_its_key_and_whether_the_file_does() {
        let outstanding = Outstanding::default();
        let key = |text: &str| Some(text.to_owned());
        let written = outstanding.add(batch(1), key("written"), true);
        let unwritten = outstanding.add(batch(2), key("unwritten"), false);
        let without_key = outstanding.add(batch(3), None, true);
        let no_sender = outstanding.add(batch(4), None, true);
        outstanding.remove(no_sender);
        let keys = [written, unwritten, without_key].map(|id| outstanding.key(id));
        assert_eq!(keys, [key("written"), key("unwritten"), None]);
        for id in [written, unwritten, without_key] {
            assert!(outstanding.settle(id, Fate::Delivered));
        }
        let notes = outstanding.take_notes();
        let known = notes.iter().map(|note| match note {
            Note::Over(entry) => (entry.batch.len(), entry.is_key_written),
            Note::DeliveredAfterAll(..) => panic!("it was not kept"),
        });
        assert_eq!(known.collect::<Vec<_>>(), [(1, true), (3, false)]);
    }

    #[test]
    fn a_batch_that_the_worker_has_kept_cannot_be_given_up() {
        let outstanding = Outstanding::default();
        let id = outstanding.add(batch(3), None, false);
        assert_eq!(outstanding.take_over(None).len(), 1);
        outstanding.give_up(id, DropReason::RetriesExhausted);
        assert!(outstanding.take_given_up().is_empty());
    }

    #[test]
    fn what_was_kept_and_then_delivered_is_noted_with_the_key_and_the_batch() {
        let outstanding = Outstanding::default();
        let id = outstanding.add(batch(3), None, false);
        assert!(outstanding.attempt_begins(id, "key"));
        let (taken, batch, key) = outstanding.take_over(Some(Instant::now())).remove(0);
        assert_eq!((taken, key.as_deref()), (id, Some("key")));
        outstanding.put_back(taken, batch);
        assert!(outstanding.has_any_kept(), "its sender waits for an answer");
        assert!(!outstanding.settle(id, Fate::Delivered));
        assert!(outstanding.has_any_kept(), "the file does not know the answer");
        let [Note::DeliveredAfterAll(entry, Fate::Delivered)] = &outstanding.take_notes()[..] else {
            panic!("no such note")
        };
        assert_eq!((entry.batch.len(), entry.key.as_deref()), (3, Some("key")));
        assert!(!outstanding.has_any_kept());
    }

    #[test]
    fn a_batch_that_could_not_be_kept_is_its_senders_again_unless_the_time_is_over() {
        let outstanding = Outstanding::default();
        let take = |id| {
            assert!(outstanding.attempt_begins(id, "key"));
            let (taken, batch, _) = outstanding.take_over(Some(Instant::now())).remove(0);
            assert_eq!(taken, id);
            batch
        };
        let id = outstanding.add(batch(3), None, false);
        let taken = take(id);
        assert_eq!(outstanding.keep_failed(id, taken, false, false), Decision::Sender);
        assert!(outstanding.settle(id, Fate::Delivered));

        let id = outstanding.add(batch(3), None, false);
        let taken = take(id);
        assert_eq!(outstanding.keep_failed(id, taken, true, true), Decision::Worker);
        assert!(!outstanding.settle(id, Fate::Delivered));
        assert!(outstanding.take_notes().is_empty());
    }

    #[test]
    fn a_batch_that_is_delivered_while_it_cannot_be_kept_counts_as_delivered() {
        for is_written in [false, true] {
            let outstanding = Outstanding::default();
            let id = outstanding.add(batch(3), None, false);
            assert!(outstanding.attempt_begins(id, "key"));
            let (_, taken, _) = outstanding.take_over(None).remove(0);
            assert!(!outstanding.settle(id, Fate::Delivered));
            assert_eq!(outstanding.keep_failed(id, taken, is_written, true), Decision::Fate(Fate::Delivered));
            // Of its events, those that the file has are not to be sent again.
            let notes = outstanding.take_notes();
            assert_eq!(matches!(&notes[..], [Note::Over(entry)] if entry.batch.len() == 3), is_written);
        }
    }

    #[test]
    fn only_an_attempt_on_the_wire_waits_for_an_answer() {
        let outstanding = Outstanding::default();
        let id = outstanding.add(batch(1), None, false);
        assert_eq!(outstanding.waits_since(), None);
        assert!(outstanding.attempt_begins(id, "key"));
        assert!(outstanding.waits_since().is_some());
        outstanding.attempt_ends(id);
        assert!(outstanding.take_over(Some(Instant::now())).is_empty());
    }

    #[test]
    fn a_half_that_waits_behind_an_attempt_without_an_answer_is_kept_with_it() {
        let outstanding = Outstanding::default();
        let whole = outstanding.add(batch(4), None, false);
        let [first, _second] = outstanding.split(whole).unwrap();
        assert!(outstanding.attempt_begins(first, "key"));
        assert_eq!(outstanding.take_over(Some(Instant::now())).len(), 2);
    }

    #[test]
    fn halves_that_are_given_up_are_the_workers_and_know_whether_they_are_written() {
        let outstanding = Outstanding::default();
        let whole = outstanding.add(batch(4), Some("key".to_owned()), true);
        let [first, second] = outstanding.split(whole).unwrap();
        assert!(outstanding.settle(first, Fate::Delivered));
        outstanding.give_up(second, DropReason::RetriesExhausted);
        let [Note::Over(over)] = &outstanding.take_notes()[..] else { panic!("no such note") };
        assert_eq!((over.batch.len(), over.is_written, over.is_key_written), (2, true, false));
        assert!(outstanding.take_over(None).is_empty(), "the sender has decided");
        assert!(outstanding.has_any_without_fate(), "but the worker has not kept it yet");
        let (given_up, reason) = outstanding.take_given_up().remove(0);
        assert_eq!((given_up.batch.len(), reason), (2, DropReason::RetriesExhausted));
        assert!(!outstanding.has_any_without_fate());
    }
}
