//! The one mutex and condvar: fates are settled here, and everybody who waits waits here.
//!
//! Nothing slow happens under the lock. What is pending is not stored: it is what the [`Admission`] holds, and a
//! settled event leaves the door under this lock, so a snapshot taken under it always adds up.
//!
//! Both are the standard library's, because a forked child waits here too: these keep their waiters in themselves.
//! `parking_lot` keeps all waiters of a process in one table, where a child finds its parent's, whose stacks are
//! gone; it dies of that (`tests/process/fork.rs` has seen it) or waits for a bucket's lock for ever.

use std::mem::{self, ManuallyDrop};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::model::stats::{DropReason, Dropped, RefusalReason, Refused, Replayed, Stats};
use crate::queue::admission::{Admission, Grant, Lane, Load};

/// What became of accepted events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Delivered,
    Dropped(DropReason),
    /// Kept in a file for the next run.
    Spooled,
}

#[derive(Debug)]
pub(crate) struct Ledger {
    admission: Admission,
    /// One count for each of [`RefusalReason::ALL`], in that order: a refusal does not take the lock.
    refused: [AtomicU64; RefusalReason::ALL.len()],
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    delivered: u64,
    dropped: Dropped,
    spooled: u64,
    replayed: Replayed,
    /// Flushes are numbered from 1: how many were asked for, and up to which all is settled.
    flushes_asked: u64,
    flushes_done: u64,
    /// How many threads wait for a flush.
    waiting: u32,
    /// The flush of a program that fails: until it is done, what is sent is written first.
    fatal_flush: u64,
    /// Set by the first close; a later close may only bring it forward.
    deadline: Option<Instant>,
    /// The worker is gone, or given up: what was pending has its fate, nothing changes any more.
    finished: bool,
}

impl Ledger {
    pub(crate) fn new(admission: Admission) -> Self {
        Self { admission, refused: Default::default(), state: Mutex::default(), changed: Condvar::new() }
    }

    /// Takes room for one event, or counts the refusal. See [`Admission::admit`].
    pub(crate) fn admit(&self, bytes: u64, lane: Lane) -> Result<Grant, RefusalReason> {
        self.admission.admit(bytes, lane).inspect_err(|reason| self.refuse(*reason))
    }

    /// How many events were let in so far, which is the sequence of the next.
    pub(crate) fn admitted(&self) -> u64 {
        self.admission.admitted()
    }

    /// Whether it is worth making an event at all. See [`Admission::is_open`].
    #[inline]
    pub(crate) fn is_open(&self, lane: Lane) -> Result<(), RefusalReason> {
        self.admission.is_open(lane)
    }

    pub(crate) fn refuse(&self, reason: RefusalReason) {
        self.refused[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many events were refused so far.
    #[inline]
    pub(crate) fn refusals(&self) -> u64 {
        self.refused.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    pub(crate) fn refused(&self) -> Refused {
        let count = |reason: RefusalReason| self.refused[reason as usize].load(Ordering::Relaxed);
        Refused {
            queue_full: count(RefusalReason::QueueFull),
            queue_bytes: count(RefusalReason::QueueBytes),
            too_large: count(RefusalReason::TooLarge),
            invalid_data: count(RefusalReason::InvalidData),
            stopped: count(RefusalReason::Stopped),
            reentrant: count(RefusalReason::Reentrant),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.admission.is_closed()
    }

    pub(crate) fn is_due(&self) -> bool {
        self.admission.is_due()
    }

    pub(crate) fn has_pending(&self) -> bool {
        self.admission.pending().events > 0
    }

    /// Takes responsibility for events that are about to be sent.
    pub(crate) fn claim(&self, load: Load) -> Claim<'_> {
        Claim { ledger: self, load }
    }

    fn settle(&self, load: Load, fate: Fate) {
        let mut state = self.state();
        if state.finished {
            return; // they were settled with all the rest
        }
        self.admission.release(load);
        match fate {
            Fate::Delivered => state.delivered += load.events,
            Fate::Dropped(reason) => state.dropped.add(reason, load.events),
            Fate::Spooled => state.spooled += load.events,
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        let state = self.state();
        let pending = self.admission.pending().events;
        let accepted = state.delivered + state.dropped.total() + state.spooled + pending;
        let refused = self.refused();
        Stats {
            offered: accepted + refused.total(),
            refused,
            accepted,
            delivered: state.delivered,
            dropped: state.dropped,
            spooled: state.spooled,
            pending,
            replayed: state.replayed,
        }
    }

    /// Counts what becomes of events that earlier runs had kept.
    #[cfg(all(feature = "spool", unix))]
    pub(crate) fn count_replayed(&self, count: impl FnOnce(&mut Replayed)) {
        count(&mut self.state().replayed);
    }

    /// Takes the number of a new flush. The worker looks for it when the wakeup rings.
    pub(crate) fn ask_flush(&self) -> u64 {
        let mut state = self.state();
        state.flushes_asked += 1;
        self.changed.notify_all();
        state.flushes_asked
    }

    pub(crate) fn flushes_asked(&self) -> u64 {
        self.state().flushes_asked
    }

    /// All that was accepted before these flushes were asked for has its fate.
    pub(crate) fn flushes_done(&self, up_to: u64) {
        self.state().flushes_done = up_to;
        self.changed.notify_all();
    }

    /// Waits for a flush, until the deadline at most. `true`: it is done.
    pub(crate) fn wait_flushed(&self, flush: u64, deadline: Instant) -> bool {
        self.state().waiting += 1;
        self.changed.notify_all(); // the worker may be waiting before a retry
        let is_done = self.wait(deadline, |state| state.finished || state.flushes_done >= flush);
        self.state().waiting -= 1;
        is_done
    }

    /// Whether a thread waits for a flush or for the end.
    pub(crate) fn is_awaited(&self) -> bool {
        let state = self.state();
        state.waiting > 0 || state.deadline.is_some()
    }

    /// The program fails: until the next flush is done, what is sent is written first.
    pub(crate) fn set_fatal(&self) {
        let mut state = self.state();
        state.fatal_flush = state.flushes_asked + 1;
    }

    pub(crate) fn is_fatal(&self) -> bool {
        let state = self.state();
        state.fatal_flush > state.flushes_done
    }

    /// Waits until `until`, or until a thread waits for a flush or for the end.
    pub(crate) fn pause_unless_awaited(&self, until: Instant) {
        self.wait(until, |state| state.finished || state.waiting > 0 || state.deadline.is_some());
    }

    /// Closes the door and gives the worker until `deadline` for what it has; an earlier deadline stands.
    pub(crate) fn close(&self, deadline: Instant) {
        let mut state = self.state();
        self.admission.close();
        state.deadline = Some(state.deadline.map_or(deadline, |earlier| earlier.min(deadline)));
        self.changed.notify_all();
    }

    /// When the worker must be done; `None` while the reporter is open.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.state().deadline
    }

    /// Waits until `until`, or until the deadline is no longer the one that the caller has `seen`.
    pub(crate) fn pause(&self, until: Instant, seen: Option<Instant>) {
        self.wait(until, |state| state.finished || state.deadline != seen);
    }

    /// Waits until `until`, or until a flush is asked for or the reporter closes.
    pub(crate) fn wait_before_next_batch(&self, until: Instant) {
        let is_wanted = |state: &State| state.flushes_asked > state.flushes_done || state.deadline.is_some();
        self.wait(until, |state| state.finished || is_wanted(state));
    }

    pub(crate) fn wait_finished(&self, deadline: Instant) -> bool {
        self.wait(deadline, |state| state.finished)
    }

    /// Drops whatever is pending, for this reason, and frees everybody who waits. Nothing changes after it: a
    /// worker that was given up may still learn of an answer, but its events have been counted.
    pub(crate) fn finish(&self, reason: DropReason) {
        let mut state = self.state();
        if state.finished {
            return;
        }
        state.finished = true;
        self.admission.close(); // before the count: whoever comes later is refused
        let rest = self.admission.pending();
        self.admission.release(rest);
        state.dropped.add(reason, rest.events);
        self.changed.notify_all();
    }

    fn wait(&self, deadline: Instant, until: impl Fn(&State) -> bool) -> bool {
        let timeout = deadline.saturating_duration_since(Instant::now());
        let waited = self.changed.wait_timeout_while(self.state(), timeout, |state| !until(state));
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        until(&state)
    }

    /// Each change is whole before anything under the lock can panic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Events on their way out. Each gets its fate here exactly once: those whose claim is lost, by a panic say,
/// are dropped as `internal`.
#[must_use = "a claim that is dropped counts its events as lost"]
pub(crate) struct Claim<'a> {
    ledger: &'a Ledger,
    load: Load,
}

impl Claim<'_> {
    pub(crate) fn settle(self, fate: Fate) {
        let settled = ManuallyDrop::new(self);
        settled.ledger.settle(settled.load, fate);
    }

    /// Somebody else answers for the events now.
    pub(crate) fn hand_over(self) {
        mem::forget(self);
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.ledger.settle(self.load, Fate::Dropped(DropReason::Internal));
    }
}

#[cfg(test)]
mod tests;
